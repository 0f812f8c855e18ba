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
    Face,
    FaceQuality,
    Lockout,
    Look,
    Match,
    Problem,
    Sighting,
    score,
)

FAKE = FaceQuality(80, 120, 13)
"""The face that the judge of these doors denies."""
NOD, SHAKE = FaceQuality(81, 120, 200), FaceQuality(82, 120, 200)
"""The right answer to the question of these doors, and a wrong one."""
BARRED = (Problem.SUSPENDED, Problem.OUTSIDE_SCHEDULE, Problem.EXPIRED)
UNANSWERED = (Problem.CHALLENGE_FAILED, Problem.CHALLENGE_UNAVAILABLE)
EACH_TIME = (Problem.NOT_LIVE, *UNANSWERED)
FAILED = (Problem.SECOND_FACTOR_MISSING, *EACH_TIME)
WAITING, PASSED, LATE = ChallengeState.WAITING, ChallengeState.PASSED, ChallengeState.FAILED
WAITS = "waits"
PATIENCE = 4.0
"""Seconds for which an answer counts here."""
PLACES_APART = 1000
NEVER = float("-inf")
AGAIN = 60.0
"""Seconds for which a near miss that stays is not counted again."""
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
    locked: bool = False
    """Whether the door was locked out then."""


@dataclass(eq=False)
class Host:
    """A person who was let in and holds the door."""

    person: str
    segment: tuple[int, int]
    began_at: float
    proven_at: float
    seen_at: float
    shown: list[Shown]
    pictures: list


@dataclass(eq=False)
class Guest:
    """A person who must not be let in again for a while."""

    let_in_at: float
    seen_at: float
    settled: bool = False


