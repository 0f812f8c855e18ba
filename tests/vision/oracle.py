"""What must hold of a door whatever happens, told from a record of its own.

The oracle gives each event to a decider and checks what came of it. It knows faces by places too
far apart for one track, keeps all that was shown in plain lists, and works every expectation out
anew from them; of the decider's inside it looks only at which visit is running.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import isfinite

from tests.vision.doorstep import POINT, THRESHOLDS
from vision import (
    AccessAttempt,
    Circumstances,
    Decider,
    DecisionPolicy,
    Evidence,
    FaceQuality,
    Lockout,
    Match,
    Problem,
    Sighting,
)

FAKE = FaceQuality(80, 120, 13)
"""What the judge of these doors denies."""
BARRED = (Problem.SUSPENDED, Problem.OUTSIDE_SCHEDULE, Problem.EXPIRED)
FAILED = (Problem.NOT_LIVE, Problem.SECOND_FACTOR_MISSING)
PLACES_APART = 1000
NEVER = float("-inf")


def judge(evidence):
    return Problem.NOT_LIVE if any(item.quality == FAKE for item in evidence) else None


def comparable(evidence: Evidence) -> bool:
    return (
        evidence.problem is None
        and evidence.match is not None
        and evidence.embedding is not None
        and -1.001 <= evidence.match.similarity <= 1.001
    )


def accepted(match: Match | None) -> bool:
    return match is not None and POINT.threshold <= match.similarity <= 1.001


@dataclass(frozen=True)
class Shown:
    """One face of one distinct fresh frame."""

    event: int
    taken_at: float
    segment: tuple[int, int]
    """Its place, and how often the face there had been lost before."""
    evidence: Evidence
    counted: bool
    """Whether it could vote: outside lockouts, and not of somebody let in who stands there."""


@dataclass
class Tally:
    """What the frames of one visit say of one segment."""

    looks: int = 0
    tries: int = 0

    def __post_init__(self):
        self.votes: list[Shown] = []


class Oracle:
    """Runs a decider and raises AssertionError when it breaks a promise."""

    def __init__(self, policy: DecisionPolicy, now: float):
        self.policy = policy
        self.events = self.grants = self.refusals = 0
        self.failures = 0
        self.locked_since, self.locked_for = NEVER, 0.0
        self._make(Lockout(policy), now)

    def _make(self, lockout: Lockout, now: float):
        self.decider = Decider(self.policy, THRESHOLDS, POINT, judge=judge, lockout=lockout)
        self.now = now
        self.digests: set[bytes] = set()
        self.shown: list[Shown] = []
        self.places: dict[int, tuple[float, int]] = {}
        self.denied: dict[tuple[int, int], float] = {}
        self.face_at = NEVER
        self.let_in: tuple[str, float] | None = None
        self.visit_began = 0
        self.judged: dict[tuple[int, int], float] = {}
        self.stepped_back = False

    # Events

    def observe(self, sighting: Sighting, now: float, circumstances: Circumstances):
        self._pass(now)
        before = self._undecided()
        faces = self._record(sighting, now)
        locked = self.locked(now)
        attempt = self.decider.observe(sighting, now, circumstances)
        if attempt is not None and (attempt.granted or attempt.evidence_at is not None):
            if before is None:
                self.visit_began = self.events
            self._check_quorum(attempt, faces, now, circumstances)
        elif attempt is None and before is not None and self._undecided() is before:
            self._check_patience(before, faces, circumstances)
        self._check(attempt, before, now, locked=locked)
        if attempt is not None and attempt.evidence_at is None:
            # The frame came after the end of that visit, which may have led to a lockout.
            self.shown = [
                replace(face, counted=self._counts(face.evidence, now))
                if face.event == self.events
                else face
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
            limit = self.policy.max_duration + self.policy.factor_wait
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

    def clear(self):
        self.decider.lockout.clear()
        self._clear()

    def restart(self, now: float):
        """Make everything anew but what is kept on disk."""
        self._pass(now)
        state = self.decider.lockout.snapshot(now)
        left = self.locked_since + self.locked_for - now if self.locked(now) else 0.0
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
        # Also the shell asks: it shows whether the door is locked out.
        assert self.decider.lockout.locked(now) == self.locked(now)
        if self.stepped_back:
            # Nothing that was seen counts; who was let in is still standing there.
            self.shown, self.places, self.denied = [], {}, {}
            self.face_at = now
            if self.let_in is not None:
                self.let_in = (self.let_in[0], now)
        self.now = now
        if now - self.face_at >= self.policy.absence:
            self.let_in = None

    def locked(self, now: float) -> bool:
        if not isfinite(now):
            return self.locked_for > 0
        self.locked_since = min(self.locked_since, now)
        return now < self.locked_since + self.locked_for

    def _record(self, sighting: Sighting, now: float) -> list[Shown]:
        """Note the faces of a frame; return those that count."""
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
            if now >= self.denied.get(segment, NEVER):
                counted = self._counts(evidence, now)
                faces.append(Shown(self.events, taken_at, segment, evidence, counted))
        self.shown = [face for face in self.shown if face.event >= self.visit_began] + faces
        return faces

    def _counts(self, evidence: Evidence, now: float) -> bool:
        return not self.locked(now) and not self._standing(evidence, now)

    def _standing(self, evidence: Evidence, now: float) -> bool:
        if self.let_in is None or not accepted(evidence.match):
            return False
        person, at = self.let_in
        return evidence.match.person == person and now - at < self.policy.cool_down

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
        """Count the running visit over from its beginning."""
        tallies: dict[tuple[int, int], Tally] = {}
        pictures: list = []
        for face in self.shown:
            if face.event < self.visit_began or not face.counted or not comparable(face.evidence):
                continue
            tally = tallies.setdefault(face.segment, Tally())
            tally.looks += 1
            match, embedding = face.evidence.match, face.evidence.embedding
            if not accepted(match):
                tally.tries += 1
                continue
            if any(float(embedding @ picture) >= self.policy.same_frame for picture in pictures):
                continue
            tally.tries += 1
            gap = match.similarity - match.runner_up
            if match.runner_up < POINT.threshold and gap >= self.policy.margin:
                tally.votes.append(face)
                pictures.append(embedding)
        return tallies

    def _quorums(self, faces: list[Shown]) -> list[tuple[tuple[int, int], list[Shown]]]:
        """Find the segments of this frame that are proven to be one person's, in their order."""
        tallies = self._tally()
        found = []
        for face in faces:
            tally = tallies.get(face.segment)
            if tally is None or face not in tally.votes:
                continue
            start = self.now - self.policy.window
            votes = [vote for vote in tally.votes if start <= vote.taken_at <= self.now]
            person = face.evidence.match.person
            agreeing = [vote for vote in tally.votes if vote.evidence.match.person == person]
            if (
                len({id(vote.evidence) for vote in votes}) >= self.policy.quorum
                and {vote.evidence.match.person for vote in votes} == {person}
                and len(agreeing) >= self.policy.share * tally.tries
            ):
                found.append((face.segment, votes))
        return found

    def _alive(self, segment: tuple[int, int]) -> bool:
        start = self.now - self.policy.window
        return not any(
            face.evidence.quality == FAKE
            for face in self.shown
            if face.segment == segment and face.taken_at >= start
            if face.event >= self.visit_began
        )

    # The promises

    def _undecided(self):
        visit = self.decider._visit
        return visit if visit is not None and visit.admitted is None else None

    def _check(self, attempt: AccessAttempt | None, before, now: float, *, locked: bool):
        """Every visit ends in one attempt, whose figures make sense, and which is counted."""
        after = self._undecided()
        if before is not None and before is not after:
            assert attempt is not None, "a visit ended without an attempt"
            assert attempt.started_at == before.started_at
        elif attempt is not None:
            # Only a quorum of one frame decides a visit in the call that began it.
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
        if after is not None and after is not before:
            self.visit_began = self.events
            self.judged = {}

    def _count(self, attempt: AccessAttempt, now: float, *, locked: bool):
        """Add a failure where a stranger could have caused the refusal."""
        if attempt.problem is Problem.STOPPED:
            return
        if self.stepped_back:
            assert attempt.problem is Problem.STALE_FRAMES
            return
        # A frame that ended the visit by coming too late is no part of it.
        shown = self.shown
        if attempt.evidence_at is None:
            self.shown = [face for face in shown if face.event < self.events]
        tallies = self._tally()
        self.shown = shown
        if locked or attempt.problem is Problem.LOCKED_OUT:
            # Also where the lockout has just passed, and all that was shown fell into it.
            assert attempt.problem is Problem.LOCKED_OUT
            assert locked or not tallies
        elif attempt.problem in FAILED or (
            attempt.problem not in BARRED
            and any(tally.looks >= self.policy.quorum for tally in tallies.values())
        ):
            self._fail(now)

    def _check_quorum(self, attempt, faces, now, circumstances):
        """Whoever is named was proven; a grant has nothing against it, a denial its reason."""
        person = attempt.person
        assert isfinite(now)
        assert not self.stepped_back
        assert not self.locked(now)
        quorums = [q for q in self._quorums(faces) if q[1][0].evidence.match.person == person]
        overdue = attempt.problem is Problem.SECOND_FACTOR_MISSING
        expected = {
            segment: Problem.SECOND_FACTOR_MISSING
            if not overdue and self._waits_judged(segment, person, circumstances)
            else self._objection(segment, person, circumstances)
            for segment, _ in quorums
        }
        if circumstances.factor_missing and attempt.problem is not Problem.SECOND_FACTOR_MISSING:
            # Who waits for the second factor lets the next face have its turn.
            quorums = [q for q in quorums if expected[q[0]] is not Problem.SECOND_FACTOR_MISSING]
        assert quorums, "somebody is named without proof"
        segment, votes = quorums[0]
        assert attempt.agreeing == len(votes)
        assert attempt.evidence_at == max(vote.taken_at for vote in votes)
        weakest = min(vote.evidence.match.similarity for vote in votes)
        assert attempt.confidence == THRESHOLDS.confidence(weakest)
        assert attempt.problem is expected[segment]
        if not attempt.granted:
            self.denied[segment] = now + self.policy.max_duration
            return
        self.grants += 1
        assert now - attempt.started_at < self.policy.max_duration + self.policy.factor_wait
        if self.let_in is not None and self.let_in[0] == person:
            assert now - self.let_in[1] >= self.policy.cool_down, "the same presence opened twice"
        self.let_in = (person, now)
        self._clear()

    def _objection(self, segment, person, circumstances) -> Problem | None:
        if not self._alive(segment):
            return Problem.NOT_LIVE
        missing = Problem.SECOND_FACTOR_MISSING if circumstances.factor_missing else None
        return circumstances.barred.get(person) or missing

    def _waits_judged(self, segment, person, circumstances) -> bool:
        """Whether a face waits for the second factor, and was judged so lately that it may."""
        lately = self.now - self.judged.get(segment, NEVER) < self.policy.window / 2
        return lately and circumstances.factor_missing and person not in circumstances.barred

    def _check_patience(self, visit, faces, circumstances):
        """Nobody who is proven and may come in is kept waiting, but for the second factor."""
        for segment, votes in self._quorums(faces):
            person = votes[0].evidence.match.person
            assert person not in circumstances.barred
            assert circumstances.factor_missing
            assert self.now - visit.waiting_since < self.policy.factor_wait
            if not self._waits_judged(segment, person, circumstances):
                assert self._alive(segment)
                self.judged[segment] = self.now
