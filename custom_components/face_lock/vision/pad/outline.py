"""Finds straight edges that move with a face: those of a phone or a sheet.

Each frame is turned and scaled so that the face stays in place. What is fixed to the face then adds
up over the frames, and what lies behind it is smeared. A pair of straight edges on opposite sides
of the face, present in nearly every frame, is the outline of something flat.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ..imaging.align import similarity_transform
from ..types import Face, FloatArray, View
from .view import SIDE, landmarks_in

_FACE: Final = 30.0
"""Height of the face in the turned view, which spans 3.2 faces."""
# Landmarks of a frontal face relative to the middle of its box, as shares of the box's height.
_FRONT: Final = np.array(
    [[-0.17, -0.12], [0.17, -0.12], [0.0, 0.08], [-0.14, 0.27], [0.14, 0.27]], dtype=np.float32
)
_STEP: Final = 5.0
"""Grey levels between a pixel's two neighbours that make an edge."""
_LEAST_TRAVEL: Final = 0.25
"""Widths of the face by which it must have moved: until then a door frame seems carried, too."""
_NEAREST: Final = 0.5
_FURTHEST: Final = 1.45
_REACH: Final = 0.85
"""Distances of an edge from the middle of the face, and half its length, in heights of the face."""
_SLOPES: Final = (-0.15, -0.1, -0.05, 0.0, 0.05, 0.1, 0.15)


def outline(track: Sequence[tuple[Face, View]]) -> float | None:
    """Return how complete the best pair of carried edges is, 0..1.

    ``None`` with fewer than three frames, or if the face stayed where it was.
    """
    if len(track) < 3 or _travel([face for face, _ in track]) < _LEAST_TRAVEL:
        return None
    upright, lying, weight = (np.zeros((SIDE, SIDE), np.float32) for _ in range(3))
    for face, view in track:
        turned = _turned(face, view)
        if turned is None:
            continue
        seen = turned >= 0
        upright += _edges(turned, seen)
        lying += _edges(turned.T, seen.T).T
        weight += seen
    if weight.max() < 3:
        return None
    some = np.where(weight >= 3, weight, np.inf)
    return max(_pair(upright / some), _pair((lying / some).T))


def _travel(faces: Sequence[Face]) -> float:
    """Return how far the middle of the face moved at most, in widths of the face."""
    middles = np.array(
        [((f.box[0] + f.box[2]) / 2, (f.box[1] + f.box[3]) / 2) for f in faces], np.float64
    )
    width = float(np.median([face.width for face in faces]))
    apart = np.hypot(*(middles[:, None] - middles[None]).transpose(2, 0, 1))
    return float(apart.max()) / max(width, 1e-6)


def _turned(face: Face, view: View) -> FloatArray | None:
    """Return the view with the face upright in its middle: float32[S, S], -1 where unseen."""
    upright = _FRONT * _FACE + SIDE / 2
    try:
        back = similarity_transform(upright, landmarks_in(view, face)).astype(np.float64)
    except ValueError:
        return None
    left, top, right, bottom = view.seen
    grey = np.full((SIDE, SIDE), -1e4, dtype=np.float32)
    grey[top:bottom, left:right] = view.grey[top:bottom, left:right]
    turned = Image.fromarray(grey).transform(
        (SIDE, SIDE),
        Image.Transform.AFFINE,
        tuple(back.ravel()),
        Image.Resampling.BILINEAR,
        fillcolor=-1e4,
    )
    return np.maximum(np.asarray(turned, dtype=np.float32), -1.0)


def _edges(grey: FloatArray, seen: NDArray[np.bool_]) -> FloatArray:
    """Return a map, 0 or 1, of upright edges, each three pixels wide."""
    across = np.zeros_like(grey)
    across[:, 1:-1] = np.abs(grey[:, 2:] - grey[:, :-2])
    along = np.zeros_like(grey)
    along[1:-1] = np.abs(grey[2:] - grey[:-2])
    whole = seen.copy()
    whole[:, 1:-1] &= seen[:, 2:] & seen[:, :-2]
    peak = np.zeros_like(whole)
    peak[:, 1:-1] = (across[:, 1:-1] >= across[:, 2:]) & (across[:, 1:-1] >= across[:, :-2])
    edge = peak & whole & (across > _STEP) & (across > 1.5 * along)
    wide = edge.copy()
    wide[:, 1:] |= edge[:, :-1]
    wide[:, :-1] |= edge[:, 1:]
    return wide.astype(np.float32)


def _pair(presence: FloatArray) -> float:
    """Return the completeness of the best upright lines on both sides, the worse of the two."""
    lines = _lines()
    padded = np.pad(presence, ((0, 0), (0, 1)))
    rows = np.arange(lines.shape[-1]) + int(SIDE / 2 - _REACH * _FACE)
    found = padded[rows, lines].mean(axis=-1)
    left, right = found[0].max(), found[1].max()
    return float(min(left, right))


@cache
def _lines() -> NDArray[np.int64]:
    """Return the columns of all lines: int[side, line, row]; the last column is never seen."""
    rows = np.arange(int(2 * _REACH * _FACE)) - int(_REACH * _FACE)
    offsets = np.arange(_NEAREST * _FACE, _FURTHEST * _FACE)
    slopes = np.array(_SLOPES)
    away = offsets[:, None, None] + slopes[None, :, None] * rows[None, None, :]
    away = away.reshape(-1, len(rows))
    columns = np.rint(SIDE / 2 + np.stack([-away, away])).astype(np.int64)
    columns[(columns < 0) | (columns > SIDE)] = SIDE
    return columns
