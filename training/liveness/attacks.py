"""Attacks simulated on the picture of a living face: a printed sheet, and a screen.

A picture that is taken of a picture has passed through a second set of colours, blur and light, and
often shows an edge around the face. What is made here is a simulation of that, not an attack.
Screens follow Liu et al. 2018 ("Demoiréing of camera-captured screen images using deep
convolutional neural network"): the raster is resampled by the sensor and its colour filters, so
that moire appears where it would. Light is linear throughout.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageFilter

from training.common.camera import to_linear, to_srgb
from training.liveness.raster import dots, mosaic, stripes


@dataclass(frozen=True)
class Scene:
    """A picture `rgb` uint8[H,W,3] and the `box` float[4] (x1, y1, x2, y2) of the face in it."""

    rgb: np.ndarray
    box: np.ndarray

    @property
    def face(self) -> float:
        """The longer side of the box, in pixels."""
        return float(max(self.box[2] - self.box[0], self.box[3] - self.box[1]))

    def at(self, scale: float) -> Scene:
        """Return the scene shrunk or enlarged."""
        height, width = (max(1, round(side * scale)) for side in self.rgb.shape[:2])
        picture = Image.fromarray(self.rgb).resize((width, height), Image.Resampling.BILINEAR)
        size = self.rgb.shape
        true = np.array([width / size[1], height / size[0]] * 2)
        return Scene(np.asarray(picture), self.box * true)


Attack = Callable[[Scene, np.ndarray, np.random.Generator, bool], Scene]
"""Scene, background uint8[h,w,3], generator, and whether no edge may show."""


def printed(scene: Scene, behind: np.ndarray, generator: np.random.Generator, close: bool) -> Scene:
    """Hold a print of the scene in front of `behind`; the face stays in place."""
    sheet = reprint(scene, generator)
    if close:
        return Scene(sheet, scene.box)
    border = generator.uniform(0, 0.12, 2) if generator.random() < 0.6 else np.zeros(2)
    colour = np.full(3, generator.uniform(150, 255)) + generator.normal(0, 6, 3)
    return _held(Scene(sheet, scene.box), behind, border, colour, generator)


def shown(scene: Scene, behind: np.ndarray, generator: np.random.Generator, close: bool) -> Scene:
    """Hold a screen showing the scene in front of `behind`; the face stays in place."""
    glass = display(scene, behind, generator)
    if close:
        return Scene(glass, scene.box)
    border = np.exp(generator.uniform(np.log(0.01), np.log(0.25), 2))
    dark = generator.random() < 0.8
    colour = np.full(3, generator.uniform(0, 60) if dark else generator.uniform(170, 255))
    return _held(Scene(glass, scene.box), behind, border, colour, generator)


ATTACKS: dict[str, Attack] = {"simulated print": printed, "simulated screen": shown}


def reprint(scene: Scene, generator: np.random.Generator) -> np.ndarray:
    """Return uint8[H,W,3] as ink on bent paper: halftone, fewer colours, grey blacks, gloss."""
    shape = scene.rgb.shape[:2]
    light = to_linear(_copied(scene.rgb, generator))
    light **= np.float32(np.exp(generator.normal(0, 0.25)))
    grey = light.mean(-1, keepdims=True)
    light = grey + (light - grey) * np.float32(generator.uniform(0.4, 1.1))
    # Ink is never black, paper never white.
    black, white = np.exp(generator.uniform(np.log(0.01), np.log(0.1))), generator.uniform(0.6, 1)
    light = black + (white - black) * np.clip(light, 0, 1)
    # Dots disappear in black and in white; most are too fine to be seen.
    pitch = np.exp(generator.uniform(np.log(0.1), np.log(0.6))) * scene.face / 100
    waves = dots(shape, pitch * 2, generator.uniform(0.3, 0.9), generator)
    light *= 1 + 4 * light * (1 - light) * (waves - 1)
    light *= generator.uniform(0.85, 1.15, 3).astype(np.float32)
    grain = generator.normal(0, generator.uniform(0, 0.04), (*shape, 1))
    light *= 1 + grain.astype(np.float32)
    light *= _bent(shape, generator) * _slope(shape, generator, 0.5)
    if generator.random() < 0.4:
        light += generator.uniform(0.05, 0.5) * _gloss(shape, scene.face, generator)
    return _taken(light, generator)


def display(scene: Scene, behind: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Return uint8[H,W,3] as shown by a screen: its gamut, raster, refresh, and reflections."""
    shape = scene.rgb.shape[:2]
    light = to_linear(_copied(scene.rgb, generator))
    light **= np.float32(np.exp(generator.normal(0, 0.15)))
    # Another gamut: every colour a little of its neighbours, or of their negatives.
    gamut = np.eye(3) + generator.normal(0, 0.06, (3, 3))
    white = np.array([0.93, 1.0, 1.12]) * np.exp(generator.normal(0, 0.08, 3))
    light = np.clip(light @ (gamut * white).astype(np.float32), 0, None)
    # From a phone whose raster no camera can see to a coarse monitor, in the camera's pixels.
    pitch = np.exp(generator.uniform(np.log(0.15), np.log(1.6))) * max(scene.face / 100, 0.7)
    light *= stripes(shape, pitch, generator.uniform(0.25, 0.7), generator)
    if generator.random() < 0.4:
        light *= _bands(shape, generator)
    light *= _slope(shape, generator, 0.5)
    # Glass: a black that is not black, what stands before it, and lamps.
    light += np.float32(np.exp(generator.uniform(np.log(0.002), np.log(0.05))))
    if generator.random() < 0.5:
        mirrored = _fitted(behind[:, ::-1], shape).filter(ImageFilter.GaussianBlur(4))
        light += np.float32(generator.uniform(0.01, 0.12)) * to_linear(np.asarray(mirrored))
    if generator.random() < 0.35:
        light += generator.uniform(0.1, 1.0) * _gloss(shape, scene.face, generator)
    return _taken(mosaic(light), generator)


