"""What must always hold for a door, derived from an independent record.

The oracle passes each event to a decider and checks the result. It knows faces by places too far
apart for one track, keeps everything that was shown in plain lists, and derives every expectation
from them again; of the decider's internals it only looks at which visit is running.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from math import isfinite, isnan, nan

from tests.vision.doorstep import LOOSE, POINT, THRESHOLDS
from vision import (
    AccessAttempt,
    Ask,
    ChallengeState,
    Circumstances,
    Decider,
    DecisionPolicy,
    Evidence,
    FaceQuality,
    Lockout,
    Look,
    Match,
    Problem,
    Sighting,
)

FAKE = FaceQuality(80, 120, 13)
"""The face that the judge of these doors denies."""
NOD, SHAKE = FaceQuality(81, 120, 200), FaceQuality(82, 120, 200)
"""The right answer to the question of these doors, and a wrong one."""
BARRED = (Problem.SUSPENDED, Problem.OUTSIDE_SCHEDULE, Problem.EXPIRED)
UNANSWERED = (Problem.CHALLENGE_FAILED, Problem.CHALLENGE_UNAVAILABLE)
FAILED = (Problem.NOT_LIVE, Problem.SECOND_FACTOR_MISSING, *UNANSWERED)
WAITING, PASSED, LATE = ChallengeState.WAITING, ChallengeState.PASSED, ChallengeState.FAILED
WAITS = "waits"
PATIENCE = 4.0
"""Seconds for which an answer counts here."""
PLACES_APART = 1000
NEVER = float("-inf")
LEAST, MOST = -3.0, 1.001
"""The range of scores."""
STACKED = 4
"""Frames of the smallest stack."""


def judge(evidence):
    return Problem.NOT_LIVE if any(item.quality == FAKE for item in evidence) else None


class Nodding:
    """A challenge that a nod passes and a shake of the head fails."""

    def __init__(self, put_at: float):
        self.put_at = put_at
        self.state = WAITING

    def observe(self, seen: Evidence, taken_at: float) -> ChallengeState:
        if self.state is WAITING and 0 < taken_at - self.put_at <= PATIENCE:
            if seen.quality == NOD:
                self.state = PASSED
            elif seen.quality == SHAKE:
                self.state = LATE
        return self.state

    def tick(self, now: float) -> ChallengeState:
        if self.state is WAITING and not now - self.put_at <= PATIENCE:
            self.state = LATE
        return self.state

    def switched(self, at: float, *, on: bool) -> None:
        pass


class Nod(Ask):
    """Asks for a nod."""

    def __init__(self):
        super().__init__(flash=True)

    @property
    def patience(self) -> float:
        return PATIENCE

    def begin(self, put_at, face):
        return (Nodding(put_at),)


@dataclass
class Question:
    """The state of a visit's question."""

    visit: object
    asked_at: float
    event: int
    put_at: float | None = None
    put_event: int = 0
    lost: bool = False


def usable(seen: Evidence) -> bool:
    return seen.problem is None and seen.embedding is not None


def accepted(match: Match | None) -> bool:
    return match is not None and POINT.threshold <= match.similarity <= MOST


def resembles(look: Look) -> Match:
    """Say whom a stack resembles; a half that falls short lowers the whole by as much."""
    similarity = look.match.similarity
    for half in (look.older, look.newer):
        alike = half.similarity if half.person == look.match.person else LEAST
        limit = alike + (POINT.threshold - LOOSE.threshold)
        similarity = nan if isnan(limit) or isnan(similarity) else min(similarity, limit)
    return replace(look.match, similarity=similarity)


@dataclass(frozen=True)
class Shown:
    """One face in one distinct, fresh frame."""

    event: int
    taken_at: float
    segment: tuple[int, int]
    """Its place, and how often the face there had been lost before."""
    evidence: Evidence
    locked: bool
    """Whether the door was locked out then."""
    let_in: str | None
    """The person who had been let in shortly before, and might still be there."""


@dataclass
class Tally:
    """What the frames of one visit say about one segment."""

    looks: int = 0
    tries: int = 0
    votes: list[Shown] = field(default_factory=list)


