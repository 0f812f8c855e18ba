"""People cut out of pictures, to be moved: the face's place, and how far each pixel sticks out."""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from PIL import Image

from training.detector.data import read_scenes
from training.presence.mattes import key_of, read_mattes

_SMALLEST = 75.0
_COVERED = 0.93
_ABOVE, _BESIDE = 0.3, 0.35
"""Room that a picture must leave around a face's box, in its height and width: a whole head."""
_KEPT = 1.8
"""Faces from a face's middle that are kept of its picture: no sheet and no phone shows more."""


@dataclass(frozen=True)
class Person:
    """Somebody's picture `rgb` uint8[H,W,3] with what of it is them, `matte` float32[H,W] 0..1.

    `box` float[4] and `landmarks` float[5,2] are the face's, in pixels; `who` names the picture.
    """

    rgb: np.ndarray
    matte: np.ndarray
    box: np.ndarray
    landmarks: np.ndarray
    who: str

    @property
    def width(self) -> float:
        """Width of the face in pixels."""
        return float(self.box[2] - self.box[0])

    @property
    def height(self) -> float:
        """Height of the face in pixels."""
        return float(self.box[3] - self.box[1])

    @cached_property
    def depth(self) -> np.ndarray:
        """Return how far each pixel lies before the ears, float32[H,W] in pixels: an ellipsoid
        with a nose. Everything else lies in the plane of the ears.
        """  # noqa: D205 - one sentence
        y, x = np.mgrid[0 : self.rgb.shape[0], 0 : self.rgb.shape[1]].astype(np.float32)
        middle = (self.box[:2] + self.box[2:]) / 2
        u = (x - middle[0]) / (0.62 * self.width)
        v = (y - middle[1] + 0.08 * self.height) / (0.72 * self.height)
        skull = 0.55 * self.width * np.sqrt(np.clip(1 - u * u - v * v, 0, 1))
        nose = self.landmarks[2]
        away = ((x - nose[0]) / 0.11) ** 2 + ((y - nose[1]) / 0.16) ** 2
        bump = skull + 0.16 * self.width * np.exp(-away / self.width**2 / 2)
        return bump.astype(np.float32)


def read_people(scenes: Path | str, mattes: Path | str, side: str) -> list[Person]:
    """Return everybody of one side of a pack who is alone, near, and whole in the picture."""
    known = read_mattes(mattes)
    people = []
    for scene in read_scenes(scenes, side):
        encoded = known.get(key_of(scene.encoded))
        if encoded is None or len(scene.labels.boxes) != 1 or not scene.labels.sure.all():
            continue
        rgb = np.asarray(scene.picture())
        with Image.open(io.BytesIO(encoded)) as stored:
            matte = np.asarray(stored.resize(rgb.shape[1::-1]), np.float32) / 255
        box = scene.labels.boxes[0].astype(float)
        who = hashlib.sha256(scene.encoded).hexdigest()[:12]
        one = Person(rgb, matte, box, scene.labels.landmarks[0].astype(float), who)
        if _is_whole(one):
            people.append(_near(one))
    return people


def _is_whole(person: Person) -> bool:
    height, width = person.rgb.shape[:2]
    x1, y1, x2, y2 = person.box
    if person.width < _SMALLEST or y1 < _ABOVE * person.height:
        return False
    if x1 < _BESIDE * person.width or width - x2 < _BESIDE * person.width:
        return False
    inside = person.matte[max(int(y1), 0) : int(y2) + 1, max(int(x1), 0) : int(x2) + 1]
    # A matte that holds everything has not found anybody.
    return bool(inside.mean() >= _COVERED and person.matte[: int(height * 0.1)].mean() < 0.5)


def _near(person: Person) -> Person:
    """Leave out what no visit shows: the picture far from the face."""
    size = max(person.width, person.height)
    middle = (person.box[:2] + person.box[2:]) / 2
    left, top = np.maximum(middle - _KEPT * size, 0).astype(int)
    right, bottom = (middle + _KEPT * size).astype(int)
    return replace(
        person,
        rgb=person.rgb[top:bottom, left:right],
        matte=person.matte[top:bottom, left:right],
        box=person.box - [left, top, left, top],
        landmarks=person.landmarks - [left, top],
    )
