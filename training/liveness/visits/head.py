"""A head that turns, nods, blinks and talks: a picture warped by its depth.

What is simulated: rotation of an ellipsoid with a nose, eyelids, a jaw, a smile, over a body that
stays. What is not: sides of the head that the picture does not show, changing shadows, teeth, hair
that swings. A turn beyond some 30 degrees looks wrong to the eye.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import map_coordinates

from training.liveness.visits.people import Person


@dataclass(frozen=True)
class Look:
    """Of one moment: angles in radians, positive `yaw` to the viewer's right and `pitch` down;
    `blink`, `talk` and `smile` 0..1.
    """  # noqa: D205 - one sentence

    yaw: float = 0.0
    pitch: float = 0.0
    roll: float = 0.0
    blink: float = 0.0
    talk: float = 0.0
    smile: float = 0.0


def smooth(generator: np.random.Generator, size: float) -> Callable[[float], float]:
    """Return a random function of seconds that wanders about 0 by about `size`."""
    rates = generator.uniform(0.15, 1.1, 3)
    phases = generator.uniform(0, 2 * np.pi, 3)
    sizes = size * generator.uniform(0.3, 1.0, 3) / np.sqrt(rates * 6)
    return lambda t: float((sizes * np.sin(2 * np.pi * rates * t + phases)).sum())


def living(generator: np.random.Generator) -> Callable[[float], Look]:
    """Return how a visitor looks at each second: some hold quite still, some look about."""
    liveliness = float(np.exp(generator.uniform(np.log(0.3), np.log(1.6))))
    yaw, pitch, roll = (
        smooth(generator, liveliness * np.deg2rad(degrees)) for degrees in (9, 5, 3)
    )
    aside, down = generator.normal(0, np.deg2rad(4), 2)
    talks = generator.random() < 0.3
    jaw, smile = smooth(generator, 1.2), smooth(generator, 0.5)
    blinks = generator.uniform(0, 6, 3)

    def look(t: float) -> Look:
        closed = max(float(np.clip(1 - abs(t - at) / 0.15, 0, 1)) for at in blinks)
        return Look(
            yaw(t) + aside,
            pitch(t) + down,
            roll(t),
            closed,
            float(np.clip(jaw(t * 3), 0, 1)) if talks else 0.0,
            float(np.clip(smile(t), 0, 1)),
        )

    return look


@dataclass(frozen=True)
class Posed:
    """Somebody at one moment: `rgb` float32[h,w,3] 0..255, `alpha` float32[h,w], and where the
    middle of the face is, in its own pixels.
    """  # noqa: D205 - one sentence

    rgb: np.ndarray
    alpha: np.ndarray
    middle: np.ndarray


def pose(person: Person, look: Look, scale: float) -> Posed:
    """Return the person with `look`, their picture enlarged `scale` times."""
    height, width = person.rgb.shape[:2]
    size = (max(8, round(width * scale)), max(8, round(height * scale)))
    columns, rows = (((np.arange(side) + 0.5) / scale).astype(np.float32) for side in size)
    x, y = np.meshgrid(columns, rows)
    depth = person.depth
    at_x, at_y = x.copy(), y.copy()
    for _ in range(2):  # where a pixel comes from depends on the depth there
        z = map_coordinates(depth, [at_y - 0.5, at_x - 0.5], np.float32, order=1, mode="nearest")
        dx, dy = _moved(person, look, at_x, at_y, z)
        at_x, at_y = x - dx, y - dy
    at_y -= _features(person, look, at_x, at_y)
    at_x -= _smiling(person, look, at_x, at_y)
    places = [at_y - 0.5, at_x - 0.5]
    rgb = np.stack(
        [
            map_coordinates(person.rgb[..., c], places, np.float32, order=1, mode="nearest")
            for c in range(3)
        ],
        axis=-1,
    )
    rgb *= (1 - _open_mouth(person, look, at_x, at_y))[..., None]
    alpha = map_coordinates(person.matte, places, np.float32, order=1, mode="nearest")
    middle = (person.box[:2] + person.box[2:]) / 2 * scale
    return Posed(rgb, alpha, middle)


def _moved(
    person: Person, look: Look, x: np.ndarray, y: np.ndarray, z: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return how far the turn of the head moves each pixel; the neck follows, the body does not."""
    middle = (person.box[:2] + person.box[2:]) / 2
    neck = np.clip((person.box[3] + 0.45 * person.height - y) / (0.6 * person.height), 0, 1)
    u, v = x - middle[0], y - middle[1]
    # Where the skull ends is no depth, and the background of the picture is cut away.
    sin, cos = np.sin(look.yaw), np.cos(look.yaw)
    turned = u * cos + z * sin
    deep = z * cos - u * sin
    nodded = v * np.cos(look.pitch) + deep * np.sin(look.pitch)
    cos, sin = np.cos(look.roll), np.sin(look.roll)
    return (turned * cos - nodded * sin - u) * neck, (turned * sin + nodded * cos - v) * neck


def _bump(x: np.ndarray, y: np.ndarray, at: np.ndarray, wide: float, high: float) -> np.ndarray:
    found: np.ndarray = np.exp(-(((x - at[0]) / wide) ** 2 + ((y - at[1]) / high) ** 2) / 2)
    return found


def _features(person: Person, look: Look, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return how far eyelids and jaw move each pixel down."""
    size = person.width
    down = np.zeros_like(x)
    for eye in person.landmarks[:2]:
        lid = eye - [0, 0.03 * size]
        down += look.blink * 0.075 * size * _bump(x, y, lid, 0.1 * size, 0.045 * size)
    mouth = person.landmarks[3:].mean(axis=0)
    below = np.clip((y - mouth[1]) / (0.06 * size), 0, 1)
    chin = _bump(x, y, mouth + np.array([0, 0.12 * size]), 0.3 * size, 0.25 * size)
    return down + look.talk * 0.09 * size * below * chin


def _smiling(person: Person, look: Look, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    size = person.width
    left, right = person.landmarks[3:]
    apart = _bump(x, y, right, 0.09 * size, 0.08 * size)
    return look.smile * 0.05 * size * (apart - _bump(x, y, left, 0.09 * size, 0.08 * size))


def _open_mouth(person: Person, look: Look, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    mouth = person.landmarks[3:].mean(axis=0) + np.array([0, 0.02 * person.width])
    hole = _bump(x, y, mouth, 0.1 * person.width, 0.03 * person.width)
    return 0.8 * min(look.talk, 1.0) * hole
