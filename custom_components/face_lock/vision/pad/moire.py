"""Finds waves that skin does not have: traces of a screen's or a print's raster in the pixels.

A raster sampled by a sensor leaves a sharp line in the spectrum (moire), while skin, hair and noise
spread over all directions. So the strongest wave is compared with the median of the waves of the
same length.
"""

from __future__ import annotations

from functools import cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ..imaging.quality import luma
from ..types import RgbImage

_SMALLEST: Final = 48
_LARGEST: Final = 128
"""Pixels of the square that is examined; it is never scaled, which would add waves of its own."""
_INNER: Final = 0.9
"""Its side relative to the face's width, which leaves out hair and background."""
_LONGEST: Final = 0.14
"""Waves of fewer cycles per pixel are features of a face."""
_RINGS: Final = 24
_NOISE: Final = 0.3
"""Grey levels; a picture without any noise has no spectrum to stand out from."""


def moire(rgb: RgbImage, box: tuple[float, float, float, float]) -> float | None:
    """Return how far the strongest wave stands out in the face of uint8[H, W, 3].

    As a power of ten over the median power of waves of the same length; 1.0 to 1.4 is chance.
    ``None`` if the face is smaller than about 54 pixels or cut off by the picture's edge.
    """
    x1, y1, x2, y2 = box
    side = min(int(_INNER * min(x2 - x1, y2 - y1)), _LARGEST) // 2 * 2
    left, top = round((x1 + x2 - side) / 2), round((y1 + y2 - side) / 2)
    height, width = rgb.shape[:2]
    if side < _SMALLEST or left < 0 or top < 0 or left + side > width or top + side > height:
        return None
    window, rings, wanted = _plan(side)
    grey = luma(rgb[top : top + side, left : left + side])
    power = np.abs(np.fft.rfft2((grey - grey.mean()) * window)) ** 2
    floor = _NOISE**2 * float((window**2).sum())
    best = 0.0
    values, numbers = power[wanted], rings[wanted]
    for ring in range(_RINGS):
        mine = values[numbers == ring]
        if mine.size >= 16:
            best = max(best, float(mine.max()) / max(float(np.median(mine)), floor))
    return float(np.log10(max(best, 1.0)))


@cache
def _plan(side: int) -> tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.bool_]]:
    """Return the window, each wave's ring (by length), and which waves count."""
    taper = np.hanning(side).astype(np.float32)
    fy = np.fft.fftfreq(side)[:, None]
    fx = np.fft.rfftfreq(side)[None, :]
    length = np.hypot(fx, fy)
    rings = np.minimum((length / 0.5 * _RINGS).astype(np.int64), _RINGS)
    # JPEG's blocks of eight pixels, sixteen for colours, form a raster of their own.
    near = 2.5 / side
    blocks = ((np.abs(fy) < near) & _of_blocks(fx, near)) | (
        (np.abs(fx) < near) & _of_blocks(fy, near)
    )
    wanted = (length > _LONGEST) & (length < 0.5) & ~blocks
    return np.outer(taper, taper), rings, wanted


def _of_blocks(frequency: NDArray[np.floating[Any]], near: float) -> NDArray[np.bool_]:
    beside: NDArray[np.bool_] = np.abs(frequency * 16 - np.rint(frequency * 16)) < near * 16
    return beside
