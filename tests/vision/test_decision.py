"""Only k distinct, fresh frames of one face that agree on one person open the door."""

import numpy as np
import pytest

from tests.vision.doorstep import POINT, POLICY, THRESHOLDS, Door, evidence, random_embedding
from vision import AccessAttempt, DecisionPolicy, Problem, SeenFrames

NAN = float("nan")


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
    # The door vouches for the weakest frame of the quorum, not the best.
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
    # Anna goes in, and Ben steps into the light at once, so that somebody is always in view.
    for _ in range(12):
        door.see(evidence("ben", x=500.0))
    assert [(a.granted, a.person) for a in door.attempts] == [(True, "anna"), (True, "ben")]


def test_who_was_let_in_and_stays_does_not_open_again(door):
    for _ in range(100):
        door.see(evidence("anna", x=0.0), evidence("eve", 0.1, x=500.0))
    # Eve, beside her, has a visit of her own.
    assert [a.person for a in door.attempts] == ["anna", None]


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


def test_a_stranger_is_refused_with_no_name(door):
    for _ in range(10):
        door.see(evidence(similarity=0.3))
    attempt = door.refusal()
    assert (attempt.problem, attempt.person) == (Problem.UNKNOWN_FACE, None)
    assert attempt.confidence == THRESHOLDS.confidence(0.3)


def test_nobody_enrolled(door):
    for _ in range(5):
        door.see(evidence(person=None))
    assert door.refusal().problem is Problem.UNKNOWN_FACE


def test_equal_pixels_are_one_frame(door):
    for _ in range(10):
        door.see(evidence(), digest=b"frozen")
    attempt = door.refusal()
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
    assert door.refusal().problem is Problem.STATIC_PICTURE


@pytest.mark.parametrize("age", [POLICY.max_age + 0.1, -0.5])
def test_frames_that_are_old_or_from_the_future_do_not_count(door, age):
    for _ in range(10):
        door.see(evidence(), age=age)
    assert door.refusal().problem is Problem.STALE_FRAMES


def test_frames_further_apart_than_the_window_do_not_add_up(door):
    for _ in range(6):
        door.see(evidence(), after=1.6)
    assert door.refusal().problem is Problem.TOO_FEW_FRAMES


def test_two_frames_are_too_few(door):
    door.see(evidence())
    door.see(evidence())
    assert door.refusal().problem is Problem.TOO_FEW_FRAMES


def test_a_face_that_resembles_two_people_is_neither(door):
    for person in ("anna", "ben", "anna", "anna"):
        door.see(evidence(person))
    assert door.refusal().problem is Problem.TOO_FEW_FRAMES


def test_two_faces_cannot_share_a_quorum(door):
    for x in (0.0, 500.0, 0.0, 500.0):
        door.see(evidence(x=x), after=0.3)
    assert not any(a.granted for a in door.attempts)


def test_a_bystander_does_not_keep_the_door_shut(door):
    for _ in range(3):
        door.see(evidence("anna", x=0.0), evidence("ben", similarity=0.2, x=500.0))
    assert door.attempts[0].person == "anna"


@pytest.mark.parametrize(
    "problem",
    [Problem.FACE_TOO_SMALL, Problem.TOO_DARK, Problem.BLURRED, Problem.TURNED, Problem.NO_FACE],
)
def test_the_usual_flaw_of_an_unusable_face_is_the_reason(door, problem):
    door.see(evidence(problem=Problem.BLURRED))
    for _ in range(3):
        door.see(evidence(problem=problem))
    attempt = door.refusal()
    assert attempt.problem is problem
    assert attempt.first_usable_at is None
    assert attempt.response_time is None


def test_whom_a_face_is_not_says_more_than_that_it_was_hard_to_see(door):
    door.see(evidence(similarity=0.1))
    for _ in range(4):
        door.see(evidence(problem=Problem.BLURRED))
    assert door.refusal().problem is Problem.UNKNOWN_FACE


def test_two_agreeing_frames_say_more_than_one_that_came_again(door):
    door.see(evidence(), digest=b"first")
    door.see(evidence())
    door.see(evidence(), digest=b"first")
    assert door.refusal().problem is Problem.TOO_FEW_FRAMES


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
    door = Door()
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
    [
        {name: value}
        for name, values in {
            "quorum": (0, -1),
            **dict.fromkeys(
                ("window", "max_age", "absence", "max_duration", "put_within"), (0.0, -1.0, NAN)
            ),
            "share": (0.0, 1.01, NAN),
            **dict.fromkeys(("margin", "cool_down", "factor_wait", "ask_again"), (-0.01, NAN)),
            "attempts": (0,),
            "lockout_base": (0.0, NAN, 3601.0),
            "lockout_max": (29.0, NAN),
        }.items()
        for value in values
    ],
)
def test_a_policy_that_would_open_for_nothing_is_refused(wrong):
    with pytest.raises(ValueError, match="policy"):
        DecisionPolicy(**wrong)


def test_the_least_a_policy_may_ask_for_is_accepted():
    policy = DecisionPolicy(
        quorum=1,
        share=1.0,
        margin=0.0,
        cool_down=0.0,
        factor_wait=0.0,
        put_within=0.01,
        ask_again=0.0,
        attempts=1,
        lockout_base=0.5,
        lockout_max=0.5,
    )
    assert policy.lockout_base == policy.lockout_max


def test_what_is_asked_for_unless_the_owner_says_otherwise():
    """The promises of the documentation."""
    assert (
        DecisionPolicy(
            quorum=3,
            share=0.5,
            margin=0.05,
            window=3.0,
            max_age=2.0,
            absence=2.0,
            max_duration=10.0,
            same_frame=0.9995,
            cool_down=10.0,
            factor_wait=0.0,
            put_within=10.0,
            ask_again=30.0,
            attempts=5,
            lockout_base=30.0,
            lockout_max=3600.0,
        )
        == POLICY
    )


@pytest.mark.parametrize(
    ("granted", "person", "problem"),
    [(True, "anna", Problem.BLURRED), (True, None, None), (False, "anna", None)],
)
def test_an_attempt_cannot_contradict_itself(granted, person, problem):
    with pytest.raises(ValueError, match="grant"):
        AccessAttempt(granted, person, problem, 0.9, 0.0, 1.0, None, 3, 3)


def test_a_confidence_is_never_more_than_the_number_allows():
    assert THRESHOLDS.confidence(NAN) == pytest.approx(0.0, abs=1e-9)
    assert THRESHOLDS.confidence(float("inf")) <= 1.0


def test_frames_of_before_are_old_to_a_decider_made_anew():
    frames = SeenFrames()
    shown = [(evidence(), str(number).encode()) for number in range(3)]
    doors = [Door(frames=frames), Door(frames=frames), Door()]
    for door in doors:
        for seen, digest in shown:
            door.see(seen, digest=digest)
    first, reloaded, other = (door.attempts for door in doors)
    assert [a.granted for a in first] == [a.granted for a in other] == [True]
    assert reloaded == []
    assert doors[1].refusal().problem is Problem.STATIC_PICTURE
