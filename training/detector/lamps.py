"""Detection under real lamps: aligned crops of faces lit from known directions.

The pack (`image` 128x128, `file` with the lamp's azimuth and elevation, as in the Extended Yale
Face Database B) is never trained on. Its crops are tight, grey and black around the face, so that
the figures compare detectors; they are not the recall to expect at a door.
"""

from __future__ import annotations

import io
import re
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from PIL import Image

from training.detector.matching import landmark_error
from vision.networks.detector import Detector

# The ArcFace template in 112x112, in a crop with a border of 8 px.
TEMPLATE = np.array(
    [
        [38.2946, 51.6963],
        [73.5318, 51.5014],
        [56.0252, 71.7366],
        [41.5493, 92.3655],
        [70.7299, 92.2041],
    ]
) + np.array([8.0, 8.0])

AZIMUTHS = ((0, 25), (25, 60), (60, 95), (95, 131))
"""Degrees between lamp and gaze, sideways: from one up to below the other."""

# Half the distance of the eyes: nearer is this face, however rough the pack's own alignment.
_NEAR = 0.5


def azimuth_of(name: str) -> int:
    """Return degrees sideways, 0..180, from a name such as ``yaleB01_P00A+035E+40.pgm``.

    Raises:
        ValueError: the name holds no azimuth.

    """
    found = re.search(r"A([+-]\d{3})E", name)
    if found is None:
        raise ValueError(f"no azimuth in {name!r}")
    return abs(int(found[1]))


def recall_by_azimuth(path: Path | str, detector: Detector) -> dict[str, tuple[int, int]]:
    """Return found and all faces of the pack for each range of `AZIMUTHS`."""
    counts = {f"{low}-{high - 1}": (0, 0) for low, high in AZIMUTHS}
    for row in pq.read_table(str(path), columns=["image", "file"]).to_pylist():
        azimuth = azimuth_of(row["file"])
        pixels = np.asarray(Image.open(io.BytesIO(row["image"])).convert("RGB"))
        found = any(landmark_error(face, TEMPLATE) < _NEAR for face in detector.detect(pixels))
        for low, high in AZIMUTHS:
            if low <= azimuth < high:
                hits, total = counts[f"{low}-{high - 1}"]
                counts[f"{low}-{high - 1}"] = (hits + found, total + 1)
    return counts
