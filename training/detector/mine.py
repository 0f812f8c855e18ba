"""Look for what a detector still gets wrong, so that training shows it more often.

Hard examples, here crops: faces that are missed and things that pass for a face (Sung and Poggio
1998; Shrivastava et al. 2016, "Training Region-based Object Detectors with Online Hard Example
Mining", there within each batch).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from training.detector import night
from training.detector.data import SMALLEST_FACE, Hard, Place, Scene
from training.detector.matching import false_faces, match
from vision.networks.detector import Detector

_SURE = 0.5
# What passes for a face at this score by one night may pass the threshold by another.
_SUSPECT = 0.3


def mine(scenes: Sequence[Scene], detector: Detector, seed: int) -> Hard:
    """Search every scene by day and by one random night; return the places that went wrong.

    `detector` must report faces of a score of 0.3 and above.
    """
    hard = Hard([], [])
    for index, scene in enumerate(scenes):
        clean = np.asarray(scene.picture())
        generator = np.random.default_rng([seed, index])
        for seen in (clean, night.simulate(clean, night.random_night(generator), generator)):
            faces = [face for face in detector.detect(seen) if face.score >= _SUSPECT]
            found = match([face for face in faces if face.score >= _SURE], scene.labels)
            for label in np.flatnonzero(scene.labels.sure):
                if label not in found:
                    hard.missed.append(Place(index, scene.labels.boxes[label]))
            corner = np.array([clean.shape[1], clean.shape[0]] * 2, dtype=np.float32)
            for face in false_faces(faces, scene.labels):
                box = np.clip(np.array(face.box, dtype=np.float32), 0, corner)
                if (box[2:] - box[:2]).min() >= SMALLEST_FACE:
                    hard.false.append(Place(index, box))
    return hard
