"""Nothing but k distinct fresh frames of one face that agree on one person opens the door."""

import itertools

import numpy as np
import pytest
from hypothesis import settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from vision import (
    AccessAttempt,
    Decider,
    DecisionPolicy,
    Evidence,
    Face,
    FaceQuality,
    Match,
    OperatingPoint,
    Problem,
    Sighting,
    Thresholds,
)

POLICY = DecisionPolicy()
POINT = OperatingPoint(1e-4, 0.5, 0.0, 1e-4, True, 0.98)
THRESHOLDS = Thresholds([POINT], slope=20.0, offset=-8.0)
GOOD = FaceQuality(80, 120, 200)
serial = itertools.count()


def random_embedding():
    vector = np.random.default_rng(next(serial)).normal(size=64).astype(np.float32)
    return vector / np.linalg.norm(vector)


def evidence(person="anna", similarity=0.8, *, x=100.0, problem=None, embedding=None):
    face = Face((x, 50, x + 80, 130), np.zeros((5, 2), np.float32), 0.9)
    if problem is not None:
        return Evidence(face, GOOD, problem=problem)
    match = None if person is None else Match(person, similarity)
    return Evidence(
        face, GOOD, embedding=random_embedding() if embedding is None else embedding, match=match
    )


class Door:
    """A decider with a clock of its own."""

    def __init__(self, policy=POLICY):
        self.now = 1000.0
        self.decider = Decider(policy, THRESHOLDS, POINT)
        self.attempts: list[AccessAttempt] = []

    def see(self, *seen, after=0.4, age=0.1, digest=None):
        self.now += after
        digest = digest or str(next(serial)).encode()
        return self._note(
            self.decider.observe(Sighting(digest, self.now - age, tuple(seen)), self.now)
        )

    def wait(self, seconds):
        self.now += seconds
        return self._note(self.decider.tick(self.now))

    def _note(self, attempt):
        if attempt is not None:
            self.attempts.append(attempt)
        return attempt


@pytest.fixture
def door():
    return Door()


def test_three_distinct_frames_open_and_say_why(door):
    assert door.see(evidence(similarity=0.7)) is None
    assert door.see(evidence(similarity=0.6)) is None
    attempt = door.see(evidence(similarity=0.9))
    assert attempt.granted
    assert (attempt.person, attempt.problem) == ("anna", None)
    assert (attempt.frames, attempt.agreeing) == (3, 3)
    # The weakest frame of the quorum, not the best, is what the door vouches for.
    assert attempt.confidence == THRESHOLDS.confidence(0.6)
    assert attempt.duration == pytest.approx(0.8)
    assert attempt.response_time == pytest.approx(0.9)


def test_a_visit_is_decided_once_however_long_it_lasts(door):
    for _ in range(100):
        door.see(evidence())
    assert door.wait(POLICY.absence) is None
    assert [a.granted for a in door.attempts] == [True]
    assert not door.decider.in_visit


def test_who_stands_behind_gets_a_decision_of_their_own(door):
    for _ in range(3):
        door.see(evidence("anna", x=0.0), evidence("ben", problem=Problem.BLURRED, x=500.0))
    # Anna goes in; Ben steps into the light at once, so that there is never nobody in view.
    for _ in range(12):
        door.see(evidence("ben", x=500.0))
    assert [(a.granted, a.person) for a in door.attempts] == [(True, "anna"), (True, "ben")]


def test_who_was_let_in_and_stays_does_not_open_again(door):
    for _ in range(100):
        door.see(evidence("anna", x=0.0), evidence("eve", 0.1, x=500.0))
    assert [a.person for a in door.attempts] == ["anna"]


def test_the_threshold_itself_counts_and_a_hair_less_does_not(door):
    for _ in range(3):
        door.see(evidence(similarity=POINT.threshold))
    assert door.attempts[0].granted
    other = Door()
    for _ in range(20):
        other.see(evidence(similarity=np.nextafter(POINT.threshold, 0)))
    other.wait(POLICY.absence)
    assert [a.problem for a in other.attempts] == [Problem.UNKNOWN_FACE]


def test_a_similarity_that_is_no_number_opens_nothing(door):
    for _ in range(20):
        door.see(evidence(similarity=float("nan")))
    assert not any(a.granted for a in door.attempts)


def refusal(door):
    door.wait(POLICY.absence)
    (attempt,) = door.attempts
    assert not attempt.granted
    return attempt


def test_a_stranger_is_refused_with_no_name(door):
    for _ in range(10):
        door.see(evidence(similarity=0.3))
    attempt = refusal(door)
    assert (attempt.problem, attempt.person) == (Problem.UNKNOWN_FACE, None)
    assert attempt.confidence == THRESHOLDS.confidence(0.3)


