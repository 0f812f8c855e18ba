"""A grant is a command: the visit's attempt is final once the lock's result is known."""

from dataclasses import replace

import pytest

from vision import AccessAttempt, Opening, Problem

MAX_AGE = 2.0
GRANT = AccessAttempt(True, "anna", None, 0.9, 99.0, 101.0, 99.0, 3, 3, evidence_at=100.0)
NAN = float("nan")


@pytest.fixture
def opening():
    return Opening(GRANT, max_age=MAX_AGE, deadline=5.0)


def refused(problem):
    return replace(GRANT, granted=False, problem=problem)


def test_the_grant_is_final_when_the_lock_says_so(opening):
    assert opening.outcome is None
    assert not opening.opening
    assert not opening.commanded
    assert opening.command(101.0)
    assert opening.opening
    assert opening.commanded
    assert opening.outcome is None
    opening.confirmed(103.0)
    assert opening.outcome is GRANT
    assert not opening.opening
    assert not opening.command(101.0)


def test_a_lock_that_was_not_commanded_confirms_nothing(opening):
    opening.confirmed(101.0)
    assert opening.outcome is None


def test_only_a_grant_opens():
    with pytest.raises(ValueError, match="grant"):
        Opening(refused(Problem.EXPIRED), max_age=MAX_AGE)


def test_the_lock_is_commanded_once_at_a_time(opening):
    assert opening.command(101.0)
    assert not opening.command(101.0)


@pytest.mark.parametrize("now", [102.1, 99.9, NAN, float("inf"), float("-inf")])
def test_frames_that_are_not_fresh_command_nothing(opening, now):
    assert not opening.command(now)
    assert opening.outcome == refused(Problem.STALE_FRAMES)


@pytest.mark.parametrize("now", [100.0, 102.0])
def test_the_limits_of_freshness_are_fresh(opening, now):
    assert opening.command(now)


def test_without_the_time_of_its_frames_a_grant_is_as_old_as_its_decision():
    grant = replace(GRANT, evidence_at=None)
    assert Opening(grant, max_age=MAX_AGE).command(103.0)
    assert not Opening(grant, max_age=MAX_AGE).command(103.1)


@pytest.mark.parametrize("problem", [Problem.LOCK_UNAVAILABLE, Problem.LOCK_FAILED])
def test_a_lock_that_did_not_move_is_commanded_once_more(opening, problem):
    assert opening.command(100.5)
    opening.failed(problem, 101.0)
    assert opening.outcome is None
    assert opening.command(101.5)
    opening.confirmed(101.6)
    assert opening.outcome is GRANT


def test_and_not_a_third_time(opening):
    for _ in range(2):
        assert opening.command(100.5)
        opening.failed(Problem.LOCK_FAILED, 100.5)
    assert opening.outcome == refused(Problem.LOCK_FAILED)
    assert not opening.command(100.5)


def test_not_after_its_frames_have_aged(opening):
    opening.command(100.5)
    opening.failed(Problem.LOCK_UNAVAILABLE, 102.5)
    assert not opening.command(102.5)
    # The reason is the lock, not the time that it took.
    assert opening.outcome == refused(Problem.LOCK_UNAVAILABLE)


@pytest.mark.parametrize("problem", [Problem.LOCK_JAMMED, Problem.LOCK_TIMEOUT, Problem.STOPPED])
def test_a_lock_that_may_have_moved_is_not_commanded_again(opening, problem):
    opening.command(100.5)
    opening.failed(problem, 100.6)
    assert opening.outcome == refused(problem)
    assert not opening.command(100.7)


def test_what_the_shell_objects_to_before_the_command_is_final(opening):
    opening.failed(Problem.LOCK_FAILED, 100.5)
    assert opening.outcome == refused(Problem.LOCK_FAILED)
    assert not opening.command(100.5)


def test_silence_is_a_timeout_and_a_late_answer_changes_nothing(opening):
    opening.command(101.0)
    opening.tick(105.9)
    assert opening.opening
    opening.tick(106.0)
    assert opening.outcome == refused(Problem.LOCK_TIMEOUT)
    assert not opening.opening
    opening.confirmed(106.1)
    opening.failed(Problem.LOCK_FAILED, 106.2)
    assert opening.outcome == refused(Problem.LOCK_TIMEOUT)
    assert not opening.command(101.0)


@pytest.mark.parametrize("now", [106.0, 100.9, NAN])
def test_a_confirmation_that_comes_too_late_or_at_no_time_opens_nothing(opening, now):
    opening.command(101.0)
    opening.confirmed(now)
    assert opening.outcome == refused(Problem.LOCK_TIMEOUT)


def test_a_failure_after_the_deadline_is_a_timeout(opening):
    opening.command(101.0)
    opening.failed(Problem.LOCK_UNAVAILABLE, 106.0)
    assert opening.outcome == refused(Problem.LOCK_TIMEOUT)


def test_an_answer_in_the_moment_of_the_command_counts(opening):
    opening.command(101.0)
    opening.confirmed(101.0)
    assert opening.outcome is GRANT


def test_time_without_a_command_is_nothing(opening):
    opening.tick(1000.0)
    assert opening.outcome is None
    assert Opening(GRANT, max_age=MAX_AGE)._deadline == 15.0
