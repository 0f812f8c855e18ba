"""Whether the pixels of a place are those of an earlier picture, to a small part of a pixel.

A detector's landmarks waver by 1 % of a face's width on a picture that hangs still, and by more in
the dark; a living face that holds still moves by as much. Its pixels tell more: a least-squares fit
of the shift (Lucas and Kanade 1981) uses all of them, so that noise averages out. Measured with
``benchmarks/scene.py``.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from PIL import Image

from ..imaging.quality import luma
from ..types import FloatArray, RgbImage

PATCH: Final = 32
"""Pixels of a patch's sides, whatever the size of the face."""
_BLOCK: Final = 8
_TEXTURE: Final = 4.0
"""Standard deviation, in grey levels, below which a block shows nothing that could move."""
_FEWEST: Final = 4
"""Blocks with texture that a comparison takes."""
_ALIKE: Final = 0.8
"""Correlation from which a block shows the same, whatever the light on it."""

Box = tuple[float, float, float, float]


class Change(NamedTuple):
    """What became of a place.

    ``same`` is the share 0..1 of its blocks that show the same, which what stands before a part of
    it leaves alone; ``shift`` is how far these have moved, in widths of the place: infinite if they
    are too few to tell.
    """

    same: float
    shift: float


def cut_patch(rgb: RgbImage, box: Box) -> FloatArray | None:
    """Cut ``box`` (x1, y1, x2, y2), in pixels, from uint8[H, W, 3] as luma float32[32, 32].

    What lies outside the picture is left out; None where nothing is left.
    """
    height, width = rgb.shape[:2]
    if not np.isfinite(box).all():
        return None
    x1, y1, x2, y2 = max(box[0], 0.0), max(box[1], 0.0), min(box[2], width), min(box[3], height)
    if x2 - x1 < 1 or y2 - y1 < 1:
        return None
    left, top = int(x1), int(y1)
    part = luma(rgb[top : int(np.ceil(y2)), left : int(np.ceil(x2))])
    small = Image.fromarray(part).resize(
        (PATCH, PATCH),
        Image.Resampling.BILINEAR,
        box=(x1 - left, y1 - top, x2 - left, y2 - top),
        reducing_gap=2.0,
    )
    return np.asarray(small, dtype=np.float32)


def change(patch: FloatArray, anchor: FloatArray) -> Change | None:
    """Compare a patch with an earlier one of the same place; None where too little is to be seen.

    Each block has a brightness and a contrast of its own, so that neither exposure nor a shadow
    that wanders slowly counts.
    """
    now, before = _blocks(patch), _blocks(anchor)
    deviation = before.std(axis=1)
    textured = deviation >= _TEXTURE
    if textured.sum() < _FEWEST:
        return None
    common = (now * before).mean(axis=1)
    alike = common >= _ALIKE * np.maximum(deviation * now.std(axis=1), 1e-6)
    same = textured & alike
    share = float(same.sum() / textured.sum())
    if same.sum() < _FEWEST // 2:
        return Change(share, float("inf"))
    gain = common[same] / deviation[same] ** 2
    down, right = (_blocks(part)[same].ravel() for part in np.gradient(anchor))
    difference = (before[same] - now[same] / gain[:, None]).ravel()
    shift, *_ = np.linalg.lstsq(np.stack([right, down], axis=1), difference, rcond=None)
    return Change(share, float(np.hypot(*shift)) / PATCH)


def _blocks(pixels: FloatArray) -> FloatArray:
    """Cut float32[32, 32] into blocks without their brightness: float32[16, 64]."""
    side = PATCH // _BLOCK
    cut = pixels.reshape(side, _BLOCK, side, _BLOCK).swapaxes(1, 2).reshape(side * side, -1)
    blocks: FloatArray = cut - cut.mean(axis=1, keepdims=True)
    return blocks
