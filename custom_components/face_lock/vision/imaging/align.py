"""Turns a face in a picture into the upright 112x112 crop that the embedder was trained on."""

from __future__ import annotations

from typing import Final

import numpy as np
from PIL import Image

from ..types import FloatArray, RgbImage

CROP_SIZE: Final = 112
TEMPLATE: Final[FloatArray] = np.array(
    [
        [38.2946, 51.6963],
        [73.5318, 51.5014],
        [56.0252, 71.7366],
        [41.5493, 92.3655],
        [70.7299, 92.2041],
    ],
    dtype=np.float32,
)
"""Where ArcFace (Deng et al. 2019) puts the five landmarks in a 112x112 crop, in pixels."""


def similarity_transform(source: FloatArray, target: FloatArray) -> FloatArray:
    """Least-squares rotation, uniform scale and shift (Umeyama 1991), float32[2, 3].

    ``source`` and ``target`` are float32[K, 2]; ``matrix @ [x, y, 1]`` maps the first to the
    second.

    Raises:
        ValueError: fewer than two points are distinct, or one is not finite.

    """
    src, dst = source.astype(np.float64), target.astype(np.float64)
    if not np.isfinite(src).all():
        raise ValueError("landmarks are not finite")
    src_mean, dst_mean = src.mean(axis=0), dst.mean(axis=0)
    src_centred, dst_centred = src - src_mean, dst - dst_mean
    variance = (src_centred**2).sum() / len(src)
    if variance < 1e-6:
        raise ValueError("landmarks coincide")
    u, singular, vt = np.linalg.svd(dst_centred.T @ src_centred / len(src))
    # A mirror image is no rotation: a face seen from behind glass stays mirrored.
    sign = np.array([1.0, np.sign(np.linalg.det(u) * np.linalg.det(vt)) or 1.0])
    rotation = u @ np.diag(sign) @ vt
    scale = (singular * sign).sum() / variance
    shift = dst_mean - scale * rotation @ src_mean
    return np.hstack([scale * rotation, shift[:, None]]).astype(np.float32)


def align(rgb: RgbImage, landmarks: FloatArray, *, border: int = 0) -> RgbImage:
    """Warp uint8[H, W, 3] so that ``landmarks`` float32[5, 2] meet the ArcFace template.

    Returns uint8[112, 112, 3], with ``border`` more pixels of what is around it on every side;
    what lies outside the picture is black.

    Raises:
        ValueError: landmarks are not finite, or coincide.

    """
    matrix = similarity_transform(landmarks, TEMPLATE + border).astype(np.float64)
    size = CROP_SIZE + 2 * border
    # Pillow counts from the corner of a pixel, landmarks from its centre.
    inverse = np.linalg.inv(np.vstack([matrix, [0.0, 0.0, 1.0]]))[:2]
    inverse[:, 2] += 0.5 - 0.5 * (inverse[:, 0] + inverse[:, 1])
    image = Image.fromarray(rgb)
    step = float(np.hypot(inverse[0, 0], inverse[1, 0]))
    if step >= 2.0:
        # Bilinear sampling reads four pixels: a face far larger than the crop would alias,
        # so its surroundings are averaged down first.
        factor = int(step)
        edge = float(size)
        corners = inverse @ np.array([[0, edge, 0, edge], [0, 0, edge, edge], [1, 1, 1, 1]])
        left, top = (max(0, int(value) - factor) for value in corners.min(axis=1))
        right = min(image.width, int(corners[0].max()) + factor + 1)
        bottom = min(image.height, int(corners[1].max()) + factor + 1)
        if right > left and bottom > top:
            image = image.crop((left, top, right, bottom)).reduce(factor)
            inverse[:, 2] -= (left, top)
            inverse /= factor
    crop = image.transform(
        (size, size),
        Image.Transform.AFFINE,
        tuple(inverse.ravel()),
        Image.Resampling.BILINEAR,
    )
    return np.asarray(crop, dtype=np.uint8)
