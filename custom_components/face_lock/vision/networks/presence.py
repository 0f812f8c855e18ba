"""Tells from one small grey picture whether anybody is in view, cheaper than looking for faces.

The network (74,000 weights, below a millisecond) saves running the detector when the motion gate
opens for a cat, a car or a cloud. It is never evidence that a person may come in.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from PIL import Image

from ..types import FloatArray, GreyImage, RgbImage
from .runtime import Session

HEIGHT: Final = 96
"""Rows of the network's input."""
MULTIPLE: Final = 16
"""The number of columns is the multiple of this that keeps the frame's shape best."""
_COLUMNS: Final = (3, 30)
"""Fewest and most columns, in multiples: 1:2 to 5:1, which covers all cameras."""


@dataclass(frozen=True, slots=True)
class PresenceScore:
    """``score`` is how likely, 0..1, a head is in view; ``present`` that this is likely enough."""

    score: float
    present: bool


class Presence:
    """The bundle's presence network."""

    def __init__(self, session: Session, threshold: float) -> None:
        """Take scores of at least ``threshold``, 0..1, for a person.

        Raises:
            ValueError: the threshold is not within 0..1.

        """
        if not 0.0 <= threshold <= 1.0:
            raise ValueError(f"the threshold must be within 0..1, not {threshold}")
        self._session = session
        self.threshold = threshold

    @classmethod
    def of(cls, session: Session, entry: Mapping[str, Any]) -> Presence:
        """Take the threshold from the network's description in ``models.json``.

        Raises:
            KeyError: the description has no threshold.
            TypeError, ValueError: it is not a number within 0..1.

        """
        return cls(session, float(entry["threshold"]))

    def look(self, frame: RgbImage | GreyImage) -> PresenceScore:
        """Say whether anybody is in a frame uint8[H, W, 3], red first, or grey uint8[H, W].

        Raises:
            ValueError: the frame has another shape or type.
            RuntimeError: the network's answer is not a probability.

        """
        small = view(frame)
        # The mirror image is a second opinion at the cost of a second look: what only resembles a
        # head seldom does so both ways.
        both = np.stack([small, small[:, ::-1]])[:, None]
        answers = self._session.run(both, ("presence",))["presence"]
        # NaN compares false.
        if answers.size != len(both) or not ((answers >= 0.0) & (answers <= 1.0)).all():
            raise RuntimeError("the presence network's output is not a probability")
        score = float(answers.mean())
        return PresenceScore(score=score, present=score >= self.threshold)


def view(frame: RgbImage | GreyImage) -> FloatArray:
    """Reduce a frame to grey float32[96, W] in 0..255, W a multiple of 16.

    Raises:
        ValueError: the frame is neither uint8[H, W, 3] nor uint8[H, W], or has no pixels.

    """
    coloured = frame.ndim == 3 and frame.shape[2] == 3
    if frame.dtype != np.uint8 or not frame.size or not (coloured or frame.ndim == 2):
        raise ValueError(
            f"a frame must be uint8[H, W, 3] or uint8[H, W], not {frame.dtype}{frame.shape}"
        )
    height, width = frame.shape[:2]
    columns = int(np.clip(round(width * HEIGHT / height / MULTIPLE), *_COLUMNS))
    # The network was trained with Pillow's grey (BT.601) and its reduction.
    grey = Image.fromarray(frame).convert("L")
    small = grey.resize((columns * MULTIPLE, HEIGHT), Image.Resampling.BILINEAR, reducing_gap=2.0)
    return np.asarray(small, dtype=np.float32)
