"""How alike the faces at the door are, by what the bundle's own table says of its network.

A stranger's score in any one frame exceeds a row's threshold as often as the row's rate allows: the
upper bound, in the worst group. A resident's visit opens at a threshold as often as the row says of
willing owners, by day or by night.
"""

from __future__ import annotations

from statistics import NormalDist
from typing import Final

import numpy as np

from custom_components.face_lock.vision import OperatingPoint

NORMAL: Final = NormalDist()
BODY: Final = 0.18
"""Score per standard deviation where the table says nothing: below its loosest rate."""
STEADY: Final = 0.94
"""Correlation of a stranger's scores in two frames of one face. The cosine of such frames is 0.98
to 0.995, so that what differs is small beside what strangers differ by."""
FRAME: Final = 0.04
"""Standard deviation of a resident's scores within one visit."""
LUCK: Final = 0.02
"""How much a visit's level, at which it just opens, lies above the mean of its frames."""
DARKEST: Final = 0.0
"""Level of the worst visit in the dark; the table begins with the best four fifths of them."""


class Scores:
    """Draws scores, from standard normal or uniform variates."""

    def __init__(self, rows: tuple[OperatingPoint, ...]) -> None:
        """Read the table; its rows become stricter."""
        self._thresholds = np.array([row.threshold for row in rows])
        self._rare = np.array([NORMAL.inv_cdf(1.0 - row.fpr) for row in rows])
        self._missed = {
            dark: np.maximum.accumulate(
                [(row.miss_night if dark else row.miss_day) or 0.0 for row in rows]
            )
            for dark in (False, True)
        }

    def stranger(self, variate: np.ndarray) -> np.ndarray:
        """Scores with residents, for standard normal variates."""
        within = np.interp(variate, self._rare, self._thresholds)
        below = self._thresholds[0] - BODY * (self._rare[0] - variate)
        return np.where(variate < self._rare[0], below, within)

    def visit(self, uniform: float, *, dark: bool) -> float:
        """The mean score of a resident's frames in one visit, for a uniform variate."""
        missed = self._missed[dark]
        if uniform < missed[0]:
            return (
                float(np.interp(uniform, (0.0, missed[0]), (DARKEST, self._thresholds[0]))) - LUCK
            )
        return float(np.interp(uniform, missed, self._thresholds)) - LUCK
