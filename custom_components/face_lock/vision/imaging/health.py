"""Tells a camera that shows nothing any more from one before which nothing happens.

A picture that is served again and again is no fault by itself: some cameras repeat the last one
while nothing moves, bit by bit. It is one if something contradicts it: the camera's own clock in
the picture goes on while all the rest is exactly the same for minutes, or somebody was reported at
the door several times and nothing of it was seen. A sensor's noise is never the same twice, not
even in the dark, so that a quiet scene is not mistaken for a frozen one. A picture without texture,
like "no signal" on blue, is no scene at all.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ..types import GreyImage

STILL: Final = 60.0
"""Seconds without any change until a picture is suspected."""
CLOCK_ALONE: Final = 120.0
"""Seconds in which nothing but the clock moves: encoders send a whole new picture, with the noise
of that moment, every few seconds."""
LEAST_TICKS: Final = 10
REPORTS: Final = 3
"""Reports of somebody without any change: a motion sensor may see what the camera does not."""
APART: Final = 10.0
"""Seconds between two reports that count as two."""
SEEN_WITHIN: Final = 5.0
"""Seconds in which somebody who was reported should come into the picture."""
CLOCK_HEIGHT: Final = 0.12
CLOCK_BAND: Final = 0.2
"""The most of the picture's height that a clock takes, and how far from its upper or lower edge."""
FLAT: Final = 0.85
"""Share of pixels like their neighbours from which a picture is drawn and no scene: of 2,400
pictures without people none reaches 0.79, also in simulated darkness; a test card has 0.93."""


class Ailment(StrEnum):
    """What is wrong with a camera's pictures; the values are translation keys."""

    FROZEN = "camera_frozen"
    PLACEHOLDER = "camera_placeholder"


class PictureHealth:
    """Follows the pictures of one camera, as the motion gate sees them; times are monotonic."""

    def __init__(self) -> None:
        self._last: GreyImage | None = None
        self._still_since = 0.0
        """Since when nothing has changed but a clock."""
        self._looked_at = 0.0
        self._clock: NDArray[np.bool_] | None = None
        """Rows in which something changed meanwhile."""
        self._ticks = 0
        self._reports: list[float] = []

    def look(self, grey: GreyImage, taken_at: float) -> None:
        """Take the next picture uint8[H, W]; the same object is the same picture."""
        last, self._last, self._looked_at = self._last, grey, taken_at
        if last is None or last.shape != grey.shape:
            self._begin(taken_at)
            return
        if grey is last or not (changed := (grey != last).any(axis=1)).any():
            return
        rows = changed if self._clock is None else changed | self._clock
        if not _is_clock(rows):
            self._begin(taken_at)
            return
        self._clock = rows
        self._ticks += 1

    def report(self, now: float) -> None:
        """Note that somebody was reported at the door: by a motion sensor, or a bell."""
        if not self._reports or now - self._reports[-1] >= APART:
            self._reports = [*self._reports, now][-REPORTS:]

    @property
    def ailment(self) -> Ailment | None:
        """What is wrong, as far as the last picture tells."""
        still = self._looked_at - self._still_since
        if self._last is None or still < STILL:
            return None
        if _flat(self._last) >= FLAT:
            return Ailment.PLACEHOLDER
        unseen = [
            at for at in self._reports if self._still_since < at <= self._looked_at - SEEN_WITHIN
        ]
        ticks = self._ticks >= LEAST_TICKS and still >= CLOCK_ALONE
        return Ailment.FROZEN if ticks or len(unseen) >= REPORTS else None

    def _begin(self, now: float) -> None:
        self._still_since, self._clock, self._ticks = now, None, 0


def _is_clock(rows: NDArray[np.bool_]) -> bool:
    """Whether all that changed lies in one low strip at the upper or lower edge."""
    height = len(rows)
    (found,) = np.nonzero(rows)
    first, last = int(found[0]), int(found[-1]) + 1
    is_low = last - first <= CLOCK_HEIGHT * height
    return is_low and (last <= CLOCK_BAND * height or first >= (1 - CLOCK_BAND) * height)


def _flat(grey: GreyImage) -> float:
    """Return the share of pixels that are as bright as both their left and upper neighbours."""
    here = grey[1:, 1:]
    if not here.size:
        return 1.0
    return float(((here == grey[1:, :-1]) & (here == grey[:-1, 1:])).mean())
