"""Faces turned within their picture, cut by its border, or as negatives.

A face is turned within its picture, the picture is made a night or left a day, and then the
bundle's detector looks for faces: what it finds there, aligned by the landmarks that it gives, is
what the door would compare. No crop is turned after it was aligned.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from PIL import Image, ImageFilter

from training.common.pictures import BORDER
from training.common.split import person_of, side_of
from training.detector.data import read_scenes, split_of
from training.liveness.data import sides
from vision.imaging.align import TEMPLATE
from vision.networks.detector import Detector
from vision.networks.upright import face_size, outside, roll
from vision.types import Face

TILT = 30.0
"""Degrees by which an upright head may be tilted."""
RIGHT = 0.4
"""A found face whose `error_of` is below has its landmarks about where they are."""
# A window around a face, in widths of the face; the aligned crop takes about one and a half.
_AROUND = 2.8
# Enlarging adds no detail.
_LARGEST_SCALE = 1.5
_LEAST_WIDTH = 24.0
# What lies so near the face's middle, in its widths, was made of that face.
_NEAR = 0.75
# The width of a face's box in an aligned crop of 128 pixels, typically, and its middle.
_CROP_FACE, _CROP_MIDDLE = 78.0, (64.0, 72.0)
# Pixels by which a stored crop is continued with its own mirror image, blurred.
_BEYOND = 64


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

    @property
    def is_crop(self) -> bool:
        """Whether the picture ends where the face's crop does."""
        return self.source not in ("scenes", "webcam")

    def picture(self) -> Image.Image:
        """Decode the picture as RGB."""
        return _picture(self.encoded)


@dataclass(frozen=True)
class Shown:
    """What is searched: uint8[H,W,3], and the face in it: middle, width, landmarks float32[5,2]."""

    pixels: np.ndarray
    middle: np.ndarray
    width: float
    landmarks: np.ndarray

    @property
    def outside(self) -> float:
        """How far the furthest landmark lies outside the picture, in face sizes."""
        height, width = self.pixels.shape[:2]
        return outside(self.landmarks, width, height)


def of_scenes(path: Path | str, split: str) -> list[Subject]:
    """Return the surely labelled faces of a side of the scenes (train, validation, test)."""
    subjects = []
    for index, scene in enumerate(read_scenes(path, split)):
        for face in np.flatnonzero(scene.labels.sure):
            box = scene.labels.boxes[face]
            width = float(box[2] - box[0])
            if width >= _LEAST_WIDTH:
                x, y = (float(value) for value in (box[:2] + box[2:]) / 2)
                marks = scene.labels.landmarks[face]
                name = f"{split}/{index}"
                subjects.append(Subject(scene.encoded, (x, y), width, marks, name, "scenes"))
    return subjects


def of_crops(path: Path | str, split: str | None, most: int, seed: int) -> list[Subject]:
    """Return `most` random stored crops (128x128) of one side of a pack, of all where None.

    People are split by name, pictures of nobody known by the file's hash.
    """
    table = pq.ParquetFile(str(path))
    columns = [name for name in ("image", "source", "identity") if name in table.schema_arrow.names]
    landmarks = TEMPLATE + np.float32(BORDER)
    found = []
    for batch in table.iter_batches(columns=columns):
        for row in batch.to_pylist():
            identity = row.get("identity")
            name = (
                hashlib.sha256(row["image"]).hexdigest()[:16]
                if identity is None
                else person_of(row.get("source", ""), identity)
            )
            side = split_of(row["image"]) if identity is None else side_of(name, 0)
            if split in (None, side):
                subject = (row["image"], _CROP_MIDDLE, _CROP_FACE, landmarks, name)
                found.append(Subject(*subject, Path(path).stem))
    order = np.random.default_rng(seed).permutation(len(found))[:most]
    return [found[index] for index in order]


def of_frames(
    path: Path | str, split: str, detector: Detector, most: int, seed: int
) -> list[Subject]:
    """Return webcam frames of living people of one side in which one upright face is found.

    `most` random frames are looked at. People are on the sides that they have for liveness.
    """
    subjects = []
    rows = pq.read_table(str(path), columns=["image", "label", "subject"]).to_pylist()
    side = sides(sorted({row["subject"] for row in rows}))
    rows = [row for row in rows if row["label"] == "live" and side[row["subject"]] == split]
    for index in np.random.default_rng(seed).permutation(len(rows))[:most]:
        row = rows[index]
        faces = detector.detect(np.asarray(_picture(row["image"])))
        if len(faces) == 1:
            box = faces[0].box
            middle = ((box[0] + box[2]) / 2, (box[1] + box[3]) / 2)
            subject = (row["image"], middle, faces[0].width, faces[0].landmarks, row["subject"])
            subjects.append(Subject(*subject, "webcam"))
    return subjects


