"""Attacks simulated on the picture of a living face: a printed sheet, and a screen.

A picture that is taken of a picture has passed through a second set of colours, blur and light, and
often shows an edge around the face. What is made here is a simulation of that, not an attack.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from PIL import Image, ImageFilter

from training.detector import night

Attack = Callable[[np.ndarray, np.ndarray, np.random.Generator], np.ndarray]


def reprint(rgb: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Return uint8[H,W,3] as ink on paper: fewer colours, grey blacks, soft dots, flat light."""
    light = rgb.astype(np.float32) / 255
    light = light ** np.float32(np.exp(generator.normal(0, 0.2)))
    grey = light.mean(-1, keepdims=True)
    light = grey + (light - grey) * np.float32(generator.uniform(0.3, 1.1))
    black, white = generator.uniform(0.03, 0.3), generator.uniform(0.7, 1.0)
    light = black + (white - black) * light
    light *= generator.uniform(0.85, 1.1, 3).astype(np.float32)
    dots = generator.normal(0, generator.uniform(0, 0.05), (*rgb.shape[:2], 1))
    light = (light + dots.astype(np.float32)) * _slope(rgb.shape[:2], generator, 0.25)
    return _soft(light, generator.uniform(0.3, 1.6))


def display(rgb: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Return uint8[H,W,3] as shown by a screen: its gamma and blue, moire, lines, a reflection."""
    light = rgb.astype(np.float32) / 255
    light = light ** np.float32(np.exp(generator.normal(-0.1, 0.2)))
    tint = np.array([0.92, 1.0, 1.1]) * generator.uniform(0.9, 1.1, 3)
    light = generator.uniform(0.0, 0.12) + light * tint.astype(np.float32)
    light *= moire(rgb.shape[:2], generator)
    light *= generator.uniform(0.75, 1.3)
    if generator.random() < 0.5:
        light += generator.uniform(0.05, 0.35) * (_slope(rgb.shape[:2], generator, 1.0) - 0.5)
    return _soft(light, generator.uniform(0.2, 1.2))


def moire(shape: tuple[int, int], generator: np.random.Generator) -> np.ndarray:
    """Return the beat of a screen's raster with the sensor's, float32[H,W,3] around 1."""
    y, x = np.mgrid[0 : shape[0], 0 : shape[1]].astype(np.float32)
    bands = np.ones((*shape, 3), np.float32)
    for _ in range(generator.integers(1, 4)):
        angle = generator.uniform(0, np.pi)
        period = np.exp(generator.uniform(np.log(2.5), np.log(30)))
        bent = generator.normal(0, 0.002) * (x - shape[1] / 2) * (y - shape[0] / 2)
        phase = 2 * np.pi * (x * np.cos(angle) + y * np.sin(angle) + bent) / period
        strength = generator.uniform(0.01, 0.14)
        # The three colours' stripes lie side by side, so that their beats differ in phase.
        shift = generator.uniform(0, 2.5) * np.arange(3)
        bands += np.float32(strength) * np.sin(phase[..., None] + shift).astype(np.float32)
    return bands


def printed(live: np.ndarray, behind: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Hold a print of `live` in front of `behind`, both uint8[S,S,3]; the face stays in place."""
    border = generator.uniform(0, 0.06) if generator.random() < 0.6 else 0.0
    colour = np.full(3, generator.uniform(150, 255)) + generator.normal(0, 6, 3)
    return _held(reprint(live, generator), behind, border, colour, generator)


def shown(live: np.ndarray, behind: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Hold a screen showing `live` in front of `behind`, both uint8[S,S,3]."""
    colour = np.full(3, generator.uniform(0, 70) if generator.random() < 0.8 else 220.0)
    return _held(display(live, generator), behind, generator.uniform(0.01, 0.12), colour, generator)


ATTACKS: dict[str, Attack] = {"simulated print": printed, "simulated screen": shown}


def _held(
    picture: np.ndarray,
    behind: np.ndarray,
    border: float,
    colour: np.ndarray,
    generator: np.random.Generator,
) -> np.ndarray:
    """Paste a tilted part of `picture`, the face in its middle, with a border, over `behind`.

    In one case of four the thing fills the view and shows no edge.
    """
    side = picture.shape[0]
    if generator.random() < 0.25:
        return picture
    # Half sides over the whole: the face itself spans 1 / 2.7 / 2 = 0.185.
    left, right, up, down = generator.uniform(0.2, 0.52, 4)
    outer = np.array([[-left, -up], [right, -up], [right, down], [-left, down]])
    turn = generator.normal(0, 0.1)
    turned = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    outer = outer @ turned + generator.normal(0, 0.012, (4, 2))
    inner = outer * (1 - border / np.abs(outer).mean())
    result = behind.astype(np.float32)
    soft = generator.uniform(0.3, 1.2)
    for corners, paint in ((outer, colour), (inner, picture)):
        mask = _polygon((corners + 0.5) * side, side, soft)[..., None]
        result += mask * (np.asarray(paint, np.float32) - result)
    return np.rint(np.clip(result, 0, 255)).astype(np.uint8)


def _polygon(corners: np.ndarray, side: int, soft: float) -> np.ndarray:
    """Return the inside of a convex polygon as float32[S,S] in 0..1, its edge `soft` px wide."""
    y, x = np.mgrid[0:side, 0:side].astype(np.float32)
    inside = np.ones((side, side), np.float32)
    for (x1, y1), (x2, y2) in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        length = np.hypot(x2 - x1, y2 - y1)
        distance = ((x2 - x1) * (y - y1) - (y2 - y1) * (x - x1)) / length
        inside = np.minimum(inside, np.clip(distance / soft + 0.5, 0, 1))
    return inside


def _slope(shape: tuple[int, int], generator: np.random.Generator, most: float) -> np.ndarray:
    """Return light that falls off to one side, float32[H,W,1] around 1, by `most` at the most."""
    ends = 1 + generator.uniform(-most, most, (2, 2)).astype(np.float32) / 2
    ramp = Image.fromarray(ends).resize(shape[::-1], Image.Resampling.BILINEAR)
    return np.asarray(ramp)[..., None]


def _soft(light: np.ndarray, radius: float) -> np.ndarray:
    pixels = np.rint(np.clip(light, 0, 1) * 255).astype(np.uint8)
    blurred = Image.fromarray(pixels).filter(ImageFilter.GaussianBlur(radius))
    return np.asarray(blurred)


def camera(rgb: np.ndarray, generator: np.random.Generator, night_share: float) -> np.ndarray:
    """Return uint8[H,W,3] as the door's camera might see it: light, focus, night, JPEG."""
    return night.degrade(night.recolour(rgb, generator), generator, night_share)
