"""Which pose is asked for next, and what is said meanwhile."""

import pytest
from hypothesis import given, strategies as st

from custom_components.face_lock.enrollment.pose_guide import (
    INSISTENCE,
    PATIENCE,
    POSES,
    Guide,
    Seen,
)
from custom_components.face_lock.vision import HeadPose

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


def test_a_pose_that_does_not_come_is_left_out() -> None:
    guide = Guide(0.0)
    keep(guide, FRONT, 5.0)
    guide.note(Seen(pose=FRONT), 5.0 + PATIENCE - 0.1)
    assert guide.instruction == "left"
    guide.note(Seen(pose=FRONT), 5.0 + PATIENCE)
    assert guide.instruction == "right"
    # Neither is one at which something was wrong all the time, once a picture was kept.
    guide.note(Seen("blurred"), 5.0 + 2 * PATIENCE)
    assert not guide.is_done
    assert guide.wants(UP)


def test_who_never_looks_straight_is_asked_for_the_next_pose() -> None:
    guide = Guide(0.0)
    guide.note(Seen(pose=HeadPose(0.4, 0.58)), PATIENCE)
    assert guide.instruction == "left"


def test_nothing_usable_ends_it_early_with_the_reason() -> None:
    guide = Guide(0.0)
    guide.note(Seen("no_face"), PATIENCE)
    assert guide.is_done
    assert guide.problem == "no_face"


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
        if guide.is_done:
            break
        usable = look.problem is None and look.pose is not None and guide.wants(look.pose)
        guide.note(Seen(look.problem, look.pose, usable), now)
        kept += usable
        assert guide.kept == kept <= guide.wanted
    while not guide.is_done:
        now += 1.0
        guide.note(Seen(), now)
    assert now <= len(looks) * 3 + len(POSES) * (PATIENCE + 1)
