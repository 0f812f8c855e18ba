"""Made-up people: the surface of a head and its paint.

An ellipsoid with brows, eyes, a nose and a mouth: real enough for a face detector to find, and
nobody's. Lengths are in distances between the pupils; x points to the viewer's right, y down and z
to the viewer.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageFilter

GRID = (300, 300)
"""Rows and columns of points on a head's surface."""

# How far round the head the surface reaches, degrees.
_AROUND, _ALONG = 105.0, 88.0
# Half width, half height and half depth of a head, on average.
_HALVES = np.array([1.17, 1.75, 1.4])


Cover = Callable[..., None]


@dataclass(frozen=True)
class Head:
    """One person: `points` float32[H,W,3] and their `paint` float32[H,W,3], in linear light.

    `face` bool[H,W] marks what a detector's box goes around. `landmarks` are the points
    float32[5,3] of the ArcFace template: eyes, nose, corners of the mouth, the viewer's left first.
    """

    points: np.ndarray
    paint: np.ndarray
    face: np.ndarray
    landmarks: np.ndarray


def make_head(seed: int) -> Head:
    """Draw a person; the same seed is the same person."""
    who = np.random.default_rng([11, seed])
    points, across = _skull(who)
    shape = _Shape.draw(who)
    points[..., 2] += _relief(points, shape)
    hair = _is_hair(points, across, shape)
    points *= 1 + np.float32(shape.volume) * _soft(hair)[..., None]
    paint = _paint(points, hair, shape, who)
    landmarks = [_nearest(points, at) for at in shape.spots()]
    # As YuNet's boxes: from a little above the hairline to the chin.
    high, down = shape.hairline[0] - 0.12, points[..., 1]
    face = (points[..., 2] > 0) & (down > high) & (down < 1.72) & (np.abs(points[..., 0]) < 1.1)
    return Head(points.astype("f4"), paint.astype("f4"), face, np.array(landmarks, "f4"))


@dataclass(frozen=True)
class _Shape:
    """Where a person's parts are and how large, in distances between the average pupils."""

    gap: float
    eye: tuple[float, float]
    slant: float
    iris: np.ndarray
    brow: tuple[float, float, float]
    nose: tuple[float, float, float]
    mouth: tuple[float, float, float]
    chin: float
    skin: np.ndarray
    hair: np.ndarray
    hairline: tuple[float, float]
    volume: float
    beard: float
    glasses: float
    cheeks: float

    @staticmethod
    def draw(who: np.random.Generator) -> _Shape:
        # Skin and hair along the colours that people have, in sRGB.
        tone = who.uniform(0, 1)
        skin = np.array([244, 208, 180]) * (1 - tone) + np.array([88, 56, 40]) * tone
        skin = (skin + who.normal(0, 9) + who.normal(0, 3, 3)) / 255
        hairs = np.array(
            [[24, 18, 16], [60, 38, 24], [112, 74, 42], [196, 160, 96], [150, 146, 142]]
        )
        hair = (hairs[who.choice(5, p=[0.4, 0.25, 0.15, 0.1, 0.1])] + who.normal(0, 6, 3)) / 255
        irises = np.array([[52, 32, 20], [88, 58, 30], [70, 96, 70], [88, 122, 160]])
        man = who.random() < 0.5
        return _Shape(
            gap=who.normal(0.5, 0.025),
            eye=(who.normal(0.24, 0.022), who.normal(0.088, 0.018)),
            slant=who.normal(0.02, 0.05),
            iris=irises[who.integers(4)] / 255,
            brow=(
                who.normal(-0.31, 0.045), max(0.02, who.normal(0.05, 0.02)), who.normal(0.05, 0.05)
            ),
            nose=(who.normal(0.57, 0.06), who.normal(0.15, 0.03), who.normal(0.33, 0.06)),
            mouth=(
                who.normal(1.14, 0.06), who.normal(0.4, 0.045), max(0.03, who.normal(0.085, 0.03))
            ),
            chin=who.normal(0.24, 0.1),
            skin=np.clip(skin, 0.05, 1),
            hair=np.clip(hair, 0.02, 1),
            hairline=(who.normal(-1.0, 0.16), who.uniform(0.1, 0.5)),
            volume=abs(who.normal(0.06, 0.05)),
            beard=float(who.uniform(0.3, 0.9) if man and who.random() < 0.5 else 0.0),
            glasses=float(who.uniform(0.26, 0.36) if who.random() < 0.2 else 0.0),
            cheeks=who.normal(0.05, 0.05),
        )  # fmt: skip

    def spots(self) -> list[tuple[float, float]]:
        """Return x and y of the five landmarks on the surface."""
        mouth = (self.mouth[1], self.mouth[0])
        return [
            (-self.gap, 0.0), (self.gap, 0.0), (0.0, self.nose[0]),
            (-mouth[0], mouth[1]), (mouth[0], mouth[1]),
        ]  # fmt: skip


