"""Pictures in which faces lie on their side or upside down: a camera or a phone held so."""

from __future__ import annotations

import numpy as np

from .align import align
from .bundle import Bundle
from .types import RgbImage


def is_turned(bundle: Bundle, rgb: RgbImage, max_side: int) -> bool:
    """Whether a face is upright in uint8[H, W, 3] once that is turned by a quarter or a half.

    The network sees the picture shrunk to ``max_side`` pixels. False without a network that tells
    upright faces from turned ones. Costs three searches: for when a first one found nobody.
    """
    if bundle.upright is None:
        return False
    for quarters in (2, 1, 3):
        turned = np.ascontiguousarray(np.rot90(rgb, quarters))
        for face in bundle.detector.detect(turned, max_side):
            try:
                crop = align(turned, face.landmarks)
            except ValueError:
                continue
            if bundle.upright.accepts(crop, face.landmarks):
                return True
    return False
