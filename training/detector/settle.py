"""Steadier landmarks than one label: the median over enlarged, shrunk and mirrored copies.

The pack's labels are single answers of YuNet, which moves its landmarks by several per cent of the
distance of the eyes when a picture is scaled a little. The median of many such answers varies less,
and shows how much of an error is the label's own.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from PIL import Image, ImageOps

from training.detector.data import MIRROR, Labels, Scene
from training.detector.matching import match
from vision.detector import Detector

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
                points = faces[face].landmarks
                if mirrored:
                    points = points[list(MIRROR)] * [-1.0, 1.0] + [shown.width, 0.0]
                answers[label].append(points / scale)
    if not answers:
        return scene.labels
    settled = np.stack([np.median(np.stack(points), axis=0) for points in answers])
    return replace(scene.labels, landmarks=settled.astype(np.float32))
