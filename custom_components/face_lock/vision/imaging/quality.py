"""Whether a face is good enough to be evidence: three measures and their calibrated limits.

A threshold holds only for pictures like those it was measured on, so a face outside these limits
counts neither for nor against anybody.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..types import Face, FaceQuality, FloatArray, Problem, RgbImage


@dataclass(frozen=True, slots=True)
class QualityLimits:
    """The minimum that a face must reach, from the bundle."""

    min_face_px: float
    """Width of the detected face in the picture, pixels."""
    min_brightness: float
    """Mean luma of the aligned crop, 0..255."""
    min_sharpness: float
    """Variance of the Laplacian of the aligned crop's luma."""

    def problem(self, quality: FaceQuality) -> Problem | None:
        """Return the first limit that is not reached, or None."""
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
    noise raises it too, so it can refuse a blurred picture but not vouch for a grainy one.
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
