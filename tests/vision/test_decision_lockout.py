"""What counts as a failure; five lock out, each further one for twice as long, and they fade."""

import itertools

import numpy as np
import pytest
from hypothesis import given, strategies as st

from tests.vision.doorstep import POLICY, Door, evidence, random_embedding, stranger, unusable
from vision import Circumstances, DecisionPolicy, Lockout, LockoutState, Problem

NAN, INFINITE = float("nan"), float("inf")


@pytest.fixture
def lockout():
    return Lockout(POLICY)


def failed(lockout, times, now=0.0):
    for _ in range(times):
        lockout.fail(now)
    return lockout


def test_four_failures_lock_nothing(lockout):
    failed(lockout, 4)
    assert lockout.failures == 4
    assert not lockout.locked(0.0)
    assert lockout.remaining(0.0) == 0.0


def test_the_fifth_locks_for_thirty_seconds(lockout):
    failed(lockout, 5, now=100.0)
    assert lockout.locked(100.0)
    assert lockout.remaining(110.0) == 20.0
    assert lockout.locked(129.9)
    assert not lockout.locked(130.0)
    assert lockout.remaining(130.0) == 0.0


def test_each_further_failure_doubles_it_up_to_a_maximum(lockout):
    failed(lockout, 5)
    durations = []
    for _ in range(9):
        lockout.fail(0.0)
        durations.append(lockout.remaining(0.0))
    assert durations == [60, 120, 240, 480, 960, 1920, 3600, 3600, 3600]
    failed(lockout, 5000)
    assert lockout.remaining(0.0) == 3600


@given(st.floats(0, 1e7), st.floats(0, 1e4))
def test_rounding_makes_it_no_longer(now, later):
    lockout = failed(Lockout(POLICY), 20, now)
    assert 0 <= lockout.remaining(now + later) <= lockout.remaining(now) == POLICY.lockout_max


def test_a_success_forgets_everything(lockout):
    failed(lockout, 8).clear()
    assert (lockout.failures, lockout.locked(0.0)) == (0, False)
    assert not failed(lockout, 4).locked(0.0)


def test_a_restart_starts_the_remaining_time_anew_in_full(lockout):
    failed(lockout, 6, now=1000.0)
    state = lockout.snapshot(1015.0)
    assert state == LockoutState(failures=6, remaining=45.0)
    # The clock of the next process is unrelated to that of the last.
    after = Lockout(POLICY)
    after.restore(state, 3.0)
    assert after.failures == 6
    assert after.locked(47.9)
    assert not after.locked(48.0)
    after.fail(50.0)
    assert after.remaining(50.0) == 120.0


def test_a_restart_keeps_failures_that_have_not_locked_yet(lockout):
    after = Lockout(POLICY)
    after.restore(failed(lockout, 4).snapshot(10.0), 0.0)
    assert not after.locked(0.0)
    after.fail(1.0)
    assert after.locked(1.0)


def test_a_restored_time_is_at_most_the_longest(lockout):
    lockout.restore(LockoutState(9, 1e9), 0.0)
    assert lockout.remaining(0.0) == POLICY.lockout_max


@pytest.mark.parametrize(
    ("failures", "remaining"), [(-1, 0.0), (0, -1.0), (0, NAN), (0, INFINITE), (5, -INFINITE)]
)
def test_a_state_that_means_nothing_is_refused(failures, remaining):
    with pytest.raises(ValueError, match="lockout"):
        LockoutState(failures, remaining)
    assert LockoutState() == LockoutState(0, 0.0)


def test_a_clock_that_steps_back_starts_the_lockout_anew(lockout):
    failed(lockout, 5, now=1000.0)
    assert lockout.locked(20.0)
    assert lockout.locked(49.9)
    assert not lockout.locked(50.0)


@pytest.mark.parametrize("now", [NAN, INFINITE, -INFINITE])
def test_a_time_that_is_no_number_unlocks_nothing(lockout, now):
    assert not lockout.locked(now)
    failed(lockout, 5, now=1000.0)
    assert lockout.locked(now)
    assert lockout.locked(1029.0)
    assert not lockout.locked(1030.0)
    lockout.fail(now)
    assert lockout.locked(2000.0)
    assert not lockout.locked(2060.0)


