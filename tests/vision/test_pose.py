"""Which way a head is turned, from landmarks drawn by a pinhole camera and from real faces."""

import numpy as np
import pytest
from hypothesis import given, strategies as st

from vision import HeadPose, Pose, find_faces, head_pose, is_in_pose

HEAD = np.array(
    # Right eye, left eye, nose tip, right and left corner of the mouth of a person who looks along
    # z: x to this person's left, y down, z forward; in millimetres, about the mean adult's.
    [(-32, 0, 0), (32, 0, 0), (0, 38, 38), (-26, 70, 6), (26, 70, 6)],
    dtype=float,
)


def landmarks(yaw: float = 0, pitch: float = 0, roll: float = 0, scale: float = 1) -> np.ndarray:
    """Project the head, turned by degrees to its own left and upwards, onto a picture."""
    a, b, c = np.radians((yaw, pitch, roll))
    turn = np.array([[np.cos(a), 0, np.sin(a)], [0, 1, 0], [-np.sin(a), 0, np.cos(a)]])
    raised = np.array([[1, 0, 0], [0, np.cos(b), -np.sin(b)], [0, np.sin(b), np.cos(b)]])
    rolled = np.array([[np.cos(c), -np.sin(c)], [np.sin(c), np.cos(c)]])
    points = HEAD @ (turn @ raised).T
    # A person facing the camera has their left on the picture's right: x needs no mirror.
    return (points[:, :2] @ rolled.T * scale + (300, 200)).astype(np.float32)


def test_a_frontal_head_looks_straight():
    seen = head_pose(landmarks())
    assert abs(seen.yaw) < 0.01
    assert is_in_pose(seen, Pose.STRAIGHT)
    assert not any(is_in_pose(seen, p, front=seen) for p in (Pose.LEFT, Pose.RIGHT, Pose.UP))


@pytest.mark.parametrize(
    ("turned", "pose"),
    [
        ({"yaw": 18}, Pose.LEFT),
        ({"yaw": -18}, Pose.RIGHT),
        ({"pitch": 15}, Pose.UP),
        ({"yaw": 5, "pitch": 15}, Pose.UP),
    ],
)
def test_each_turn_is_its_own_pose(turned, pose):
    front = head_pose(landmarks())
    seen = head_pose(landmarks(**turned))
    kinds = (Pose.LEFT, Pose.RIGHT, Pose.UP)
    assert [kind for kind in kinds if is_in_pose(seen, kind, front)] == [pose]


def test_a_lowered_chin_and_a_strong_turn_are_not_a_raised_chin():
    front = head_pose(landmarks())
    assert not is_in_pose(head_pose(landmarks(pitch=-15)), Pose.UP, front)
    assert not is_in_pose(head_pose(landmarks(yaw=40, pitch=15)), Pose.UP, front)
    assert not is_in_pose(head_pose(landmarks(yaw=40)), Pose.STRAIGHT)


@given(st.floats(-30, 30), st.floats(-20, 20), st.floats(-25, 25), st.floats(0.2, 5))
def test_roll_and_size_say_nothing_and_a_mirror_swaps_the_sides(yaw, pitch, roll, scale):
    plain = head_pose(landmarks(yaw, pitch))
    other = head_pose(landmarks(yaw, pitch, roll, scale))
    assert other.yaw == pytest.approx(plain.yaw, abs=1e-3)
    assert other.pitch == pytest.approx(plain.pitch, abs=1e-3)
    mirrored = landmarks(yaw, pitch)[[1, 0, 2, 4, 3]] * (-1, 1)
    assert head_pose(mirrored.astype(np.float32)).yaw == pytest.approx(-plain.yaw, abs=1e-3)


@given(st.floats(-30, 29), st.floats(0.5, 1))
def test_yaw_rises_with_the_turn(yaw, more):
    assert head_pose(landmarks(yaw + more)).yaw > head_pose(landmarks(yaw)).yaw


def test_landmarks_that_coincide_are_no_face():
    with pytest.raises(ValueError, match="not a face"):
        head_pose(np.ones((5, 2), dtype=np.float32))


@pytest.mark.parametrize(("name", "side"), [("obama2", -1), ("obama3", 1), ("biden", 1)])
def test_real_faces(bundle, picture, name, side):
    rgb = picture(name)
    seen = head_pose(find_faces(bundle, rgb).candidates[0].face.landmarks)
    mirror = head_pose(
        find_faces(bundle, np.ascontiguousarray(rgb[:, ::-1])).candidates[0].face.landmarks
    )
    assert seen.yaw * side > 0.1
    assert mirror.yaw * side < -0.1
    assert abs(mirror.pitch - seen.pitch) < 0.06
    front = HeadPose(0.0, seen.pitch)
    assert is_in_pose(seen, Pose.LEFT if side > 0 else Pose.RIGHT, front)
    assert is_in_pose(mirror, Pose.RIGHT if side > 0 else Pose.LEFT, front)
