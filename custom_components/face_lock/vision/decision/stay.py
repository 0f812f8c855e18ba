"""What one face does from coming into view until it is gone, over as many visits as that takes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from ..types import Problem
from .crowd import Shown

NEAR_MISS: Final = 2
"""Frames taken for an enrolled person that make a refused face one that nearly opened. A single one
is what a few in a thousand passers-by show at the loosest rate."""


@dataclass(slots=True, eq=False)
class Stay:
    """One track's presence. What it did counts once, and is told once."""

    shown: Shown
    leaving: bool = False
    """Whether the face came into view after the door was opened from inside."""
    looks: int = 0
    """Distinct, fresh and usable frames, including those recognised as a still picture."""
    near: int = 0
    """Those of them that were taken for an enrolled person."""
    counted: bool = False
    """Whether it was counted as a failure, or somebody was let in meanwhile."""
    told: set[Problem] = field(default_factory=set)
    """Why it was refused, so far."""
    denied_until: float = float("-inf")
    """Time until which it is ignored."""

    def is_near_miss(self, quorum: int) -> bool:
        """Whether it might have opened, and nearly did; it has not been counted yet."""
        return not self.counted and self.looks >= quorum and self.near >= NEAR_MISS
