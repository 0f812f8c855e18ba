"""Bad light and bad cameras, simulated on crops. Everything takes and returns uint8 [H, W, 3].

Light adds up linearly and a sensor counts photons, so exposure, noise, gain and lamps are computed
on linear light, between an inverse and a forward gamma of 2.2.
"""

from collections.abc import Callable

import numpy as np
from PIL import Image

from training.common.pictures import CROP, STORED, centre, jpeg

Degrade = Callable[[np.ndarray, np.random.Generator], np.ndarray]

GAMMA = 2.2
# Electrons of a white pixel in full light, and the read noise in electrons: a small CMOS sensor.
FULL_WELL = 4000.0
READ_NOISE = 3.0


def _linear(rgb: np.ndarray) -> np.ndarray:
    return (rgb.astype(np.float32) / 255.0) ** GAMMA


def _encode(light: np.ndarray) -> np.ndarray:
    return (np.clip(light, 0.0, 1.0) ** (1.0 / GAMMA) * 255.0 + 0.5).astype(np.uint8)


def low_light(
    rgb: np.ndarray, rng: np.random.Generator, exposure: float, recovery: float
) -> np.ndarray:
    """Take the picture with `exposure` (0..1) of the light, shot and read noise included.

    The gain makes up for `recovery` of the loss, on a logarithmic scale: 0 leaves the picture
    dark, 1 brings it to full brightness and the noise with it.
    """
    electrons = rng.poisson(_linear(rgb) * (exposure * FULL_WELL)).astype(np.float32)
    electrons += rng.normal(0.0, READ_NOISE, rgb.shape).astype(np.float32)
    return _encode(electrons / FULL_WELL * exposure ** (-recovery))


def infrared(rgb: np.ndarray, rng: np.random.Generator, exposure: float = 0.1) -> np.ndarray:
    """Look like an infrared camera: one channel, a lamp beside the lens, noise, soft focus."""
    mix = np.array([0.6, 0.3, 0.1], np.float32) + rng.uniform(-0.1, 0.1, 3).astype(np.float32)
    light = (_linear(rgb) @ (mix / mix.sum())) ** rng.uniform(0.6, 0.9)
    height, width = light.shape
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    cy, cx = rng.uniform(0.35, 0.65, 2) * (height, width)
    fall_off = np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / (2 * (0.6 * width) ** 2))
    grey = np.repeat((light * fall_off)[..., None], 3, axis=2)
    electrons = rng.poisson(grey[..., 0] * exposure * FULL_WELL).astype(np.float32)
    electrons += rng.normal(0.0, READ_NOISE, light.shape).astype(np.float32)
    encoded = _encode(electrons / FULL_WELL / exposure)
    return small(np.repeat(encoded[..., None], 3, axis=2), rng.uniform(0.6, 1.0))


def side_light(rgb: np.ndarray, rng: np.random.Generator, shadow: float) -> np.ndarray:
    """Light the face from a random side; the far side keeps `shadow` (0..1) of the light."""
    height, width = rgb.shape[:2]
    angle = rng.uniform(0.0, 2.0 * np.pi)
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    across = ((x - width / 2) * np.cos(angle) + (y - height / 2) * np.sin(angle)) / width
    steepness = rng.uniform(6.0, 20.0)
    lit = 1.0 / (1.0 + np.exp(-steepness * (across + rng.uniform(-0.15, 0.15))))
    return _encode(_linear(rgb) * (shadow + (1.0 - shadow) * lit)[..., None])


def motion_blur(rgb: np.ndarray, rng: np.random.Generator, length: float) -> np.ndarray:
    """Average along a line of `length` pixels at a random angle."""
    angle = rng.uniform(0.0, np.pi)
    steps = max(2, round(length))
    light = _linear(rgb)
    total = np.zeros_like(light)
    for offset in np.linspace(-length / 2, length / 2, steps):
        shift = (round(offset * np.sin(angle)), round(offset * np.cos(angle)))
        total += np.roll(light, shift, axis=(0, 1))
    return _encode(total / steps)


def small(rgb: np.ndarray, scale: float) -> np.ndarray:
    """Shrink by `scale` (0..1) and enlarge again: a face that was far away."""
    height, width = rgb.shape[:2]
    size = (max(8, round(width * scale)), max(8, round(height * scale)))
    shrunk = Image.fromarray(rgb).resize(size, Image.Resampling.BOX)
    return np.asarray(shrunk.resize((width, height), Image.Resampling.BILINEAR))


def jitter(stored: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Cut 112x112 out of uint8 [128, 128, 3], shifted, turned and scaled as landmarks err."""
    angle = np.deg2rad(rng.normal(0.0, 3.0))
    scale = np.exp(rng.normal(0.0, 0.03))
    shift = rng.normal(0.0, 1.5, 2)
    cosine, sine = np.cos(angle) / scale, np.sin(angle) / scale
    middle = STORED / 2
    half = CROP / 2
    left = middle + shift[0] - cosine * half + sine * half
    top = middle + shift[1] - sine * half - cosine * half
    picture = Image.fromarray(stored).transform(
        (CROP, CROP),
        Image.Transform.AFFINE,
        (cosine, -sine, left, sine, cosine, top),
        Image.Resampling.BILINEAR,
    )
    return np.asarray(picture)


def degrade(crop: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return one random night, lamp or camera view of uint8 [112, 112, 3]."""
    if rng.random() < 0.25:
        crop = side_light(crop, rng, rng.uniform(0.02, 0.4))
    if rng.random() < 0.2:
        crop = motion_blur(crop, rng, rng.uniform(2.0, 7.0))
    if rng.random() < 0.25:
        crop = small(crop, rng.uniform(0.25, 0.8))
    night = rng.random()
    if night < 0.65:
        exposure = float(np.exp(rng.uniform(np.log(0.006), np.log(0.4))))
        crop = low_light(crop, rng, exposure, rng.uniform(0.3, 1.0))
    elif night < 0.85:
        crop = infrared(crop, rng, float(np.exp(rng.uniform(np.log(0.02), np.log(0.5)))))
    if rng.random() < 0.5:
        crop = jpeg(crop, int(rng.integers(30, 90)))
    return crop


def training_view(stored: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return a jittered, perhaps mirrored, degraded uint8 [112, 112, 3] of a stored crop."""
    crop = jitter(stored, rng)
    if rng.random() < 0.5:
        crop = crop[:, ::-1]
    return np.ascontiguousarray(degrade(crop, rng))


def clean_view(stored: np.ndarray) -> np.ndarray:
    """Return the centre uint8 [112, 112, 3], as the teacher saw it."""
    return centre(stored)


def _dim(rgb: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return jpeg(low_light(rgb, rng, 0.10, 0.5), 70)


def _dark(rgb: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return jpeg(low_light(rgb, rng, 0.02, 0.6), 70)


def _infrared(rgb: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return jpeg(infrared(rgb, rng, 0.05), 70)


def _clean(rgb: np.ndarray, _rng: np.random.Generator) -> np.ndarray:
    return rgb


# Fixed conditions that evaluation and calibration use; "clean" is the picture as it came.
CONDITIONS: dict[str, Degrade] = {
    "clean": _clean,
    "dim": _dim,
    "dark": _dark,
    "infrared": _infrared,
}


def in_condition(crops: np.ndarray, condition: str, seed: int) -> np.ndarray:
    """Show uint8 [N, 112, 112, 3] in a condition; picture k always gets the same noise."""
    view = CONDITIONS[condition]
    return np.stack(
        [view(crop, np.random.default_rng((seed, number))) for number, crop in enumerate(crops)]
    )
