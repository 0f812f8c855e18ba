"""What the liveness judge is to be asked before a face is decided on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..types import Evidence, Problem
from .cool_down import NEVER
from .policy import DecisionPolicy, Judge
from .visit import Visit


@dataclass(frozen=True, slots=True, eq=False)
class Hearing:
    """The evidence of one face whose quorum is complete.

    ``judge`` compares pictures, which takes some milliseconds: whoever has a thread for that asks
    it there, and tells the decider with ``Decider.heard``. Until then nothing is decided.
    """

    visit: Visit
    track: int
    evidence: tuple[Evidence, ...]
    _judge: Judge

    def judge(self) -> Problem | None:
        """Ask the judge; blocks. It reads nothing that changes meanwhile."""
        return self._judge(self.evidence)

    def is_of(self, evidence: Sequence[Evidence]) -> bool:
        """Whether just this was judged."""
        return len(evidence) == len(self.evidence) and all(
            one is other for one, other in zip(evidence, self.evidence, strict=True)
        )


@dataclass(frozen=True, slots=True)
class Ruling:
    """What the judge said."""

    hearing: Hearing
    problem: Problem | None


class Hearings:
    """The hearings of one frame that are still to come."""

    def __init__(self, judge: Judge | None, policy: DecisionPolicy) -> None:
        self._judge = judge
        self._window = policy.window
        self._called: list[Hearing] = []

    @property
    def next(self) -> Hearing | None:
        """The first of them."""
        return self._called[0] if self._called else None

    def clear(self) -> None:
        """Drop them: what was to be judged is over, or no longer all."""
        self._called = []

    def end(self, hearing: Hearing) -> bool:
        """Take out a hearing; False if it was dropped meanwhile."""
        if hearing not in self._called:
            return False
        self._called.remove(hearing)
        return True

    def is_judged(
        self, ruling: Ruling | None, visit: Visit, track: int, now: float, *, waits: bool
    ) -> bool:
        """Whether a ruling is on just what a face shows now; if not, call a hearing."""
        if self._judge is None:
            return True
        shown = visit.shown(track, now - self._window)
        if ruling is not None and ruling.hearing.is_of(shown):
            return True
        # Judging every frame would cost too much; what is shown meanwhile is judged at the grant.
        lately = now - visit.judged.get(track, NEVER) < self._window / 2
        if ruling is not None or not (waits and lately):
            visit.judged[track] = now
            self._called.append(Hearing(visit, track, tuple(shown), self._judge))
        return False
