"""How bright a face is compared with its background, in linear light."""

from __future__ import annotations

from math import log2
from typing import Final

import numpy as np

from ..types import Evidence
from .view import SIDE, box_in

_DARKEST: Final = 1e-3
"""Share of white below which there is only the camera's noise."""

_LEVELS: Final = np.arange(256) / 255
LINEAR: Final = np.where(_LEVELS <= 0.04045, _LEVELS / 12.92, ((_LEVELS + 0.055) / 1.055) ** 2.4)
"""Linear light of each grey level (IEC 61966-2-1)."""


def contrast(evidence: Evidence) -> float | None:
    """Return by how many stops (powers of two) the face is brighter than its background.

    The camera's own exposure changes both alike. ``None`` without a view or without a background.
    """
    if evidence.cues is None:
        return None
    view = evidence.cues.view
    light = LINEAR[view.grey]
    x1, y1, x2, y2 = box_in(view, evidence.face)
    width, height = x2 - x1, y2 - y1
    y, x = np.mgrid[0:SIDE, 0:SIDE] + 0.5
    left, top, right, bottom = view.seen
    seen = (x > left) & (x < right) & (y > top) & (y < bottom)
    face = (np.abs(x - (x1 + x2) / 2) < 0.3 * width) & (np.abs(y - (y1 + y2) / 2) < 0.3 * height)
    # Above and beside the head: the body below it is lit by the lamp as well.
    behind = (x < x1 - 0.35 * width) | (x > x2 + 0.35 * width) | (y < y1 - 0.5 * height)
    behind &= y < (y1 + y2) / 2
    if (face & seen).sum() < 9 or (behind & seen).sum() < SIDE:
        return None
    bright = max(float(light[face & seen].mean()), _DARKEST)
    # The median, so that a lamp or the sky in view does not decide.
    dark = max(float(np.median(light[behind & seen])), _DARKEST)
    return log2(bright / dark)