def test_a_short_lockout_is_one():
    lockout = failed(Lockout(DecisionPolicy(attempts=1, lockout_base=0.5)), 1)
    assert lockout.locked(NAN)
    assert lockout.locked(0.25)
    assert not lockout.locked(0.5)


# What counts


@pytest.fixture
def door():
    return Door()


def failures(door):
    return door.decider.lockout.failures


def nearly(who="anna", x=100.0):
    """Show frames of which some are taken for somebody, and too few."""
    similarity = itertools.cycle((0.8, 0.1, 0.8, 0.1, 0.1, 0.1))
    return lambda: evidence(who, next(similarity), x=x)


def test_a_near_miss_is_a_failure(door):
    assert door.visit(nearly(), frames=6).problem is Problem.TOO_FEW_FRAMES
    assert failures(door) == 1


def test_whoever_may_not_come_in_locks_nobody_out_by_standing_there(door):
    door.circumstances = Circumstances({"anna": Problem.SUSPENDED})
    shown = nearly()
    for _ in range(600):
        door.see(shown())
    assert door.decider.lockout.failures <= 1  # as a stranger who stays
    for _ in range(3):
        door.wait(5)
        assert door.visit(evidence, frames=6).problem is Problem.SUSPENDED
    assert door.decider.lockout.failures <= 1


def test_one_frame_taken_for_somebody_is_no_near_miss(door):
    similarity = itertools.chain((0.8,), itertools.repeat(0.1))
    door.visit(lambda: evidence(similarity=next(similarity)), frames=8)
    assert failures(door) == 0


def test_near_misses_of_one_stay_are_one_visit_and_one_failure_a_minute(door):
    shown = nearly()
    while door.now < 1024 + 50:
        door.see(shown())
    assert failures(door) == 1
    while door.now < 1024 + 180:
        door.see(shown())
    door.wait(POLICY.absence)
    assert failures(door) == 3
    assert len(door.attempts) == 1


def test_a_grant_beside_it_does_not_make_further_near_misses_free(door):
    shown = nearly("ben", x=600.0)
    for _ in range(40):
        door.see(shown())
    assert failures(door) == 1
    for _ in range(3):
        door.see(shown(), evidence(x=0.0))
    assert door.attempts[-1].granted
    assert failures(door) == 0
    for _ in range(40):
        door.see(shown())
    door.wait(POLICY.absence)
    assert failures(door) == 1


@pytest.mark.parametrize("frames", [POLICY.quorum - 1, POLICY.quorum, 12])
def test_strangers_who_leave_are_none(door, frames):
    assert door.visit(stranger, frames=frames).problem is Problem.UNKNOWN_FACE
    assert failures(door) == 0


def test_a_courier_of_ten_minutes_is_one_visit_and_one_failure(door):
    while door.now < 1024 + 600:
        door.see(stranger())
    door.wait(POLICY.absence)
    assert [a.problem for a in door.attempts] == [Problem.UNKNOWN_FACE]
    assert failures(door) == 1


def test_however_many_couriers_lock_nobody_out(door):
    for _ in range(20):
        door.visit(stranger, frames=40)
    assert failures(door) == 1
    assert door.visit(evidence).granted


def test_a_single_stranger_does_not_lock_a_door_out_that_allows_one_failure():
    door = Door(DecisionPolicy(attempts=1))
    door.visit(stranger, frames=40)
    assert failures(door) == 0
    assert door.visit(evidence).granted


def person():
    """Make one stranger, whose frames resemble one another as those of a living face do."""
    face = random_embedding()

    def seen(x=100.0):
        return evidence(similarity=0.2, embedding=near(face, 0.1), x=x)

    return seen


def near(face, by):
    changed = face[:-1] + by * random_embedding()[:-1]
    return np.append(changed / np.linalg.norm(changed), face[-1:]).astype(np.float32)


