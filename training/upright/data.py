"""Faces turned in the picture's plane, as the product's own detector aligns them.

A face is turned within its picture, the picture is made a night or left a day, and then the
bundle's detector looks for faces: what it finds there, aligned by the landmarks that it gives, is
what the door would compare. No crop is turned after it was aligned.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from PIL import Image

from training.common.pictures import BORDER
from training.common.split import TEST, TRAIN, VALIDATION, person_of, side_of
from training.detector import night
from training.detector.data import SPLITS, read_scenes, split_of
from vision.align import TEMPLATE, align
from vision.detector import Detector
from vision.types import Face

TILT = 30.0
"""Degrees by which an upright head may be tilted."""

# A window around a face, in widths of the face; the aligned crop takes about one and a half.
_AROUND = 2.8
# Enlarging adds no detail.
_LARGEST_SCALE = 1.5
# The least and the greatest width of a face in the picture that is searched, in pixels.
_WIDTHS = (28.0, 90.0)
_LEAST_WIDTH = 24.0
# What lies so near the face's middle, in its widths, was made of that face.
_NEAR = 0.75
# The width of a face's box in an aligned crop of 128 pixels, typically.
_CROP_FACE = 78.0


@dataclass(frozen=True)
class Subject:
    """A face in a picture: file bytes, the middle (x, y) and the width of its box in pixels.

    `name` is the person's, or the picture's where nobody knows; `source` the pack.
    """

    encoded: bytes
    middle: tuple[float, float]
    width: float
    landmarks: np.ndarray
    name: str
    source: str

    def picture(self) -> Image.Image:
        """Decode the picture as RGB."""
        return _decoded(self.encoded)


@lru_cache(maxsize=4)
def _decoded(encoded: bytes) -> Image.Image:
    """Decode once what is shown many times in a row."""
    with Image.open(io.BytesIO(encoded)) as picture:
        return picture.convert("RGB")


@dataclass(frozen=True)
class Shown:
    """What is searched: uint8[S,S,3], and the face in it: middle, width, landmarks float32[5,2]."""

    pixels: np.ndarray
    middle: np.ndarray
    width: float
    landmarks: np.ndarray


def of_scenes(path: Path | str, split: str) -> list[Subject]:
    """Return the surely labelled faces of a side of the scenes (train, validation, test)."""
    subjects = []
    for index, scene in enumerate(read_scenes(path, split)):
        for face in np.flatnonzero(scene.labels.sure):
            box = scene.labels.boxes[face]
            width = float(box[2] - box[0])
            if width >= _LEAST_WIDTH:
                middle = tuple(float(v) for v in (box[:2] + box[2:]) / 2)
                landmarks = scene.labels.landmarks[face]
                subjects.append(
                    Subject(scene.encoded, middle, width, landmarks, f"{split}/{index}", "scenes")  # type: ignore[arg-type]
                )
    return subjects


def of_crops(path: Path | str, split: str | None, most: int, seed: int) -> list[Subject]:
    """Return `most` random stored crops (128x128) of one side of a pack, of all where None.

    People are split by name, pictures of nobody known by the file's hash.
    """
    table = pq.ParquetFile(str(path))
    columns = [name for name in ("image", "source", "identity") if name in table.schema_arrow.names]
    found = []
    for batch in table.iter_batches(columns=columns):
        for row in batch.to_pylist():
            identity = row.get("identity")
            name = (
                hashlib.sha256(row["image"]).hexdigest()[:16]
                if identity is None
                else person_of(row.get("source", ""), identity)
            )
            side = split_of(row["image"]) if identity is None else _SIDES[side_of(name, 0)]
            if split in (None, side):
                found.append(Subject(row["image"], *_OF_CROP, name, Path(path).stem))
    order = np.random.default_rng(seed).permutation(len(found))[:most]
    return [found[index] for index in order]


def of_frames(path: Path | str, detector: Detector, most: int, seed: int) -> list[Subject]:
    """Return of `most` random webcam frames of living people those with one upright face found."""
    subjects = []
    rows = pq.read_table(str(path), columns=["image", "label", "subject"]).to_pylist()
    rows = [row for row in rows if row["label"] == "live"]
    for index in np.random.default_rng(seed).permutation(len(rows))[:most]:
        row = rows[index]
        with Image.open(io.BytesIO(row["image"])) as picture:
            faces = detector.detect(np.asarray(picture.convert("RGB")))
        if len(faces) == 1:
            face = faces[0]
            middle = ((face.box[0] + face.box[2]) / 2, (face.box[1] + face.box[3]) / 2)
            subjects.append(
                Subject(row["image"], middle, face.width, face.landmarks, row["subject"], "webcam")
            )
    return subjects


_SIDES = {TRAIN: SPLITS[0], VALIDATION: SPLITS[1], TEST: SPLITS[2]}
_LANDMARKS = TEMPLATE + np.float32(BORDER)
_OF_CROP = ((64.0, 72.0), _CROP_FACE, _LANDMARKS)


def show(subject: Subject, degrees: float, width: float, generator: np.random.Generator) -> Shown:
    """Turn a face clockwise by `degrees` about its middle, `width` pixels wide if it can be.

    What lies outside the picture is one random colour.
    """
    picture = subject.picture()
    scale = min(width / subject.width, _LARGEST_SCALE)
    # Bilinear sampling would alias: a picture is shrunk before it is turned.
    before = min(scale, 1.0)
    if before < 1:
        size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
        picture = picture.resize(size, Image.Resampling.BILINEAR, reducing_gap=2.0)
    rest = scale / before
    side = round(_AROUND * subject.width * scale)
    angle = np.radians(degrees)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    centre = np.array(subject.middle) * before
    middle = np.array([side / 2, side / 2]) + generator.uniform(-0.2, 0.2, 2) * side / _AROUND
    # From the window back into the picture.
    back = turn.T / rest
    shift = centre - back @ middle
    colour = tuple(int(value) for value in generator.integers(0, 256, 3))
    window = picture.transform(
        (side, side),
        Image.Transform.AFFINE,
        (back[0, 0], back[0, 1], shift[0], back[1, 0], back[1, 1], shift[1]),
        Image.Resampling.BILINEAR,
        fillcolor=colour,
    )
    landmarks = (subject.landmarks * before - centre) @ turn.T * rest + middle
    return Shown(np.asarray(window), middle, subject.width * scale, landmarks.astype(np.float32))


def found_of(detector: Detector, shown: Shown, pixels: np.ndarray) -> list[Face]:
    """Return what the detector makes of the face in `pixels`, the surest first."""
    faces = []
    for face in detector.detect(pixels):
        middle = np.array([face.box[0] + face.box[2], face.box[1] + face.box[3]]) / 2
        if np.hypot(*(middle - shown.middle)) < _NEAR * shown.width:
            faces.append(face)
    return faces


def error_of(face: Face, shown: Shown) -> float:
    """Mean distance of the landmarks from where they are, over the distance of the eyes."""
    eyes = float(np.linalg.norm(shown.landmarks[0] - shown.landmarks[1]))
    off = np.linalg.norm(face.landmarks - shown.landmarks, axis=1)
    return float(off.mean()) / max(eyes, 1e-6)


# A crop whose landmarks are further off is not what its turn says; nearer ones are comparable.
_RIGHT = 0.5
_WRONG = 0.55
_UPRIGHT_SHARE = 0.4
_TURNED_FROM = 55.0
# Faces that are hardly ever found, as those on their side, do not hold up the work.
_PATIENCE = 4


def samples(
    subjects: Sequence[Subject],
    detector: Detector,
    count: int,
    night_share: float,
    seed: int | Sequence[int],
) -> Iterator[tuple[np.ndarray, bool]]:
    """Yield up to `count` aligned crops uint8[112,112,3], and whether they are upright.

    Upright are heads tilted by up to 35 degrees whose landmarks are about right; turned are heads
    turned by 55 degrees and more that got upright landmarks.
    """
    generator = np.random.default_rng(seed)
    made = 0
    for _ in range(_PATIENCE * count):
        if made >= count:
            return
        subject = subjects[generator.integers(len(subjects))]
        upright = bool(generator.random() < _UPRIGHT_SHARE)
        degrees = _degrees(upright, subject.source != "scenes", generator)
        width = float(np.exp(generator.uniform(*np.log(_WIDTHS))))
        shown = show(subject, degrees, width, generator)
        pixels = night.recolour(shown.pixels, generator)
        pixels = night.degrade(pixels, generator, night_share)
        for face in found_of(detector, shown, pixels)[:1]:
            error = error_of(face, shown)
            if error < _RIGHT if upright else error > _WRONG:
                try:
                    crop = align(pixels, face.landmarks)
                except ValueError:
                    continue
                made += 1
                yield crop, upright


def _degrees(upright: bool, crop: bool, generator: np.random.Generator) -> float:
    if upright:
        return float(generator.uniform(-35, 35))
    if crop:
        # The corners of a stored crop show how it lies: they must lie so in upright ones as well.
        return float(generator.choice([90, 180, 270]) + generator.uniform(-35, 35))
    return float(generator.uniform(_TURNED_FROM, 360 - _TURNED_FROM))
