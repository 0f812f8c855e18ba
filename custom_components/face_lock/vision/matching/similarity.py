"""How alike two faces are: the one score that everything compares by.

    score(a, b) = cosine(a, b) - crowding(a) - crowding(b)

Some faces have many look-alikes: those of a sex and origin that the verifier tells apart less well,
and all that darkness has made alike. At one cosine a stranger of such a neighbourhood is let in far
more often than the threshold promises. The crowding of a face is what its nearest strangers' cosine
takes away from it, so that one threshold holds one rate for everybody. Speaker recognition knows
this as score normalisation with a cohort (Auckenthaler et al. 2000, doi:10.1006/dspr.1999.0360;
Matejka et al. 2017, doi:10.21437/Interspeech.2017-803); here the network has learnt to tell the
crowding from the face alone, so that no cohort, which would be other people's biometric data, is
shipped (`training/verifier/crowding.py`).

An embedding is float32[D + 1]: a direction of unit length, and behind it the crowding.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from ..types import FloatArray

MAX_CROWDING: Final = 1.0
"""More than this is no crowding: nobody's nearest strangers are that near."""
MAX_SCORE: Final = 1.001
"""What is beyond a cosine by more than rounding is no score, since no crowding is negative."""
MIN_SCORE: Final = -1.0 - 2 * MAX_CROWDING
"""Of two faces that could not be less alike; a runner-up who is not there has it, too."""


def pairwise_scores(a: FloatArray, b: FloatArray) -> FloatArray:
    """Score every embedding of float32[N, D + 1] with every one of float32[M, D + 1]: [N, M].

    Scores lie between ``MIN_SCORE`` and 1, and two pictures of one person's above those of two.
    """
    cosines: FloatArray = a[:, :-1] @ b[:, :-1].T
    scores: FloatArray = cosines - a[:, -1:] - b[:, -1]
    return scores


def score(a: FloatArray, b: FloatArray) -> float:
    """Score two embeddings float32[D + 1]."""
    return float(pairwise_scores(a[np.newaxis], b[np.newaxis])[0, 0])


def cosine(a: FloatArray, b: FloatArray) -> float:
    """Cosine of two embeddings float32[D + 1], crowded or not: whether they are the same *picture*.

    Whether they are the same *person* is for ``score`` to say.
    """
    return float(a[:-1] @ b[:-1])


def centre(embeddings: Sequence[FloatArray]) -> FloatArray:
    """Average one person's embeddings float32[D + 1]: the template that faces are compared with.

    The direction is the mean's, scaled to unit length. That scaling raises the cosine with
    everybody else by the same factor, and so the crowding, which is scaled alike. Calibration
    enrols people in the same way (`training/verifier/gallery.py`), so that its thresholds hold for
    what is compared at the door. Taking the best of several templates instead would multiply the
    false positive rate by up to their number.
    """
    mean: FloatArray = np.mean(embeddings, axis=0, dtype=np.float32)
    template: FloatArray = mean / np.linalg.norm(mean[:-1])
    return template
