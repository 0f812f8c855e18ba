"""What the liveness judge is to be asked before a face is decided on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..types import Evidence, Problem
from .policy import Judge
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