@dataclass(eq=False)
class Stay:
    """What a segment did since it came into view."""

    first: Face
    leaving: bool
    looks: int = 0
    near: int = 0
    counted_at: float = NEVER
    told: set = field(default_factory=set)
    frames: int = 0
    faces: list = field(default_factory=list)
    coming: list = field(default_factory=list)
    crosses: bool = False


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
        self.failures = self.hosted = self.tried_again = 0
        self.fades_at = now
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
        self.face_at = self.visit_face_at = NEVER
        self.hosts: dict[str, Host] = {}
        self.guests: dict[str, Guest] = {}
        self.stays: dict[tuple[int, int], Stay] = {}
        self.in_visit: dict[tuple[int, int], Stay] = {}
        """The stays of the running visit."""
        self.crowd: list = []
        self.granted_at = self.leaving_until = NEVER
        self.from_inside = False
        self.last_grant: AccessAttempt | None = None
        self.visit_began = 0
        self.judged: dict[tuple[int, int], float] = {}
        self.faces: list[Shown] = []
        self.hidden: list[Shown] = []
        self.question: Question | None = None
        self.asked_at = NEVER
        self.stepped_back = False

    # Events

    def observe(self, sighting: Sighting, now: float, circumstances: Circumstances):
        ended = self.tick(now)
        self._pass(now)
        before = self._undecided()
        self._record(sighting, now)
        attempt = self.decider.observe(sighting, now, circumstances)
        assert attempt is None or attempt.granted or attempt.evidence_at is not None
        if before is None and self.faces_of_visit:
            self._begin()
        if self.faces_of_visit:
            self.visit_face_at = now
            self.in_visit |= {s: self.stays[s] for s in self.faces_of_visit}
        self._look(now, circumstances.barred)
        silent = self._check_decisions(attempt, before, now, circumstances)
        after = self._undecided()
        if attempt is not None:
            assert after is None
            self._check_figures(attempt, before, now)
        elif silent:
            assert after is None, "a visit goes on whose face was denied again"
        elif self.faces_of_visit:
            assert after is not None
            assert before is None or after is before
        if attempt is None and not silent:
            # A visit that was decided in this call was asked before, if at all.
            self._check_asked(now)
        self._check_state(now)
        return attempt or ended

    def tick(self, now: float):
        self._pass(now)
        before = self._undecided()
        stepped_back = self.stepped_back
        attempt = self.decider.tick(now)
        assert attempt is None or not attempt.granted
        after = self._undecided()
        if before is not None and after is None:
            self._end(attempt, before, now, stepped_back=stepped_back)
        else:
            assert attempt is None
        visit = self._undecided()
        if visit is not None and isfinite(now):
            limit = self._longest()
            assert now - visit.started_at < limit, "a visit without an end"
            assert now - self.visit_face_at < self.policy.absence
        self._check_state(now)
        return attempt

    def stop(self, now: float, problem: Problem = Problem.STOPPED):
        self._pass(now)
        before = self._undecided()
        attempt = self.decider.stop(problem, now)
        assert attempt is None or attempt.problem is problem
        if before is not None:
            if problem is Problem.CAMERA_LOST:
                self._count(self.in_visit.values(), now)
            self._tell(attempt, before, now, problem)
        self.hosts = {}
        assert not self.decider.in_visit
        return attempt

    def outcome(self, problem: Problem | None, *, momentary: bool = False):
        """Let the shell report what became of the last grant."""
        grant = self.last_grant
        if grant is None:
            return
        attempt = grant if problem is None else replace(grant, granted=False, problem=problem)
        self.decider.conclude(attempt, momentary=momentary)
        guest = self.guests.get(grant.person)
        if guest is None or guest.let_in_at != grant.decided_at:
            return
        if problem is not None:
            self.granted_at = NEVER
        if problem is not None or momentary:
            self.hosts.pop(grant.person, None)

    def open_door(self, now: float):
        self.decider.door_opened(now)
        if not 0 <= now - self.granted_at < self.policy.hold_longest:
            self.from_inside, self.leaving_until = True, now + self.policy.hold_longest

    def close_door(self, now: float):
        self.decider.door_closed(now)
        for host in self.hosts.values():
            self.guests[host.person] = Guest(host.began_at, now, settled=True)
        self.hosts = {}
        self.granted_at = NEVER
        if self.from_inside:
            self.leaving_until = now + self.policy.cool_down
        self.from_inside = False

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
        self.fades_at = now + self.policy.failure_fades
        self._make(lockout, now)

    # The record

    def _pass(self, now: float):
        self.events += 1
        self.stepped_back = isfinite(now) and now < self.now
        if not isfinite(now):
            return
        # The shell asks this as well: it shows whether the door is locked out.
        assert self.decider.lockout.locked(now) == self.locked(now)
        self._fade(now)
        if self.stepped_back:
            # Nothing that was seen counts; a person who was let in is still there.
            self.shown, self.places, self.denied = [], {}, {}
            self.stays, self.hosts = {}, {}
            self.face_at = now
            self.asked_at = min(self.asked_at, now)
            for guest in self.guests.values():
                guest.let_in_at = guest.seen_at = now
            self.granted_at = NEVER
            if self.leaving_until > now:
                self.leaving_until = now + self.policy.cool_down
            self.now = now
            return
        self.now = now
        self._leave(now)

    def _leave(self, now: float):
        """End what ends by itself."""
        for host in list(self.hosts.values()):
            if now - host.began_at >= self.policy.hold_longest:
                self.guests[host.person] = Guest(host.began_at, now, settled=True)
                del self.hosts[host.person]
            elif (
                now - host.seen_at >= self.policy.absence
                or now - host.proven_at >= self.policy.hold_unseen
            ):
                del self.hosts[host.person]
        for person, guest in list(self.guests.items()):
            if guest.settled and now - guest.seen_at >= self.policy.absence:
                del self.guests[person]
        if now - self.face_at >= self.policy.absence:
            self.guests = {}
            self.asked_at = NEVER

    def _fade(self, now: float):
        self.fades_at = min(self.fades_at, now + self.policy.failure_fades)
        while self.failures and now >= self.fades_at:
            self.failures -= 1
            self.fades_at += self.policy.failure_fades

    def locked(self, now: float) -> bool:
        if not isfinite(now):
            return self.locked_for > 0
        self.locked_since = min(self.locked_since, now)
        return now < self.locked_since + self.locked_for

    def _record(self, sighting: Sighting, now: float):
        """Note the faces of a frame: who is a visitor, and which of them count."""
        self.hidden, self.faces, self.faces_of_visit = [], [], []
        if not isfinite(now) or not sighting.evidence:
            return
        self.face_at = now
        taken_at = sighting.taken_at
        new = sighting.digest not in self.digests
        self.digests.add(sighting.digest)
        self._lose(taken_at, now)
        distinct = new and 0 <= now - taken_at <= self.policy.max_age
        faces = []
        for evidence in sighting.evidence:
            place = round(evidence.face.box[0] / PLACES_APART)
            _, losses = self.places.get(place, (taken_at, 0))
            self.places[place] = (taken_at, losses)
            segment = (place, losses)
            if segment not in self.stays:
                self.stays[segment] = Stay(evidence.face, now < self.leaving_until)
            faces.append(Shown(self.events, taken_at, segment, evidence))
        for face in faces:
            if self._is_guest(face, now, distinct=distinct):
                continue
            if distinct:
                self.hidden.append(face)
            if now >= self.denied.get(face.segment, NEVER):
                self.faces_of_visit.append(face.segment)
        self.others = [face.segment for face in self.hidden]
        self.faces = [face for face in self.hidden if face.segment in self.faces_of_visit]

    def _lose(self, taken_at: float, now: float):
        """Note which places have been without a face for too long."""
        for place, (last, losses) in self.places.items():
            if not abs(taken_at - last) <= self.policy.absence:
                gone = self.stays.pop((place, losses), None)
                self.places[place] = (last, losses + 1)
                if gone is not None:
                    self._count([gone], now)

    def _is_guest(self, face: Shown, now: float, *, distinct: bool) -> bool:
        """Whether a face holds the door, was let in just now, or came out of it."""
        claimed = [self._holds(host, face, now, distinct) for host in self.hosts.values()]
        if True in claimed:
            return True
        look = face.evidence.look
        known = [face.evidence.match, None if look is None else look.match]
        known = [match for match in known if accepted(match)]
        found = False
        for match in known:
            if self.stays[face.segment].leaving:
                guest = self.guests.setdefault(match.person, Guest(NEVER, now))
                guest.seen_at, guest.settled = now, True
        for match in known:
            found = self._is_let_in(match.person, now) or found
        return found

    def _is_let_in(self, person, now: float) -> bool:
        """Whether a person who is seen now must not be let in, or not once more."""
        guest = self.guests.get(person)
        if guest is None:
            return False
        guest.seen_at = now
        recent = now - guest.let_in_at < self.policy.cool_down
        host = self.hosts.get(person)
        holds = host is not None and now - host.proven_at < self.policy.absence
        return guest.settled or recent or holds

    def _holds(self, host: Host, face: Shown, now: float, distinct: bool) -> bool:
        evidence = face.evidence
        in_place = face.segment == host.segment
        match = evidence.match
        if distinct:
            host.shown.append(face)
            if self._is_stacked(face, host.shown):
                match = resembles(evidence.look)
        if not usable(evidence) or match is None or not LEAST <= match.similarity <= MOST:
            if in_place and distinct:
                host.seen_at = now
            return in_place
        if not accepted(match):
            return in_place
        if match.person != host.person:
            return False
        cosines = [float(evidence.embedding[:-1] @ picture[:-1]) for picture in host.pictures]
        new = all(cosine < self.policy.same_frame for cosine in cosines)
        if distinct and new and self._clear_match(match):
            host.pictures.append(evidence.embedding)
            host.segment = face.segment
            host.proven_at = host.seen_at = now
        return True

    def _clear_match(self, match: Match) -> bool:
        gap = match.similarity - match.runner_up
        return match.runner_up < POINT.threshold and gap >= self.policy.margin

    def _begin(self):
        self.visit_began, self.judged, self.in_visit = self.events, {}, {}

    def _look(self, now: float, barred):
        """Count the faces of this frame, one after the other: each may cause a lockout."""
        self.shown = [face for face in self.shown if face.event >= self.visit_began]
        for index, face in enumerate(self.faces):
            face = self.faces[index] = replace(face, locked=self.locked(now))  # noqa: PLW2901
            self.shown.append(face)
            if not self._counts(face):
                continue
            stay = self.stays[face.segment]
            stay.looks += 1
            said = self._said(face)
            stay.near += accepted(said) and said.person not in barred
            if self._shows_a_new_face(stay, face):
                self._meet(face.evidence.embedding, 0.5 if stay.crosses else 1.0, now)

    def _shows_a_new_face(self, stay: Stay, face: Shown) -> bool:
        box, first, embedding = face.evidence.face.box, stay.first.box, face.evidence.embedding
        width = max(box[2] - box[0], first[2] - first[0])
        across = abs((box[0] + box[2]) - (first[0] + first[2])) / 2
        stay.crosses = stay.crosses or across >= 2 * width
        stay.frames += 1
        if not stay.faces:
            if stay.frames >= self.policy.quorum:
                stay.faces.append(embedding)
                return True
            return False
        if any(score(known, embedding) >= LOOSE.threshold for known in stay.faces[-8:]):
            stay.coming = []
            return False
        if stay.coming and not score(stay.coming[-1], embedding) >= LOOSE.threshold:
            stay.coming = []
        stay.coming.append(embedding)
        if len(stay.coming) < self.policy.quorum:
            return False
        stay.faces.append(embedding)
        stay.coming = []
        return True

    def _meet(self, embedding, weight: float, now: float):
        window = self.policy.crowd_window
        self.crowd = [known for known in self.crowd if 0 <= now - known[0] < window]
        if any(score(known, embedding) >= LOOSE.threshold for _, known, _ in self.crowd):
            return
        self.crowd.append((now, embedding, weight))
        if sum(weight for _, _, weight in self.crowd) >= self.policy.crowd:
            while self.failures < self.policy.attempts - 1:
                self._raise(now)
            self._fail(now)

    def _said(self, face: Shown) -> Match | None:
        """Work out which match counts for a face: the frame's, or that of the stack it ends."""
        look = face.evidence.look
        return resembles(look) if self._is_stacked(face) else face.evidence.match

    def _is_stacked(self, face: Shown, shown: list[Shown] | None = None) -> bool:
        """Whether a stack consists of frames of this very face in this visit, each once."""
        if face.evidence.look is None:
            return False
        times = list(face.evidence.look.taken_at)
        visit = [other for other in self.shown if other.event >= self.visit_began]
        known = {
            other.taken_at
            for other in (visit if shown is None else shown)
            if other.segment == face.segment and other.evidence.problem is None
            if other.event <= face.event
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
        )

    def _raise(self, now: float):
        if not self.failures and isfinite(now):
            self.fades_at = now + self.policy.failure_fades
        self.failures += 1

    def _fail(self, now: float):
        self._raise(now)
        times = self.failures - self.policy.attempts
        if times >= 0:
            self.locked_since = now
            self.locked_for = min(self.policy.lockout_max, self.policy.lockout_base * 2**times)

    def _count(self, stays, now: float):
        """Count near misses, each once a minute."""
        for stay in stays:
            again = not 0 <= now - stay.counted_at < AGAIN
            if stay.looks >= self.policy.quorum and stay.near >= 2 and again:
                stay.looks = stay.near = 0
                stay.counted_at = now
                self._fail(now)

    def _clear(self):
        self.failures = 0
        self.locked_for = 0.0
        self.crowd = []

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
            if self._clear_match(match):
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
        self.faces, self.denied = list(self.hidden), {}
        self.faces_of_visit = self.others
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
        if self.asks and not asked and isfinite(now):
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
        return self.decider._visit

    def _check_state(self, now: float):
        if not isfinite(now):
            return
        assert self.decider.lockout.failures == self.failures
        assert self.decider.lockout.locked(now) == self.locked(now)
        assert self.decider.is_hosting == bool(self.hosts), "somebody holds the door who must not"
        self.hosted += bool(self.hosts)

    def _check_figures(self, attempt: AccessAttempt, before, now: float):
        if before is not None:
            assert attempt.started_at == before.started_at
        else:
            # Only with a quorum of one frame is a visit decided in the call that began it.
            assert self.policy.quorum == 1
            assert attempt.started_at == now
        assert 0.0 <= attempt.confidence <= 1.0
        assert attempt.duration >= 0.0
        assert attempt.frames >= 1
        self.refusals += not attempt.granted

    def _end(self, attempt, before, now: float, *, stepped_back: bool):
        """Check how a visit ended by itself, and count what a stranger could have caused."""
        if stepped_back:
            self._tell(attempt, before, now, Problem.STALE_FRAMES)
            return
        gone = now - self.visit_face_at >= self.policy.absence
        if self.locked(now):
            self._tell(attempt, before, now, Problem.LOCKED_OUT)
            return
        self._count(self.in_visit.values(), now)
        looked = any(s.looks >= self.policy.quorum for s in self.in_visit.values())
        if looked and not gone and not self.failures and self.policy.attempts > 1:
            self._raise(now)
        told = None if attempt is None else attempt.problem
        assert told is not Problem.LOCKED_OUT or not self._tally()
        self._tell(attempt, before, now, told)

    def _tell(self, attempt, before, now: float, problem):
        """Nothing is said of a face that stays but once."""
        news = not all(stay.told for stay in self.in_visit.values())
        assert (attempt is not None) == news, "a visit ended without an attempt, or was told again"
        if attempt is None:
            return
        assert attempt.problem is problem
        self._check_figures(attempt, before, now)
        for stay in self.in_visit.values():
            stay.told.add(problem)

    def _forget_question(self, visit):
        """Drop the question of another visit; one that began in this call has no other name."""
        asked = self.question
        if asked is not None and self.faces_of_visit:
            other = asked.event != self.events if visit is None else asked.visit is not visit
            self.question = None if other else asked

    def _check_decisions(self, attempt, before, now: float, circumstances) -> bool:
        """Whoever is proven is decided on, in order; return whether somebody was denied again."""
        self._forget_question(before)
        silent = False
        for segment, votes in self._quorums():
            if self.locked(now):
                break
            person = self._said(votes[0]).person
            verdict = self._verdict(segment, person, before, circumstances)
            if verdict == WAITS:
                continue
            # Another face in this very frame may be the same person, who has just come out.
            if verdict is None and self._is_let_in(person, now):
                continue
            stay = self.stays[segment]
            if verdict is not None:
                self.denied[segment] = now + self.policy.max_duration
            if verdict in stay.told and verdict not in EACH_TIME:
                silent = True
                continue
            assert attempt is not None, "who is proven is kept waiting"
            self._check_decided(attempt, segment, votes, verdict, now)
            if verdict is not None:
                stay.told.add(verdict)
                if verdict in FAILED:
                    stay.looks = stay.near = 0
                    stay.counted_at = now
                    self._fail(now)
            return silent
        assert attempt is None, "a person is named without proof"
        return silent

    def _check_decided(self, attempt, segment, votes, verdict, now: float):
        """A named person was proven; a grant has no objection, and a denial has its reason."""
        person = attempt.person
        assert isfinite(now)
        assert self._said(votes[0]).person == person
        assert attempt.agreeing == len(votes)
        assert attempt.evidence_at == max(vote.taken_at for vote in votes)
        weakest = min(self._said(vote).similarity for vote in votes)
        assert attempt.confidence == THRESHOLDS.confidence(weakest)
        assert attempt.problem is verdict
        if not attempt.granted:
            return
        self.grants += 1
        self.stacked += any(self._is_stacked(vote) for vote in votes)
        self._check_votes(votes)
        assert self._alive(segment)
        assert self._answer(segment, person) is PASSED, "a person is let in who did not answer"
        assert now - attempt.started_at < self._longest()
        guest = self.guests.get(person)
        assert person not in self.hosts
        if guest is not None:
            assert not guest.settled, "who came out, or stayed for too long, was let in"
            assert now - guest.let_in_at >= self.policy.cool_down, "one presence opened twice"
            self.tried_again += 1
        shown = [face for face in self.shown if face.event >= self.visit_began]
        said = [vote for tally in self._tally().values() for vote in tally.votes]
        pictures = [v.evidence.embedding for v in said if self._said(v).person == person]
        self.hosts[person] = Host(person, segment, now, now, now, list(shown), pictures)
        self.guests[person] = Guest(now, now)
        self.granted_at = now
        self.last_grant = attempt
        for stay in self.stays.values():
            stay.looks = stay.near = 0
            stay.counted_at = NEVER
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
