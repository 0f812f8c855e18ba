"""Who is in view and no visitor: who was let in, who holds the door, and who came out of it."""

from __future__ import annotations

from math import inf, isfinite

from ..types import AccessAttempt, Evidence
from .cool_down import NEVER, CoolDown
from .hold import Hold
from .policy import DecisionPolicy
from .visit import Visit
from .voting import Shot, Voting


class Guests:
    """Those before one camera; its door's cool-down they share. Times are monotonic seconds."""

    def __init__(self, policy: DecisionPolicy, cool_down: CoolDown) -> None:
        self._policy = policy
        self._cool_down = cool_down
        self._holds: dict[str, Hold] = {}
        """Person -> how they hold the door."""
        self._from_inside = False
        """Whether the door stands open, and was opened from inside."""
        self._leaving_until = NEVER

    @property
    def hold(self) -> bool:
        """Whether one of them holds the door."""
        return bool(self._holds)

    def face(self, now: float) -> None:
        """Note that a face is seen, whoever it is."""
        self._cool_down.face(now)

    def come_out(self, now: float) -> bool:
        """Whether whoever comes into view now is taken for one who came out of the door."""
        return now < self._leaving_until

    def admit(self, person: str, track: int, visit: Visit, now: float) -> None:
        """Take in a person who is let in now, by what ``visit`` showed of ``track``."""
        self._cool_down.begin(person, now)
        visit.votes = [vote for vote in visit.votes if vote.person == person]
        self._holds[person] = Hold(person, track, visit, now, now, now)

    def is_let_in(self, person: str, now: float) -> bool:
        """Whether a person who is seen ``now`` was let in, and must not be once more."""
        policy = self._policy
        return self._cool_down.meet(person, now, policy.cool_down, policy.absence)

    def include(
        self,
        voting: Voting,
        shot: Shot,
        track: int,
        evidence: Evidence,
        now: float,
        *,
        leaving: bool,
    ) -> bool:
        """Whether a face holds the door, was let in just now, or is ``leaving``."""
        holds = self._holds.values()
        if any([hold.claims(voting, shot, track, evidence, now) for hold in holds]):  # noqa: C419 - each has to see it
            for hold in holds:
                self._cool_down.hold(hold.person, hold.proven_at)
            return True
        looks = (evidence.match, None if evidence.look is None else evidence.look.match)
        known = [match for match in looks if match is not None and voting.accepts(match)]
        if leaving:
            for match in known:
                self._cool_down.settle(match.person, now)
        # A list, because each of them is to be known as seen.
        return any([self.is_let_in(match.person, now) for match in known])  # noqa: C419

    def tick(self, now: float) -> None:
        """Let time pass: end the holds that are over."""
        for person, hold in list(self._holds.items()):
            if hold.is_too_long(now, self._policy):
                self._let_go(person, now)
            elif hold.is_over(now, self._policy):
                self._release(person)
        self._cool_down.tick(now, self._policy.absence)

    def stop(self) -> None:
        """Note that nothing more is seen: nobody holds the door."""
        for person in list(self._holds):
            self._release(person)

    def reset(self, now: float) -> None:
        """Start again at ``now``, to which the clock stepped back."""
        self._holds = {}
        self._cool_down.start_again(now)
        if self._leaving_until > now:
            self._leaving_until = now + self._policy.cool_down

    def conclude(self, outcome: AccessAttempt, *, momentary: bool) -> None:
        """Take back what became of a grant: see ``Decider.conclude``."""
        person = outcome.person
        if person is None or self._cool_down.let_in_at(person) != outcome.decided_at:
            return
        if not outcome.granted:
            self._cool_down.granted_at = NEVER
        if (not outcome.granted or momentary) and person in self._holds:
            self._release(person)

    def door_opened(self, now: float) -> None:
        """Note that the door itself opened: from inside, unless somebody was let in before."""
        if not 0.0 <= now - self._cool_down.granted_at < self._policy.hold_longest:
            self._from_inside = True
            # A contact that says so for ever must not keep everybody out.
            self._leaving_until = now + self._policy.hold_longest if isfinite(now) else inf

    def door_closed(self, now: float) -> None:
        """Note that the door closed, at a finite ``now``: nobody holds it any more."""
        for person in list(self._holds):
            self._let_go(person, now)
        self._cool_down.granted_at = NEVER
        if self._from_inside:
            self._leaving_until = now + self._policy.cool_down
        self._from_inside = False

    def _let_go(self, person: str, now: float) -> None:
        """End a hold for good: the person has to leave before they are let in again."""
        self._release(person)
        self._cool_down.settle(person, now)

    def _release(self, person: str) -> None:
        del self._holds[person]
        self._cool_down.release(person)
