"""Which pose is asked for next, and what is said meanwhile."""

import pytest
from hypothesis import given, strategies as st

from custom_components.face_lock.enrollment.pose_guide import (
    COUNT,
    INSISTENCE,
    PATIENCE,
    POSES,
    WALK,
    Guide,
    Seen,
)
from custom_components.face_lock.vision import HeadPose, Pose

FRONT = HeadPose(0.0, 0.58)
LEFT = HeadPose(0.15, 0.58)
RIGHT = HeadPose(-0.15, 0.58)
UP = HeadPose(0.0, 0.48)


def keep(guide: Guide, pose: HeadPose, now: float = 0.0) -> None:
    assert guide.wants(pose)
    guide.note(Seen(pose=pose, kept=True), now)


def test_one_pose_after_the_other() -> None:
    guide = Guide(0.0)
    said = []
    for pose in (FRONT, LEFT, RIGHT, UP):
        said.append(guide.instruction)
        keep(guide, pose)
    assert said == ["straight", "left", "right", "up"] == [str(pose) for pose in POSES]
    assert guide.is_done
    assert guide.kept == guide.wanted == 4
    assert not guide.wants(FRONT)
    assert guide.instruction == "done"


def test_another_pose_is_not_taken_for_the_one_asked_for() -> None:
    guide = Guide(0.0)
    keep(guide, FRONT)
    assert not any(guide.wants(pose) for pose in (FRONT, RIGHT, UP))
    guide.note(Seen(pose=FRONT), 1.0)
    assert guide.instruction == "left"
    assert guide.problem is None


def test_poses_are_relative_to_how_this_person_looks_straight() -> None:
    guide = Guide(0.0)
    keep(guide, HeadPose(0.12, 0.66))
    assert not guide.wants(HeadPose(0.2, 0.66))
    assert guide.wants(HeadPose(0.23, 0.66))


def test_a_problem_is_said_when_it_lasts_and_forgotten_when_it_is_over() -> None:
    guide = Guide(0.0)
    guide.note(Seen("too_dark"), 1.0)
    assert guide.instruction == "straight"
    for _ in range(INSISTENCE - 1):
        guide.note(Seen("too_dark"), 1.0)
    assert guide.instruction == "too_dark"
    guide.note(Seen("face_too_small"), 2.0)
    assert guide.instruction == "straight"
    guide.note(Seen("face_too_small"), 2.0)
    assert guide.instruction == "face_too_small"
    guide.note(Seen(pose=LEFT), 3.0)
    assert guide.instruction == "straight"


def test_there_is_a_minute_until_somebody_has_come() -> None:
    guide = Guide(0.0)
    assert guide.left(0.0) == WALK
    guide.note(Seen("no_face"), WALK - 0.1)
    assert not guide.is_waiting
    assert guide.left(WALK - 0.1) == COUNT
    guide.note(Seen("no_face"), WALK)
    assert guide.is_waiting
    assert guide.left(WALK) == 0


def test_who_has_come_has_a_few_seconds_for_each_pose() -> None:
    guide = Guide(0.0)
    guide.note(Seen(pose=LEFT), 50.0)
    assert guide.left(50.0) == 15
    guide.note(Seen(pose=LEFT), 50.0 + PATIENCE - 0.1)
    assert not guide.is_waiting
    guide.note(Seen(pose=LEFT), 50.0 + PATIENCE)
    assert guide.is_waiting


def test_a_pose_that_does_not_come_can_be_tried_again() -> None:
    guide = Guide(0.0)
    keep(guide, FRONT, 5.0)
    guide.note(Seen(pose=FRONT), 5.0 + PATIENCE)
    assert (guide.is_waiting, guide.pose) == (True, Pose.LEFT)
    guide.again(100.0)
    assert (guide.is_waiting, guide.pose) == (False, Pose.LEFT)
    guide.note(Seen(pose=FRONT), 100.0 + PATIENCE - 0.1)
    assert not guide.is_waiting
    keep(guide, LEFT, 100.0 + PATIENCE)
    assert guide.missed == []


def test_a_pose_can_be_left_out() -> None:
    guide = Guide(0.0)
    keep(guide, FRONT, 5.0)
    guide.note(Seen("blurred"), 5.0 + PATIENCE)
    guide.skip(50.0)
    assert (guide.is_waiting, guide.instruction) == (False, "right")
    assert guide.missed == [Pose.LEFT]
    guide.note(Seen(pose=FRONT), 50.0 + PATIENCE - 0.1)
    assert not guide.is_waiting


def test_it_can_be_stopped() -> None:
    guide = Guide(0.0)
    keep(guide, FRONT, 5.0)
    guide.note(Seen("no_face"), 5.0 + PATIENCE)
    guide.stop()
    assert guide.is_done
    assert guide.problem == "no_face"
    assert guide.missed == [Pose.LEFT, Pose.RIGHT, Pose.UP]


@pytest.mark.parametrize("room", [1, 2, 4, 10])
def test_no_more_is_asked_for_than_there_is_room(room) -> None:
    assert Guide(0.0, room).wanted == min(room, len(POSES))


seen = st.builds(
    Seen,
    problem=st.sampled_from([None, "no_face", "too_dark", "camera_failed"]),
    pose=st.sampled_from([None, FRONT, LEFT, RIGHT, UP]),
)


@given(st.lists(st.tuples(seen, st.floats(0, 3)), max_size=80))
def test_it_always_ends_in_time_with_no_more_than_was_kept(looks) -> None:
    guide, now, kept = Guide(0.0), 0.0, 0
    for look, pause in looks:
        now += pause
        if guide.is_done or guide.is_waiting:
            break
        usable = look.problem is None and look.pose is not None and guide.wants(look.pose)
        guide.note(Seen(look.problem, look.pose, usable), now)
        kept += usable
        assert guide.kept == kept <= guide.wanted
    waited = 0
    while not guide.is_done:
        now += 1.0
        guide.note(Seen(), now)
        if guide.is_waiting:
            waited += 1
            guide.skip(now)
    assert waited + kept == guide.wanted
    assert now <= len(looks) * 3 + len(POSES) * (WALK + 1)
