"""Whether one face of one frame is a vote for a person, and why not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from .policy import DecisionPolicy
from .types import Evidence, FloatArray, Match, Problem
from .visit import Visit, Vote

MAX_COSINE: Final = 1.001
"""What is beyond a cosine by more than rounding is no similarity."""


@dataclass(frozen=True, slots=True)
class Shot:
    """What all faces of one frame have in common."""

    taken_at: float
    fresh: bool
    """Neither too old nor from the future."""
    repeated: bool
    """Of pixels that were seen before."""

    @property
    def distinct(self) -> bool:
        """Whether the frame says anything new of this moment."""
        return self.fresh and not self.repeated


class Voting:
    """The rules at one threshold. All are written so that what is not a number never counts."""

    def __init__(self, policy: DecisionPolicy, threshold: float) -> None:
        """Accept similarities of at least ``threshold``."""
        self._policy = policy
        self._threshold = threshold

    def accepts(self, match: Match | None) -> bool:
        """Whether a face is similar enough to the person whom it resembles most."""
        return match is not None and self._threshold <= match.similarity <= MAX_COSINE

    def objection(self, match: Match | None) -> Problem | None:
        """Say why a face is nobody's, from what it resembles alone."""
        if match is None or not self.accepts(match):
            return Problem.UNKNOWN_FACE
        return None if self._clear(match) else Problem.AMBIGUOUS

    def note(self, visit: Visit, shot: Shot, evidence: Evidence) -> Problem | None:
        """Note what a face looks like, or return why it cannot be compared with anybody."""
        if evidence.problem is not None:
            return evidence.problem
        if visit.first_usable_at is None:
            visit.first_usable_at = shot.taken_at
        match = evidence.match
        if match is None or evidence.embedding is None or not abs(match.similarity) <= MAX_COSINE:
            return Problem.UNKNOWN_FACE
        if match.similarity > visit.best[0]:
            visit.best = (match.similarity, match.person if self.accepts(match) else None)
        return None

    def cast(
        self, visit: Visit, shot: Shot, track: int, match: Match, embedding: FloatArray
    ) -> Problem | None:
        """Add the vote of a face that was noted, or return why it has none."""
        accepted = self.accepts(match)
        visit.looks[track] += shot.distinct
        if accepted and not shot.fresh:
            return Problem.STALE_FRAMES
        if accepted and (shot.repeated or self._seen_before(visit, embedding)):
            return Problem.STATIC_PICTURE
        visit.tries[track] += shot.distinct
        if (problem := self.objection(match)) is not None:
            return problem
        visit.votes.append(Vote(track, match.person, match.similarity, embedding, shot.taken_at))
        return None

    def _clear(self, match: Match) -> bool:
        gap = match.similarity - match.runner_up
        return match.runner_up < self._threshold and gap >= self._policy.margin

    def _seen_before(self, visit: Visit, embedding: FloatArray) -> bool:
        return not all(
            float(vote.embedding @ embedding) < self._policy.same_frame for vote in visit.votes
        )