def test_nobody_enrolled(door):
    for _ in range(5):
        door.see(evidence(person=None))
    assert refusal(door).problem is Problem.UNKNOWN_FACE


def test_equal_pixels_are_one_frame(door):
    for _ in range(10):
        door.see(evidence(), digest=b"frozen")
    attempt = refusal(door)
    assert (attempt.problem, attempt.person) == (Problem.STATIC_PICTURE, "anna")
    assert attempt.agreeing == 1


def test_equal_pixels_of_an_earlier_visit_do_not_count_either(door):
    for name in (b"1", b"2", b"3"):
        door.see(evidence(), digest=name)
    door.wait(POLICY.absence)
    for name in (b"1", b"2", b"3"):
        door.see(evidence(), digest=name)
    door.wait(POLICY.absence)
    assert [a.granted for a in door.attempts] == [True, False]
    assert door.attempts[1].problem is Problem.STATIC_PICTURE


def test_one_picture_in_ever_new_jpegs_is_one_frame(door):
    embedding = random_embedding()
    for _ in range(10):
        door.see(evidence(embedding=embedding))
    assert refusal(door).problem is Problem.STATIC_PICTURE


@pytest.mark.parametrize("age", [POLICY.max_age + 0.1, -0.5])
def test_frames_that_are_old_or_from_the_future_do_not_count(door, age):
    for _ in range(10):
        door.see(evidence(), age=age)
    assert refusal(door).problem is Problem.STALE_FRAMES


def test_frames_further_apart_than_the_window_do_not_add_up(door):
    for _ in range(6):
        door.see(evidence(), after=1.6)
    assert refusal(door).problem is Problem.TOO_FEW_FRAMES


def test_two_frames_are_too_few(door):
    door.see(evidence())
    door.see(evidence())
    assert refusal(door).problem is Problem.TOO_FEW_FRAMES


def test_a_face_that_resembles_two_people_is_neither(door):
    for person in ("anna", "ben", "anna", "anna"):
        door.see(evidence(person))
    assert refusal(door).problem is Problem.TOO_FEW_FRAMES


def test_two_faces_cannot_share_a_quorum(door):
    for x in (0.0, 500.0, 0.0, 500.0):
        door.see(evidence(x=x), after=0.3)
    assert not any(a.granted for a in door.attempts)


def test_a_bystander_does_not_keep_the_door_shut(door):
    for _ in range(3):
        door.see(evidence("anna", x=0.0), evidence("ben", similarity=0.2, x=500.0))
    assert door.attempts[0].person == "anna"


@pytest.mark.parametrize(
    "problem", [Problem.FACE_TOO_SMALL, Problem.TOO_DARK, Problem.BLURRED, Problem.NO_FACE]
)
def test_the_usual_flaw_of_an_unusable_face_is_the_reason(door, problem):
    door.see(evidence(problem=Problem.BLURRED))
    for _ in range(3):
        door.see(evidence(problem=problem))
    attempt = refusal(door)
    assert attempt.problem is problem
    assert attempt.first_usable_at is None
    assert attempt.response_time is None


def test_who_stays_is_refused_in_time_and_may_try_again(door):
    door.see(evidence(similarity=0.1))
    started = door.now
    while door.now < started + POLICY.max_duration:
        door.see(evidence(similarity=0.1))
    assert [a.problem for a in door.attempts] == [Problem.UNKNOWN_FACE]
    for _ in range(3):
        door.see(evidence())
    assert door.attempts[-1].granted


def test_evidence_of_a_refused_visit_does_not_help_the_next(door):
    door.see(evidence())
    door.see(evidence(), after=2.9)
    assert door.decider.stop(Problem.CAMERA_LOST, door.now).problem is Problem.CAMERA_LOST
    assert door.see(evidence(), after=0.1) is None
    assert door.see(evidence()) is None
    assert door.see(evidence()).granted


def test_the_frame_that_shows_nobody_any_more_delivers_the_refusal(door):
    door.see(evidence(similarity=0.1))
    assert door.decider.in_visit is True
    assert door.see(after=POLICY.absence).problem is Problem.UNKNOWN_FACE
    assert door.decider.in_visit is False


def test_the_frame_that_begins_the_next_visit_delivers_the_refusal_of_the_last(door):
    door.see(evidence(similarity=0.1))
    assert door.see(evidence(), after=POLICY.absence).problem is Problem.UNKNOWN_FACE
    door.see(evidence())
    assert door.see(evidence()).granted


