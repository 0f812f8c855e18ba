"""Tells whether it is the same picture all the time."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Final

from ..matching.similarity import cosine
from ..types import FloatArray

SAME_PICTURE: Final = 0.999
"""Cosine of two frames' embeddings from which they show one picture: those of a living face lie
between 0.98 and 0.995, and no two of 690 webcam frames of living people came above 0.9951."""


def stillness(embeddings: Sequence[FloatArray]) -> float | None:
    """Return the median cosine of consecutive embeddings; ``None`` for fewer than three.

    The median, so that neither one repeated frame makes a visit still, nor one disturbed frame
    makes it alive.
    """
    if len(embeddings) < 3:
        return None
    cosines = sorted(cosine(one, two) for one, two in pairwise(embeddings))
    # Of an even number the lower one: a tie is no proof.
    return cosines[(len(cosines) - 1) // 2]
