"""Which pixels of the scenes are people, by MediaPipe's selfie segmentation (Apache-2.0).

The network is inside the package `mediapipe`, whose pinned release needs numpy 1: it wants an
environment of its own, in which this module runs alone:

    python3.11 -m venv .venv-mattes
    .venv-mattes/bin/pip install -r requirements/mattes.txt
    .venv-mattes/bin/python -m training.presence.mattes SCENES.parquet runs/mattes.parquet
"""

from __future__ import annotations

import argparse
import hashlib
import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

Segment = Callable[[np.ndarray], np.ndarray]
"""From RGB uint8[H,W,3] to how much of each pixel is somebody, float32[H,W] in 0..1."""


def key_of(encoded: bytes) -> str:
    """Return what a matte is stored under: the hash of the picture's file."""
    return hashlib.sha256(encoded).hexdigest()


def read_mattes(path: Path | str) -> dict[str, bytes]:
    """Return the encoded mattes by `key_of` their picture."""
    table = pq.read_table(str(path), columns=["key", "matte"])
    return dict(zip(table["key"].to_pylist(), table["matte"].to_pylist(), strict=True))


def write_mattes(scenes: Path | str, output: Path | str, segment: Segment) -> int:
    """Write a matte, PNG at half size, for each picture of a Parquet pack; return how many."""
    keys, mattes = [], []
    for encoded in pq.read_table(str(scenes), columns=["image"])["image"].to_pylist():
        with Image.open(io.BytesIO(encoded)) as picture:
            rgb = np.asarray(picture.convert("RGB"))
        matte = np.rint(np.clip(segment(rgb), 0, 1) * 255).astype(np.uint8)
        size = (max(1, rgb.shape[1] // 2), max(1, rgb.shape[0] // 2))
        buffer = io.BytesIO()
        Image.fromarray(matte).resize(size).save(buffer, "PNG")
        keys.append(key_of(encoded))
        mattes.append(buffer.getvalue())
    Path(output).parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table({"key": keys, "matte": mattes}), str(output))
    return len(keys)


def selfie_segmentation() -> Segment:
    """Open MediaPipe's general model."""
    from mediapipe.python.solutions import selfie_segmentation  # noqa: PLC0415 - see above

    network = selfie_segmentation.SelfieSegmentation(model_selection=0)
    return lambda rgb: network.process(rgb).segmentation_mask


def main() -> None:
    """Run as a script."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("scenes", type=Path, help="Parquet pack with a column `image`")
    parser.add_argument("output", type=Path, help="Parquet file to write")
    options = parser.parse_args()
    print(write_mattes(options.scenes, options.output, selfie_segmentation()), "mattes")


if __name__ == "__main__":
    main()