@lru_cache(maxsize=8)
def _picture(encoded: bytes) -> Image.Image:
    """Decode once what is shown several times in a row."""
    with Image.open(io.BytesIO(encoded)) as picture:
        return picture.convert("RGB")


@lru_cache(maxsize=8)
def _continued(encoded: bytes) -> Image.Image:
    """Decode a crop and go on beyond its edges, so that a turned one does not show its corners."""
    pixels = np.pad(
        np.asarray(_picture(encoded)), ((_BEYOND,) * 2, (_BEYOND,) * 2, (0, 0)), "reflect"
    )
    whole = Image.fromarray(pixels)
    soft = whole.filter(ImageFilter.GaussianBlur(6))
    soft.paste(_picture(encoded), (_BEYOND, _BEYOND))
    return soft


def show(subject: Subject, degrees: float, width: float, generator: np.random.Generator) -> Shown:
    """Turn a face about its middle until it lies `degrees` clockwise off upright.

    It is `width` pixels wide afterwards if it can be.
    What lies outside the picture is one random colour, or for half of the stored crops their own
    mirror image, blurred.
    """
    middle = np.array(subject.middle)
    marks = subject.landmarks
    if subject.is_crop and generator.random() < 0.5:
        picture = _continued(subject.encoded)
        middle, marks = middle + _BEYOND, marks + np.float32(_BEYOND)
    else:
        picture = subject.picture()
    scale = min(width / subject.width, _LARGEST_SCALE)
    # Bilinear sampling would alias: a picture is shrunk before it is turned.
    before = min(scale, 1.0)
    if before < 1:
        size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
        picture = picture.resize(size, Image.Resampling.BILINEAR, reducing_gap=2.0)
    rest = scale / before
    side = round(_AROUND * subject.width * scale)
    angle = np.radians(degrees - roll(subject.landmarks))
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    centre = middle * before
    place = np.array([side / 2, side / 2]) + generator.uniform(-0.2, 0.2, 2) * side / _AROUND
    # From the window back into the picture.
    back = turn.T / rest
    shift = centre - back @ place
    window = picture.transform(
        (side, side),
        Image.Transform.AFFINE,
        (back[0, 0], back[0, 1], shift[0], back[1, 0], back[1, 1], shift[1]),
        Image.Resampling.BILINEAR,
        fillcolor=tuple(int(value) for value in generator.integers(0, 256, 3)),
    )
    landmarks = (marks * before - centre) @ turn.T * rest + place
    return Shown(np.asarray(window), place, subject.width * scale, landmarks.astype(np.float32))


def cut(shown: Shown, generator: np.random.Generator) -> Shown:
    """End the picture within the face, on one side or, as where it is too near, on two."""
    axis = int(generator.integers(2))
    low, high = 0, shown.pixels.shape[1 - axis]
    ends = [(True, False), (False, True), (True, True)][generator.integers(3)]
    reach = 0.75 * shown.width
    if ends[0]:
        low = round(shown.middle[axis] - reach * generator.uniform(0, 1))
    if ends[1]:
        high = round(shown.middle[axis] + reach * generator.uniform(0, 1))
    low, high = max(low, 0), min(max(high, low + 16), shown.pixels.shape[1 - axis])
    pixels = shown.pixels[:, low:high] if axis == 0 else shown.pixels[low:high]
    moved = np.zeros(2, np.float32)
    moved[axis] = low
    return replace(
        shown,
        pixels=np.ascontiguousarray(pixels),
        middle=shown.middle - moved,
        landmarks=shown.landmarks - moved,
    )


def found_of(detector: Detector, shown: Shown, pixels: np.ndarray) -> list[Face]:
    """Return what the detector makes of the face in `pixels`, the surest first."""
    faces = []
    for face in detector.detect(pixels):
        middle = np.array([face.box[0] + face.box[2], face.box[1] + face.box[3]]) / 2
        if np.hypot(*(middle - shown.middle)) < _NEAR * shown.width:
            faces.append(face)
    return faces


def error_of(face: Face, shown: Shown) -> float:
    """Mean distance of the landmarks from where they are, in face sizes."""
    off = np.linalg.norm(face.landmarks - shown.landmarks, axis=1)
    return float(off.mean()) / face_size(shown.landmarks)


def shuffled(subjects: Sequence[Subject], seed: int) -> list[Subject]:
    """Return them in a random order."""
    return [subjects[index] for index in np.random.default_rng(seed).permutation(len(subjects))]
