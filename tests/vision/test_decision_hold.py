"""Who was let in holds the door while they are seen; the outcome of the lock comes back."""

from dataclasses import replace

import numpy as np
import pytest

from tests.vision.doorstep import POLICY, Door, evidence, random_embedding, stranger, unusable
from vision import DecisionPolicy, Problem

NAN = float("nan")


@pytest.fixture
def door():
    """Return a door that has just let Anna in."""
    door = Door()
    for _ in range(3):
        door.see(evidence())
    assert door.attempts[0].granted
    return door


def seconds_held(door, *seen, at_most=200.0, after=0.25, **options):
    """Show the same people until nobody holds the door, or for so long."""
    began = door.now
    while door.decider.is_hosting and door.now - began < at_most:
        door.see(*(make() for make in seen), after=after, **options)
    return door.now - began


def said(door):
    return [(a.person, a.problem) for a in door.attempts]


# Who holds


def test_a_person_who_stays_in_view_holds_the_door(door):
    assert seconds_held(door, evidence, at_most=60.0) == 60.0
    assert len(door.attempts) == 1


def test_an_empty_doorstep_holds_it_for_the_absence(door):
    assert seconds_held(door) == POLICY.absence


@pytest.mark.parametrize("similarity", [0.2, 0.4, 0.499])
def test_somebody_else_in_the_persons_place_does_not_hold_it(door, similarity):
    held = seconds_held(door, lambda: evidence("anna", similarity, x=140.0))
    assert held == POLICY.absence


def test_somebody_else_in_the_persons_place_has_a_visit_of_their_own(door):
    for _ in range(60):
        door.see(evidence("eve", 0.2, x=140.0))
    assert said(door) == [("anna", None), (None, Problem.UNKNOWN_FACE)]


def test_another_enrolled_person_in_the_persons_place_is_let_in(door):
    for _ in range(3):
        door.see(evidence("ben", x=140.0))
    assert said(door) == [("anna", None), ("ben", None)]


def test_others_in_view_are_let_in_beside_a_person_who_stays(door):
    for _ in range(3):
        door.see(evidence(), evidence("ben", x=600.0))
    assert said(door) == [("anna", None), ("ben", None)]
    # Both hold it.
    assert seconds_held(door, lambda: evidence("ben", x=600.0), at_most=30.0) == 30.0


def test_strangers_beside_a_person_who_stays_are_told(door):
    for _ in range(40):
        door.see(evidence(), evidence("eve", 0.2, x=600.0))
    assert said(door) == [("anna", None), (None, Problem.UNKNOWN_FACE)]
    assert door.decider.is_hosting


@pytest.mark.parametrize(
    "seen", [unusable, lambda: evidence(None), lambda: evidence(similarity=NAN)]
)
def test_a_face_that_cannot_be_compared_holds_it_for_three_seconds(door, seen):
    assert seconds_held(door, seen) == 3.0


def test_it_holds_that_long_again_after_the_person_was_seen(door):
    for _ in range(5):
        for _ in range(6):
            door.see(unusable())
        door.see(evidence())
    assert door.decider.is_hosting
    assert len(door.attempts) == 1


def test_a_face_that_cannot_be_compared_holds_nothing_elsewhere(door):
    assert seconds_held(door, lambda: replace(unusable(), face=evidence(x=900.0).face)) == 2.0


def test_a_frozen_camera_holds_nothing(door):
    assert seconds_held(door, evidence, digest=b"frozen") == POLICY.absence + 0.25


def test_a_frozen_camera_with_a_blurred_face_holds_nothing(door):
    assert seconds_held(door, unusable, digest=b"frozen") == POLICY.absence + 0.25


def test_a_frozen_picture_in_new_jpegs_holds_nothing(door):
    frozen = random_embedding()

    def picture():
        noise = 1e-4 * np.append(random_embedding()[:-1], np.float32(0))
        return evidence(embedding=frozen + noise)

    assert seconds_held(door, picture) == POLICY.absence + 0.25


