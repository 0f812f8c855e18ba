"""What the faces in view do while they are there, and which of it counts as a failure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from ..types import Face, FloatArray, Match, Problem
from .cool_down import NEVER
from .crowd import Shown
from .lockout import Lockout
from .policy import DecisionPolicy
from .stay import Stay
from .visit import Visit
from .voting import Voting

FAILED_AT_ONCE: Final = (
    Problem.NOT_LIVE,
    Problem.CHALLENGE_FAILED,
    Problem.CHALLENGE_UNAVAILABLE,
    Problem.SECOND_FACTOR_MISSING,
)
"""Denials of a complete quorum that count as failures. Denials of people who may not come in now do
not: they are known, gain nothing by trying, and could lock the household out."""


REPEATED: Final = (Problem.NOT_LIVE, Problem.CHALLENGE_FAILED, Problem.CHALLENGE_UNAVAILABLE)
"""Denials that are one more attempt each time; the others are told of a face once."""


class Stays(dict[int, Stay]):
    """Track -> what it did since it came into view.

    Failures, which lead to a lockout, are what an attacker does and repeats. One is: a face that
    showed as many distinct usable frames as a quorum takes, two of them or more taken for somebody
    who may come in, and that did not open (a near miss); a quorum that was judged not live, or that
    lacked an answer or the second factor. A face that stays is one near miss a minute at most, and
    lacks the second factor once. Strangers are none: those who stay for a whole visit are one
    failure all together, which locks nothing out; but too many different faces in a short time lock
    out. No failures are: visits that the shell stopped, people who may not come in now, a lock that
    does not obey, and visits refused because of a lockout.
    """

    def __init__(self, policy: DecisionPolicy, lockout: Lockout) -> None:
        super().__init__()
        self._policy = policy
        self._lockout = lockout

    def end(self, tracks: Iterable[int], now: float) -> None:
        """Forget tracks that have gone."""
        self.count([self.pop(track) for track in tracks], now)

    def begin(self, tracks: Sequence[int], faces: Sequence[Face], *, leaving: bool) -> None:
        """Take the tracks of a frame's faces; those that are new may be people ``leaving``."""
        for track, face in zip(tracks, faces, strict=True):
            if track not in self:
                self[track] = Stay(Shown(face), leaving)

    def look(
        self,
        visit: Visit,
        track: int,
        face: Face,
        match: Match,
        embedding: FloatArray,
        voting: Voting,
        now: float,
    ) -> None:
        """Count a frame that might have been part of a quorum."""
        stay = self[track]
        stay.looks += 1
        # Whoever may not come in now is known, and gains nothing by coming near.
        stay.near += voting.accepts(match) and match.person not in visit.circumstances.barred
        if stay.shown.look(face, embedding, self._policy.quorum, voting.alike):
            self._lockout.meet(embedding, now, stay.shown.weight, voting.alike)

    def count(self, stays: Iterable[Stay], now: float) -> None:
        """Count those who nearly opened as failures."""
        for stay in stays:
            if stay.is_near_miss(self._policy.quorum, now):
                stay.count(now)
                self._lockout.fail(now)

    def deny(self, stay: Stay, problem: Problem, now: float) -> bool:
        """Note why a complete quorum does not open; return whether that is to be told."""
        stay.denied_until = now + self._policy.max_duration
        if problem in stay.told and problem not in REPEATED:
            return False
        stay.told.add(problem)
        if problem in FAILED_AT_ONCE:
            stay.count(now)
            self._lockout.fail(now)
        return True

    def let_try_again(self) -> None:
        """Ignore nobody any more for having been denied."""
        for stay in self.values():
            stay.denied_until = NEVER

    def forget(self) -> None:
        """Note that all failures are forgotten, because somebody was let in."""
        for stay in self.values():
            stay.forget()
