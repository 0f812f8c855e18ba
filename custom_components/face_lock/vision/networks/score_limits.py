"""The score below which a network refuses a face, by its size and the light it is seen in.

Small and badly lit faces score lower, living or not: a single threshold would either refuse many
living faces there, or few pictures elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Light(StrEnum):
    """The light in which a face is seen."""

    DAY = "day"
    DIM = "dim"
    INFRARED = "infrared"


@dataclass(frozen=True, slots=True)
class ScoreLimit:
    """The least that living faces of one size score in one light; scores are 0..1."""

    light: Light
    smallest: float
    largest: float
    """Width of the face in pixels, from ``smallest`` to below ``largest``."""
    basic: float
    """Scores below this are refused at the level *basic*, which refuses few living faces."""
    strict: float
    """The same at *strict*, which may refuse more of them."""

    def __post_init__(self) -> None:
        """Raise ValueError if a figure is out of range."""
        if not (0.0 <= self.smallest < self.largest and 0.0 <= self.basic <= self.strict <= 1.0):
            raise ValueError("a limit needs a range of sizes, and 0 <= basic <= strict <= 1")

    def overlaps(self, other: ScoreLimit) -> bool:
        """Whether both apply to the same face."""
        return (
            self.light is other.light
            and self.smallest < other.largest
            and other.smallest < self.largest
        )


@dataclass(frozen=True, slots=True)
class ScoreLimits:
    """The sizes and lights in which living faces were measured, with their scores; no others."""

    dim_below: float = 0.0
    """Mean luma of the aligned face, 0..255, below which a colour picture counts as dim."""
    cells: tuple[ScoreLimit, ...] = ()

    def __post_init__(self) -> None:
        """Raise ValueError if two cells apply to the same face."""
        for number, one in enumerate(self.cells):
            if any(one.overlaps(other) for other in self.cells[:number]):
                raise ValueError(f"two limits for one size in the light {one.light}")

    def light(self, brightness: float, *, infrared: bool) -> Light:
        """Return the light of a face with this mean luma; ``infrared`` pictures have no colours."""
        if infrared:
            return Light.INFRARED
        return Light.DAY if brightness >= self.dim_below else Light.DIM

    def of(self, face_px: float, brightness: float, *, infrared: bool) -> ScoreLimit | None:
        """Return the limit for a face of this width in pixels, ``None`` if none was measured."""
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
