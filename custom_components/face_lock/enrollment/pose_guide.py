"""Leads somebody through a few poses before the door's camera: what to ask for, and when to end.

A state machine without a camera and without a clock of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import Final

from ..vision import HeadPose, Pose, is_in_pose
from ..vision.imaging.pose import FRONT

POSES: Final = (Pose.STRAIGHT, Pose.LEFT, Pose.RIGHT, Pose.UP)
WALK: Final = 60.0
"""Seconds until somebody has to be before the camera: time to walk there."""
PATIENCE: Final = 12.0
"""Seconds for one pose, once a face was seen; whoever leads is then asked how to go on."""
INSISTENCE: Final = 2
"""Looks in a row that must fail for the same reason before it is said."""
COUNT: Final = 5
"""Seconds in which the time that is left is told."""


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
        self.missed: list[Pose] = []
        """The poses that were left out."""
        self.is_waiting = False
        """Whether the time for a pose is over, and it has to be said how to go on."""
        self.problem: str | None = None
        """Why the last look kept nothing, as a translation key."""
        self._front = FRONT
        self._repeated = 0
        self._has_come = False
        self._until = now + WALK

    @property
    def is_done(self) -> bool:
        """Whether there is nothing left to ask for."""
        return not self._poses

    @property
    def pose(self) -> Pose | None:
        """The pose that is asked for."""
        return self._poses[0] if self._poses else None

    @property
    def instruction(self) -> str:
        """What to say now, as a translation key."""
        if self.problem is not None and self._repeated >= INSISTENCE:
            return self.problem
        return self._poses[0] if self._poses else "done"

    def left(self, now: float) -> int:
        """Return the seconds that are left for the pose, rounded up to a multiple of ``COUNT``."""
        return max(0, ceil((self._until - now) / COUNT) * COUNT)

    def wants(self, pose: HeadPose) -> bool:
        """Whether a head is in the pose that is asked for."""
        return not self.is_done and is_in_pose(pose, self._poses[0], self._front)

    def note(self, seen: Seen, now: float) -> None:
        """Take in what was seen."""
        self._repeated = self._repeated + 1 if seen.problem == self.problem else 1
        self.problem = seen.problem
        if seen.pose is not None and not self._has_come:
            self._has_come = True
            self._until = now + PATIENCE
        if seen.kept and seen.pose is not None:
            if self._poses[0] is Pose.STRAIGHT:
                self._front = seen.pose
            self.kept += 1
            self._next(now)
        elif now >= self._until:
            self.is_waiting = True

    def again(self, now: float) -> None:
        """Ask for the same pose once more."""
        self.is_waiting = False
        self._until = now + (PATIENCE if self._has_come else WALK)

    def skip(self, now: float) -> None:
        """Leave the pose out: not everybody can turn the head."""
        self.is_waiting = False
        self.missed.append(self._poses[0])
        self._next(now)

    def stop(self) -> None:
        """Ask for nothing more."""
        self.is_waiting = False
        self.missed += self._poses
        self._poses.clear()

    def _next(self, now: float) -> None:
        del self._poses[0]
        self._repeated = 0
        self._until = now + (PATIENCE if self._has_come else WALK)
