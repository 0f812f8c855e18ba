"""What a crop is like: light, blur, colour and pose, measured as the door measures it."""

from dataclasses import dataclass

import numpy as np

from training.common import product
from training.common.pictures import centre
from training.verifier.gallery import qualities

# A mean face in eye distances: left and right eye, nose, left and right mouth corner; x to the
# viewer's right, y down, z towards the camera. x and y are medians of how the bundle's detector
# marks 594 faces of `faces.parquet` that look ahead (it sets the mouth higher than the ArcFace
# template does). The depths are anthropometric: the nose's tip lies about 25 mm before the
# pupils, which are 63 mm apart.
MEAN_FACE = np.array(
    [
        [-0.500, 0.000, 0.00],
        [0.500, 0.000, 0.00],
        [0.000, 0.588, 0.40],
        [-0.428, 0.974, 0.08],
        [0.428, 0.974, 0.08],
    ]
)


@dataclass(frozen=True)
class Measures:
    """One value a crop, all float [N].

    `brightness` is mean luma 0..255, `sharpness` the variance of the Laplacian, `side_light` the
    ratio of the brighter half of the face to the darker (1: even), `colour` the mean difference
    between a pixel's strongest and weakest channel 0..255 (grey: 0), `yaw` and `pitch` degrees,
    positive to the viewer's right and upwards, NaN where no face was found on the crop.
    """

    brightness: np.ndarray
    sharpness: np.ndarray
    side_light: np.ndarray
    colour: np.ndarray
    yaw: np.ndarray
    pitch: np.ndarray


def pose(landmarks: np.ndarray) -> tuple[float, float]:
    """Estimate yaw and pitch in degrees from float [5, 2], upright, in `Face.landmarks`' order.

    A mean face is fitted under scaled orthography, the first step of POSIT (DeMenthon and Davis
    1995). A real face differs from the mean one by some ten degrees, and a detector's marks lean
    towards the mean face: pitch comes out too small.
    """
    model = MEAN_FACE - MEAN_FACE.mean(axis=0)
    seen = np.asarray(landmarks, float) - np.mean(landmarks, axis=0)
    affine = (np.linalg.pinv(model) @ seen).T
    left, scales, right = np.linalg.svd(affine, full_matrices=False)
    if scales[1] < 1e-6:
        return float("nan"), float("nan")
    # The third column of the nearest rotation is where the nose points to.
    x, y = (left @ right)[:, 2]
    ahead = np.sqrt(max(0.0, 1.0 - x * x - y * y))
    return float(np.rad2deg(np.arctan2(x, ahead))), float(-np.rad2deg(np.arcsin(y)))


def measure(stored: np.ndarray) -> Measures:
    """Measure stored crops uint8 [N, 128, 128, 3].

    Pose comes from the bundle's detector, run on the crop: tables of crops hold no landmarks.
    """
    detector = product.detector()
    brightness, sharpness = qualities(centre(stored))
    angles = np.full((len(stored), 2), np.nan)
    for row, crop in enumerate(stored):
        if faces := detector.detect(crop):
            # The largest: at the edge of a crop there may be a neighbour's.
            angles[row] = pose(max(faces, key=lambda face: face.width).landmarks)
    return Measures(
        brightness, sharpness, _side_light(stored), _colour(stored), angles[:, 0], angles[:, 1]
    )


def _side_light(stored: np.ndarray) -> np.ndarray:
    """Compare the halves of the face itself: the backdrop would say nothing of the lamp."""
    face = stored[:, 40:112, 32:96].astype(np.float32).mean(axis=3)
    left, right = face[:, :, :32].mean(axis=(1, 2)), face[:, :, 32:].mean(axis=(1, 2))
    return (np.maximum(left, right) + 1.0) / (np.minimum(left, right) + 1.0)


def _colour(stored: np.ndarray) -> np.ndarray:
    inner = centre(stored)
    return np.array([np.mean(crop.max(axis=2) - crop.min(axis=2)) for crop in inner])
