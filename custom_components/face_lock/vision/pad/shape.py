"""Where a head looks, and whether it is a head or a flat picture that turns, by the landmarks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from ..imaging.pose import head_pose
from ..types import FloatArray

_TURNED: Final = 0.82
"""How much narrower a face must have become: 35 degrees, more than talking or errors cause."""
_FRAMES: Final = 2
"""Frames at either end of the change."""


@dataclass(frozen=True, slots=True)
class Pose:
    """A frame's ``HeadPose``, and ``aspect``: the eyes' distance in the same unit."""

    yaw: float
    pitch: float
    aspect: float


def pose(landmarks: FloatArray) -> Pose | None:
    """Return the pose of float32[5, 2]; ``None`` if points coincide or are not finite."""
    points = landmarks.astype(np.float64)
    length = float(np.hypot(*(points[3:].mean(axis=0) - points[:2].mean(axis=0))))
    apart = float(np.hypot(*(points[1] - points[0])))
    if not (np.isfinite(points).all() and length > 1e-3 and apart > 1e-3):
        return None
    looks = head_pose(landmarks)
    return Pose(looks.yaw, looks.pitch, aspect=apart / length)


def flatness(track: Sequence[FloatArray]) -> float | None:
    """Return how far the nose moved within a face whose proportions changed as if it turned.

    A face gets narrower when it turns aside, and shorter when it nods, and a nose that sticks out
    then moves across it. On paper it stays in place. ``track`` holds landmarks float32[5, 2];
    the result is in distances from eyes to mouth, and a small one means flat. ``None`` if the face
    never turned far enough to tell.
    """
    poses = [one for one in map(pose, track) if one is not None]
    if len(poses) < 2 * _FRAMES:
        return None
    poses.sort(key=lambda one: one.aspect)
    narrow, wide = poses[:_FRAMES], poses[-_FRAMES:]
    if narrow[-1].aspect > _TURNED * wide[0].aspect:
        return None
    moved = [np.hypot(a.yaw - b.yaw, a.pitch - b.pitch) for a in narrow for b in wide]
    return float(np.median(moved))
