"""Targets in the core: pictures, and the faces in them."""

from __future__ import annotations

import random
from functools import cache, partial
from pathlib import Path

import numpy as np

import vision
from vision.imaging.decode import MAX_ASPECT, MAX_PIXELS, MAX_SIDE

from .pictures import damaged, flip, picture
from .target import ACCEPTED, Call, ensure, refused

ROOT = Path(__file__).resolve().parents[3]
PEOPLE = ("biden", "collins", "hopper", "obama", "obama2", "obama3")
"""The tests' pictures."""


class Pictures:
    """Bytes of a camera or an upload, decoded in every way the product decodes them."""

    name = "pictures"

    def make(self, seed: int, number: int) -> bytes:
        return picture(seed, number)

    def calls(self, data: bytes) -> tuple[Call, ...]:
        return partial(self._size, data), partial(self._grey, data), partial(self._rgb, data)

    def close(self) -> None:
        pass

    def _size(self, data: bytes) -> str:
        try:
            width, height = vision.picture_size(data)
        except vision.PictureError as error:
            return refused(error, error.problem.value)
        ensure(0 < width * height <= MAX_PIXELS, (width, height))
        return ACCEPTED

    def _grey(self, data: bytes) -> str:
        try:
            grey = vision.decode_grey(data)
        except vision.PictureError as error:
            return refused(error, error.problem.value)
        ensure(grey.dtype == np.uint8 and grey.ndim == 2 and grey.shape[0] == 96, grey.shape)
        ensure(0 < grey.shape[1] <= 96 * MAX_ASPECT, grey.shape)
        return ACCEPTED

    def _rgb(self, data: bytes) -> str:
        try:
            rgb = vision.decode_rgb(data)
        except vision.PictureError as error:
            return refused(error, error.problem.value)
        ensure(rgb.dtype == np.uint8 and rgb.ndim == 3 and rgb.shape[2] == 3, rgb.shape)
        ensure(rgb.size and max(rgb.shape) <= MAX_SIDE, rgb.shape)
        width, height = vision.picture_size(data)
        ensure(max(width, height) > MAX_SIDE or rgb.shape[:2] == (height, width), rgb.shape)
        return ACCEPTED


class Faces:
    """Damaged photographs of people, enrolled and recognised by the real networks."""

    name = "faces"

    def __init__(self) -> None:
        self._bundle = vision.load_bundle()
        # A runtime keeps the memory that the largest picture took; that is not growth.
        self._bundle.detector.detect(np.zeros((MAX_SIDE, MAX_SIDE, 3), np.uint8))
        known = vision.examine(self._bundle, vision.decode_rgb(_photograph(PEOPLE[0])))
        self._matcher = vision.gallery_matcher(self._bundle, {"known": (known.template,)})

    def make(self, seed: int, number: int) -> bytes:
        return face(seed, number, PEOPLE)

    def calls(self, data: bytes) -> tuple[Call, ...]:
        return partial(self._watch, data), partial(self._enrol, data)

    def close(self) -> None:
        pass

    def _watch(self, data: bytes) -> str:
        """Do what the door does with a frame of its camera."""
        try:
            grey, rgb = vision.decode_grey(data), vision.decode_rgb(data)
        except vision.PictureError as error:
            return refused(error, error.problem.value)
        vision.MotionGate(vision.GateSettings()).update(grey, 0.0)
        if self._bundle.presence is not None:
            ensure(0 <= self._bundle.presence.look(grey).score <= 1, "presence")
        sighting = vision.recognise(
            self._bundle, self._matcher, vision.Frame(rgb, 0.0), cues_from=vision.MIN_SCORE
        )
        for evidence in sighting.evidence:
            if evidence.embedding is not None:
                _check_embedding(evidence.embedding)
            ensure((evidence.problem is None) == (evidence.embedding is not None), evidence)
        return ACCEPTED

    def _enrol(self, data: bytes) -> str:
        """Do what the dialog does with an upload."""
        try:
            portrait = vision.examine(self._bundle, vision.decode_rgb(data))
        except vision.PictureError as error:
            return refused(error, error.problem.value)
        ensure(portrait.crop is not None and portrait.crop.shape == (112, 112, 3), "crop")
        _check_embedding(portrait.template.embedding)
        return ACCEPTED


def _check_embedding(embedding: np.ndarray) -> None:
    """Require a direction of unit length, followed by a crowding."""
    ensure(abs(float(np.linalg.norm(embedding[:-1])) - 1) < 1e-3, "length")
    ensure(0 <= embedding[-1] <= vision.MAX_CROWDING, "crowding")


def face(seed: int, number: int, people: tuple[str, ...]) -> bytes:
    """Make malformed photograph ``number`` of one of ``people``; one in five is any picture."""
    rng = random.Random(f"faces {seed} {number}")  # noqa: S311 - not for secrets
    if rng.random() < 0.2:
        return picture(seed, number)
    photograph = _photograph(rng.choice(people))
    # Damage after the tables still leaves a picture, if a strange one.
    if rng.random() < 0.5:
        return photograph[:700] + flip(rng, photograph[700:])
    return damaged(rng, photograph, "jpeg")


@cache
def _photograph(name: str) -> bytes:
    """Read one of the tests' pictures, shrunk so that examining it takes milliseconds."""
    data = (ROOT / "tests" / "pictures" / f"{name}.jpg").read_bytes()
    return vision.encode_jpeg(vision.decode_rgb(data, 224), 80)
