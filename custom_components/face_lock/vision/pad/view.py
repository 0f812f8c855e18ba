"""A small picture of a face's surroundings, with which later frames are compared."""

from __future__ import annotations

from typing import Final

import numpy as np
from PIL import Image

from ..types import Face, FloatArray, GreyImage, RgbImage, View

SIDE: Final = 96
"""Pixels of a view's sides."""
SPAN: Final = 3.2
"""Side of a view relative to the longer side of the face's box: at arm's length it covers a sheet
of A4, or a phone and the hand that holds it."""


def cut_view(rgb: RgbImage, box: tuple[float, float, float, float]) -> View:
    """Cut the view around ``box`` (x1, y1, x2, y2) from uint8[H, W, 3].

    Raises:
        ValueError: no part of it lies in the picture.

    """
    height, width = rgb.shape[:2]
    x1, y1, x2, y2 = box
    span = SPAN * max(x2 - x1, y2 - y1)
    left, top = (x1 + x2 - span) / 2, (y1 + y2 - span) / 2
    scale = span / SIDE
    if not np.isfinite([left, top, scale]).all() or scale <= 0:
        raise ValueError(f"no view around the box {box}")
    # Only whole pixels of the view: one that lies half outside would look like an edge.
    first = np.ceil((np.array([0.0, 0.0]) - (left, top)) / scale).clip(0, SIDE).astype(int)
    last = np.floor((np.array([width, height]) - (left, top)) / scale).clip(0, SIDE).astype(int)
    columns, rows = last - first
    if columns < 1 or rows < 1:
        raise ValueError(f"the surroundings of the box {box} do not lie in the picture")
    part = (
        left + float(first[0]) * scale,
        top + float(first[1]) * scale,
        left + float(last[0]) * scale,
        top + float(last[1]) * scale,
    )
    grey = np.zeros((SIDE, SIDE), dtype=np.uint8)
    grey[first[1] : last[1], first[0] : last[0]] = _shrunk(rgb, part, (int(columns), int(rows)))
    seen = (int(first[0]), int(first[1]), int(last[0]), int(last[1]))
    return View(grey, (left, top), scale, seen)


def _shrunk(
    rgb: RgbImage, part: tuple[float, float, float, float], size: tuple[int, int]
) -> GreyImage:
    height, width = rgb.shape[:2]
    left, top = max(int(part[0]) - 1, 0), max(int(part[1]) - 1, 0)
    right, bottom = min(int(part[2]) + 2, width), min(int(part[3]) + 2, height)
    # Only this part is converted to grey: the picture may have twenty times its pixels.
    grey = Image.fromarray(rgb[top:bottom, left:right]).convert("L")
    moved = (
        max(part[0] - left, 0.0),
        max(part[1] - top, 0.0),
        min(part[2] - left, float(grey.width)),
        min(part[3] - top, float(grey.height)),
    )
    small = grey.resize(size, Image.Resampling.BILINEAR, box=moved, reducing_gap=2.0)
    return np.asarray(small, dtype=np.uint8)


def box_in(view: View, face: Face) -> tuple[float, float, float, float]:
    """Return the face's box in the view's pixels."""
    x, y = view.origin
    x1, y1, x2, y2 = face.box
    return (
        (x1 - x) / view.scale,
        (y1 - y) / view.scale,
        (x2 - x) / view.scale,
        (y2 - y) / view.scale,
    )


def landmarks_in(view: View, face: Face) -> FloatArray:
    """Return the face's landmarks float32[5, 2] in the view's pixels."""
    moved = (face.landmarks - np.array(view.origin)) / view.scale
    within: FloatArray = moved.astype(np.float32)
    return within
