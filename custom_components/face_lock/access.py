"""The end of a visit, as the owner is told."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from .const import (
    EVENT_ACCESS_DENIED,
    EVENT_ACCESS_GRANTED,
    EVENT_LIVENESS_FAILED,
    EVENT_LOCKED_OUT,
    EVENT_UNKNOWN_FACE,
)
from .vision import AccessAttempt, Problem

EVENT_TYPES: Final = (
    EVENT_ACCESS_GRANTED,
    EVENT_ACCESS_DENIED,
    EVENT_UNKNOWN_FACE,
    EVENT_LIVENESS_FAILED,
    EVENT_LOCKED_OUT,
)
_TYPES: Final = {
    Problem.UNKNOWN_FACE: EVENT_UNKNOWN_FACE,
    Problem.NOT_LIVE: EVENT_LIVENESS_FAILED,
    Problem.CHALLENGE_FAILED: EVENT_LIVENESS_FAILED,
    Problem.STATIC_PICTURE: EVENT_LIVENESS_FAILED,
    Problem.LOCKED_OUT: EVENT_LOCKED_OUT,
}


@dataclass(frozen=True, slots=True)
class Access:
    """An attempt and what came of it.

    ``name`` is the name of whom the attempt names; ``response_time`` counts, for a grant, until
    the lock had been opened. ``picture`` is the encoded frame that showed the visitor best, None
    where it is not to be kept.
    """

    attempt: AccessAttempt
    name: str | None
    response_time: float | None
    picture: bytes | None = None

    @property
    def event_type(self) -> str:
        """One of `EVENT_TYPES`."""
        problem = self.attempt.problem
        if problem is None:
            return EVENT_ACCESS_GRANTED
        return _TYPES.get(problem, EVENT_ACCESS_DENIED)
