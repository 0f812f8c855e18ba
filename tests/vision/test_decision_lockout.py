"""Five failures lock out, each further one for twice as long; a restart does not shorten it."""

import pytest
from hypothesis import given, strategies as st

from tests.vision.doorstep import POLICY, Door, evidence, random_embedding, stranger, unusable
from vision import DecisionPolicy, Lockout, LockoutState, Problem

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


def test_a_stranger_who_was_looked_at_is_a_failure(door):
    assert door.visit(stranger).problem is Problem.UNKNOWN_FACE
    assert failures(door) == 1


def test_who_passes_by_is_none(door):
    assert door.visit(stranger, frames=POLICY.quorum - 1).problem is Problem.UNKNOWN_FACE
    assert failures(door) == 0


def test_several_passers_by_are_not_one_who_was_looked_at(door):
    door.see(evidence(similarity=0.1, x=0.0), evidence(similarity=0.1, x=600.0))
    door.see(evidence(similarity=0.1, x=0.0), evidence(similarity=0.1, x=600.0))
    assert door.refusal().problem is Problem.UNKNOWN_FACE
    assert failures(door) == 0


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


@pytest.mark.parametrize("problem", [Problem.CAMERA_LOST, Problem.STOPPED])
def test_what_the_shell_ends_is_none(door, problem):
    for _ in range(6):
        door.see(stranger())
    assert door.decider.stop(problem, door.now).problem is problem
    assert failures(door) == 0


def test_a_grant_forgets_failures(door):
    for _ in range(4):
        door.visit(stranger)
    assert door.visit(evidence).granted
    assert failures(door) == 0


# What it does


def lock_out(door):
    for _ in range(5):
        door.visit(stranger)
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
    door.visit(stranger)
    door.see(stranger(), after=0.25)
    assert door.wait(1.0) is None
    for _ in range(4):
        door.see(stranger(), after=0.5)
    door.wait(POLICY.absence)
    assert [a.problem for a in door.attempts] == [Problem.UNKNOWN_FACE, Problem.UNKNOWN_FACE]
    assert failures(door) == 2


def test_a_lockout_of_the_shells_is_used():
    lockout = Lockout(POLICY)
    door = Door(lockout=lockout)
    assert door.decider.lockout is lockout
    door.visit(stranger)
    assert lockout.failures == 1