@pytest.mark.parametrize("who", [person, lambda: stranger])
def test_two_hundred_passers_by_an_hour_never_lock_residents_out(door, who):
    for number in range(1000):
        seen = who()
        for _ in range(8):
            door.see(seen())
        door.wait(18 - 8 * 0.4)
        assert not door.decider.lockout.locked(door.now), number
    assert failures(door) == 0
    assert door.visit(evidence).granted


def test_passers_by_at_random_times_do_not_either(door):
    """They cross the picture, as passers-by do."""
    waits = np.random.default_rng(8).exponential(16.0, 3000)
    for wait in waits:
        seen = person()
        for step in range(6):
            door.see(seen(x=70.0 * step))
        door.wait(2.0 + wait)
        assert not door.decider.lockout.locked(door.now)


@pytest.mark.parametrize("seconds", [2.0, 6.0, 10.0])
def test_thirty_pictures_within_five_minutes_lock_out(door, seconds):
    for _ in range(30):
        picture = person()
        for _ in range(round(seconds / 0.4)):
            door.see(picture())
        door.wait(POLICY.absence if seconds < 10 else 0.0)
    assert door.now < 1024 + 300.5
    assert door.decider.lockout.locked(door.now)
    assert failures(door) >= POLICY.attempts


def test_pictures_exchanged_in_one_place_lock_out_as_well(door):
    for _ in range(30):
        picture = person()
        for _ in range(8):
            door.see(picture())
    assert door.decider.lockout.locked(door.now)


def test_one_face_that_comes_and_goes_is_no_crowd(door):
    seen = person()
    for _ in range(100):
        for _ in range(4):
            door.see(seen())
        door.wait(POLICY.absence)
    assert not door.decider.lockout.locked(door.now)


def test_a_crowd_that_goes_on_is_locked_out_for_longer(door):
    durations = []
    while len(durations) < 3:
        picture = person()
        for _ in range(3):
            door.see(picture())
        if left := door.decider.lockout.remaining(door.now):
            durations.append(left)
            door.wait(left)
    assert durations == [30.0, 60.0, 120.0]


def test_a_barred_person_does_not_wash_a_strangers_failures_away(door):
    door.circumstances = Circumstances({"ben": Problem.SUSPENDED})
    for _ in range(POLICY.attempts):
        shown = nearly(x=600.0)
        for _ in range(20):
            door.see(shown(), evidence("ben", x=0.0))
        door.wait(POLICY.absence)
    assert door.decider.lockout.locked(door.now)
    assert all(a.problem is not None for a in door.attempts)


def test_a_camera_that_is_lost_does_not_wash_them_away(door):
    shown = nearly()
    for _ in range(6):
        door.see(shown())
    assert door.decider.stop(Problem.CAMERA_LOST, door.now).problem is Problem.CAMERA_LOST
    assert failures(door) == 1


def test_an_owner_with_the_right_code_always_gets_in(door):
    for _ in range(60):
        picture = person()
        for _ in range(4):
            door.see(picture(x=600.0))
        door.wait(POLICY.absence)
    assert door.decider.lockout.locked(door.now)
    picture = person()
    door.see(evidence(), picture(x=600.0))
    door.decider.lockout.clear()  # as the shell does for a right code
    for _ in range(3):
        door.see(evidence(), person()(x=600.0))
    assert door.attempts[-1].granted


def test_frames_that_do_not_count_are_no_look():
    door = Door(DecisionPolicy(absence=8.0))
    for _ in range(2):
        door.see(stranger(), digest=b"same")
        door.see(stranger(), age=5.0)
        door.see(unusable())
    door.see(stranger())
    assert door.wait(8.0).problem is Problem.UNKNOWN_FACE
    assert failures(door) == 0


def test_almost_being_somebody_is_a_failure(door):
    for similarity in (0.8, 0.1, 0.8, 0.1):
        door.see(evidence(similarity=similarity))
    assert door.refusal().problem is Problem.TOO_FEW_FRAMES
    assert failures(door) == 1


def test_a_picture_that_stands_still_is_a_failure(door):
    frozen = random_embedding()
    assert door.visit(lambda: evidence(embedding=frozen)).problem is Problem.STATIC_PICTURE
    assert failures(door) == 1


