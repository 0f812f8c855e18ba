"""What a door camera does to a picture: simulated darkness, infrared, blur and JPEG.

The sensor model works in linear light: photons arrive with Poisson statistics, the read-out adds
Gaussian noise, and gain brightens both together (EMVA 1288, release 4.0). The results are
simulations, not nights.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageFilter

from training.common.camera import to_linear, to_srgb
from training.common.pictures import jpeg

# BT.601 luma.
_LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)
# Silicon behind an opened infrared filter sees all three dyes alike, red a little more.
_INFRARED = np.array([0.5, 0.25, 0.25], dtype=np.float32)


@dataclass(frozen=True)
class Night:
    """One simulated condition.

    `photons`: electrons that a white pixel collects; `read_noise`: standard deviation in electrons;
    `exposure`: linear brightness of the result over the original's, after gain; `infrared`: grey,
    lit from the camera; `blur`: radius in pixels; `jpeg`: quality 1..95.
    """

    photons: float
    exposure: float
    read_noise: float = 2.0
    infrared: bool = False
    blur: float = 0.0
    jpeg: int = 75


NIGHTS = {
    "dim": Night(photons=400, exposure=0.3),
    "dark": Night(photons=60, exposure=0.1),
    "very dark": Night(photons=12, exposure=0.03),
    "infrared": Night(photons=60, exposure=0.4, infrared=True, blur=0.7),
}
"""The conditions that evaluation reports."""


def simulate(picture: np.ndarray, night: Night, generator: np.random.Generator) -> np.ndarray:
    """Return `picture`, uint8[H,W,3] sRGB, as a camera would see it by `night`."""
    if night.blur:
        blurred = Image.fromarray(picture).filter(ImageFilter.GaussianBlur(night.blur))
        picture = np.asarray(blurred)
    light = to_linear(picture)
    if night.infrared:
        light = (light @ _INFRARED)[..., None] * _lamp(picture.shape[:2], generator)
    electrons = generator.poisson(light * night.photons).astype(np.float32)
    noise = generator.standard_normal(electrons.shape, dtype=np.float32)
    electrons += np.float32(night.read_noise) * noise
    light = electrons * np.float32(night.exposure / night.photons)
    encoded = to_srgb(np.broadcast_to(light, picture.shape))
    return jpeg(encoded, night.jpeg)


def _lamp(shape: tuple[int, int], generator: np.random.Generator) -> np.ndarray:
    """Light of a lamp beside the lens, float32[H,W,1]: bright near the middle, dim outside."""
    height, width = shape
    centre = generator.uniform(0.3, 0.7, 2) * (height, width)
    reach = generator.uniform(0.5, 1.2) * max(height, width)
    y = (np.arange(height, dtype=np.float32)[:, None] - centre[0]) / reach
    x = (np.arange(width, dtype=np.float32)[None, :] - centre[1]) / reach
    return (1.5 / (1.0 + 4.0 * (x * x + y * y)))[..., None].astype(np.float32)


def recolour(picture: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Vary brightness, contrast, colour and saturation of uint8[H,W,3] by daylight amounts."""
    if generator.random() < 0.3:
        return picture
    light: np.ndarray = picture.astype(np.float32)
    grey = (light @ _LUMA)[..., None]
    light = grey + (light - grey) * np.float32(generator.uniform(0.0, 1.4))
    light = (light - 127.5) * np.float32(generator.uniform(0.7, 1.25)) + 127.5
    light = light * generator.uniform(0.9, 1.1, 3).astype(np.float32)
    light = light + np.float32(generator.uniform(-30, 25))
    return np.rint(np.clip(light, 0, 255)).astype(np.uint8)


def degrade(picture: np.ndarray, generator: np.random.Generator, night_share: float) -> np.ndarray:
    """Return a training copy of uint8[H,W,3]: a random night, mild loss of quality, or neither."""
    if generator.random() < night_share:
        return simulate(picture, random_night(generator), generator)
    kind = generator.random()
    if kind < 0.3:
        radius = generator.uniform(0.3, 1.2)
        picture = np.asarray(Image.fromarray(picture).filter(ImageFilter.GaussianBlur(radius)))
    if kind < 0.6:
        picture = jpeg(picture, int(generator.integers(30, 95)))
    return picture


def random_night(generator: np.random.Generator) -> Night:
    """Draw a condition between a dull afternoon and the darkest picture that still shows a face."""
    photons = float(np.exp(generator.uniform(np.log(8), np.log(600))))
    infrared = generator.random() < 0.3
    # Little light is mostly, not always, a dark picture: cameras differ in their gain.
    typical = 0.4 * (photons / 600) ** 0.6
    exposure = float(np.clip(typical * np.exp(generator.normal(0.0, 0.7)), 0.015, 1.2))
    return Night(
        photons=photons,
        exposure=max(exposure, 0.15) if infrared else exposure,
        read_noise=float(generator.uniform(0.5, 3.0)),
        infrared=infrared,
        blur=float(generator.uniform(0.3, 1.2)) if generator.random() < 0.3 else 0.0,
        jpeg=int(generator.integers(35, 95)),
    )
