"""Steadier landmarks than one label: the median over enlarged, shrunk and mirrored copies.

The pack's labels are single answers of YuNet, which moves its landmarks by several per cent of the
distance of the eyes when a picture is scaled a little. The median of many such answers varies less,
and shows how much of an error is the label's own.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from training.detector.data import MIRROR, Labels, Scene
from training.detector.matching import match
from vision.networks.detector import Detector

SETTLED_SCORE = 0.5
"""The least score at which one of the teacher's answers counts."""

_SCALES = (0.6, 0.8, 1.0, 1.25)


def settle(scene: Scene, teacher: Detector) -> Labels:
    """Return the scene's labels with the median landmarks of the label and up to 8 copies."""
    picture = scene.picture()
    answers: list[list[np.ndarray]] = [[points] for points in scene.labels.landmarks]
    for scale in _SCALES:
        size = (round(picture.width * scale), round(picture.height * scale))
        small = picture.resize(size, Image.Resampling.BILINEAR)
        for mirrored in (False, True):
            shown = ImageOps.mirror(small) if mirrored else small
            labels = scene.labels.moved(scale, 0.0, 0.0)
            labels = labels.flipped(shown.width) if mirrored else labels
            faces = teacher.detect(np.asarray(shown))
            for label, face in match(faces, labels).items():
                points: np.ndarray = faces[face].landmarks
                if mirrored:
                    points = points[list(MIRROR)] * [-1.0, 1.0] + [shown.width, 0.0]
                answers[label].append(points / scale)
    if not answers:
        return scene.labels
    settled = np.stack([np.median(np.stack(points), axis=0) for points in answers])
    return replace(scene.labels, landmarks=settled.astype(np.float32))


def settle_all(scenes: Sequence[Scene], teacher: Detector, cache: Path) -> list[Scene]:
    """Return the scenes with settled landmarks; those not yet in `cache` (.npz) are added to it."""
    known: dict[str, np.ndarray] = {}
    if cache.is_file():
        with np.load(cache) as stored:
            known = dict(stored)
    names = [hashlib.sha256(scene.encoded).hexdigest() for scene in scenes]
    missing = [name not in known for name in names]
    for name, scene, wanted in zip(names, scenes, missing, strict=True):
        if wanted:
            known[name] = settle(scene, teacher).landmarks
    if any(missing):
        cache.parent.mkdir(parents=True, exist_ok=True)
        partial = cache.with_suffix(".partial.npz")
        # The names are hashes: none of them is `allow_pickle`, as mypy fears.
        np.savez(partial, **known)  # type: ignore[arg-type]
        partial.replace(cache)
    return [
        replace(scene, labels=replace(scene.labels, landmarks=known[name]))
        for name, scene in zip(names, scenes, strict=True)
    ]
