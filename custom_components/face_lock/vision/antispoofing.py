"""A second network's opinion on whether a face is alive, only to deny.

It is two networks in one file, the MiniFASNets of Silent-Face-Anti-Spoofing (Minivision, 2020),
which look at the face with much and with very much of its surroundings; the answer is the mean of
both. They were trained on other attacks than ours, and are blind where ours sees.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from .liveness import stack, views
from .runtime import Session
from .types import Face, RgbImage

SIDE: Final = 80
ENLARGED: Final = (2.7, 4.0)
"""Sides of the two squares, over the longer side of the face's box."""
OUTPUT: Final = "live"


class Light(StrEnum):
    """By what light a face is seen; what a living face scores depends on it."""

    DAY = "day"
    DIM = "dim"
    INFRARED = "infrared"


@dataclass(frozen=True, slots=True)
class ScoreLimit:
    """What living faces of one size, in one light, score at least; probabilities are 0..1."""

    light: Light
    smallest: float
    largest: float
    """Width of the face in pixels, from ``smallest`` to below ``largest``."""
    basic: float
    """Below this the face is refused at the level *basic*, so that few of the living are."""
    strict: float
    """The same at *strict*, where more of the living may be."""


@dataclass(frozen=True, slots=True)
class ScoreLimits:
    """Where living faces were measured, and what they scored there; elsewhere nothing is said."""

    dim_below: float
    """Mean luma of the aligned face, 0..255, below which a picture with colours is dim."""
    cells: tuple[ScoreLimit, ...]

    def light(self, brightness: float, *, infrared: bool) -> Light:
        """Return the light of a face of that mean luma, in a picture without colours or with."""
        if infrared:
            return Light.INFRARED
        return Light.DAY if brightness >= self.dim_below else Light.DIM

    def of(self, face_px: float, brightness: float, *, infrared: bool) -> ScoreLimit | None:
        """Return the limit for a face of that width in pixels; ``None`` where none was measured."""
        light = self.light(brightness, infrared=infrared)
        found = (
            cell
            for cell in self.cells
            if cell.light is light and cell.smallest <= face_px < cell.largest
        )
        return next(found, None)


class Antispoofing:
    """The bundle's second network against pictures of a face."""

    def __init__(self, session: Session, dim_below: float, cells: Iterable[ScoreLimit]) -> None:
        """``cells`` may be none: then nothing was measured, and nothing is refused.

        Raises:
            ValueError: a figure is not what it should be, or two cells overlap.

        """
        self._session = session
        self.limits = ScoreLimits(dim_below, tuple(cells))
        cells = self.limits.cells
        if not all(
            0.0 <= cell.smallest < cell.largest and 0.0 <= cell.basic <= cell.strict <= 1.0
            for cell in cells
        ):
            raise ValueError("a limit needs a range of sizes, and thresholds 0 <= basic <= strict")
        for number, one in enumerate(cells):
            for other in cells[:number]:
                if (
                    one.light is other.light
                    and one.smallest < other.largest
                    and other.smallest < one.largest
                ):
                    raise ValueError(f"two limits for one size by {one.light}")

    def score(self, rgb: RgbImage, face: Face) -> float:
        """Return the probability 0..1 that a face of uint8[H, W, 3] is alive.

        Raises:
            ValueError: what ``liveness.views`` refuses.
            RuntimeError: the network answered with something that is no probability.

        """
        image = stack(views(rgb, face.box, ENLARGED, SIDE))
        live = self._session.run(image, (OUTPUT,))[OUTPUT]
        # NaN compares false.
        if live.shape != (1, 1) or not 0.0 <= float(live[0, 0]) <= 1.0:
            raise RuntimeError("the antispoofing network's output is not a probability")
        return float(live[0, 0])
