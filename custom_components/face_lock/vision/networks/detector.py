"""Finds faces and their landmarks with the bundle's small anchor-free network.

The network reads each picture at three strides; every cell of a map says how likely it is that the
centre of a face lies in it, and where the box and the five landmarks are (the layout of YuNet, Wu
et al. 2023, "YuNet: A tiny millisecond-level face detector").
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ..types import Face, FloatArray, RgbImage
from .runtime import Session

STRIDES: Final = (8, 16, 32)
OUTPUTS: Final = tuple(f"{kind}_{s}" for s in STRIDES for kind in ("score", "box", "kps"))

DOOR_SIDE: Final = 960
DOOR_SHRINK: Final = 2
"""A door's pictures are halved, but not below ``DOOR_SIDE``: that leaves the smallest face that may
count, 40 pixels, 20 pixels wide for the network, which finds faces from 16 pixels on."""
PORTRAIT_SIDE: Final = 640
"""For pictures of one near face: the larger a face, the less reliably the network reads it."""

SAME_FACE: Final = 0.6
"""Overlap from which two candidates mean the same face, so that their landmarks are averaged."""


@dataclass(frozen=True, slots=True)
class Candidates:
    """Cells that claim a face: ``boxes`` [K, 4], ``landmarks`` [K, 5, 2], ``scores`` [K]."""

    boxes: FloatArray
    landmarks: FloatArray
    scores: FloatArray


class Detector:
    """Finds faces."""

    def __init__(
        self,
        session: Session,
        *,
        score_threshold: float,
        overlap: float = 0.3,
    ) -> None:
        """Use ``session`` to find faces.

        ``score_threshold`` (0..1) comes from the bundle; boxes whose intersection over union
        exceeds ``overlap`` are one face.
        """
        self._session = session
        self._score_threshold = score_threshold
        self._overlap = overlap

    def detect(
        self,
        rgb: RgbImage,
        max_side: int | None = None,
        region: tuple[int, int, int, int] | None = None,
    ) -> list[Face]:
        """Return the faces in uint8[H, W, 3], most certain first, in that picture's pixels.

        The network gets the picture shrunk to ``max_side`` pixels, never enlarged; by default to
        half of its size, or ``DOOR_SIDE`` pixels if that is more. With a ``region`` (left, top,
        right, bottom) it gets that part, shrunk as the whole would be, and a little more of the
        picture so that the network's cells lie where they would lie in the whole.
        """
        if max_side is None:
            max_side = max(DOOR_SIDE, max(rgb.shape[:2]) // DOOR_SHRINK)
        scale = min(1.0, max_side / max(rgb.shape[:2]))
        left = top = 0
        if region is not None:
            left, top, right, bottom = _on_the_grid(region, scale)
            rgb = rgb[top:bottom, left:right]
        shrunk = _shrink(rgb, scale)
        height, width = shrunk.shape[:2]
        # Black below and to the right up to the stride, so that no coordinate moves.
        padded = np.zeros((1, 3, -(-height // 32) * 32, -(-width // 32) * 32), dtype=np.float32)
        padded[0, :, :height, :width] = shrunk.transpose(2, 0, 1)
        found = decode(self._session.run(padded, OUTPUTS), self._score_threshold)
        kept = suppress(found.boxes, found.scores, self._overlap)
        landmarks = agreed_landmarks(found, kept)
        return [
            Face(
                box=tuple((found.boxes[index] / scale + (left, top, left, top)).tolist()),
                landmarks=points / np.float32(scale) + np.array([left, top], dtype=np.float32),
                score=float(found.scores[index]),
            )
            for index, points in zip(kept, landmarks, strict=True)
        ]


def _on_the_grid(region: tuple[int, int, int, int], scale: float) -> tuple[int, int, int, int]:
    """Move the edges out to those of cells of the coarsest map; the picture may end before."""
    cell = STRIDES[-1] / scale
    left, top = (min(value, round(int(value / cell) * cell)) for value in region[:2])
    right, bottom = (round(-int(-value // cell) * cell) for value in region[2:])
    return left, top, max(right, region[2]), max(bottom, region[3])


def _shrink(rgb: RgbImage, scale: float) -> RgbImage:
    if scale == 1.0:
        return rgb
    height, width = rgb.shape[:2]
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    image = Image.fromarray(rgb).resize(size, Image.Resampling.BILINEAR, reducing_gap=2.0)
    return np.asarray(image, dtype=np.uint8)


def decode(maps: Mapping[str, FloatArray], score_threshold: float) -> Candidates:
    """Turn the network's maps (``score_s`` [1,1,h,w], ``box_s`` [1,4,h,w], ``kps_s`` [1,10,h,w]
    for each stride s) into candidates, in pixels of the network's input.
    """  # noqa: D205 - the signature of the maps belongs to the first sentence
    boxes: list[FloatArray] = []
    landmarks: list[FloatArray] = []
    scores: list[FloatArray] = []
    for stride in STRIDES:
        score = maps[f"score_{stride}"][0, 0]
        rows, columns = np.nonzero(score >= score_threshold)
        cell = np.stack([columns, rows], axis=1).astype(np.float32)
        box = maps[f"box_{stride}"][0][:, rows, columns].T
        centre = (cell + box[:, :2]) * stride
        # A diverging exponent means a broken cell, not a face of astronomical size.
        half = np.exp(np.clip(box[:, 2:], -10.0, 10.0)) * (stride / 2)
        boxes.append(np.hstack([centre - half, centre + half]))
        kps = maps[f"kps_{stride}"][0][:, rows, columns].T.reshape(-1, 5, 2)
        landmarks.append((cell[:, None] + kps) * stride)
        scores.append(score[rows, columns])
    candidates = Candidates(
        np.concatenate(boxes), np.concatenate(landmarks), np.concatenate(scores)
    )
    finite = np.isfinite(candidates.boxes).all(1) & np.isfinite(candidates.landmarks).all((1, 2))
    return Candidates(
        candidates.boxes[finite], candidates.landmarks[finite], candidates.scores[finite]
    )


def suppress(boxes: FloatArray, scores: FloatArray, overlap: float) -> list[int]:
    """Greedy non-maximum suppression: indices of the boxes [K, 4] to keep, most certain first."""
    area = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)
    order: NDArray[np.intp] = np.argsort(-scores, kind="stable")
    keep: list[int] = []
    while order.size:
        best, rest = order[0], order[1:]
        keep.append(int(best))
        common = _common(boxes[best], boxes[rest])
        order = rest[common <= overlap * (area[best] + area[rest] - common)]
    return keep


def agreed_landmarks(found: Candidates, kept: list[int]) -> FloatArray:
    """Average the landmarks of the kept candidates: [len(kept), 5, 2].

    Each is the mean over all candidates for its face, weighted by score. Neighbouring cells see a
    face from different places, so their errors partly cancel (BlazeFace, Bazarevsky et al. 2019,
    votes on boxes in this way).
    """
    area = np.prod(found.boxes[:, 2:] - found.boxes[:, :2], axis=1)
    agreed = found.landmarks[kept].copy()
    for place, best in enumerate(kept):
        common = _common(found.boxes[best], found.boxes)
        same = common >= SAME_FACE * (area[best] + area - common)
        weights = found.scores[same, None, None]
        agreed[place] = (found.landmarks[same] * weights).sum(axis=0) / weights.sum()
    return agreed


def _common(box: FloatArray, others: FloatArray) -> FloatArray:
    """Area of the intersection of ``box`` [4] with each of ``others`` [K, 4]."""
    sides = np.minimum(box[2:], others[:, 2:]) - np.maximum(box[:2], others[:, :2])
    shared: FloatArray = np.prod(np.maximum(sides, 0.0), axis=1)
    return shared
