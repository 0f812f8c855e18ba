"""The rasters of screens and of print as a camera samples them.

A raster is a sum of waves (its Fourier series). Lens and pixel area weaken each of them by their
modulation transfer; what is left of those finer than two pixels is aliased by the sampling, which
is all that moire is. So nothing needs to be drawn finer than the camera's own pixels.
"""

from __future__ import annotations

import numpy as np

# Waves weaker than half a grey level are not worth their time.
_FAINT = 0.004
# Lit height of a screen's pixel over its pitch.
_APERTURE = 0.85
# Angles of the four inks' screens, so that their beats are least seen.
_INK_ANGLES = np.deg2rad([15.0, 75.0, 0.0])


def stripes(
    shape: tuple[int, int], pitch: float, focus: float, generator: np.random.Generator
) -> np.ndarray:
    """Return what a screen's red, green and blue stripes do to the light, float32[H,W,3] around 1.

    `pitch` is the side of a screen's pixel and `focus` the standard deviation of the lens's blur,
    both in pixels of the camera. Turned and seen at a slant by chance.
    """
    u, v, axes = _slanted(shape, pitch, generator)
    field = np.ones((*shape, 3), np.float32)
    colours = np.arange(3)
    for k in range(4):
        for m in range(-2, 3):
            if k == 0 and m <= 0:
                continue  # the mean, and the halves that conjugates make
            strength = np.sinc(k / 3) * np.sinc(m * _APERTURE)
            strength = 2 * strength * _transfer(k * axes[0] + m * axes[1], focus)
            if abs(strength) < _FAINT:
                continue
            phase = 2 * np.pi * (k * u + m * v)
            # The stripes of a pixel lie side by side: their beats differ in phase, hence in colour.
            shift = 2 * np.pi * k * (colours + 0.5) / 3
            for colour in colours:
                field[..., colour] += np.float32(strength) * np.cos(phase - shift[colour])
    return np.maximum(field, 0)


def dots(
    shape: tuple[int, int], pitch: float, focus: float, generator: np.random.Generator
) -> np.ndarray:
    """Return the modulation by three inks' dots, float32[H,W,3] around 1; units as in `stripes`."""
    field = np.ones((*shape, 3), np.float32)
    turn = generator.uniform(0, np.pi)
    for ink, angle in enumerate(_INK_ANGLES + turn):
        u, v, axes = _slanted(shape, pitch, generator, angle)
        strength = 0.5 * _transfer(axes[0], focus)
        if abs(strength) >= _FAINT:
            waves = np.cos(2 * np.pi * u) + np.cos(2 * np.pi * v)
            field[..., ink] += np.float32(strength) * waves
    return field


def mosaic(light: np.ndarray) -> np.ndarray:
    """Send float32[H,W,3] through a Bayer filter and bilinear demosaicing."""
    height, width = light.shape[:2]
    sites = np.zeros((height, width, 3), np.float32)
    sites[0::2, 0::2, 0] = sites[0::2, 1::2, 1] = sites[1::2, 0::2, 1] = sites[1::2, 1::2, 2] = 1
    # Means over the neighbours that have the colour; the weights are those of linear interpolation.
    return _tent(light * sites) / _tent(sites)


def _tent(values: np.ndarray) -> np.ndarray:
    padded = np.pad(values, ((1, 1), (1, 1), (0, 0)), mode="reflect")
    rows = padded[:-2] + 2 * padded[1:-1] + padded[2:]
    found: np.ndarray = rows[:, :-2] + 2 * rows[:, 1:-1] + rows[:, 2:]
    return found


def _slanted(
    shape: tuple[int, int],
    pitch: float,
    generator: np.random.Generator,
    angle: float | None = None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return coordinates in periods, each float32[H,W], and their gradients in the middle [2,2]."""
    angle = generator.normal(0, 0.12) if angle is None else angle
    axes = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]]) / pitch
    y, x = np.mgrid[0 : shape[0], 0 : shape[1]].astype(np.float32)
    x -= shape[1] / 2
    y -= shape[0] / 2
    # Nearer on one side, by up to some ten per cent across the view.
    slant = generator.normal(0, 0.05, 2) / max(shape)
    near = 1 + slant[0] * x + slant[1] * y
    u = (axes[0, 0] * x + axes[0, 1] * y) * near + generator.uniform()
    v = (axes[1, 0] * x + axes[1, 1] * y) * near + generator.uniform()
    return u, v, axes


def _transfer(frequency: np.ndarray, focus: float) -> float:
    """Return how much of a wave of `frequency` [2], in cycles a pixel, lens and pixel area keep."""
    lens = np.exp(-2 * (np.pi * focus) ** 2 * float(frequency @ frequency))
    return float(np.sinc(frequency[0]) * np.sinc(frequency[1]) * lens)
