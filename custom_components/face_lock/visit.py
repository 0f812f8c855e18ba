"""A visit, as it is recorded at its end: everything that is told of it later comes from here."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from .vision import AccessAttempt, Problem

EVENT_ACCESS_GRANTED: Final = "access_granted"
EVENT_ACCESS_DENIED: Final = "access_denied"
EVENT_UNKNOWN_FACE: Final = "unknown_face"
EVENT_LIVENESS_FAILED: Final = "liveness_failed"
EVENT_LOCKED_OUT: Final = "locked_out"

OUTCOMES: Final = (
    EVENT_ACCESS_GRANTED,
    EVENT_ACCESS_DENIED,
    EVENT_UNKNOWN_FACE,
    EVENT_LIVENESS_FAILED,
    EVENT_LOCKED_OUT,
)
_OUTCOMES: Final = {
    Problem.UNKNOWN_FACE: EVENT_UNKNOWN_FACE,
    Problem.NOT_LIVE: EVENT_LIVENESS_FAILED,
    Problem.CHALLENGE_FAILED: EVENT_LIVENESS_FAILED,
    Problem.STATIC_PICTURE: EVENT_LIVENESS_FAILED,
    Problem.LOCKED_OUT: EVENT_LOCKED_OUT,
}


def outcome_of(attempt: AccessAttempt) -> str:
    """Return which of `OUTCOMES` an attempt has."""
    if attempt.problem is None:
        return EVENT_ACCESS_GRANTED
    return _OUTCOMES.get(attempt.problem, EVENT_ACCESS_DENIED)


@dataclass(frozen=True, slots=True)
class Visit:
    """One visit to one door, from the first face to its end.

    ``began`` and ``ended`` are aware times; ``began_at`` and ``ended_at`` the same on the monotonic
    clock of the run of Home Assistant in which it happened, in seconds. ``camera`` is a registry id
    or an entity id. ``outcome`` is one of `OUTCOMES`, ``reason`` a `Problem`'s value, None for a
    grant. ``person`` is the id of whom the attempt names, ``name`` the name at that time.
    ``confidence`` is 0..1; ``response_time`` counts seconds from the first usable frame, for a
    grant until the lock had been opened.
    """

    id: str
    door: str
    camera: str
    began: datetime
    ended: datetime
    began_at: float
    ended_at: float
    outcome: str
    person: str | None
    name: str | None
    reason: str | None
    confidence: float
    response_time: float | None
    picture: bool = False
    """Whether its picture was kept; the picture of a later visit replaces it."""

    @property
    def duration(self) -> float:
        """Seconds from the first face to the decision."""
        return self.ended_at - self.began_at