@pytest.mark.parametrize("age", [0.0, POLICY.max_age])
def test_the_limits_of_freshness_count_as_fresh(age):
    # Powers of two, so that the ages are exact.
    door = Door()
    door.now = 1024.0
    for _ in range(3):
        door.see(evidence(), after=0.25, age=age)
    assert door.attempts[0].granted


def test_stopping_ends_a_visit_once_and_nothing_where_there_is_none(door):
    assert door.decider.stop(Problem.STOPPED, door.now) is None
    for _ in range(3):
        door.see(evidence())
    assert door.decider.stop(Problem.STOPPED, door.now) is None
    assert not door.decider.in_visit


def test_an_empty_door_decides_nothing(door):
    for _ in range(50):
        assert door.see() is None
    assert door.wait(100) is None
    assert door.decider.confidence is None


def test_confidence_follows_the_best_frame_of_the_visit(door):
    door.see(evidence(problem=Problem.BLURRED))
    assert door.decider.confidence is None
    for similarity in (0.3, 0.45, 0.2):
        door.see(evidence(similarity=similarity))
    assert door.decider.confidence == THRESHOLDS.confidence(0.45)


@pytest.mark.parametrize(
    "wrong",
    [{"quorum": 0}, {"window": 0.0}, {"max_age": -1.0}, {"absence": 0}, {"max_duration": 0}],
)
def test_a_policy_that_would_open_for_nothing_is_refused(wrong):
    with pytest.raises(ValueError, match="policy"):
        DecisionPolicy(**wrong)


@pytest.mark.parametrize(
    ("granted", "person", "problem"),
    [(True, "anna", Problem.BLURRED), (True, None, None), (False, "anna", None)],
)
def test_an_attempt_cannot_contradict_itself(granted, person, problem):
    with pytest.raises(ValueError, match="grant"):
        AccessAttempt(granted, person, problem, 0.9, 0.0, 1.0, None, 3, 3)


class DoorMachine(RuleBasedStateMachine):
    """Random visits, checked against the promises rather than against the implementation."""

    def __init__(self):
        super().__init__()
        self.door = Door()
        self.counted: list[tuple[float, str, float, bytes]] = []
        self.visits: set[float] = set()

    @rule(
        person=st.sampled_from(["anna", "ben", None]),
        similarity=st.sampled_from([0.1, 0.499, 0.5, 0.8]),
        x=st.sampled_from([0.0, 30.0, 600.0]),
        after=st.sampled_from([0.1, 0.2, 0.5, 1.4, 3.0]),
        age=st.sampled_from([0.0, 0.3, 2.5, -1.0]),
        digest=st.sampled_from([None, None, None, b"a", b"b"]),
        problem=st.sampled_from([None, None, None, Problem.BLURRED]),
    )
    def face(self, person, similarity, x, after, age, digest, problem):
        name = digest or str(next(serial)).encode()
        item = evidence(person, similarity, x=x, problem=problem)
        known = {entry[3] for entry in self.counted}
        attempt = self.door.see(item, after=after, age=age, digest=name)
        if (
            problem is None
            and person is not None
            and similarity >= POINT.threshold
            and 0 <= age <= POLICY.max_age
            and name not in known
        ):
            self.counted.append((self.door.now - age, person, x, name))
        self.check(attempt)

    @rule(after=st.sampled_from([0.1, 1.0, 5.0]))
    def empty(self, after):
        self.check(self.door.see(after=after))

    @rule(seconds=st.sampled_from([0.1, 1.0, 2.0, 11.0]))
    def wait(self, seconds):
        self.check(self.door.wait(seconds))

    @precondition(lambda self: self.door.decider.in_visit)
    @rule()
    def stop(self):
        self.check(self.door.decider.stop(Problem.STOPPED, self.door.now))
        assert not self.door.decider.in_visit

    def check(self, attempt):
        if attempt is None:
            return
        # Every visit ends once: no two attempts share a beginning.
        assert attempt.started_at not in self.visits
        self.visits.add(attempt.started_at)
        if not attempt.granted:
            return
        recent = [
            entry
            for entry in self.counted
            if entry[0] >= self.door.now - POLICY.window and entry[1] == attempt.person
        ]
        assert len({entry[3] for entry in recent}) >= POLICY.quorum
        near = [entry for entry in recent if entry[2] < 300]
        assert max(len(near), len(recent) - len(near)) >= POLICY.quorum
        assert attempt.started_at >= 1000.0
        assert attempt.decided_at - attempt.started_at < POLICY.max_duration + 1e-9


DoorMachine.TestCase.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
TestDoorMachine = DoorMachine.TestCase
