"""Which detected face answers for which label."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from training.detector.data import Labels
from vision.types import Face

FOUND_OVERLAP = 0.5
FALSE_OVERLAP = 0.3


def overlaps(faces: Sequence[Face], boxes: np.ndarray) -> np.ndarray:
    """Intersection over union of every face with every box [F,4]: float[len(faces), F]."""
    if not len(faces) or not len(boxes):
        return np.zeros((len(faces), len(boxes)))
    ours = np.array([face.box for face in faces])
    sides = np.minimum(ours[:, None, 2:], boxes[:, 2:]) - np.maximum(
        ours[:, None, :2], boxes[:, :2]
    )
    common = np.clip(sides, 0, None).prod(-1)
    area, other = ((b[:, 2:] - b[:, :2]).prod(-1) for b in (ours, boxes))
    return common / (area[:, None] + other - common)


def match(faces: Sequence[Face], labels: Labels) -> dict[int, int]:
    """Pair labels with faces one to one, best overlap first, 0.5 at least: label -> face."""
    table = overlaps(faces, labels.boxes)
    pairs: dict[int, int] = {}
    taken: set[int] = set()
    for flat in np.argsort(-table, axis=None, kind="stable"):
        face, label = divmod(int(flat), table.shape[1])
        if table[face, label] < FOUND_OVERLAP:
            break
        if face not in taken and label not in pairs:
            pairs[label] = face
            taken.add(face)
    return pairs


def false_faces(faces: Sequence[Face], labels: Labels) -> list[Face]:
    """Return the faces that overlap no label, sure or not, by 0.3 or more."""
    best = overlaps(faces, labels.boxes).max(axis=1, initial=0.0)
    return [face for face, overlap in zip(faces, best, strict=True) if overlap < FALSE_OVERLAP]


def landmark_error(face: Face, wanted: np.ndarray) -> float:
    """Mean distance of the five landmarks from `wanted` [5,2] over the distance of the eyes."""
    eyes = float(np.linalg.norm(wanted[0] - wanted[1]))
    return float(np.linalg.norm(face.landmarks - wanted, axis=1).mean()) / max(eyes, 1e-6)
