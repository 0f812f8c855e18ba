"""Leads somebody through a few poses before the door's camera: what to ask for, and when to end.

A state machine without a camera and without a clock of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from ..vision import HeadPose, Pose, is_in_pose
from ..vision.imaging.pose import FRONT

POSES: Final = (Pose.STRAIGHT, Pose.LEFT, Pose.RIGHT, Pose.UP)
PATIENCE: Final = 12.0
"""Seconds for one pose. One that does not come is left out: not everybody can turn the head."""
INSISTENCE: Final = 2
"""Looks in a row that must fail for the same reason before it is said."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What became of one look: why nothing was kept, or else the pose, and whether it was kept."""

    problem: str | None = None
    pose: HeadPose | None = None
    kept: bool = False


class Guide:
    """Asks for one pose after the other."""

    def __init__(self, now: float, room: int = len(POSES)) -> None:
        """Begin at ``now``, in seconds of any clock, with ``room`` for so many pictures."""
        self._poses = list(POSES[:room])
        self.wanted = len(self._poses)
        self.kept = 0
        self.problem: str | None = None
        """Why the last look kept nothing, as a translation key."""
        self._front = FRONT
        self._repeated = 0
        self._until = now + PATIENCE

    @property
    def is_done(self) -> bool:
        """Whether there is nothing left to ask for."""
        return not self._poses

    @property
    def instruction(self) -> str:
        """What to say now, as a translation key."""
        if self.problem is not None and self._repeated >= INSISTENCE:
            return self.problem
        return self._poses[0] if self._poses else "done"

    def wants(self, pose: HeadPose) -> bool:
        """Whether a head is in the pose that is asked for."""
        return not self.is_done and is_in_pose(pose, self._poses[0], self._front)

    def note(self, seen: Seen, now: float) -> None:
        """Take in what was seen."""
        self._repeated = self._repeated + 1 if seen.problem == self.problem else 1
        self.problem = seen.problem
        if seen.kept and seen.pose is not None:
            if self._poses[0] is Pose.STRAIGHT:
                self._front = seen.pose
            self.kept += 1
            self._next(now)
        elif now >= self._until:
            if self.problem is not None and not self.kept:
                # Nothing usable came in all that time: another pose would not change that.
                self._poses.clear()
            else:
                self._next(now)

    def _next(self, now: float) -> None:
        del self._poses[0]
        self._until = now + PATIENCE
