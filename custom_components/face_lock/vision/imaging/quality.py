"""Is a face good enough to be evidence? Three measures, with the limits that calibration set.

A threshold holds only for pictures like those it was measured on; a face outside these limits
therefore says nothing, neither for nor against.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..types import Face, FaceQuality, FloatArray, Problem, RgbImage


@dataclass(frozen=True, slots=True)
class QualityLimits:
    """The least that a face must have, from the bundle."""

    min_face_px: float
    """Width of the detected face in the picture, pixels."""
    min_brightness: float
    """Mean luma of the aligned crop, 0..255."""
    min_sharpness: float
    """Variance of the Laplacian of the aligned crop's luma."""

    def problem(self, quality: FaceQuality) -> Problem | None:
        """Return the first limit that is missed, or None."""
        if quality.face_px < self.min_face_px:
            return Problem.FACE_TOO_SMALL
        if quality.brightness < self.min_brightness:
            return Problem.TOO_DARK
        if quality.sharpness < self.min_sharpness:
            return Problem.BLURRED
        return None


def luma(rgb: RgbImage | FloatArray) -> FloatArray:
    """ITU-R BT.601 luma of uint8 or float32[H, W, 3]: float32[H, W], 0..255."""
    weights = np.array([0.299, 0.587, 0.114], dtype=np.float32)
    return rgb.astype(np.float32) @ weights


def measure(face: Face, crop: RgbImage) -> FaceQuality:
    """Measure ``face`` and its aligned crop uint8[112, 112, 3].

    Sharpness is the variance of the 4-neighbour Laplacian (Pech-Pacheco et al. 2000). Sensor
    noise raises it too, so that it refuses blur but cannot vouch for a grainy picture.
    """
    grey = luma(crop)
    laplacian = (
        grey[:-2, 1:-1] + grey[2:, 1:-1] + grey[1:-1, :-2] + grey[1:-1, 2:] - 4.0 * grey[1:-1, 1:-1]
    )
    return FaceQuality(
        face_px=face.width,
        brightness=float(grey.mean()),
        sharpness=float(laplacian.var()),
    )
