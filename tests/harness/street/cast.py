"""The people of the street, and what a network would make of their faces."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import numpy as np

from custom_components.face_lock import vision
from tests.harness.fake_networks import SIZE, crop

from .scores import FRAME, STEADY, Scores

CROWDING: Final = 0.1
"""Of every face: the score of two is their cosine less twice this."""
RESTLESS: Final = 0.12
"""How far a living face's embedding moves from frame to frame, beside its direction."""
PRINTED: Final = 0.06
"""The same of a print."""


class Role(StrEnum):
    """What somebody wants at the door."""

    PASSER_BY = "passer-by"
    COURIER = "courier"
    VISITOR = "visitor"
    RESIDENT = "resident"
    LEAVING = "resident leaving"
    BARRED = "barred"
    POSTER = "poster"
    PICTURE = "picture held up"


@dataclass(eq=False)
class Face:
    """One face, of a person or on paper."""

    name: str
    direction: np.ndarray
    """float[SIZE], at right angles to every resident."""
    variates: np.ndarray
    """float[residents]: how alike it is to each of them."""
    resident: int | None = None
    level: float | None = None
    """The mean of its scores with the first resident, where that is not left to chance."""
    restless: float = RESTLESS


class Cast:
    """Draws people; residents are directions at right angles to one another."""

    def __init__(self, scores: Scores, residents: Sequence[str], rng: np.random.Generator) -> None:
        """Make the residents."""
        self._scores = scores
        self._rng = rng
        self._drawn = 0
        self.residents = tuple(
            Face(name, np.zeros(SIZE), np.zeros(len(residents)), resident)
            for resident, name in enumerate(residents)
        )

    def stranger(self, *, level: float | None = None, restless: float = RESTLESS) -> Face:
        """Draw somebody whom nobody knows; with a ``level``, a double of the first resident."""
        self._drawn += 1
        count = len(self.residents)
        direction = np.append(np.zeros(count), self._rng.normal(size=SIZE - count))
        return Face(
            f"stranger {self._drawn}",
            direction / np.linalg.norm(direction),
            self._rng.normal(size=count),
            None,
            level,
            restless,
        )

    def visit(self, *, dark: bool) -> float:
        """Draw how alike a resident is to the enrolled pictures in one visit."""
        return self._scores.visit(float(self._rng.uniform()), dark=dark)

    def embed(self, face: Face, level: float, rng: np.random.Generator) -> np.ndarray:
        """What a network makes of one frame of a face: float32[SIZE + 1].

        ``level`` is the mean of a resident's scores in this visit.
        """
        count = len(self.residents)
        noise = rng.normal(size=count)
        scores = self._scores.stranger(
            np.sqrt(STEADY) * face.variates + np.sqrt(1.0 - STEADY) * noise
        )
        if face.resident is not None:
            scores = self._scores.stranger(noise)
            scores[face.resident] = level + FRAME * noise[face.resident]
        elif face.level is not None:
            scores[0] = face.level + FRAME * noise[0]
        cosines = np.clip(scores + 2 * CROWDING, -0.4, 0.95)
        rest = np.zeros(SIZE)
        rest[count:] = rng.normal(size=SIZE - count)
        rest = face.direction + face.restless * rest / np.linalg.norm(rest)
        left = np.sqrt(max(0.0, 1.0 - float(cosines @ cosines)))
        vector = left * rest / np.linalg.norm(rest)
        vector[:count] += cosines
        return np.append(vector / np.linalg.norm(vector), CROWDING).astype(np.float32)

    def portraits(self, resident: int, model: str) -> list[vision.Portrait]:
        """What is stored of a resident."""
        vector = np.append(np.eye(SIZE, dtype=np.float32)[resident], np.float32(CROWDING))
        return [
            vision.Portrait(crop(resident, number), vision.Template(vector, model))
            for number in range(2)
        ]
