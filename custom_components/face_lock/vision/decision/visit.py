"""What one visit has shown so far."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..matching.similarity import MIN_SCORE
from ..matching.thresholds import Thresholds
from ..pad import ChallengeState
from ..types import AccessAttempt, Evidence, FloatArray, Match, Problem
from .challenge import Asking
from .policy import CLEAR, Circumstances, DecisionPolicy
from .stay import Stay


@dataclass(frozen=True, slots=True, eq=False)
class Vote:
    """A frame in which the face of a track was taken for a person."""

    track: int
    person: str
    similarity: float
    embedding: FloatArray
    taken_at: float


class Visit:
    """All that was seen since the first face. Times are monotonic seconds."""

    def __init__(self, started_at: float) -> None:
        self.started_at = started_at
        self.last_face_at = started_at
        self.first_usable_at: float | None = None
        self.frames = 0
        self.votes: list[Vote] = []
        self.usable: list[tuple[float, int]] = []
        """For each distinct, fresh and usable frame, when it was taken and of which track it is."""
        self.evidence: list[tuple[float, int, Evidence]] = []
        """For each vote, when its frame was taken, its track, and what was seen."""
        self.stays: dict[int, Stay] = {}
        """Track -> what it did since it came into view, before this visit too."""
        self.tries: Counter[int] = Counter()
        """Track -> distinct, fresh and usable frames, whatever they showed; votes are a share of
        these."""
        self.problems: Counter[Problem] = Counter()
        self.best: tuple[float, str | None] = (MIN_SCORE, None)
        self.waiting_since: float | None = None
        """When a quorum was first complete except for the second factor."""
        self.asking: Asking | None = None
        """The question to the visitors, once they are asked."""
        self.unanswered = False
        """Whether a face lacks only its answer, and whatever comes after that."""
        self.judged: dict[int, float] = {}
        """Track -> when the liveness judge was last asked about it."""
        self.circumstances = CLEAR
        """What held at the door with the last frame."""
        """Whether the second factor was missing when a face was last seen."""

    @property
    def is_told(self) -> bool:
        """Whether everybody in it was refused in an earlier visit of the same stay."""
        return all(stay.told for stay in self.stays.values())

    def join(self, stays: Mapping[int, Stay], now: float) -> None:
        """Take the tracks of a frame; it is a visit of its own for those who come after a refusal.

        What was seen is kept: a new face must not give those who stay another chance.
        """
        if self.is_told and not all(stay.told for stay in stays.values()):
            self.started_at, self.first_usable_at, self.frames = now, None, 0
        self.stays.update(stays)

    def agreeing(self, track: int, since: float) -> list[Vote]:
        """Return the votes of a track for frames taken at or after ``since``."""
        return [vote for vote in self.votes if vote.track == track and vote.taken_at >= since]

    def note(
        self,
        track: int,
        evidence: Evidence,
        taken_at: float,
        match: Match | None,
        problem: Problem | None,
        *,
        distinct: bool,
    ) -> None:
        """Keep what a face in a frame told: a vote for whom it matched, or a ``problem``."""
        if problem is not None:
            self.problems[problem] += 1
        else:
            self.evidence.append((taken_at, track, evidence))
            if self.asking is not None and match is not None and evidence.embedding is not None:
                self.asking.meet(track, match.person, evidence.embedding)
        if self.asking is not None and distinct:
            self.asking.observe(track, evidence, taken_at)

    def quorum(self, track: int, now: float, policy: DecisionPolicy) -> list[Vote]:
        """Return the votes of a track if they suffice ``now``; nothing if they do not.

        A face that resembles two enrolled people is not known to be either.
        """
        votes = self.agreeing(track, now - policy.window)
        person = votes[-1].person if votes else None
        if (
            person is None
            or len(votes) < policy.quorum
            or any(vote.person != person for vote in votes)
            or self.share(track, person) < policy.share
            # The judge may have taken long.
            or now - max(vote.taken_at for vote in votes) > policy.max_age
        ):
            return []
        return votes

    def share(self, track: int, person: str) -> float:
        """Return the share, 0..1, of a track's frames that were votes for ``person``."""
        votes = sum(vote.track == track and vote.person == person for vote in self.votes)
        return votes / self.tries[track]

    def shown(self, track: int, since: float) -> list[Evidence]:
        """Return the evidence of a track's votes taken at or after ``since``, in order of time."""
        recent = [item for item in self.evidence if item[1] == track and item[0] >= since]
        return [evidence for _, _, evidence in sorted(recent, key=lambda item: item[0])]

    @property
    def shortcoming(self) -> Problem:
        """The problem of a face that did not answer."""
        return Problem.CHALLENGE_FAILED if self.asking is None else self.asking.shortcoming

    def is_overdue(self, now: float, policy: DecisionPolicy) -> bool:
        """Whether its time is up though somebody is there."""
        if self.waiting_since is not None:
            return now - self.waiting_since >= policy.factor_wait
        if self.asking is not None and self.asking.is_open(now):
            return False
        return now - self.started_at >= policy.max_duration

    def standing(
        self,
        track: int,
        person: str,
        now: float,
        circumstances: Circumstances,
        policy: DecisionPolicy,
        *,
        asks: bool,
        begins: bool = True,
    ) -> tuple[Problem | None, bool]:
        """Say what a proven face lacks, and whether it may still be supplied in this visit.

        With ``asks`` everybody has to answer a question. Waiting for the second factor ``begins``
        once the judge was heard.
        """
        answer = self._answer(track, person, now) if asks else ChallengeState.PASSED
        self.unanswered = answer is not ChallengeState.PASSED
        if self.unanswered:
            return self.shortcoming, answer is ChallengeState.WAITING
        # Barred people learn it only now: until then their pictures are treated like a stranger's.
        if person in circumstances.barred:
            return circumstances.barred[person], False
        if not circumstances.factor_missing:
            return None, False
        since = now if self.waiting_since is None else self.waiting_since
        if begins:
            self.waiting_since = since
        return Problem.SECOND_FACTOR_MISSING, now - since < policy.factor_wait

    def _answer(self, track: int, person: str, now: float) -> ChallengeState:
        if self.asking is None:
            return ChallengeState.WAITING
        return self.asking.state(track, person, now)

    def reason(self) -> Problem:
        """Return, of everything that kept the visit from opening, what was nearest to opening."""
        if self.waiting_since is not None and self.circumstances.factor_missing:
            return Problem.SECOND_FACTOR_MISSING
        if self.unanswered:
            return self.shortcoming
        if len(self.votes) > 1:
            return Problem.TOO_FEW_FRAMES
        found = [p for p in (Problem.STATIC_PICTURE, Problem.STALE_FRAMES) if self.problems[p]]
        found += [Problem.TOO_FEW_FRAMES] * len(self.votes)
        found += [p for p in (Problem.AMBIGUOUS, Problem.UNKNOWN_FACE) if self.problems[p]]
        return (found or [self.problems.most_common(1)[0][0]])[0]

    def attempt(
        self,
        thresholds: Thresholds,
        now: float,
        problem: Problem | None,
        quorum: Sequence[Vote] = (),
    ) -> AccessAttempt:
        """Return how the visit ended at ``now``, with its quorum or without one."""
        similarity, person = self.best
        if quorum:
            similarity, person = min((vote.similarity, vote.person) for vote in quorum)
        return AccessAttempt(
            granted=problem is None,
            person=person,
            problem=problem,
            confidence=thresholds.confidence(similarity),
            started_at=self.started_at,
            decided_at=now,
            first_usable_at=self.first_usable_at,
            frames=self.frames,
            agreeing=len(quorum or self.votes),
            evidence_at=max((vote.taken_at for vote in quorum), default=None),
        )

    def tell(self, thresholds: Thresholds, now: float, problem: Problem) -> AccessAttempt | None:
        """Say why it is refused at ``now``, unless it was said of everybody in it."""
        if self.is_told:
            return None
        for stay in self.stays.values():
            stay.told.add(problem)
        return self.attempt(thresholds, now, problem)
