"""A judge who takes time: what was ready to open is asked again once he has spoken."""

import math

import pytest

from vision import CLEAR, Circumstances, CoolDown, DecisionPolicy, Lockout, Problem, Sighting

from .doorstep import POLICY, Door, evidence, serial

BARRED = Circumstances({"anna": Problem.SUSPENDED})
MISSING = Circumstances(factor_missing=True)


def never(_):
    raise AssertionError("the decider asked the judge itself")


def look(door, *seen, after=0.4, age=0.1):
    """Show a frame and leave the judge to be heard."""
    door.now += after
    sighting = Sighting(str(next(serial)).encode(), door.now - age, tuple(seen))
    return door.decider.observe(sighting, door.now, door.circumstances, defer=True)


def proven(policy=POLICY, **options):
    """A door with a complete quorum that waits for the judge, and the hearing."""
    door = Door(policy, judge=options.pop("judge", never), **options)
    for _ in range(3):
        assert look(door, evidence()) is None
    hearing = door.decider.hearing
    assert len(hearing.evidence) == 3
    return door, hearing


def heard(door, hearing, problem=None, after=0.05, circumstances=CLEAR):
    door.now += after
    return door.decider.heard(hearing, problem, door.now, circumstances)


def test_nothing_is_decided_before_the_judge_has_spoken():
    door, hearing = proven()
    attempt = heard(door, hearing)
    assert attempt.granted
    assert attempt.decided_at == door.now
    assert door.decider.hearing is None
    # Once is enough.
    assert heard(door, hearing) is None


def test_what_he_objects_to_is_refused_and_counts():
    door, hearing = proven()
    attempt = heard(door, hearing, Problem.NOT_LIVE)
    assert (attempt.granted, attempt.problem) == (False, Problem.NOT_LIVE)
    assert door.decider.lockout.failures == 1


def test_the_circumstances_are_those_after_he_spoke():
    door, hearing = proven()
    attempt = heard(door, hearing, circumstances=BARRED)
    assert (attempt.granted, attempt.problem) == (False, Problem.SUSPENDED)
    door, hearing = proven()
    assert heard(door, hearing, circumstances=MISSING).problem is Problem.SECOND_FACTOR_MISSING


def test_frames_that_became_too_old_meanwhile_open_nothing():
    # The face is still within the visit's time, and its last frame too old.
    door, hearing = proven(DecisionPolicy(absence=60.0, max_age=1.0, window=6.0))
    assert heard(door, hearing, after=1.0) is None
    assert door.decider.hearing is None


def test_if_other_frames_count_by_then_they_are_heard():
    door = Door(DecisionPolicy(quorum=2, absence=60.0), judge=never)
    for age in (1.9, 0.3, 0.2):
        look(door, evidence(), after=0.4, age=age)
    hearing = door.decider.hearing
    assert len(hearing.evidence) == 3
    # The oldest one is out of the window now.
    assert heard(door, hearing, after=0.8) is None
    again = door.decider.hearing
    assert again.evidence == hearing.evidence[1:]
    assert heard(door, again).granted


def test_a_new_frame_takes_the_place_of_a_hearing():
    door, hearing = proven()
    look(door, evidence())
    assert heard(door, hearing) is None
    assert len(door.decider.hearing.evidence) == 4


@pytest.mark.parametrize("how", ["stop", "leave", "clock"])
def test_a_visit_that_ended_meanwhile_stays_ended(how):
    door, hearing = proven()
    if how == "stop":
        assert door.decider.stop(Problem.STOPPED, door.now).problem is Problem.STOPPED
        assert heard(door, hearing) is None
    elif how == "leave":
        attempt = heard(door, hearing, after=POLICY.absence)
        assert not attempt.granted
    else:
        attempt = heard(door, hearing, after=-1.0)
        assert attempt.problem is Problem.STALE_FRAMES
    assert door.decider.hearing is None
    assert not door.decider.in_visit


def test_a_time_that_is_none_decides_nothing():
    door, hearing = proven()
    assert door.decider.heard(hearing, None, math.nan, CLEAR) is None


def test_a_lockout_that_began_meanwhile_holds():
    lockout = Lockout(POLICY)
    door, hearing = proven(lockout=lockout)
    for _ in range(POLICY.attempts):
        lockout.fail(door.now)
    assert heard(door, hearing) is None


def test_whom_another_camera_let_in_meanwhile_is_not_let_in_twice():
    shared = CoolDown()
    (one, first), (other, second) = proven(cool_down=shared), proven(cool_down=shared)
    assert heard(one, first).granted
    assert heard(other, second) is None


def test_of_two_faces_each_has_a_hearing():
    door = Door(judge=never)
    for _ in range(3):
        look(door, evidence(), evidence("ben", x=400.0))
    first = door.decider.hearing
    assert heard(door, first, Problem.NOT_LIVE).problem is Problem.NOT_LIVE
    # The visit was told of; the other face is looked at in the next one.
    assert door.decider.hearing is None
    assert heard(door, first) is None


@pytest.mark.parametrize("problem", [None, Problem.NOT_LIVE])
def test_what_was_to_be_heard_after_a_decision_is_heard_no_more(problem):
    door = Door(judge=never)
    for _ in range(3):
        look(door, evidence(), evidence("ben", x=400.0))
    first, second = door.decider._hearings._called
    assert heard(door, first, problem) is not None
    assert heard(door, second) is None


def test_a_face_that_is_refused_again_without_a_word_keeps_no_other_waiting():
    door = Door(judge=lambda _: None)
    door.circumstances = BARRED
    while (attempt := door.see(evidence("anna"))) is None:
        pass
    assert attempt.problem is Problem.SUSPENDED
    again = door.now + POLICY.max_duration
    while door.now + 0.4 < again:
        assert door.see(evidence("anna")) is None
    # Both are proven by the same frame, the suspended one first, of whom nothing is told again.
    for _ in range(POLICY.quorum - 1):
        assert door.see(evidence("anna"), evidence("ben", x=400)) is None
    attempt = door.see(evidence("anna"), evidence("ben", x=400))
    assert (attempt.person, attempt.granted) == ("ben", True)
