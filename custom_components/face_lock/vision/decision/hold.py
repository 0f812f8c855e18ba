"""Who was let in, and for how long that keeps the door open."""

from __future__ import annotations

from dataclasses import dataclass

from ..types import Evidence
from .policy import DecisionPolicy
from .visit import Visit, Vote
from .voting import Shot, Voting


@dataclass(slots=True, eq=False)
class Hold:
    """A person who was let in and is still in view. Times are monotonic seconds.

    Only distinct, fresh frames that still resemble the person prolong it. A face in the person's
    place that cannot be compared does so for a moment; one that can be and is not the person does
    not, and has a visit of its own as soon as the hold is over.
    """

    person: str
    track: int
    visit: Visit
    """The visit that opened: its votes are the pictures that are known already."""
    began_at: float
    proven_at: float
    """When a frame last showed the person."""
    seen_at: float
    """When a frame last showed the person, or a face in the same place that may be."""

    def is_over(self, now: float, policy: DecisionPolicy) -> bool:
        """Whether nobody is known to be there any more, or has been there for too long."""
        return not (
            now - self.seen_at < policy.absence
            and now - self.proven_at < policy.hold_unseen
            and not self.is_too_long(now, policy)
        )

    def is_too_long(self, now: float, policy: DecisionPolicy) -> bool:
        """Whether the person has been there for the longest time that holds a door."""
        return now - self.began_at >= policy.hold_longest

    def claims(
        self, voting: Voting, shot: Shot, track: int, evidence: Evidence, now: float
    ) -> bool:
        """Take a face if it is the person, or in the person's place; else it is a visitor."""
        if shot.distinct and evidence.problem is None:
            self.visit.usable.append((shot.taken_at, track))
        match, embedding = voting.said(self.visit, shot, track, evidence), evidence.embedding
        if match is None or embedding is None or not voting.is_comparable(evidence, match):
            if track == self.track and shot.distinct:
                self.seen_at = now
            return track == self.track
        if not voting.accepts(match):
            return track == self.track
        if match.person != self.person:
            return False
        new = shot.distinct and not voting.seen_before(self.visit, embedding)
        if new and voting.objection(match) is None:
            vote = Vote(track, self.person, match.similarity, embedding, shot.taken_at)
            self.visit.votes.append(vote)
            self.track = track
            self.proven_at = self.seen_at = now
        return True
