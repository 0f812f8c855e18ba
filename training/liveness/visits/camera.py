"""A door, its light, and the camera above it: places drawn by chance, exposure, noise, JPEG."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
from PIL import Image, ImageFilter

from demo import scene as demo_scene
from training.common.camera import to_linear, to_srgb
from training.common.pictures import jpeg
from training.sample.places import draw_place

SIZE = (480, 360)
PERIOD = 0.2
"""Seconds between two frames."""

# Silicon behind an opened infrared filter sees all three dyes alike, red a little more.
_INFRARED = np.array([0.5, 0.25, 0.25], dtype=np.float32)

_STEPS = 65535
_SRGB = to_srgb(np.arange(_STEPS + 1) / _STEPS)


@cache
def _tile() -> np.ndarray:
    return np.random.default_rng(1).standard_normal((1200, 1600, 3), dtype=np.float32)


def _noise(shape: tuple[int, int], generator: np.random.Generator) -> np.ndarray:
    """Return some of a large field of noise: drawing it anew takes longer than all the rest."""
    top, left = generator.integers(0, np.subtract(_tile().shape[:2], shape))
    found = _tile()[top : top + shape[0], left : left + shape[1]]
    return found[:, ::-1] if generator.random() < 0.5 else found


@dataclass(frozen=True)
class Camera:
    """One camera on one evening. `photons`: electrons that a white pixel collects; `exposure`:
    brightness of the result; `flicker`: how much it wavers; `focus`: blur in pixels.
    """  # noqa: D205 - one sentence

    light: str
    photons: float
    exposure: float
    flicker: float
    focus: float
    quality: int

    def take(self, light: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        """Turn linear light float32[H,W,3] into a picture uint8[H,W,3]."""
        if self.light == "infrared":
            light = np.repeat((light @ _INFRARED)[..., None], 3, axis=-1)
        # Shot noise as a normal distribution, and two electrons of the read-out.
        spread = np.sqrt(np.maximum(light, 0) * np.float32(self.photons) + np.float32(4.0))
        noise = _noise(light.shape[:2], generator)
        noise = noise[..., :1] if self.light == "infrared" else noise
        exposure = self.exposure * float(np.exp(generator.normal(0, self.flicker)))
        light = (light + spread * noise / np.float32(self.photons)) * np.float32(exposure)
        picture = Image.fromarray(_SRGB[(np.clip(light, 0, 1) * _STEPS).astype(np.int32)])
        if self.focus > 0.2:
            picture = picture.filter(ImageFilter.GaussianBlur(self.focus))
        return jpeg(np.asarray(picture), self.quality)


LIGHTS = {"day": 0.6, "dim": 0.2, "infrared": 0.2}
"""Share of the visits in each light."""


def draw_camera(light: str, generator: np.random.Generator) -> Camera:
    """Return a camera for "day", "dim" or "infrared"."""
    low, high = {"day": (400, 4000), "dim": (60, 300), "infrared": (60, 400)}[light]
    exposure = {"day": (0.8, 1.15), "dim": (0.35, 0.8), "infrared": (0.5, 0.9)}[light]
    return Camera(
        light,
        photons=float(np.exp(generator.uniform(np.log(low), np.log(high)))),
        exposure=float(generator.uniform(*exposure)),
        flicker=float(generator.choice([0.0, 0.01, 0.03])),
        focus=max(float(generator.uniform(-0.6, 0.8)), 0.0),
        quality=int(generator.integers(60, 93)),
    )


def place(generator: np.random.Generator) -> np.ndarray:
    """Return what is behind the visitor, linear light float32[H,W,3]: drawn, with nobody there."""
    width, height = SIZE
    if generator.random() < 0.3:
        whole = demo_scene.background().convert("RGB")
        side = generator.uniform(0.6, 1.0) * whole.height
        left = generator.uniform(0, whole.width - side * width / height)
        top = generator.uniform(0, whole.height - side)
        box = (left, top, left + side * width / height, top + side)
        return to_linear(np.asarray(whole.resize(SIZE, Image.Resampling.BILINEAR, box=box)))
    drawn = draw_place(generator, SIZE)
    # Leaves and plaster: a wall without any texture shows no motion, which would flatter nobody.
    fine = generator.normal(1, generator.uniform(0.02, 0.2), (height // 4, width // 4))
    grain = Image.fromarray(fine.astype(np.float32)).resize(SIZE, Image.Resampling.BICUBIC)
    return np.clip(drawn * np.asarray(grain)[..., None], 0.005, 1).astype(np.float32)


@dataclass(frozen=True)
class Walk:
    """Where the visitor is: `near` 0..1 of the final size, `middle` of the face in pixels."""

    near: Callable[[float], float]
    middle: Callable[[float], np.ndarray]


def walk(generator: np.random.Generator, wander: Callable[[float], np.ndarray]) -> Walk:
    """Return a way to the door: most come nearer and stop, some are there from the start."""
    comes = generator.random() < 0.6
    start = generator.uniform(0.45, 0.8) if comes else 1.0
    seconds = generator.uniform(0.8, 2.0)
    final = np.array(SIZE) * generator.uniform((0.35, 0.38), (0.65, 0.55))
    first = final + np.array(SIZE) * generator.normal(0, (0.12, 0.04)) if comes else final

    def arrived(t: float) -> float:
        x = float(np.clip(t / seconds, 0, 1))
        return x * x * (3 - 2 * x)

    return Walk(
        lambda t: float(start + (1 - start) * arrived(t)),
        lambda t: first + (final - first) * arrived(t) + wander(t),
    )
