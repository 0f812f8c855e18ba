"""From which score of a network a face is refused, by its size and the light it is seen in.

Small and badly lit faces score lower, living or not: one threshold for all would refuse many of the
living there, or few of the pictures elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Light(StrEnum):
    """By what light a face is seen."""

    DAY = "day"
    DIM = "dim"
    INFRARED = "infrared"


@dataclass(frozen=True, slots=True)
class ScoreLimit:
    """What living faces of one size, in one light, score at least; scores are 0..1."""

    light: Light
    smallest: float
    largest: float
    """Width of the face in pixels, from ``smallest`` to below ``largest``."""
    basic: float
    """Below this the face is refused at the level *basic*, so that few of the living are."""
    strict: float
    """The same at *strict*, where more of the living may be."""

    def __post_init__(self) -> None:
        """Raise ValueError where a figure is not what it should be."""
        if not (0.0 <= self.smallest < self.largest and 0.0 <= self.basic <= self.strict <= 1.0):
            raise ValueError("a limit needs a range of sizes, and 0 <= basic <= strict <= 1")

    def overlaps(self, other: ScoreLimit) -> bool:
        """Whether both speak of one face."""
        return (
            self.light is other.light
            and self.smallest < other.largest
            and other.smallest < self.largest
        )


@dataclass(frozen=True, slots=True)
class ScoreLimits:
    """Where the living were measured, and what they scored there. Elsewhere nothing is said."""

    dim_below: float = 0.0
    """Mean luma of the aligned face, 0..255, below which a picture with colours is dim."""
    cells: tuple[ScoreLimit, ...] = ()

    def __post_init__(self) -> None:
        """Raise ValueError where two cells speak of one face."""
        for number, one in enumerate(self.cells):
            if any(one.overlaps(other) for other in self.cells[:number]):
                raise ValueError(f"two limits for one size by {one.light}")

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


@dataclass(frozen=True, slots=True)
class NetworkLimits:
    """The limits of the liveness network and of the antispoofing network."""

    live: ScoreLimits = ScoreLimits()
    second: ScoreLimits = ScoreLimits()
