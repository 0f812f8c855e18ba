"""Is a found face the right way up, and all of it in the picture? Only such a face is compared.

A detector sees faces in turned pictures too, and puts eyes and mouth where they would be if the
face were upright. Such crops all look alike to the verifier, whoever is in them: between strangers
whose pictures are upside down the mean cosine is 0.55. What cannot be compared is no evidence.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from ..imaging.align import CROP_SIZE
from ..imaging.quality import luma
from ..types import FloatArray, RgbImage
from .runtime import Session

SIDE: Final = 56
"""Rows and columns of what the network sees."""
MAX_ROLL: Final = 40.0
"""Degrees. A head that lies further on its side was never calibrated, however well it was found."""
MAX_OUTSIDE: Final = 0.2
"""Face sizes. An eye, the nose or a corner of the mouth this far outside the picture is made up."""


class Upright:
    """The bundle's network that tells upright crops from others; only to deny."""

    def __init__(self, session: Session, threshold: float) -> None:
        """``threshold`` is the score, 0..1, from which a face counts as upright.

        Raises:
            ValueError: it is not within 0..1.

        """
        if not 0.0 <= threshold <= 1.0:
            raise ValueError(f"a threshold is within 0..1, not {threshold}")
        self._session = session
        self.threshold = threshold

    @classmethod
    def of(cls, session: Session, entry: Mapping[str, Any]) -> Upright:
        """Take the threshold from the network's description in ``models.json``.

        Raises:
            KeyError: the description has none.
            TypeError, ValueError: it is no number within 0..1.

        """
        return cls(session, float(entry["threshold"]))

    def accepts(self, crop: RgbImage) -> bool:
        """Whether an aligned crop uint8[112, 112, 3] is of an upright face.

        Raises:
            ValueError: a crop of another shape or type.
            RuntimeError: the network answered with something that is no probability.

        """
        return self.score(crop) >= self.threshold

    def score(self, crop: RgbImage) -> float:
        """Return how sure the network is, 0..1, that a crop uint8[112, 112, 3] is upright.

        Raises:
            ValueError: a crop of another shape or type.
            RuntimeError: the network answered with something that is no probability.

        """
        small = view(crop)
        # The mirror image is a second opinion, wrong about other faces.
        both = np.stack([small, small[:, ::-1]])[:, None]
        answers = self._session.run(both, ("upright",))["upright"]
        # NaN compares false.
        if answers.size != len(both) or not ((answers >= 0.0) & (answers <= 1.0)).all():
            raise RuntimeError("the upright network's output is not a probability")
        return float(answers.mean())


def view(crop: RgbImage) -> FloatArray:
    """Reduce an aligned crop uint8[112, 112, 3] to grey float32[56, 56], 0..255.

    Raises:
        ValueError: a crop of another shape or type.

    """
    if crop.shape != (CROP_SIZE, CROP_SIZE, 3) or crop.dtype != np.uint8:
        raise ValueError(f"a crop is uint8[112, 112, 3], not {crop.dtype}{crop.shape}")
    step = CROP_SIZE // SIDE
    small: FloatArray = luma(crop).reshape(SIDE, step, SIDE, step).mean(axis=(1, 3))
    return small


def is_plausible(landmarks: FloatArray, width: int, height: int) -> bool:
    """Whether landmarks float32[5, 2] are those of an upright face inside ``width`` x ``height``.

    That is all that geometry can tell. Landmarks that are made up mostly look upright: what is
    under them is for the network to say.
    """
    return abs(roll(landmarks)) <= MAX_ROLL and outside(landmarks, width, height) <= MAX_OUTSIDE


def outside(landmarks: FloatArray, width: int, height: int) -> float:
    """How far the furthest of float32[5, 2] lies outside, in face sizes; negative inside."""
    over = np.maximum(-landmarks, landmarks - np.array([width, height], dtype=np.float32))
    return float(over.max()) / max(face_size(landmarks), 1e-6)


def roll(landmarks: FloatArray) -> float:
    """Degrees, -180..180, by which the line from eyes to mouth of float32[5, 2] is off vertical."""
    right, down = _down(landmarks).tolist()
    return math.degrees(math.atan2(-right, down))


def face_size(landmarks: FloatArray) -> float:
    """Return the larger of the eyes' distance and theirs from the mouth, in pixels."""
    return max(float(np.hypot(*(landmarks[0] - landmarks[1]))), float(np.hypot(*_down(landmarks))))


def _down(landmarks: FloatArray) -> FloatArray:
    down: FloatArray = landmarks[3:].mean(axis=0) - landmarks[:2].mean(axis=0)
    return down
