"""Whether one face of one frame is a vote for a person, and why not."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from ..matching.similarity import MAX_SCORE, MIN_SCORE, cosine
from ..tracking.stacking import FEWEST
from ..types import Evidence, FloatArray, Look, Match, Problem
from .policy import DecisionPolicy
from .visit import Visit, Vote


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

    def __init__(self, policy: DecisionPolicy, threshold: float, loosest: float = np.inf) -> None:
        """Accept similarities of at least ``threshold``; halves of a stack may have ``loosest``."""
        self._policy = policy
        self._threshold = threshold
        self._slack = max(0.0, threshold - loosest)

    def said(self, visit: Visit, shot: Shot, track: int, evidence: Evidence) -> Match | None:
        """Return what a face is compared by in this frame: the frame itself, or its stack.

        Never the better of both: each frame is one try. A stack counts only if all its frames are
        usable, distinct and fresh ones of this track, in order and within the window. Where a half
        of it is less like the person than the loosest row of the table asks, the whole is as much
        below its threshold: a mean of two faces is nobody's.
        """
        look = evidence.look
        if look is None or not self._holds(visit, shot, track, look):
            return evidence.match
        similarity = look.match.similarity
        for half in (look.older, look.newer):
            alike = half.similarity if half.person == look.match.person else MIN_SCORE
            # Not min(), which passes over what is not a number.
            similarity = float(np.minimum(similarity, alike + self._slack))
        return replace(look.match, similarity=similarity)

    def _holds(self, visit: Visit, shot: Shot, track: int, look: Look) -> bool:
        times = look.taken_at
        seen = {at for at, one in visit.usable if one == track}
        return (
            shot.distinct
            and len(times) >= FEWEST
            and all(before < after for before, after in pairwise(times))
            and seen.issuperset(times)
            and times[-1] == shot.taken_at
            and times[-1] - times[0] <= self._policy.window
        )

    def accepts(self, match: Match | None) -> bool:
        """Whether a face is similar enough to the person whom it resembles most."""
        return match is not None and self._threshold <= match.similarity <= MAX_SCORE

    def objection(self, match: Match | None) -> Problem | None:
        """Say why a face is nobody's, from what it resembles alone."""
        if match is None or not self.accepts(match):
            return Problem.UNKNOWN_FACE
        return None if self._clear(match) else Problem.AMBIGUOUS

    def note(
        self, visit: Visit, shot: Shot, evidence: Evidence, match: Match | None
    ) -> Problem | None:
        """Note what a face looks like, or return why it cannot be compared with anybody."""
        if evidence.problem is not None:
            return evidence.problem
        if visit.first_usable_at is None:
            visit.first_usable_at = shot.taken_at
        if (
            match is None
            or evidence.embedding is None
            or not MIN_SCORE <= match.similarity <= MAX_SCORE
        ):
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
            cosine(vote.embedding, embedding) < self._policy.same_frame for vote in visit.votes
        )
