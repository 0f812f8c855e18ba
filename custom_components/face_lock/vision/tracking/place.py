"""A place at which a face was found, and whether what is there moves."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, auto
from functools import cached_property
from typing import Final

import numpy as np

from ..matching.similarity import cosine
from ..types import Face, FloatArray, Frame, RgbImage
from .fixture import GONE_AFTER, MOST_LOOKS, Fixture
from .patch import Box, Change, change, cut_patch

STILL: Final = 0.005
"""Widths of a face by which the pixels of one that does not move may seem to be shifted: 0.0005 as
a rule and 0.003 in the dark were measured. A living face stays within it for 0.6 s (median)."""
NUDGED: Final = 0.03
"""The same for a fixture, whose camera may have been touched, or warmed by the sun."""
UNCHANGED: Final = 0.5
"""Share of a place that must look the same: somebody may stand before the rest of it."""
REST_AFTER: Final = 60.0
"""Seconds without any movement after which a face that came with somebody is at rest."""
REST_PICTURES: Final = 20
"""Different pictures that take part in that."""
RESTLESS: Final = 3
RESTLESS_FOR: Final = 1.5
RESTLESS_WITHIN: Final = 20.0
"""A face at rest is a visitor once it moved so many times, over 1.5 seconds and within 20: a lamp
that comes on changes it for a moment only."""
LOOK_EVERY: Final = 50.0
"""Seconds from one look that counts to the next."""
LEARNT_AFTER: Final = 15
"""Looks after which a face at rest is a fixture."""
SAME_PLACE: Final = 0.1
"""Mean distance of the landmarks, in widths of the face, up to which a face is at a place."""
SAME_SIZE: Final = 1.25
"""The same as the ratio of the widths."""
COVERED: Final = 0.3
"""Distance of the middles, in widths, up to which a face that is half hidden may be the place's."""
SAME_FACE: Final = 0.4
"""Cosine from which a face at a fixture's place is the fixture, in whatever light."""
_GREY: Final = 4.0
"""Mean spread of the channels below which a picture has no colour."""
_DARK: Final = 25.0
"""Mean luma below which nothing can be said to be gone."""


class Turn(Enum):
    """What became of a place with a picture."""

    SETTLED = auto()
    """It kept still for long enough to be at rest."""
    ROSE = auto()
    """It was at rest, and moved."""
    LEARNT = auto()
    """It is a fixture from now on, or is in view again."""
    LOST = auto()
    """It is a fixture that is not in view any more."""


@dataclass(slots=True, eq=False)
class Place:
    """One of them. ``box`` and ``landmarks`` are shares of the picture, times are monotonic."""

    box: Box
    landmarks: FloatArray
    anchor: FloatArray
    """Its pixels float32[32, 32] when it last moved, or at the last look."""
    grey: bool
    still_since: float
    seen_at: float
    resting: bool
    pictures: int = 1
    """Different pictures since it last moved."""
    doubted: bool = False
    """Whether the last picture showed it moved; a single one proves nothing."""
    moves: list[float] = field(default_factory=list)
    """When it moved while it was at rest."""
    embedding: FloatArray | None = None
    model: str = ""
    looks: int = 0
    looked_at: float = float("-inf")
    missed: int = 0

    @classmethod
    def of(cls, fixture: Fixture) -> Place:
        """Return the place of what is remembered."""
        never = float("-inf")
        return cls(
            fixture.box,
            fixture.landmarks,
            fixture.patch.astype(np.float32),
            fixture.grey,
            never,
            never,
            resting=True,
            embedding=fixture.embedding,
            model=fixture.model,
            looks=max(fixture.looks, LEARNT_AFTER),
            missed=fixture.missed,
        )

    @property
    def is_fixture(self) -> bool:
        """Whether it was at rest for long enough to be remembered."""
        return self.looks >= LEARNT_AFTER

    def freeze(self) -> Fixture:
        """Return what is to be remembered."""
        return Fixture(
            self.box,
            self.landmarks,
            np.clip(self.anchor + 0.5, 0, 255).astype(np.uint8),
            self.grey,
            self.embedding,
            self.model,
            self.looks,
            self.missed,
        )

    def shows(self, embedding: FloatArray | None, model: str) -> bool:
        """Whether a face with that embedding may be what hung there; one without is no evidence."""
        if embedding is None:
            return True
        known = self.embedding
        if known is None or self.model != model or known.shape != embedding.shape:
            return False
        return cosine(known, embedding) >= SAME_FACE

    def see(self, picture: Picture, face: Face, *, still: bool | None) -> Turn | None:
        """Take note of its face in a new picture; ``still`` is what ``unmoved`` says."""
        now = self.seen_at = picture.taken_at
        self.pictures += 1
        if still is None:
            self.still_since, self.pictures = now, 1
            return None
        if not still:
            return self._move(picture, now)
        self.doubted = False
        if self.resting:
            due = self.missed or now - self.looked_at >= LOOK_EVERY
            return self._look(picture, face) if due else None
        if now - self.still_since < REST_AFTER or self.pictures < REST_PICTURES:
            return None
        self.resting = True
        return Turn.SETTLED

    def miss(self, now: float) -> Turn | None:
        """Take note that nothing was found there."""
        self.looked_at = now
        self.missed += 1
        return Turn.LOST if self.is_fixture and self.missed == GONE_AFTER else None

    def _move(self, picture: Picture, now: float) -> Turn | None:
        patch = picture.patch(self)
        if not self.doubted or patch is None:
            self.doubted = True
            return None
        self.doubted = False
        self.anchor, self.still_since, self.pictures = patch, now, 1
        if not self.resting or self.is_fixture:
            return None
        self.moves = [at for at in self.moves if 0.0 <= now - at <= RESTLESS_WITHIN]
        self.moves.append(now)
        if len(self.moves) < RESTLESS or now - self.moves[0] < RESTLESS_FOR:
            return None
        self.resting, self.moves, self.looks = False, [], 0
        return Turn.ROSE

    def _look(self, picture: Picture, face: Face) -> Turn | None:
        """Count a look, and follow slow changes of light and place."""
        was_gone = self.missed >= GONE_AFTER
        self.looked_at, self.missed = picture.taken_at, 0
        self.looks = min(self.looks + 1, MOST_LOOKS)
        patch = picture.patch(self)
        if patch is not None:
            self.anchor = patch
        if is_near(picture.face(self), face):
            self.landmarks = 0.8 * self.landmarks + 0.2 * face.landmarks / picture.size
        return Turn.LEARNT if self.looks == LEARNT_AFTER or (self.is_fixture and was_gone) else None


