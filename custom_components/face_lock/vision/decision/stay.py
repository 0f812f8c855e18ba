"""What one face does from coming into view until it is gone, over as many visits as that takes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from ..types import Problem
from .crowd import Shown

NEAR_MISS: Final = 2
"""Frames taken for an enrolled person that make a refused face one that nearly opened. A single one
is what a few in a thousand passers-by show at the loosest rate."""

AGAIN: Final = 60.0
"""Seconds after which a face that stays, and nearly opens again, is counted again: somebody
enrolled in bad light is not locked out soon, and whoever shows a poor picture has no free tries."""


@dataclass(slots=True, eq=False)
class Stay:
    """One track's presence."""

    shown: Shown
    leaving: bool = False
    """Whether the face came into view after the door was opened from inside."""
    looks: int = 0
    """Distinct, fresh and usable frames, including those recognised as a still picture."""
    near: int = 0
    """Those of them that were taken for an enrolled person."""
    counted_at: float = float("-inf")
    """When it was last counted as a failure."""
    told: set[Problem] = field(default_factory=set)
    """Why it was refused, so far."""
    denied_until: float = float("-inf")
    """Time until which it is ignored."""

    def is_near_miss(self, quorum: int, now: float) -> bool:
        """Whether it nearly opened since it was last counted, if that is a while ago."""
        return (
            self.looks >= quorum
            and self.near >= NEAR_MISS
            and not 0.0 <= now - self.counted_at < AGAIN
        )

    def count(self, now: float) -> None:
        """Note that it was counted as a failure."""
        self.counted_at = now
        self.looks = self.near = 0

    def forget(self) -> None:
        """Note that all failures are forgotten, because somebody was let in."""
        self.counted_at = float("-inf")
        self.looks = self.near = 0
