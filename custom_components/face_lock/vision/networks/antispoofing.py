"""A second network's opinion on whether a face is alive; it can only deny.

The file joins two networks, the MiniFASNets of Silent-Face-Anti-Spoofing (Minivision, 2020), which
look at the face with some and with more of its surroundings; the answer is the mean of both. They
were trained on other attacks than the liveness network, and miss others.
"""

from __future__ import annotations

from typing import Final

from ..types import Face, RgbImage
from .liveness import stack, views
from .runtime import Session
from .score_limits import ScoreLimits

SIDE: Final = 80
ENLARGED: Final = (2.7, 4.0)
"""Sides of the two squares, relative to the longer side of the face's box."""
OUTPUT: Final = "live"


class Antispoofing:
    """The bundle's second network against pictures of a face."""

    def __init__(self, session: Session, limits: ScoreLimits) -> None:
        """Score with ``session``; a face that ``limits`` does not cover is to be ignored."""
        self._session = session
        self.limits = limits

    def score(self, rgb: RgbImage, face: Face) -> float:
        """Return the probability 0..1 that a face of uint8[H, W, 3] is alive.

        Raises:
            ValueError: ``liveness.views`` refuses the picture or the box.
            RuntimeError: the network's answer is not a probability.

        """
        image = stack(views(rgb, face.box, ENLARGED, SIDE))
        live = self._session.run(image, (OUTPUT,))[OUTPUT]
        # NaN compares false.
        if live.shape != (1, 1) or not 0.0 <= float(live[0, 0]) <= 1.0:
            raise RuntimeError("the antispoofing network's output is not a probability")
        return float(live[0, 0])