def _skull(who: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return the ellipsoid's points [H,W,3] and the angle of every column, radians."""
    halves = _HALVES * who.normal(1, (0.05, 0.04, 0.04))
    across = np.deg2rad(np.linspace(-_AROUND, _AROUND, GRID[1]))[None, :]
    down = np.deg2rad(np.linspace(-_ALONG, _ALONG, GRID[0]))[:, None]
    x, y, z = np.sin(across) * np.cos(down), np.sin(down), np.cos(across) * np.cos(down)
    # Square temples: an ellipsoid alone has no cheeks.
    square = who.uniform(2.2, 2.8)
    round_ = (np.abs(x) ** square + np.abs(y) ** square + np.abs(z) ** square) ** (1 / square)
    points = np.stack(np.broadcast_arrays(x, y, z), -1) / round_[..., None] * halves
    points[..., 1] += 0.2
    jaw = np.clip((points[..., 1] - 0.3) / 1.6, 0, 1) ** 1.6
    points[..., 0] *= 1 - who.uniform(0.15, 0.42) * jaw
    return points, across


def _bump(points: np.ndarray, at: tuple[float, float], size: tuple[float, float]) -> np.ndarray:
    """Return a bell around x and y `at` on the front of the head, 0..1."""
    x, y = (points[..., 0] - at[0]) / size[0], (points[..., 1] - at[1]) / size[1]
    return np.exp(-(x**2) - y**2) * (points[..., 2] > 0)


def _both(points: np.ndarray, at: tuple[float, float], size: tuple[float, float]) -> np.ndarray:
    """Return the same bell on both sides."""
    return _bump(points, at, size) + _bump(points, (-at[0], at[1]), size)


def _relief(points: np.ndarray, shape: _Shape) -> np.ndarray:
    """Return how far the parts of the face stand out, [H,W]."""
    tip, width, out = shape.nose
    height = 0.12 * _both(points, (0.42, shape.brow[0]), (0.36, 0.13))
    height -= 0.16 * _both(points, (shape.gap, 0.0), (0.26, 0.15))
    height += shape.cheeks * _both(points, (0.75, 0.55), (0.3, 0.35))
    y = points[..., 1]
    along = np.clip((y + 0.15) / (tip + 0.15), 0, 1)
    along = np.where(y > tip, np.exp(-(((y - tip) / 0.11) ** 2)), along**1.3)
    wide = width * (0.55 + 0.75 * along)
    height += out * along * np.exp(-((points[..., 0] / wide) ** 2)) * (points[..., 2] > 0)
    height += 0.1 * out * _both(points, (1.2 * width, tip + 0.03), (0.1, 0.1))
    height += 0.14 * _bump(points, (0.0, shape.mouth[0]), (0.4, 0.16))
    height -= 0.05 * _bump(points, (0.0, shape.mouth[0] + 0.22), (0.3, 0.07))
    return height + shape.chin * _bump(points, (0.0, 1.72), (0.35, 0.22))


def _is_hair(points: np.ndarray, across: np.ndarray, shape: _Shape) -> np.ndarray:
    """Return bool[H,W]: where hair grows, over a hairline that falls off to the ears."""
    line = shape.hairline[0] + shape.hairline[1] * (points[..., 0] / 1.0) ** 2
    behind = (np.abs(across) > np.deg2rad(82)) & (points[..., 1] < 0.5 + 2 * shape.hairline[1])
    return (points[..., 1] < line) | behind


def _soft(mask: np.ndarray) -> np.ndarray:
    picture = Image.fromarray((mask * 255).astype(np.uint8))
    return np.asarray(picture.filter(ImageFilter.GaussianBlur(3)), np.float32) / 255


def linear(colour: np.ndarray) -> np.ndarray:
    """Return linear light of sRGB-like values, both in 0..1."""
    return np.asarray(colour, float) ** 2.2


def _paint(
    points: np.ndarray, hair: np.ndarray, shape: _Shape, who: np.random.Generator
) -> np.ndarray:
    """Return the surface's colours, linear [H,W,3]."""
    x, y = points[..., 0], points[..., 1]
    front = points[..., 2] > 0
    skin = linear(shape.skin)
    cells = Image.fromarray(who.normal(1, 0.05, (24, 24)).astype(np.float32))
    blotches = np.asarray(cells.resize(GRID[::-1], Image.Resampling.BICUBIC))
    paint = skin * blotches[..., None]

    def cover(mask: np.ndarray, colour: np.ndarray, strength: float = 1.0) -> None:
        weight = strength * np.clip(mask, 0, 1)[..., None]
        paint[:] = paint + weight * (colour - paint)

    red = skin * np.array([1.05, 0.72, 0.7])
    cover(_both(points, (0.68, 0.6), (0.28, 0.25)), red, 0.5)
    cover(_both(points, (shape.gap, 0.06), (0.3, 0.16)), skin * 0.7, 0.5)
    if shape.beard:
        low = _soft((y > shape.nose[0] + 0.28 + 0.25 * np.abs(x)) | (np.abs(x) > 0.85) & (y > 0.5))
        around = 1 - _bump(points, (0.0, shape.mouth[0]), (0.3, 0.1))
        cover(low * around * front, linear(shape.hair), shape.beard)
    _paint_mouth(points, shape, cover, red)
    cover(2 * _both(points, (0.55 * shape.nose[1] + 0.03, shape.nose[0] + 0.08), (0.05, 0.03)),
          skin * 0.12)  # fmt: skip
    for side in (-1, 1):
        _paint_eye(x, y, front, side, shape, cover)
    cover(_soft(hair), linear(shape.hair) * np.clip(who.normal(1, 0.12, GRID), 0.5, 1.5)[..., None])
    if shape.glasses:
        for side in (-1, 1):
            ring = np.hypot(x - side * 0.5, (y - 0.05) * 1.25)
            cover((np.abs(ring - shape.glasses) < 0.03) & front, np.full(3, 0.01))
        cover((np.abs(x) < 0.5 - shape.glasses) & (np.abs(y) < 0.03) & front, np.full(3, 0.01))
    return np.clip(paint, 0.002, 1)


def _paint_mouth(points: np.ndarray, shape: _Shape, cover: Cover, red: np.ndarray) -> None:
    x, y = points[..., 0], points[..., 1]
    middle, half, thick = shape.mouth
    inside = np.clip(1 - (x / half) ** 2, 0, None) * (points[..., 2] > 0)
    lips = np.where(y < middle, 0.8, 1.15) * thick * np.sqrt(inside)
    cover((lips - np.abs(y - middle)) / 0.02, red * np.array([0.85, 0.6, 0.62]))
    cover((0.016 * np.sqrt(inside) - np.abs(y - middle)) / 0.01, red * 0.1)


def _paint_eye(
    x: np.ndarray, y: np.ndarray, front: np.ndarray, side: int, shape: _Shape, cover: Cover
) -> None:
    """Paint one eye and its brow; `side` is -1 on the viewer's left."""
    wide, tall = shape.eye
    dx, dy = x - side * shape.gap, y + shape.slant * side * (x - side * shape.gap)
    almond = np.clip(1 - (dx / wide) ** 2, 0, None) * front
    lid = tall * almond**0.8
    opened = np.clip((lid - np.abs(dy)) / 0.012, 0, 1) * (almond > 0)
    lash = np.clip((0.032 * np.sqrt(almond) - np.abs(dy + lid)) / 0.012, 0, 1) * (almond > 0)
    crease = np.clip((0.012 - np.abs(dy + lid + 0.07)) / 0.01, 0, 1) * (almond > 0.1)
    cover(crease, linear(shape.skin) * 0.35, 0.7)
    cover(opened, np.array([0.72, 0.7, 0.68]))
    distance = np.hypot(dx, dy)
    cover(opened * np.clip((0.115 - distance) / 0.012, 0, 1), linear(shape.iris))
    cover(opened * np.clip((0.05 - distance) / 0.01, 0, 1), np.full(3, 0.004))
    cover(opened * (np.hypot(dx - 0.035, dy + 0.035) < 0.024), np.full(3, 1.0))
    cover(lash, np.full(3, 0.01))
    top, thick, arch = shape.brow
    along = dx * side
    line = top - arch * np.cos(np.clip((along - 0.1) / 0.35, -1.5, 1.5)) + 0.04
    ends = np.clip((0.34 - np.abs(along)) / 0.08, 0, 1)
    cover(ends * np.clip((thick - np.abs(y - line)) / 0.03, 0, 1) * front, linear(shape.hair) * 0.7)


def _nearest(points: np.ndarray, at: tuple[float, float]) -> np.ndarray:
    """Return the foremost surface point at x and y."""
    far = np.hypot(points[..., 0] - at[0], points[..., 1] - at[1]) + 10 * (points[..., 2] < 0)
    return points[np.unravel_index(far.argmin(), far.shape)]
