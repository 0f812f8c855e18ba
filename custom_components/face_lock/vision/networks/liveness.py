"""How alive a face looks in one picture; it can only deny.

The network looks twice: at the surroundings, which show the edges of a sheet or a phone and the
hand that holds it, and at the face alone, where prints and screens leave their texture. The
enlarged box is that of Silent-Face-Anti-Spoofing's MiniFASNet (Minivision, 2020).
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np
from PIL import Image

from ..types import Face, RgbImage
from .runtime import Session
from .score_limits import ScoreLimits

SIDE: Final = 112
CONTEXT: Final = 2.7
CLOSE: Final = 1.1
"""Sides of the two squares, relative to the longer side of the face's box."""

Box = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class LivenessPoint:
    """A threshold, and the share 0..1 of living faces that it denied in validation (BPCER)."""

    bpcer: float
    threshold: float


@dataclass(frozen=True, slots=True)
class LivenessScore:
    """``live`` is the network's probability, 0..1, that a face is alive and not a picture of one.

    It is not calibrated beyond the pictures that it was trained on, and a high value proves
    nothing: good copies pass. It may turn a grant into a refusal, never the reverse, and it must
    not be averaged with, or weighed against, how well a face matches.
    """

    live: float

    def denied_at(self, point: LivenessPoint) -> bool:
        """Whether the face has to be refused; ``False`` does not speak for it."""
        return not self.live >= point.threshold


class Liveness:
    """The bundle's liveness network."""

    def __init__(
        self,
        session: Session,
        points: Iterable[LivenessPoint],
        limits: ScoreLimits = ScoreLimits(),  # noqa: B008 - frozen
    ) -> None:
        """``points`` are the thresholds for one picture, whatever its size and light.

        ``limits`` are those for a visit, for the sizes and lights in which living people's visits
        were measured.

        Raises:
            ValueError: there is no point, or a figure of one is not within 0..1.

        """
        self._session = session
        self.limits = limits
        self.points = tuple(sorted(points, key=lambda point: point.bpcer))
        """From the most lenient (denies the fewest living faces) to the strictest."""
        figures = [value for point in self.points for value in (point.bpcer, point.threshold)]
        if not figures or not all(0.0 <= value <= 1.0 for value in figures):
            raise ValueError("a liveness network needs thresholds within 0..1")

    def score(self, rgb: RgbImage, face: Face) -> LivenessScore:
        """Score a face of uint8[H, W, 3].

        Raises:
            ValueError: :func:`views` refuses the picture or the box.
            RuntimeError: the network's answer is not a probability.

        """
        live = self._session.run(stack(views(rgb, face.box)), ("live",))["live"]
        # NaN compares false.
        if live.shape != (1, 1) or not 0.0 <= float(live[0, 0]) <= 1.0:
            raise RuntimeError("the liveness network's output is not a probability")
        return LivenessScore(float(live[0, 0]))


def views(
    rgb: RgbImage,
    box: Box,
    enlarged: tuple[float, ...] = (CONTEXT, CLOSE),
    side: int = SIDE,
) -> RgbImage:
    """Cut a face's surroundings, and the face, out of uint8[H, W, 3]: uint8[2, 112, 112, 3].

    ``box`` is (x1, y1, x2, y2) in pixels. Both squares are moved and shrunk to lie in the picture;
    nothing is padded, because a padded edge looks like that of a sheet. ``enlarged`` are the sides
    of the squares, relative to the longer side of the box, and ``side`` is what they are scaled to.

    Raises:
        ValueError: the picture has another type or shape, or the box does not lie in it.

    """
    if rgb.dtype != np.uint8 or rgb.ndim != 3 or rgb.shape[2] != 3:
        raise ValueError(f"a picture must be uint8[H, W, 3], not {rgb.dtype}{rgb.shape}")
    height, width = rgb.shape[:2]
    x1, y1, x2, y2 = (float(value) for value in box)
    if not (
        all(math.isfinite(value) for value in (x1, y1, x2, y2))
        and min(x2, width) - max(x1, 0.0) >= 1.0
        and min(y2, height) - max(y1, 0.0) >= 1.0
    ):
        raise ValueError(f"the box {box} does not lie in a picture of {width}x{height} pixels")
    picture = Image.fromarray(rgb)
    cut = []
    for factor in enlarged:
        span = min(factor * max(x2 - x1, y2 - y1), height, width)
        left = min(max((x1 + x2 - span) / 2, 0.0), width - span)
        top = min(max((y1 + y2 - span) / 2, 0.0), height - span)
        square = (left, top, left + span, top + span)
        cut.append(np.asarray(picture.resize((side, side), Image.Resampling.BILINEAR, box=square)))
    return np.stack(cut)


def stack(cut: RgbImage) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    """Turn the result of :func:`views` into float32[1, 3 N, side, side], view after view."""
    side = cut.shape[1]
    channels = cut.transpose(0, 3, 1, 2).reshape(1, 3 * len(cut), side, side)
    return channels.astype(np.float32)
