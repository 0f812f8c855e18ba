"""Tells whether all frames show the same picture."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Final

from ..matching.similarity import cosine
from ..types import FloatArray

SAME_PICTURE: Final = 0.999
"""Cosine of two embeddings from which the frames show the same picture: those of a living face lie
between 0.98 and 0.995, and no two of 690 webcam frames of living people exceeded 0.9951."""


def stillness(embeddings: Sequence[FloatArray]) -> float | None:
    """Return the median cosine of consecutive embeddings; ``None`` for fewer than three.

    It is the median, so that a single repeated frame does not make a visit still, nor a single
    disturbed frame make it alive.
    """
    if len(embeddings) < 3:
        return None
    cosines = sorted(cosine(one, two) for one, two in pairwise(embeddings))
    # The lower of the two middle ones: a tie is not proof.
    return cosines[(len(cosines) - 1) // 2]
