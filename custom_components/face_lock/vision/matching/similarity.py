"""How alike two faces are: the one score that every comparison uses.

    score(a, b) = cosine(a, b) - crowding(a) - crowding(b)

Some faces have many look-alikes: faces of a sex and origin that the embedder tells apart less well,
and all faces that darkness makes alike. At the same cosine, a stranger from such a neighbourhood is
let in far more often than the threshold promises. The crowding of a face is derived from the cosine
of its nearest strangers and is subtracted, so that one threshold keeps one rate for everybody.
Speaker recognition knows this as score normalisation with a cohort (Auckenthaler et al. 2000,
doi:10.1006/dspr.1999.0360; Matejka et al. 2017, doi:10.21437/Interspeech.2017-803); here the
network has learnt to predict the crowding from the face alone, so that no cohort, which would be
other people's biometric data, is shipped (`training/verifier/crowding.py`).

An embedding is float32[D + 1]: a direction of unit length, followed by the crowding.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from ..types import FloatArray

MAX_CROWDING: Final = 1.0
"""Upper bound of a crowding: nobody's nearest strangers are that near."""
MAX_SCORE: Final = 1.001
"""A cosine, with room for rounding: no crowding is negative, so no score is higher."""
MIN_SCORE: Final = -1.0 - 2 * MAX_CROWDING
"""The score of two faces that could not be less alike, and of a runner-up who does not exist."""


def pairwise_scores(a: FloatArray, b: FloatArray) -> FloatArray:
    """Score every embedding of float32[N, D + 1] with every one of float32[M, D + 1]: [N, M].

    Scores lie between ``MIN_SCORE`` and 1; two pictures of one person score above two of different
    people.
    """
    cosines: FloatArray = a[:, :-1] @ b[:, :-1].T
    scores: FloatArray = cosines - a[:, -1:] - b[:, -1]
    return scores


def score(a: FloatArray, b: FloatArray) -> float:
    """Score two embeddings float32[D + 1]."""
    return float(pairwise_scores(a[np.newaxis], b[np.newaxis])[0, 0])


def cosine(a: FloatArray, b: FloatArray) -> float:
    """Cosine of two embeddings float32[D + 1], which tells whether they are the same *picture*.

    Whether they are the same *person* is what ``score`` tells.
    """
    return float(a[:-1] @ b[:-1])


def centre(embeddings: Sequence[FloatArray]) -> FloatArray:
    """Average one person's embeddings float32[D + 1]: the template that faces are compared with.

    The direction is the mean's, scaled to unit length. That scaling raises the cosine with
    everybody else by the same factor, so the crowding is scaled likewise. Calibration enrols
    people in the same way (`training/verifier/gallery.py`), so that its thresholds hold for
    what is compared at the door. Taking the best of several templates instead would multiply the
    false positive rate by up to their number.
    """
    mean: FloatArray = np.mean(embeddings, axis=0, dtype=np.float32)
    template: FloatArray = mean / np.linalg.norm(mean[:-1])
    return template