def _copied(rgb: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Lose what a picture found on the net has lost: up to two thirds of its resolution."""
    height, width = rgb.shape[:2]
    scale = generator.uniform(0.35, 1.0)
    if generator.random() < 0.5:
        return rgb
    picture = Image.fromarray(rgb)
    small = picture.resize((max(1, round(width * scale)), max(1, round(height * scale))))
    return np.asarray(small.resize((width, height), Image.Resampling.BICUBIC))


def _taken(light: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Photograph linear light: the camera chooses its exposure and is not quite in focus."""
    bright = float(np.quantile(light[::4, ::4], 0.95)) + 1e-3
    light = light * np.float32(generator.uniform(0.5, 1.15) / bright)
    picture = Image.fromarray(to_srgb(light))
    return np.asarray(picture.filter(ImageFilter.GaussianBlur(generator.uniform(0.0, 1.0))))


def _held(
    scene: Scene,
    behind: np.ndarray,
    border: np.ndarray,
    colour: np.ndarray,
    generator: np.random.Generator,
) -> Scene:
    """Paste a tilted part of the scene around its face, with a border and fingers, over `behind`.

    `border` are the widths left and right, and above and below, over the face's size.
    """
    shape = scene.rgb.shape[:2]
    middle = np.array([scene.box[0] + scene.box[2], scene.box[1] + scene.box[3]]) / 2
    # Distances from the middle over the face's size; at 1.35 the edge leaves the network's view.
    left, right, up, down = generator.uniform(0.55, 1.3, 4)
    corners = np.array([[-left, -up], [right, -up], [right, down], [-left, down]])
    turn = generator.normal(0, 0.1)
    turned = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    lean = generator.normal(0, 0.03, (4, 2))
    inner = corners @ turned + lean
    outer = (corners + np.sign(corners) * border) @ turned + lean
    result = np.asarray(_fitted(behind, shape), np.float32)
    soft = generator.uniform(0.3, 1.5)
    shadow = _polygon((outer + generator.normal(0, 0.04, 2)) * scene.face + middle, shape, 12.0)
    result *= 1 - np.float32(generator.uniform(0, 0.5)) * shadow[..., None]
    for polygon, paint in ((outer, colour), (inner, scene.rgb)):
        mask = _polygon(polygon * scene.face + middle, shape, soft)[..., None]
        result += mask * (np.asarray(paint, np.float32) - result)
    if generator.random() < 0.5:
        _fingers(result, outer * scene.face + middle, scene, generator)
    return Scene(np.rint(np.clip(result, 0, 255)).astype(np.uint8), scene.box)


def _fingers(
    picture: np.ndarray, corners: np.ndarray, scene: Scene, generator: np.random.Generator
) -> None:
    """Paint ends of fingers, of about the face's colour, over one or two of the sides."""
    x1, y1, x2, y2 = (round(float(value)) for value in scene.box)
    skin = scene.rgb[max(y1, 0) : y2, max(x1, 0) : x2].reshape(-1, 3)
    if not len(skin):
        return
    colour = np.median(skin, 0) * generator.uniform(0.6, 1.2)
    y, x = np.mgrid[0 : picture.shape[0], 0 : picture.shape[1]].astype(np.float32)
    for side in generator.choice(4, generator.integers(1, 3), replace=False):
        start, end = corners[side], corners[(side + 1) % 4]
        along = (end - start) / max(float(np.hypot(*(end - start))), 1.0)
        inward = np.array([-along[1], along[0]])
        place = generator.uniform(0.2, 0.8)
        for number in range(generator.integers(1, 4)):
            width = scene.face * generator.uniform(0.06, 0.1)
            length = scene.face * generator.uniform(0.1, 0.35)
            middle = start + place * (end - start) + along * number * width * 2.1
            across = (x - middle[0]) * along[0] + (y - middle[1]) * along[1]
            deep = (x - middle[0]) * inward[0] + (y - middle[1]) * inward[1]
            away = (across / width) ** 2 + (np.maximum(deep, 0) / length) ** 2
            mask = np.clip((1 - away) * 3, 0, 1)[..., None]
            # Round fingers are darker towards their sides.
            shade = (1 - 0.35 * np.clip(across / width, -1, 1) ** 2)[..., None]
            picture += mask * (colour.astype(np.float32) * shade - picture)


def _polygon(corners: np.ndarray, shape: tuple[int, int], soft: float) -> np.ndarray:
    """Return the inside of a convex polygon as float32[H,W] in 0..1, its edge `soft` px wide."""
    y, x = np.mgrid[0 : shape[0], 0 : shape[1]].astype(np.float32)
    inside = np.ones(shape, np.float32)
    for (x1, y1), (x2, y2) in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        length = max(float(np.hypot(x2 - x1, y2 - y1)), 1e-3)
        distance = ((x2 - x1) * (y - y1) - (y2 - y1) * (x - x1)) / length
        inside = np.minimum(inside, np.clip(distance / soft + 0.5, 0, 1))
    return inside


def _fitted(rgb: np.ndarray, shape: tuple[int, int]) -> Image.Image:
    return Image.fromarray(np.ascontiguousarray(rgb)).resize(shape[::-1], Image.Resampling.BILINEAR)


def _slope(shape: tuple[int, int], generator: np.random.Generator, most: float) -> np.ndarray:
    """Return light that falls off to one side, float32[H,W,1] around 1, by `most` at the most."""
    ends = 1 + generator.uniform(-most, most, (2, 2)).astype(np.float32) / 2
    ramp = Image.fromarray(ends).resize(shape[::-1], Image.Resampling.BILINEAR)
    return np.asarray(ramp)[..., None]


def _bent(shape: tuple[int, int], generator: np.random.Generator) -> np.ndarray:
    """Return the light on paper curved around one axis, float32[H,W,1] around 1."""
    y, x = np.mgrid[0 : shape[0], 0 : shape[1]].astype(np.float32)
    angle = generator.choice([0.0, np.pi / 2]) + generator.normal(0, 0.2)
    along = (x * np.cos(angle) + y * np.sin(angle)) / max(shape)
    wave = np.sin(generator.uniform(1, 4) * along + generator.uniform(0, 6.3))
    return (1 + generator.uniform(0, 0.2) * wave)[..., None].astype(np.float32)


def _bands(shape: tuple[int, int], generator: np.random.Generator) -> np.ndarray:
    """Return the beat of a dimmed screen with a rolling shutter, float32[H,1,1] around 1."""
    period = np.exp(generator.uniform(np.log(8), np.log(200)))
    y = np.arange(shape[0]) / period + generator.uniform()
    wave = np.clip(generator.uniform(1, 4) * np.sin(2 * np.pi * y), -1, 1)
    return (1 + generator.uniform(0.03, 0.2) * wave)[:, None, None].astype(np.float32)


def _gloss(shape: tuple[int, int], face: float, generator: np.random.Generator) -> np.ndarray:
    """Return a lamp's soft reflection, float32[H,W,1] in 0..1."""
    y, x = np.mgrid[0 : shape[0], 0 : shape[1]].astype(np.float32)
    middle = generator.uniform(0.1, 0.9, 2) * shape
    reach = face * np.exp(generator.uniform(np.log(0.08), np.log(0.9), 2))
    turn = generator.uniform(0, np.pi)
    u = (x - middle[1]) * np.cos(turn) + (y - middle[0]) * np.sin(turn)
    v = (y - middle[0]) * np.cos(turn) - (x - middle[1]) * np.sin(turn)
    away = (u / reach[0]) ** 2 + (v / reach[1]) ** 2
    return np.exp(-(away ** generator.uniform(0.7, 3.0)))[..., None].astype(np.float32)