def test_pictures_of_the_visit_itself_hold_nothing():
    door = Door()
    shown = [evidence() for _ in range(3)]
    for face in shown:
        door.see(face)
    held = seconds_held(door, lambda: shown[0], at_most=10.0)
    assert held == POLICY.absence


def test_old_frames_hold_nothing(door):
    assert seconds_held(door, evidence, age=2.5) == POLICY.absence


def test_a_face_that_resembles_two_people_holds_nothing(door):
    assert seconds_held(door, lambda: evidence(runner_up=0.79)) == POLICY.absence


def test_there_is_a_longest_hold(door):
    assert seconds_held(door, evidence) == pytest.approx(POLICY.hold_longest)


def test_who_held_it_for_the_longest_time_has_to_leave_first(door):
    seconds_held(door, evidence)
    for _ in range(300):
        door.see(evidence())
    assert len(door.attempts) == 1
    door.wait(POLICY.absence)
    for _ in range(3):
        door.see(evidence())
    assert said(door) == [("anna", None)] * 2


def test_a_policy_without_a_longest_hold_is_refused():
    for name in ("hold_longest", "hold_unseen", "failure_fades", "crowd", "crowd_window"):
        with pytest.raises(ValueError, match="policy"):
            DecisionPolicy(**{name: 0.0})
        with pytest.raises(ValueError, match="policy"):
            DecisionPolicy(**{name: NAN})


@pytest.mark.parametrize("problem", [Problem.STOPPED, Problem.CAMERA_LOST])
def test_a_door_that_is_not_watched_is_not_held(door, problem):
    assert door.decider.stop(problem, door.now) is None
    assert not door.decider.is_hosting


def test_a_clock_that_steps_back_ends_the_hold(door):
    door.wait(-500.0)
    assert not door.decider.is_hosting


# The door itself


def test_a_door_that_closes_ends_the_hold_at_once(door):
    door.see(evidence())
    door.decider.door_opened(door.now)
    assert door.decider.is_hosting
    door.decider.door_closed(door.now)
    assert not door.decider.is_hosting


def test_who_stays_outside_a_door_that_closed_is_not_let_in_again(door):
    door.decider.door_opened(door.now)
    door.decider.door_closed(door.now)
    for _ in range(200):
        door.see(evidence())
    assert len(door.attempts) == 1
    door.wait(POLICY.absence)
    door.visit(evidence)
    assert said(door) == [("anna", None)] * 2


@pytest.mark.parametrize("looks_back_after", [0.25, 3.0, 9.0])
def test_who_opens_from_inside_is_not_let_in_by_looking_back(looks_back_after):
    door = Door()
    door.decider.door_opened(door.now)
    door.see(after=2.0)
    door.decider.door_closed(door.now)
    door.see(after=looks_back_after)
    for _ in range(100):
        door.see(evidence())
    assert door.attempts == []
    assert not door.decider.in_visit


def test_who_goes_out_again_after_having_come_in_is_not_let_in_by_looking_back(door):
    door.decider.door_opened(door.now)
    door.decider.door_closed(door.now)
    door.see(after=20.0)
    door.decider.door_opened(door.now)
    for _ in range(4):
        door.see(evidence())
    door.decider.door_closed(door.now)
    for _ in range(50):
        door.see(evidence())
    assert len(door.attempts) == 1


def test_who_went_out_and_comes_back_is_let_in():
    door = Door()
    door.decider.door_opened(door.now)
    for _ in range(4):
        door.see(evidence())
    door.decider.door_closed(door.now)
    door.see(evidence())
    door.see(after=POLICY.cool_down)
    assert door.visit(evidence).granted


def test_who_was_there_before_the_door_opened_from_inside_is_let_in():
    door = Door()
    door.see(evidence())
    door.decider.door_opened(door.now)
    door.decider.door_closed(door.now)
    door.see(evidence())
    assert door.see(evidence()).granted


def test_who_comes_after_an_admitted_person_closed_the_door_is_let_in(door):
    door.decider.door_opened(door.now)
    door.decider.door_closed(door.now)
    for _ in range(3):
        door.see(evidence("ben", x=600.0))
    assert said(door) == [("anna", None), ("ben", None)]