def test_a_camera_that_stands_still_is_none(door):
    for _ in range(6):
        door.see(evidence(), digest=b"frozen")
    assert door.refusal().problem is Problem.STATIC_PICTURE
    assert failures(door) == 0


@pytest.mark.parametrize("seen", [unusable, lambda: evidence(None)])
def test_a_face_that_nobody_could_tell_is_none(door, seen):
    door.visit(seen, frames=10)
    assert failures(door) == 0


def test_leaving_too_early_is_none(door):
    assert door.visit(evidence, frames=2).problem is Problem.TOO_FEW_FRAMES
    assert failures(door) == 0


def test_failures_fade_one_by_one(lockout):
    failed(lockout, 4, now=100.0)
    assert not lockout.locked(100.0 + POLICY.failure_fades)
    assert lockout.failures == 3
    lockout.locked(100.0 + 3 * POLICY.failure_fades)
    assert lockout.failures == 1
    # What is left over counts from the first, however late the next one comes.
    lockout.fail(100.0 + 3.5 * POLICY.failure_fades)
    lockout.locked(100.0 + 4 * POLICY.failure_fades)
    assert lockout.failures == 1


def test_four_failures_of_last_week_lock_nothing_out_today(lockout):
    failed(lockout, 4, now=0.0)
    lockout.fail(7 * 86400.0)
    assert lockout.failures == 1
    assert not lockout.locked(7 * 86400.0)


def test_failures_do_not_fade_by_a_clock_that_steps_back(lockout):
    failed(lockout, 4, now=1e6)
    assert not lockout.locked(0.0)
    assert not lockout.locked(POLICY.failure_fades - 1.0)
    assert lockout.failures == 4


@pytest.mark.parametrize("problem", [Problem.CAMERA_LOST, Problem.STOPPED])
def test_what_the_shell_ends_is_none(door, problem):
    for _ in range(6):
        door.see(stranger())
    assert door.decider.stop(problem, door.now).problem is problem
    assert failures(door) == 0


def test_a_grant_forgets_failures(door):
    for _ in range(4):
        door.visit(nearly(), frames=6)
    assert failures(door) == 4
    assert door.visit(evidence).granted
    door.wait(60.0)
    assert failures(door) == 0


# What it does


def lock_out(door):
    for _ in range(5):
        door.visit(nearly(), frames=6)
    assert door.decider.lockout.locked(door.now)


def test_nothing_opens_while_locked_out_and_visits_say_so(door):
    lock_out(door)
    attempt = door.visit(evidence, frames=20)
    assert (attempt.problem, attempt.person) == (Problem.LOCKED_OUT, "anna")
    assert door.visit(stranger).problem is Problem.LOCKED_OUT
    # They are not failures, which would prolong it for ever.
    assert failures(door) == 5


def test_who_waits_for_its_end_is_let_in(door):
    lock_out(door)
    until = door.now + door.decider.lockout.remaining(door.now)
    while not door.attempts[-1].granted:
        assert door.now < until + 10
        door.see(evidence(), after=0.25)
    # What was seen during the lockout is no evidence.
    assert 0.5 <= door.now - until <= 0.75


def test_a_visit_that_a_wrong_code_locks_out_opens_nothing(door):
    door.see(evidence())
    door.see(evidence())
    for _ in range(5):
        door.decider.lockout.fail(door.now)
    assert door.see(evidence()) is None
    door.decider.lockout.clear()
    assert door.see(evidence()).granted


def test_the_reason_is_that_of_the_time_after_the_lockout():
    door = Door(DecisionPolicy(attempts=1, lockout_base=2.0))
    door.decider.lockout.fail(door.now)
    door.see(stranger(), after=0.25)
    assert door.wait(1.0) is None
    for _ in range(4):
        door.see(stranger(), after=0.5)
    door.wait(POLICY.absence)
    assert [a.problem for a in door.attempts] == [Problem.UNKNOWN_FACE]


def test_a_lockout_of_the_shells_is_used():
    lockout = Lockout(POLICY)
    door = Door(lockout=lockout)
    assert door.decider.lockout is lockout
    door.visit(nearly(), frames=6)
    assert lockout.failures == 1
