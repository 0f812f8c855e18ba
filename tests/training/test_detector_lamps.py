"""Recall under lamps is counted by their direction."""

import io
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from training.detector.lamps import TEMPLATE, azimuth_of, recall_by_azimuth
from vision.types import Face


class Bright:
    """Finds the template's face in bright pictures, a face elsewhere in dim ones, else none."""

    def detect(self, rgb: np.ndarray) -> list[Face]:
        if rgb.mean() < 50:
            return []
        landmarks = TEMPLATE if rgb.mean() > 150 else TEMPLATE + 40
        return [Face((20, 20, 100, 110), landmarks.astype(np.float32), 0.9)]


def test_azimuth_is_read_from_the_name() -> None:
    assert azimuth_of("yaleB01_P00A-110E+40.pgm") == 110
    with pytest.raises(ValueError, match="azimuth"):
        azimuth_of("yaleB01.pgm")


def test_counts_by_azimuth_and_only_faces_in_their_place(tmp_path: Path) -> None:
    rows = {"image": [], "file": []}
    for level, name in ((200, "A+000E+00"), (100, "A-020E+00"), (10, "A+130E-20")):
        buffer = io.BytesIO()
        Image.fromarray(np.full((128, 128), level, dtype=np.uint8)).save(buffer, "PNG")
        rows["image"].append(buffer.getvalue())
        rows["file"].append(name)
    pq.write_table(pa.table(rows), tmp_path / "lighting.parquet")
    counts = recall_by_azimuth(tmp_path / "lighting.parquet", Bright())
    assert counts == {"0-24": (1, 2), "25-59": (0, 0), "60-94": (0, 0), "95-130": (0, 1)}
