"""Sightings -> one decision per visit. A pure state machine: time comes in as an argument.

A visit begins with the first face and ends with exactly one ``AccessAttempt``. Frames of one visit
are correlated, so the quorum does not multiply their false positive rates; it guards against a
single freak frame, a replayed frame, and two people who each supply a part.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Final

from .thresholds import OperatingPoint, Thresholds
from .tracking import Tracker
from .types import AccessAttempt, Evidence, FloatArray, Problem, Sighting


@dataclass(frozen=True, slots=True)
class DecisionPolicy:
    """What it takes to open, and when a visit is over."""

    quorum: int = 3
    """Distinct frames of one face that must agree."""
    window: float = 3.0
    """Seconds within which they must have been taken."""
    max_age: float = 2.0
    """Seconds after which a frame is too old to count, however it arrived."""
    absence: float = 2.0
    """Seconds without a face after which the visit is over."""
    max_duration: float = 10.0
    """Seconds after which a visit that opened nothing is refused; who stays starts a new one."""
    same_frame: float = 0.9995
    """Cosine from which two embeddings are the same picture: two frames of a living face differ
    more (0.98 to 0.995 was measured), a frozen picture sent in a new JPEG does not."""

    def __post_init__(self) -> None:
        if self.quorum < 1 or min(self.window, self.max_age, self.absence, self.max_duration) <= 0:
            raise ValueError("a policy needs a quorum of at least one frame and positive times")


@dataclass(frozen=True, slots=True, eq=False)
class _Vote:
    track: int
    person: str
    similarity: float
    embedding: FloatArray
    taken_at: float


REMEMBERED_FRAMES: Final = 4096
"""Frames known again by their pixels, over visits too: HA serves a camera's previous keyframe
(home-assistant/core issue 75930), which may show the person who came last."""


class _Visit:
    """What has been seen since the first face."""

    def __init__(self, started_at: float) -> None:
        self.started_at = started_at
        self.last_face_at = started_at
        self.first_usable_at: float | None = None
        self.frames = 0
        self.votes: list[_Vote] = []
        self.problems: Counter[Problem] = Counter()
        self.best: tuple[float, str | None] = (-1.0, None)
        self.admitted: int | None = None
        """Track of the face that opened the door; the visit is decided once it is known."""


class Decider:
    """Turns the sightings of one door into access attempts."""

    def __init__(
        self,
        policy: DecisionPolicy,
        thresholds: Thresholds,
        operating_point: OperatingPoint,
    ) -> None:
        """Open only for similarities of at least ``operating_point.threshold``."""
        self._policy = policy
        self._thresholds = thresholds
        self._threshold = operating_point.threshold
        self._tracker = Tracker(max_gap=policy.absence)
        self._visit: _Visit | None = None
        self._digests: dict[bytes, None] = {}  # in order of arrival

    @property
    def in_visit(self) -> bool:
        """Whether a face was seen whose visit is not over, decided or not."""
        return self._visit is not None

    @property
    def is_hosting(self) -> bool:
        """Whether somebody who was let in is still in view."""
        return self._visit is not None and self._visit.admitted is not None

    @property
    def confidence(self) -> float | None:
        """The best confidence of the running visit, 0..1; None without a visit or a usable face."""
        if self._visit is None or self._visit.first_usable_at is None:
            return None
        return self._thresholds.confidence(self._visit.best[0])

    def observe(self, sighting: Sighting, now: float) -> AccessAttempt | None:
        """Take what one frame showed, at monotonic ``now``; return the attempt that it decided."""
        ended = self.tick(now)
        if not sighting.evidence:
            return ended
        repeated = self._known(sighting.digest)
        tracks = self._tracker.assign([e.face for e in sighting.evidence], sighting.taken_at)
        visit = self._visit
        if visit is None:
            visit = self._visit = _Visit(now)
        # Once somebody was let in the visit is theirs, and lasts only as long as they are in view:
        # whoever stands behind them gets a visit, and a decision, of their own.
        if visit.admitted is None or visit.admitted in tracks:
            visit.last_face_at = now
        if visit.admitted is not None:
            return ended
        visit.frames += 1
        fresh = 0.0 <= now - sighting.taken_at <= self._policy.max_age
        for track, evidence in zip(tracks, sighting.evidence, strict=True):
            problem = self._vote(visit, sighting, track, evidence, repeated=repeated, fresh=fresh)
            if problem is not None:
                visit.problems[problem] += 1
        # A visit that began in this very call has one frame, so it cannot be granted by it.
        return ended or self._grant(visit, now)

    def tick(self, now: float) -> AccessAttempt | None:
        """Let time pass without a frame; return the attempt that its passing decided."""
        visit = self._visit
        if visit is None:
            return None
        gone = now - visit.last_face_at >= self._policy.absence
        overdue = visit.admitted is None and now - visit.started_at >= self._policy.max_duration
        if not gone and not overdue:
            return None
        self._visit = None
        return self._refuse(visit, now) if visit.admitted is None else None

    def stop(self, problem: Problem, now: float) -> AccessAttempt | None:
        """End a running visit because nothing more will come; all evidence is dropped."""
        visit, self._visit = self._visit, None
        if visit is None or visit.admitted is not None:
            return None
        return self._refuse(visit, now, problem)

    def _vote(
        self,
        visit: _Visit,
        sighting: Sighting,
        track: int,
        evidence: Evidence,
        *,
        repeated: bool,
        fresh: bool,
    ) -> Problem | None:
        """Add the vote of one face, or return why it has none."""
        if evidence.problem is not None:
            return evidence.problem
        if visit.first_usable_at is None:
            visit.first_usable_at = sighting.taken_at
        match = evidence.match
        if match is None or evidence.embedding is None:
            return Problem.UNKNOWN_FACE
        # Written so that a similarity that is not a number never counts.
        accepted = match.similarity >= self._threshold
        if match.similarity > visit.best[0]:
            visit.best = (match.similarity, match.person if accepted else None)
        if not accepted:
            return Problem.UNKNOWN_FACE
        if not fresh:
            return Problem.STALE_FRAMES
        if repeated or self._seen_before(visit, evidence.embedding):
            return Problem.STATIC_PICTURE
        visit.votes.append(
            _Vote(track, match.person, match.similarity, evidence.embedding, sighting.taken_at)
        )
        return None

    def _known(self, digest: bytes) -> bool:
        if digest in self._digests:
            return True
        self._digests[digest] = None
        if len(self._digests) > REMEMBERED_FRAMES:
            del self._digests[next(iter(self._digests))]
        return False

    def _seen_before(self, visit: _Visit, embedding: FloatArray) -> bool:
        return any(
            float(vote.embedding @ embedding) >= self._policy.same_frame for vote in visit.votes
        )

    def _grant(self, visit: _Visit, now: float) -> AccessAttempt | None:
        oldest = now - self._policy.window
        recent = [vote for vote in visit.votes if vote.taken_at >= oldest]
        by_track: dict[int, list[_Vote]] = {}
        for vote in recent:
            by_track.setdefault(vote.track, []).append(vote)
        for track, votes in by_track.items():
            people = {vote.person for vote in votes}
            # One face that looks like two enrolled people is not known to be either.
            if len(votes) < self._policy.quorum or len(people) != 1:
                continue
            visit.admitted = track
            weakest = min(vote.similarity for vote in votes)
            return AccessAttempt(
                granted=True,
                person=people.pop(),
                problem=None,
                confidence=self._thresholds.confidence(weakest),
                started_at=visit.started_at,
                decided_at=now,
                first_usable_at=visit.first_usable_at,
                frames=visit.frames,
                agreeing=len(votes),
            )
        return None

    def _refuse(self, visit: _Visit, now: float, problem: Problem | None = None) -> AccessAttempt:
        similarity, person = visit.best
        return AccessAttempt(
            granted=False,
            person=person,
            problem=problem or self._reason(visit),
            confidence=self._thresholds.confidence(similarity),
            started_at=visit.started_at,
            decided_at=now,
            first_usable_at=visit.first_usable_at,
            frames=visit.frames,
            agreeing=len(visit.votes),
        )

    def _reason(self, visit: _Visit) -> Problem:
        """Of all that kept the visit from opening, give what was nearest to opening."""
        problems = visit.problems
        if len(visit.votes) > 1:
            return Problem.TOO_FEW_FRAMES
        for problem in (Problem.STATIC_PICTURE, Problem.STALE_FRAMES):
            if problems[problem]:
                return problem
        if visit.votes:
            return Problem.TOO_FEW_FRAMES
        if problems[Problem.UNKNOWN_FACE]:
            return Problem.UNKNOWN_FACE
        return problems.most_common(1)[0][0]