def test_a_stranger_beside_who_comes_out_is_a_visitor():
    door = Door()
    door.decider.door_opened(door.now)
    for _ in range(6):
        door.see(evidence(), evidence("eve", 0.2, x=600.0))
    door.decider.door_closed(door.now)
    door.wait(POLICY.absence)
    assert said(door) == [(None, Problem.UNKNOWN_FACE)]


def test_a_contact_that_is_stuck_does_not_keep_people_out_for_ever():
    door = Door()
    door.decider.door_opened(door.now)
    door.wait(POLICY.hold_longest)
    assert door.visit(evidence).granted


def test_a_door_that_stood_open_for_long_is_left_by_people_all_the_same():
    door = Door()
    door.decider.door_opened(door.now)
    door.wait(POLICY.hold_longest + 60.0)
    door.decider.door_closed(door.now)
    for _ in range(50):
        door.see(evidence())
    assert door.attempts == []


@pytest.mark.parametrize("now", [NAN, float("inf"), float("-inf")])
def test_a_door_that_closes_at_no_time_lets_nobody_in(now):
    door = Door()
    door.decider.door_opened(now)
    door.decider.door_closed(now)
    for _ in range(50):
        door.see(evidence())
    assert door.attempts == []


# The outcome


def shown_until_let_in(door, at_most=60.0):
    began, before = door.now, len(door.attempts)
    while len(door.attempts) == before and door.now - began < at_most:
        door.see(evidence(), after=0.25)
    return door.attempts[before:]


@pytest.mark.parametrize("problem", [Problem.LOCK_FAILED, Problem.LOCK_JAMMED, Problem.STOPPED])
def test_a_lock_that_did_not_open_is_tried_again_after_the_cool_down(door, problem):
    (grant,) = door.attempts
    door.see(evidence())
    door.decider.conclude(replace(grant, granted=False, problem=problem))
    assert not door.decider.is_hosting
    (again,) = shown_until_let_in(door)
    assert (again.person, again.granted) == ("anna", True)
    # The frames of its quorum are of after the cool-down.
    assert POLICY.cool_down <= again.decided_at - grant.decided_at <= POLICY.cool_down + 1.0
    assert door.decider.lockout.failures == 0


def test_it_is_tried_as_often_as_it_fails(door):
    for _ in range(5):
        refused = replace(door.attempts[-1], granted=False, problem=Problem.LOCK_TIMEOUT)
        door.decider.conclude(refused)
        (again,) = shown_until_let_in(door)
        assert again.granted


def test_a_relay_is_pulsed_again_for_who_stays(door):
    door.decider.conclude(door.attempts[0], momentary=True)
    (again,) = shown_until_let_in(door)
    assert again.granted


def test_a_lock_that_opened_is_not_tried_again(door):
    door.decider.conclude(door.attempts[0])
    assert shown_until_let_in(door, at_most=100.0) == []


def test_an_outcome_of_another_grant_changes_nothing(door):
    refused = replace(door.attempts[0], granted=False, problem=Problem.LOCK_FAILED)
    door.decider.conclude(replace(refused, decided_at=refused.decided_at - 1.0))
    door.decider.conclude(replace(refused, person="ben"))
    assert door.decider.is_hosting


def test_a_lock_that_fails_after_the_person_left_opens_for_nobody(door):
    (grant,) = door.attempts
    door.wait(POLICY.absence)
    door.decider.conclude(replace(grant, granted=False, problem=Problem.LOCK_FAILED))
    for _ in range(20):
        door.see(stranger())
    assert not any(a.granted for a in door.attempts[1:])


def test_a_door_that_closes_before_the_outcome_is_known_lets_nobody_in_again(door):
    (grant,) = door.attempts
    door.decider.door_closed(door.now)
    door.decider.conclude(replace(grant, granted=False, problem=Problem.LOCK_TIMEOUT))
    assert shown_until_let_in(door) == []
