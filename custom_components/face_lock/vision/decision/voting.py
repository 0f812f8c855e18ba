"""Decides whether a face in a frame is a vote for a person, and if not, why."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Final

import numpy as np

from ..matching.similarity import MAX_SCORE, MIN_SCORE, cosine
from ..tracking.stacking import FEWEST
from ..types import Evidence, FloatArray, Look, Match, Problem
from .policy import DecisionPolicy
from .visit import Visit, Vote

HALF: Final = 0.1
"""How much less alike than a stack its halves may be at least. They have half its frames: in
simulated darkness an owner's worse half scores 0.065 less in the middle, and rows of the table can
be nearer than that. Strangers' stacks are let in no more often for it: calibration counts the
whole."""


@dataclass(frozen=True, slots=True)
class Shot:
    """What all faces in one frame have in common."""

    taken_at: float
    fresh: bool
    """Whether it is neither too old nor from the future."""
    repeated: bool
    """Whether its pixels were seen before."""

    @property
    def distinct(self) -> bool:
        """Whether the frame tells anything new about this moment."""
        return self.fresh and not self.repeated


class Voting:
    """The rules at one threshold, all written so that a value that is not a number never counts."""

    def __init__(self, policy: DecisionPolicy, threshold: float, loosest: float = np.inf) -> None:
        """Accept similarities from ``threshold`` on, and ``loosest`` for halves of a stack.

        If ``loosest`` is nearer to the threshold than ``HALF``, that counts instead.
        """
        self._policy = policy
        self._threshold = threshold
        self.alike = min(threshold, loosest)
        """Score from which two faces at the door are taken for the same person, whoever it is."""
        self._slack = max(HALF, threshold - loosest)

    def said(self, visit: Visit, shot: Shot, track: int, evidence: Evidence) -> Match | None:
        """Return the match that counts for a face in this frame: the frame's own, or its stack's.

        It is never the better of both, because each frame is one try. A stack counts only if all
        its frames are usable, distinct and fresh frames of this track, in order and within the
        window. If half of it falls short of what halves need by some amount, the whole counts as
        falling short of its threshold by the same amount: a mean of two faces is nobody's.
        """
        look = evidence.look
        if look is None or not self._holds(visit, shot, track, look):
            return evidence.match
        similarity = look.match.similarity
        for half in (look.older, look.newer):
            alike = half.similarity if half.person == look.match.person else MIN_SCORE
            # Not min(), which ignores a value that is not a number.
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

    def is_comparable(self, evidence: Evidence, match: Match | None) -> bool:
        """Whether a face says anything about whom it resembles."""
        return (
            evidence.problem is None
            and evidence.embedding is not None
            and match is not None
            and MIN_SCORE <= match.similarity <= MAX_SCORE
        )

    def accepts(self, match: Match | None) -> bool:
        """Whether a face is similar enough to the person it resembles most."""
        return match is not None and self._threshold <= match.similarity <= MAX_SCORE

    def objection(self, match: Match | None) -> Problem | None:
        """Say why a face counts as nobody's, judging only by whom it resembles."""
        if match is None or not self.accepts(match):
            return Problem.UNKNOWN_FACE
        return None if self._clear(match) else Problem.AMBIGUOUS

    def note(
        self, visit: Visit, shot: Shot, evidence: Evidence, match: Match | None
    ) -> Problem | None:
        """Note whom a face resembles, or return why it cannot be compared with anybody."""
        if evidence.problem is not None:
            return evidence.problem
        if visit.first_usable_at is None:
            visit.first_usable_at = shot.taken_at
        if match is None or not self.is_comparable(evidence, match):
            return Problem.UNKNOWN_FACE
        if match.similarity > visit.best[0]:
            visit.best = (match.similarity, match.person if self.accepts(match) else None)
        return None

    def cast(
        self, visit: Visit, shot: Shot, track: int, match: Match, embedding: FloatArray
    ) -> Problem | None:
        """Add the vote of a face that was noted, or return why it does not get one."""
        accepted = self.accepts(match)
        if accepted and not shot.fresh:
            return Problem.STALE_FRAMES
        if accepted and (shot.repeated or self.seen_before(visit, embedding)):
            return Problem.STATIC_PICTURE
        visit.tries[track] += shot.distinct
        if (problem := self.objection(match)) is not None:
            return problem
        visit.votes.append(Vote(track, match.person, match.similarity, embedding, shot.taken_at))
        return None

    def seen_before(self, visit: Visit, embedding: FloatArray) -> bool:
        """Whether a visit's votes show this very picture already."""
        return not all(
            cosine(vote.embedding, embedding) < self._policy.same_frame for vote in visit.votes
        )

    def _clear(self, match: Match) -> bool:
        gap = match.similarity - match.runner_up
        return match.runner_up < self._threshold and gap >= self._policy.margin
