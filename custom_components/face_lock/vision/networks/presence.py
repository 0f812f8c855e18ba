"""Whether anybody is in view, from one small grey picture: cheaper than looking for faces.

The network (74,000 weights, below a millisecond) spares the detector's work where the
motion gate opens for a cat, a car or a cloud. It is never evidence that somebody may come in.
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
"""Rows of what the network sees."""
MULTIPLE: Final = 16
"""Its columns are a multiple of this, as many as keep the frame's shape best."""
_COLUMNS: Final = (3, 30)
"""Fewest and most columns, in `MULTIPLE`: 1:2 to 5:1, within which all cameras are."""


@dataclass(frozen=True, slots=True)
class PresenceScore:
    """``score`` is how sure the network is, 0..1, that a head is in view; ``present``: enough."""

    score: float
    present: bool


class Presence:
    """The bundle's presence network."""

    def __init__(self, session: Session, threshold: float) -> None:
        """``threshold`` is the score, 0..1, from which somebody is present.

        Raises:
            ValueError: it is not within 0..1.

        """
        if not 0.0 <= threshold <= 1.0:
            raise ValueError(f"a threshold is within 0..1, not {threshold}")
        self._session = session
        self.threshold = threshold

    @classmethod
    def of(cls, session: Session, entry: Mapping[str, Any]) -> Presence:
        """Take the threshold from the network's description in ``models.json``.

        Raises:
            KeyError: the description has none.
            TypeError, ValueError: it is no number within 0..1.

        """
        return cls(session, float(entry["threshold"]))

    def look(self, frame: RgbImage | GreyImage) -> PresenceScore:
        """Say whether anybody is in a frame uint8[H, W, 3], red first, or grey uint8[H, W].

        Raises:
            ValueError: a frame of another shape or type.
            RuntimeError: the network answered with something that is no probability.

        """
        small = view(frame)
        # The mirror image is a second opinion for the price of another look: what only seems a head
        # seldom does both ways.
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
        ValueError: a frame that is neither uint8[H, W, 3] nor uint8[H, W], or has no pixels.

    """
    coloured = frame.ndim == 3 and frame.shape[2] == 3
    if frame.dtype != np.uint8 or not frame.size or not (coloured or frame.ndim == 2):
        raise ValueError(
            f"a frame is uint8[H, W, 3] or uint8[H, W], not {frame.dtype}{frame.shape}"
        )
    height, width = frame.shape[:2]
    columns = int(np.clip(round(width * HEIGHT / height / MULTIPLE), *_COLUMNS))
    # Pillow's grey (BT.601) and its reduction are those that the network was trained with.
    grey = Image.fromarray(frame).convert("L")
    small = grey.resize((columns * MULTIPLE, HEIGHT), Image.Resampling.BILINEAR, reducing_gap=2.0)
    return np.asarray(small, dtype=np.float32)
