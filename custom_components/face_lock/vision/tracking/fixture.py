"""A picture of a face that hangs in a camera's view, as it is remembered over restarts."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import isfinite
from typing import Any, Final

import numpy as np

from ..types import Face, FloatArray, GreyImage
from .patch import PATCH, Box

GONE_AFTER: Final = 10
"""Looks in a row, about a minute apart, that did not find it: then it hangs there no more."""
FORGOTTEN_AFTER: Final = 720
"""The same until it is forgotten, about half a day: a van that parks before a poster, or a day's
sun on a pane of glass, must not make a visitor of it."""
MOST_LOOKS: Final = 1_000_000
_LONGEST: Final = 4097
"""Numbers of an embedding."""


@dataclass(frozen=True, slots=True, eq=False)
class Fixture:
    """A face that is part of the scene.

    ``box`` (x1, y1, x2, y2) and ``landmarks`` float32[5, 2] are shares of the picture's width and
    height; ``patch`` uint8[32, 32] is what it looked like, ``grey`` whether the picture was
    without colour. ``embedding`` float32[D + 1] is of the weights ``model``, None if it never could
    be embedded. It was found still in ``looks`` looks, about a minute apart, and was not found in
    the latest ``missed``.
    """

    box: Box
    landmarks: FloatArray
    patch: GreyImage = field(repr=False)
    grey: bool = False
    embedding: FloatArray | None = field(default=None, repr=False)
    model: str = ""
    looks: int = 0
    missed: int = 0

    @property
    def in_view(self) -> bool:
        """Whether it still hangs there."""
        return self.missed < GONE_AFTER

    def face(self, width: int, height: int) -> Face:
        """Return it as a face of a picture of that size."""
        size = np.array([width, height], dtype=np.float32)
        x1, y1, x2, y2 = self.box
        return Face((x1 * width, y1 * height, x2 * width, y2 * height), self.landmarks * size, 1.0)

    def as_plain(self) -> dict[str, Any]:
        """Return it as JSON can hold it."""
        embedding = self.embedding
        return {
            "box": [float(value) for value in self.box],
            "landmarks": [float(value) for value in self.landmarks.ravel()],
            "patch": base64.b64encode(self.patch.tobytes()).decode(),
            "grey": self.grey,
            "embedding": None
            if embedding is None
            else base64.b64encode(embedding.astype("<f4").tobytes()).decode(),
            "model": self.model,
            "looks": self.looks,
            "missed": self.missed,
        }

    @classmethod
    def of(cls, plain: Any) -> Fixture:
        """Read what ``as_plain`` returned.

        Raises:
            ValueError: it is nothing of the kind.

        """
        try:
            return cls._read(plain)
        except (AttributeError, KeyError, OverflowError, TypeError) as error:
            raise ValueError("not a fixture") from error

    @classmethod
    def _read(cls, plain: Mapping[str, Any]) -> Fixture:
        x1, y1, x2, y2 = (_number(value) for value in plain["box"])
        landmarks = np.array([_number(value) for value in plain["landmarks"]], dtype=np.float32)
        patch = np.frombuffer(base64.b64decode(plain["patch"], validate=True), dtype=np.uint8)
        embedding = None
        if plain["embedding"] is not None:
            raw = base64.b64decode(plain["embedding"], validate=True)
            embedding = np.frombuffer(raw, dtype="<f4").astype(np.float32)
            sound = 2 <= embedding.size <= _LONGEST and bool(np.isfinite(embedding).all())
            if not sound or abs(float(np.linalg.norm(embedding[:-1])) - 1.0) > 1e-3:
                raise ValueError("not an embedding")
        looks, missed = plain["looks"], plain["missed"]
        sound = (
            x1 < x2
            and y1 < y2
            and type(looks) is int
            and type(missed) is int
            and 0 <= looks <= MOST_LOOKS
            and 0 <= missed <= FORGOTTEN_AFTER
            and isinstance(plain["grey"], bool)
            and isinstance(plain["model"], str)
        )
        if not sound:
            raise ValueError("not a fixture")
        return cls(
            (x1, y1, x2, y2),
            landmarks.reshape(5, 2),
            patch.reshape(PATCH, PATCH),
            plain["grey"],
            embedding,
            plain["model"],
            looks,
            missed,
        )


def _number(value: Any) -> float:
    """Return a share of a picture's side; a face may lie a little outside."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError("not a number")
    if not isfinite(value) or not -1.0 <= value <= 2.0:
        raise ValueError("not in the picture")
    return float(value)
