"""The views that the gate is measured on: with somebody, and without anyone.

Of every kind there are views with and without people, or of people alone:

- `scenes`: windows of labelled pictures, with a whole face; and of the parts of the same pictures
  in which neither a matte nor a label has anybody.
- `places`: windows of pictures without people.
- `pasted`: a window of a place or an empty part, once with people of another picture, whose faces
  are small, and once with a thing.
- `webcam`: whole frames of people before another camera.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from PIL import Image

from training.presence.canvases import WIDTH, Stage
from training.presence.data import (
    Source,
    cut,
    empty_parts,
    scales,
    window_anywhere,
    window_around,
)
from training.presence.model import HEIGHT, MULTIPLE

# More enlarged than this, the empty part of a picture is a blur.
_MOST_ENLARGED = 1.6
# Heights of pasted faces in pixels.
_PASTED = (6.0, 40.0)


@dataclass(frozen=True)
class Trial:
    """One view `grey` uint8[96,W] of a `kind`; `face` is a face's height in pixels, 0 for nobody.

    `name` is the picture, place or person that a bootstrap draws as a whole.
    """

    grey: np.ndarray
    face: float
    name: str
    kind: str


def of_scenes(sources: list[Source], seed: int, per_picture: int = 2) -> list[Trial]:
    """Cut windows 64 to 176 px wide with a whole face, and 48 to 160 px wide without anyone."""
    made: list[Trial] = []
    for index, source in enumerate(sources):
        generator = np.random.default_rng([seed, index])
        for _ in range(per_picture):
            made.extend(_with_somebody(source, generator))
        parts = empty_parts(source)
        for _ in range(per_picture if parts else 0):
            made.extend(_with_nobody(parts, generator))
    return made


def _with_somebody(source: Source, generator: np.random.Generator) -> Iterator[Trial]:
    if not source.labels.sure.any():
        return
    size = (int(generator.integers(4, 12)) * MULTIPLE, HEIGHT)
    view = cut(source, *window_around(source, size, generator), size)
    heights = view.labels.boxes[:, 3] - view.labels.boxes[:, 1]
    inside = (view.labels.boxes[:, :2] >= -0.5).all(1)
    inside &= (view.labels.boxes[:, 2:] <= np.array(size) + 0.5).all(1)
    whole = inside & view.labels.sure
    if whole.any():
        yield Trial(view.grey, float(heights[whole].max()), source.name, "scenes")


def _with_nobody(parts: list[Source], generator: np.random.Generator) -> Iterator[Trial]:
    for _ in range(20):
        size = (int(generator.integers(3, 11)) * MULTIPLE, HEIGHT)
        part = parts[generator.integers(len(parts))]
        if scales(part, size)[0] <= _MOST_ENLARGED:
            view = cut(part, *window_anywhere(part, size, generator), size)
            yield Trial(view.grey, 0.0, part.name, "scenes")
            return


def of_places(empty: list[Source], seed: int, per_picture: int = 4) -> list[Trial]:
    """Cut windows 96 to 176 px wide of pictures without people."""
    made = []
    for index, source in enumerate(empty):
        generator = np.random.default_rng([seed, index])
        for _ in range(per_picture):
            size = (int(generator.integers(6, 12)) * MULTIPLE, HEIGHT)
            view = cut(source, *window_anywhere(source, size, generator), size)
            made.append(Trial(view.grey, 0.0, source.name, "places"))
    return made


def pasted(
    sources: list[Source], empty: list[Source], things: list[np.ndarray], seed: int, count: int
) -> list[Trial]:
    """Make `count` pairs of views 160 px wide: a thing at a place, and somebody there."""
    stage = Stage(sources, empty, things)
    if not stage.people:
        return []
    made = []
    for index in range(count):
        generator = np.random.default_rng([seed, index])
        background = stage.background((WIDTH, HEIGHT), generator)
        name = f"{seed}/{index}"
        made.append(Trial(stage.with_things(background, generator).grey, 0.0, name, "pasted"))
        view = stage.with_people(background, *_PASTED, generator)
        heights = (view.labels.boxes[:, 3] - view.labels.boxes[:, 1])[view.labels.sure]
        if len(heights):
            made.append(Trial(view.grey, float(heights.max()), name, "pasted"))
    return made


def read_webcam(path: Path | str) -> list[Trial]:
    """Return whole frames of people before a webcam, 96 rows high, named by their subject."""
    made = []
    for row in pq.read_table(str(path), columns=["image", "label", "subject"]).to_pylist():
        if row["label"] == "live":
            picture = Image.open(io.BytesIO(row["image"])).convert("L")
            width = round(picture.width * HEIGHT / picture.height / MULTIPLE) * MULTIPLE
            grey = picture.resize((width, HEIGHT), Image.Resampling.BILINEAR)
            # How high the face is was not labelled: it is some part of the frame.
            made.append(Trial(np.asarray(grey), HEIGHT / 3, row["subject"], "webcam"))
    return made


def digest(trial: Trial) -> int:
    """Return a seed that depends on the view alone."""
    return int.from_bytes(hashlib.sha256(trial.grey.tobytes()).digest()[:4], "big")
