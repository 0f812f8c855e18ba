"""Faces with their surroundings, living ones and photographs of photographs, and their split."""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from PIL import Image

from training.common.split import TEST, TRAIN, VALIDATION, side_of
from training.detector.data import SPLITS, read_scenes
from training.liveness.attacks import Scene
from vision.networks.detector import Detector
from vision.networks.liveness import CONTEXT
from vision.types import Face

FOLDS = 3

# Of the scenes only the faces that a door would look at.
_SMALLEST = 40.0
_DOUBT = 0.15
# What is kept around a face: the network's surroundings, and room for a box to be elsewhere.
_KEPT = CONTEXT + 0.5


@dataclass(frozen=True)
class Source:
    """A face as it was found: where, whose, on which side, and whether it is a real attack.

    `pack` is "webcam" or "scenes"; `side` is a scene's side, and empty for the webcam's subjects,
    whose side depends on the fold.
    """

    scene: Scene
    pack: str
    who: str
    live: bool
    side: str = ""


def sides(subjects: list[str], fold: int = -1) -> dict[str, str]:
    """Return each subject's side: train, validation or test.

    By the hash of the name where `fold` is -1. Otherwise the subjects, in the order of their
    hashes, are dealt into three: part `fold` is the test, two of the others validate.
    """
    if fold < 0:
        return {one: side_of(f"nuaa/{one}", len(subjects)) for one in subjects}
    order = sorted(set(subjects), key=lambda one: hashlib.sha256(f"nuaa/{one}".encode()).digest())
    test = order[fold::FOLDS]
    rest = [one for one in order if one not in test]
    return {
        **dict.fromkeys(rest[2:], TRAIN),
        **dict.fromkeys(rest[:2], VALIDATION),
        **dict.fromkeys(test, TEST),
    }


def around(rgb: np.ndarray, box: np.ndarray) -> Scene:
    """Cut what the network may see of a face from uint8[H,W,3], moved to lie in the picture.

    The network's own squares, cut from the result, are those of the whole picture.
    """
    span = _KEPT * max(box[2] - box[0], box[3] - box[1])
    cuts = []
    for axis, side in ((0, rgb.shape[1]), (1, rgb.shape[0])):
        length = min(int(np.ceil(span)), side)
        start = round((box[axis] + box[axis + 2] - length) / 2)
        cuts.append((min(max(start, 0), side - length), length))
    (left, width), (top, height) = cuts
    moved = np.asarray(box, float) - [left, top, left, top]
    return Scene(rgb[top : top + height, left : left + width].copy(), moved)


def read_webcam(path: Path | str, detector: Detector) -> tuple[list[Source], int]:
    """Return the faces of the frames (`image`, `label`, `subject`), and how many had none."""
    sources, missed = [], 0
    for row in pq.read_table(str(path), columns=["image", "label", "subject"]).to_pylist():
        rgb = np.asarray(Image.open(io.BytesIO(row["image"])).convert("RGB"))
        faces = detector.detect(rgb)
        if not faces:
            missed += 1
            continue
        box = np.asarray(visitor(faces).box)
        live = row["label"] == "live"
        sources.append(Source(around(rgb, box), "webcam", row["subject"], live))
    return sources, missed


def visitor(faces: list[Face]) -> Face:
    """Return the nearest face: others sit in the background.

    Hands that hold a print are sometimes taken for a large face, but never as surely as a face.
    """
    surest = max(face.score for face in faces)
    return max((one for one in faces if one.score >= surest - _DOUBT), key=lambda one: one.width)


def read_living(path: Path | str) -> list[Source]:
    """Return the largest sure face, of at least 40 px, of each scene with labelled faces."""
    sources = []
    for side in SPLITS:
        for index, scene in enumerate(read_scenes(path, side)):
            boxes = scene.labels.boxes[scene.labels.sure]
            widths = boxes[:, 2] - boxes[:, 0]
            if len(boxes) and widths.max() >= _SMALLEST:
                rgb = np.asarray(scene.picture())
                cut = around(rgb, boxes[widths.argmax()])
                sources.append(Source(cut, "scenes", f"{side}/{index}", True, side))
    return sources
