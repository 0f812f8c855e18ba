"""Which way a head is turned, from five landmarks: enough to ask for a pose, not to measure it.

The nose stands out of the plane of eyes and mouth, so a turned head moves it within that plane:
sideways with the yaw, up or down with the pitch. Both are measured against the line from the
middle of the eyes to the middle of the mouth, which turning the head sideways does not shorten.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import numpy as np

from ..types import FloatArray


class Pose(StrEnum):
    """The poses that a person can be asked for, from their own point of view."""

    STRAIGHT = "straight"
    LEFT = "left"
    RIGHT = "right"
    UP = "up"


@dataclass(frozen=True, slots=True)
class HeadPose:
    """Where the nose lies, in lengths of the line from eyes to mouth.

    ``yaw`` is 0 for a face seen from the front, positive for one turned to the person's own left.
    ``pitch`` is about 0.6 from the front and falls when the chin goes up.
    """

    yaw: float
    pitch: float


FRONT: Final = HeadPose(yaw=0.0, pitch=0.58)
"""The average front view of the six faces among the tests' pictures."""
STRAIGHT: Final = 0.18
"""Largest yaw that still counts as looking at the camera, about 17 degrees."""
TURN: Final = 0.1
"""Least change of yaw that counts as turned, about 10 degrees."""
RAISE: Final = 0.06
"""Least change of pitch that counts as chin up."""


def head_pose(landmarks: FloatArray) -> HeadPose:
    """Estimate the pose from float32[5, 2] landmarks, as in `Face`; a roll of the head is undone.

    Raises:
        ValueError: eyes and mouth coincide.

    """
    eyes, mouth = landmarks[:2].mean(axis=0), landmarks[3:].mean(axis=0)
    down = mouth - eyes
    length = float(np.hypot(*down))
    if not length > 0:
        raise ValueError("these landmarks are not a face")
    down_x, down_y = (float(part) / length for part in down)
    nose_x, nose_y = (float(part) / length for part in landmarks[2] - eyes)
    return HeadPose(
        yaw=nose_x * down_y - nose_y * down_x,
        pitch=nose_x * down_x + nose_y * down_y,
    )


def is_in_pose(seen: HeadPose, pose: Pose, front: HeadPose = FRONT) -> bool:
    """Whether a head is in the requested pose, relative to this person's ``front`` view."""
    yaw, pitch = seen.yaw - front.yaw, seen.pitch - front.pitch
    if pose is Pose.STRAIGHT:
        return abs(seen.yaw) <= STRAIGHT
    if pose is Pose.LEFT:
        return yaw >= TURN
    if pose is Pose.RIGHT:
        return yaw <= -TURN
    return pitch <= -RAISE and abs(yaw) <= STRAIGHT
