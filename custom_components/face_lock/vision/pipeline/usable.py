"""Can a found face be compared? One answer for the door, for enrolment and for the check."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..imaging.align import CROP_SIZE, align
from ..imaging.quality import measure
from ..networks.bundle import Bundle
from ..networks.upright import is_plausible
from ..types import Face, FaceQuality, Problem, RgbImage


class Looked(NamedTuple):
    """An aligned ``crop`` uint8[112, 112, 3], and why it cannot be compared (None: it can)."""

    crop: RgbImage
    quality: FaceQuality
    problem: Problem | None


def look_at(bundle: Bundle, rgb: RgbImage, face: Face) -> Looked:
    """Align a ``face`` that was found in uint8[H, W, 3], and judge it.

    Raises:
        RuntimeError: a network answered with something that is no probability.

    """
    try:
        crop = align(rgb, face.landmarks)
    except ValueError:
        # Coinciding landmarks: no face can be read from them.
        crop = np.zeros((CROP_SIZE, CROP_SIZE, 3), dtype=np.uint8)
        return Looked(crop, measure(face, crop), Problem.NO_FACE)
    quality = measure(face, crop)
    problem = bundle.quality.problem(quality)
    if problem is None and not _is_upright(bundle, rgb, face, crop):
        problem = Problem.TURNED
    return Looked(crop, quality, problem)


def is_turned(bundle: Bundle, rgb: RgbImage, max_side: int | None = None) -> bool:
    """Whether a face is upright in uint8[H, W, 3] once that is turned by a quarter or a half.

    The network sees the picture shrunk to ``max_side`` pixels, see ``Detector.detect``. False
    without a network that tells upright faces from turned ones. Costs three searches: for when a
    first one found nobody.
    """
    if bundle.upright is None:
        return False
    for quarters in (2, 1, 3):
        turned = np.ascontiguousarray(np.rot90(rgb, quarters))
        faces = bundle.detector.detect(turned, max_side)
        if any(look_at(bundle, turned, face).problem is None for face in faces):
            return True
    return False


def _is_upright(bundle: Bundle, rgb: RgbImage, face: Face, crop: RgbImage) -> bool:
    height, width = rgb.shape[:2]
    if not is_plausible(face.landmarks, width, height):
        return False
    return bundle.upright is None or bundle.upright.accepts(crop)
