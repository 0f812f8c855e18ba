"""What a camera makes of little light: one model of a sensor for all networks.

Light adds up linearly: photons free electrons with Poisson statistics, the read-out adds Gaussian
noise, and gain brightens both together (EMVA 1288, release 4.0). The results are simulations, not
nights.
"""

from dataclasses import dataclass

import numpy as np

# Electrons of the read-out, of a small sensor.
READ_NOISE = 3.0


@dataclass(frozen=True)
class Light:
    """One simulated light.

    `electrons` are what a white pixel collects; `shown` is the linear brightness of the result over
    the original's, after gain. Less light with the same gain lowers both.
    """

    electrons: float
    shown: float
    read_noise: float = READ_NOISE


LIGHTS = {
    "dim": Light(electrons=400, shown=0.32),
    "dark": Light(electrons=80, shown=0.21),
    "very dark": Light(electrons=20, shown=0.12),
}
"""The lights that figures are measured in; a name means the same wherever it stands."""


def to_linear(picture: np.ndarray) -> np.ndarray:
    """Decode sRGB uint8 to linear light, float32 0..1 (IEC 61966-2-1)."""
    table = np.arange(256, dtype=np.float64) / 255
    table = np.where(table <= 0.04045, table / 12.92, ((table + 0.055) / 1.055) ** 2.4)
    return table.astype(np.float32)[picture]


def to_srgb(light: np.ndarray) -> np.ndarray:
    """Encode linear light as sRGB uint8 (IEC 61966-2-1); values beyond 0..1 are clipped."""
    light = np.clip(light, 0.0, 1.0)
    encoded = np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)
    return np.rint(encoded * 255).astype(np.uint8)


def expose(light: np.ndarray, how: Light, generator: np.random.Generator) -> np.ndarray:
    """Take linear light float32 [..., 0..1] as a sensor does; return linear light with noise."""
    electrons = generator.poisson(light * how.electrons).astype(np.float32)
    noise = generator.standard_normal(electrons.shape, dtype=np.float32)
    electrons += np.float32(how.read_noise) * noise
    return electrons * np.float32(how.shown / how.electrons)


def take(picture: np.ndarray, how: Light, generator: np.random.Generator) -> np.ndarray:
    """Return uint8 [H, W, 3] sRGB as a camera would show it in that light."""
    return to_srgb(expose(to_linear(picture), how, generator))