class Picture:
    """A frame in which places are looked up; their pixels are cut out once."""

    def __init__(self, frame: Frame) -> None:
        self.taken_at = frame.taken_at
        height, width = frame.rgb.shape[:2]
        self.size = np.array([width, height], dtype=np.float32)
        self._rgb: RgbImage = frame.rgb
        self._patches: dict[int, FloatArray | None] = {}

    def place(self, face: Face, *, resting: bool) -> Place | None:
        """Return the place of a face of this picture; None if it lies outside."""
        patch = cut_patch(self._rgb, face.box)
        if patch is None:
            return None
        width, height = (float(side) for side in self.size)
        x1, y1, x2, y2 = face.box
        return Place(
            (x1 / width, y1 / height, x2 / width, y2 / height),
            (face.landmarks / self.size).astype(np.float32),
            patch,
            self.is_grey,
            self.taken_at,
            self.taken_at,
            resting=resting,
        )

    def face(self, place: Place) -> Face:
        """Return a place in this picture's pixels."""
        width, height = (float(side) for side in self.size)
        x1, y1, x2, y2 = place.box
        box = (x1 * width, y1 * height, x2 * width, y2 * height)
        return Face(box, place.landmarks * self.size, 1.0)

    def patch(self, place: Place) -> FloatArray | None:
        """Return what is at a place: float32[32, 32]; None if it lies outside."""
        if id(place) not in self._patches:
            self._patches[id(place)] = cut_patch(self._rgb, self.face(place).box)
        return self._patches[id(place)]

    def unmoved(self, place: Place) -> bool | None:
        """Whether a place looks as it did; None where too little is to be seen."""
        found = self._change(place)
        if found is None:
            return None
        limit = NUDGED if place.is_fixture else STILL
        return found.same >= UNCHANGED and found.shift <= limit

    def is_gone(self, place: Place) -> bool:
        """Whether a place looks different, in enough light to tell."""
        patch = self.patch(place)
        if patch is None or patch.mean() < max(_DARK, float(place.anchor.mean()) / 2):
            return False
        found = self._change(place)
        return found is None or found.same < UNCHANGED / 2

    def _change(self, place: Place) -> Change | None:
        patch = self.patch(place)
        return None if patch is None else change(patch, place.anchor)

    @cached_property
    def is_grey(self) -> bool:
        """Whether the picture has no colours: an infrared camera's."""
        height, width = self._rgb.shape[:2]
        step = max(min(height, width) // 64, 1)
        part = self._rgb[::step, ::step].astype(np.int16)
        return float(np.ptp(part, axis=2).mean()) < _GREY


def is_near(one: Face, other: Face) -> bool:
    """Whether two faces are at one place and of one size, by all their landmarks."""
    width = max(one.width, other.width)
    if width <= 0 or width > SAME_SIZE * min(one.width, other.width):
        return False
    apart = np.linalg.norm(one.landmarks - other.landmarks, axis=1).mean()
    return bool(apart <= SAME_PLACE * width)


def covers(one: Face, other: Face) -> bool:
    """Whether two boxes are about the same, of which a part may be hidden."""
    width = max(one.width, other.width)
    if width <= 0 or width > SAME_SIZE * min(one.width, other.width):
        return False
    middles = [abs(sum(one.box[i::2]) - sum(other.box[i::2])) / 2 for i in (0, 1)]
    return max(middles) <= COVERED * width


def touches(one: Face, other: Face) -> bool:
    """Whether two boxes have something in common."""
    return all(one.box[i] < other.box[i + 2] and other.box[i] < one.box[i + 2] for i in (0, 1))