class Oracle:
    """Runs a decider and raises AssertionError when it breaks a promise."""

    def __init__(self, policy: DecisionPolicy, now: float, *, asks: bool = False):
        self.policy = policy
        self.asks = asks
        self.events = self.grants = self.refusals = self.stacked = 0
        self.failures = 0
        self.locked_since, self.locked_for = NEVER, 0.0
        self._make(Lockout(policy), now)

    def _make(self, lockout: Lockout, now: float):
        self.decider = Decider(
            self.policy,
            THRESHOLDS,
            POINT,
            judge=judge,
            ask=self._draw if self.asks else None,
            lockout=lockout,
        )
        self.now = NEVER  # nothing is known about the time before
        self.digests: set[bytes] = set()
        self.shown: list[Shown] = []
        self.places: dict[int, tuple[float, int]] = {}
        self.denied: dict[tuple[int, int], float] = {}
        self.face_at = NEVER
        self.let_in: tuple[str, float] | None = None
        self.visit_began = 0
        self.judged: dict[tuple[int, int], float] = {}
        self.faces: list[Shown] = []
        self.hidden: list[Shown] = []
        self.question: Question | None = None
        self.asked_at = NEVER
        self.stepped_back = False

    # Events

    def observe(self, sighting: Sighting, now: float, circumstances: Circumstances):
        self._pass(now)
        before = self._undecided()
        self.faces = self._record(sighting, now)
        locked = self.locked(now)
        attempt = self.decider.observe(sighting, now, circumstances)
        if attempt is not None and (attempt.granted or attempt.evidence_at is not None):
            if before is None:
                self.visit_began = self.events
            self._check_quorum(attempt, before, now, circumstances)
        elif attempt is None and self._undecided() is not None:
            if before is None:
                self.visit_began, self.judged = self.events, {}
            self._check_patience(self._undecided(), circumstances)
        self._check(attempt, before, now, locked=locked)
        if attempt is None or attempt.evidence_at is None:
            # A visit that was decided in this call was asked before, if at all.
            self._check_asked(now)
        if attempt is not None and attempt.evidence_at is None:
            # The frame came after the end of that visit, which may have led to a lockout.
            self.shown = [
                replace(face, locked=self.locked(now)) if face.event == self.events else face
                for face in self.shown
            ]
        return attempt

    def tick(self, now: float):
        self._pass(now)
        before = self._undecided()
        attempt = self.decider.tick(now)
        assert attempt is None or not attempt.granted
        self._check(attempt, before, now, locked=self.locked(now))
        visit = self._undecided()
        if visit is not None and isfinite(now):
            limit = self._longest()
            assert now - visit.started_at < limit, "a visit without an end"
        return attempt

    def stop(self, now: float):
        self._pass(now)
        before = self._undecided()
        attempt = self.decider.stop(Problem.STOPPED, now)
        assert attempt is None or attempt.problem is Problem.STOPPED
        self._check(attempt, before, now, locked=False)
        assert not self.decider.in_visit
        return attempt

    def wrong_code(self, now: float):
        self._pass(now)
        self.decider.lockout.fail(now)
        self._fail(now)

    def put(self, now: float):
        """Let the shell report that it asked."""
        asking, question = self.decider.asking, self.question
        if asking is None:
            return
        asking.put(now)
        if question is None:
            return
        if question.put_at is None and not question.lost:
            in_time = isfinite(now) and 0 <= now - question.asked_at <= self.policy.put_within
            question.put_at, question.put_event = (now if in_time else None), self.events
            question.lost = not in_time

    def lose(self):
        """Let the shell report that it cannot ask."""
        if self.decider.asking is not None:
            self.decider.asking.lose()
            if self.question is not None:
                self.question.lost = True

    def clear(self):
        self.decider.lockout.clear()
        self._clear()

    def restart(self, now: float):
        """Replace everything except what is kept on disk."""
        self._pass(now)
        state = self.decider.lockout.snapshot(now)
        left = self.locked_for - (now - self.locked_since) if self.locked(now) else 0.0
        assert (state.failures, state.remaining) == (self.failures, left)
        lockout = Lockout(self.policy)
        lockout.restore(state, now)
        self.locked_since, self.locked_for = now, left
        self._make(lockout, now)

    # The record

    def _pass(self, now: float):
        self.events += 1
        self.stepped_back = isfinite(now) and now < self.now
        if not isfinite(now):
            return
        # The shell asks this as well: it shows whether the door is locked out.
        assert self.decider.lockout.locked(now) == self.locked(now)
        if self.stepped_back:
            # Nothing that was seen counts; a person who was let in is still there.
            self.shown, self.places, self.denied = [], {}, {}
            self.face_at = now
            self.asked_at = min(self.asked_at, now)
            if self.let_in is not None:
                self.let_in = (self.let_in[0], now)
        self.now = now
        if now - self.face_at >= self.policy.absence:
            self.let_in = None
            self.asked_at = NEVER

    def locked(self, now: float) -> bool:
        if not isfinite(now):
            return self.locked_for > 0
        self.locked_since = min(self.locked_since, now)
        return now < self.locked_since + self.locked_for

    def _record(self, sighting: Sighting, now: float) -> list[Shown]:
        """Note the faces of a frame; return those that count."""
        self.hidden = []
        if not isfinite(now) or not sighting.evidence or self.stepped_back:
            return []
        self.face_at = now
        taken_at = sighting.taken_at
        new = sighting.digest not in self.digests
        self.digests.add(sighting.digest)
        for place, (last, losses) in self.places.items():
            if not abs(taken_at - last) <= self.policy.absence:
                self.places[place] = (last, losses + 1)
        faces = []
        for evidence in sighting.evidence:
            place = round(evidence.face.box[0] / PLACES_APART)
            _, losses = self.places.get(place, (taken_at, 0))
            self.places[place] = (taken_at, losses)
            segment = (place, losses)
            if not 0 <= now - taken_at <= self.policy.max_age or not new:
                continue
            face = Shown(
                self.events, taken_at, segment, evidence, self.locked(now), self._lately(now)
            )
            self.hidden.append(face)
            if now >= self.denied.get(segment, NEVER):
                faces.append(face)
        self.shown = [face for face in self.shown if face.event >= self.visit_began] + faces
        return faces

    def _lately(self, now: float) -> str | None:
        if self.let_in is None or not now - self.let_in[1] < self.policy.cool_down:
            return None
        return self.let_in[0]

    def _said(self, face: Shown) -> Match | None:
        """Work out which match counts for a face: the frame's, or that of the stack it ends."""
        look = face.evidence.look
        return resembles(look) if self._is_stacked(face) else face.evidence.match

    def _is_stacked(self, face: Shown) -> bool:
        """Whether a stack consists of frames of this very face in this visit, each once."""
        if face.evidence.look is None:
            return False
        times = list(face.evidence.look.taken_at)
        known = {
            other.taken_at
            for other in self.shown
            if other.segment == face.segment and other.evidence.problem is None
            if self.visit_began <= other.event <= face.event
        }
        return (
            len(times) >= STACKED
            and times == sorted(set(times))
            and known.issuperset(times)
            and times[-1] == face.taken_at
            and times[-1] - times[0] <= self.policy.window
        )

    def _counts(self, face: Shown) -> bool:
        """Whether a face counts: no lockout is active, and it was not let in just now."""
        said = self._said(face)
        return (
            usable(face.evidence)
            and said is not None
            and LEAST <= said.similarity <= MOST
            and not face.locked
            and not (accepted(said) and said.person == face.let_in)
        )

    def _fail(self, now: float):
        self.failures += 1
        times = self.failures - self.policy.attempts
        if times >= 0:
            self.locked_since = now
            self.locked_for = min(self.policy.lockout_max, self.policy.lockout_base * 2**times)

    def _clear(self):
        self.failures = 0
        self.locked_for = 0.0

    def _tally(self) -> dict[tuple[int, int], Tally]:
        """Count the running visit again from its beginning."""
        tallies: dict[tuple[int, int], Tally] = {}
        pictures: list = []
        for face in self.shown:
            if face.event < self.visit_began or not self._counts(face):
                continue
            tally = tallies.setdefault(face.segment, Tally())
            tally.looks += 1
            match, embedding = self._said(face), face.evidence.embedding
            if not accepted(match):
                tally.tries += 1
                continue
            # The crowding, which follows the direction, does not make it another picture.
            cosines = [float(embedding[:-1] @ picture[:-1]) for picture in pictures]
            if not all(cosine < self.policy.same_frame for cosine in cosines):
                continue
            tally.tries += 1
            gap = match.similarity - match.runner_up
            if match.runner_up < POINT.threshold and gap >= self.policy.margin:
                tally.votes.append(face)
                pictures.append(embedding)
        return tallies

    def _quorums(self) -> list[tuple[tuple[int, int], list[Shown]]]:
        """Find, in order, the segments of this frame that are proven to be one person's."""
        tallies = self._tally()
        found = []
        for face in self.faces:
            tally = tallies.get(face.segment)
            if tally is None or face not in tally.votes:
                continue
            start = self.now - self.policy.window
            votes = [vote for vote in tally.votes if start <= vote.taken_at <= self.now]
            person = self._said(face).person
            agreeing = [vote for vote in tally.votes if self._said(vote).person == person]
            if (
                len({id(vote.evidence) for vote in votes}) >= self.policy.quorum
                and {self._said(vote).person for vote in votes} == {person}
                and len(agreeing) >= self.policy.share * tally.tries
            ):
                found.append((face.segment, votes))
        return found

    # The question

    def _draw(self) -> Ask:
        """Ask: it must be time to do so, and nothing may depend on whom the faces resemble."""
        visit = self.decider._visit
        assert self.question is None or self.question.visit is not visit, "asked twice"
        assert self._may_ask(), "a visitor is asked who should not be"
        self.asked_at = self.now
        # Denied visitors as well.
        self.shown = [face for face in self.shown if face not in self.faces] + self.hidden
        self.faces, self.denied = self.hidden, {}
        self.question = Question(visit, self.now, self.events)
        return Nod()

    def _may_ask(self) -> bool:
        return (
            any(usable(face.evidence) for face in self.hidden)
            and not self.locked(self.now)
            and self.now - self.asked_at >= self.policy.ask_again
        )

    def _check_asked(self, now: float):
        """No usable face of a visit remains unasked."""
        visit = self._undecided()
        asked = self.question is not None and self.question.visit is visit
        assert not asked or visit is None or self.decider.asking is visit.asking
        if self.asks and not asked and not self.decider.is_hosting and isfinite(now):
            assert not self._may_ask(), "a usable face was not asked"

    def _answer(self, segment, person) -> ChallengeState:
        """Work out again whether a face, taken for a person, answered after it was asked."""
        if not self.asks:
            return PASSED
        question = self.question
        visit = self._undecided()
        if question is None or (question.visit is not visit and visit is not None):
            return WAITING
        for said in self._answers(question, segment, person):
            return PASSED if said == NOD else LATE
        if question.put_at is None:
            in_time = 0 <= self.now - question.asked_at <= self.policy.put_within
        else:
            in_time = 0 <= self.now - question.put_at <= PATIENCE
        return WAITING if in_time and not question.lost else LATE

    def _answers(self, question, segment, person):
        """Return what a face answered in time, from the first frame in which it was that person."""
        if question.put_at is None:
            return
        votes = self._tally()[segment].votes
        met = False
        for face in self.shown:
            since = max(self.visit_began, question.put_event + 1)
            if face.segment != segment or face.event < since:
                continue
            met = met or (face in votes and self._said(face).person == person)
            in_time = 0 < face.taken_at - question.put_at <= PATIENCE
            if met and in_time and face.evidence.quality in (NOD, SHAKE):
                yield face.evidence.quality

    def _longest(self) -> float:
        asking = self.policy.put_within + PATIENCE if self.asks else 0.0
        return self.policy.max_duration + asking + self.policy.factor_wait

    def _alive(self, segment: tuple[int, int]) -> bool:
        """Whether no vote of a face was fake; what else the face showed is not judged."""
        start = self.now - self.policy.window
        votes = self._tally()[segment].votes
        return not any(v.evidence.quality == FAKE for v in votes if v.taken_at >= start)

    # The promises

    def _undecided(self):
        visit = self.decider._visit
        return visit if visit is not None and visit.admitted is None else None

    def _check(self, attempt: AccessAttempt | None, before, now: float, *, locked: bool):
        """Every visit ends in one attempt, whose figures are consistent and which is counted."""
        after = self._undecided()
        if before is not None and before is not after:
            assert attempt is not None, "a visit ended without an attempt"
            assert attempt.started_at == before.started_at
        elif attempt is not None:
            # Only with a quorum of one frame is a visit decided in the call that began it.
            assert before is None
            assert self.policy.quorum == 1
            assert attempt.started_at == now
        if attempt is not None:
            assert 0.0 <= attempt.confidence <= 1.0
            assert attempt.duration >= 0.0
            assert attempt.frames >= 1
            if not attempt.granted:
                self.refusals += 1
                self._count(attempt, now, locked=locked)
            assert self.decider.lockout.failures == self.failures
        if after is not None and after is not before and self.visit_began != self.events:
            self.visit_began, self.judged = self.events, {}

    def _count(self, attempt: AccessAttempt, now: float, *, locked: bool):
        """Add a failure if a stranger could have caused the refusal."""
        if attempt.problem is Problem.STOPPED:
            return
        if self.stepped_back:
            assert attempt.problem is Problem.STALE_FRAMES
            return
        # A frame that ended the visit by coming too late is not part of it.
        shown = self.shown
        if attempt.evidence_at is None:
            self.shown = [face for face in shown if face.event < self.events]
        tallies = self._tally()
        self.shown = shown
        if locked or attempt.problem is Problem.LOCKED_OUT:
            # Also if the lockout has just passed, and everything that was shown fell into it.
            assert attempt.problem is Problem.LOCKED_OUT
            assert locked or not tallies
        elif attempt.problem in FAILED or (
            attempt.problem not in BARRED
            and any(tally.looks >= self.policy.quorum for tally in tallies.values())
        ):
            self._fail(now)

    def _check_quorum(self, attempt, before, now, circumstances):
        """A named person was proven; a grant has no objection, and a denial has its reason."""
        person = attempt.person
        assert isfinite(now)
        assert not self.stepped_back
        assert not self.locked(now)
        if before is None:
            self.judged = {}
            if self.question is not None and self.question.event != self.events:
                self.question = None
        elif self.question is not None and self.question.visit is not before:
            self.question = None
        quorums = [q for q in self._quorums() if self._said(q[1][0]).person == person]
        verdicts = {s: self._verdict(s, person, before, circumstances) for s, _ in quorums}
        # A face that waits lets the next one have its turn.
        quorums = [q for q in quorums if verdicts[q[0]] != WAITS]
        assert quorums, "a person is named without proof"
        segment, votes = quorums[0]
        assert attempt.agreeing == len(votes)
        assert attempt.evidence_at == max(vote.taken_at for vote in votes)
        weakest = min(self._said(vote).similarity for vote in votes)
        assert attempt.confidence == THRESHOLDS.confidence(weakest)
        assert attempt.problem is verdicts[segment]
        if not attempt.granted:
            self.denied[segment] = now + self.policy.max_duration
            return
        self.grants += 1
        self.stacked += any(self._is_stacked(vote) for vote in votes)
        self._check_votes(votes)
        assert self._alive(segment)
        assert self._answer(segment, person) is PASSED, "a person is let in who did not answer"
        assert now - attempt.started_at < self._longest()
        if self.let_in is not None and self.let_in[0] == person:
            assert now - self.let_in[1] >= self.policy.cool_down, "the same presence opened twice"
        self.let_in = (person, now)
        self._clear()

    def _check_votes(self, votes):
        """Nobody is let in except on frames that each reached the threshold, alone or stacked."""
        assert len({vote.event for vote in votes}) >= self.policy.quorum
        for vote in votes:
            by_itself, look = vote.evidence.match.similarity, vote.evidence.look
            if not self._is_stacked(vote):
                assert by_itself >= POINT.threshold
                continue
            assert look.match.similarity >= POINT.threshold
            for half in (look.older, look.newer):
                assert half.person == look.match.person, "a mean of two faces opens"
                assert half.similarity >= LOOSE.threshold

    def _verdict(self, segment, person, visit, circumstances) -> Problem | str | None:
        """Say what must follow for a proven face: a problem, a grant, or that it waits."""
        answer = self._answer(segment, person)
        may_wait = circumstances.factor_missing and person not in circumstances.barred
        since = None if visit is None else visit.waiting_since
        overdue = self.now - (self.now if since is None else since) >= self.policy.factor_wait
        waits = answer is WAITING or (answer is PASSED and may_wait and not overdue)
        lately = self.now - self.judged.get(segment, NEVER) < self.policy.window / 2
        if waits and lately:
            return WAITS
        if not self._alive(segment):
            return Problem.NOT_LIVE
        if waits:
            self.judged[segment] = self.now
            return WAITS
        if answer is LATE:
            put = self.question.put_at is not None and not self.question.lost
            return UNANSWERED[0] if put else UNANSWERED[1]
        missing = Problem.SECOND_FACTOR_MISSING if circumstances.factor_missing else None
        return circumstances.barred.get(person) or missing

    def _check_patience(self, visit, circumstances):
        """Nobody who is proven and may come in is kept waiting, except for an answer or a code."""
        for segment, votes in self._quorums():
            person = self._said(votes[0]).person
            assert self._verdict(segment, person, visit, circumstances) == WAITS
