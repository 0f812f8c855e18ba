"""The labelled scenes: reading, the deterministic split, and training canvases.

A canvas is one training picture, a square grid of crops of several scenes. Finer grids make
smaller faces, so that one canvas size trains faces from 16 px to most of its width, and several of
them at once.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import torch
from PIL import Image
from torch import Tensor

from training.detector import night
from training.detector.shade import shade

SPLITS = ("train", "validation", "test")

MIRROR = (1, 0, 2, 4, 3)
"""Order of the five landmarks after a horizontal flip: left and right change places."""

# A label the teacher itself was unsure of is neither a face nor background.
SURE_SCORE = 0.6
# Below this width the labels are guesses and stride 8 has less than two cells for a face.
SMALLEST_FACE = 12.0
# Less of a face than this inside a crop is neither a face nor background.
_VISIBLE = 0.6
# Share of crops taken anywhere in a picture, so that clothes, hands and letters are seen too.
_ANYWHERE = 0.25


@dataclass(frozen=True)
class Labels:
    """Faces of one picture, in its pixels.

    `boxes` float32[F,4] as x1, y1, x2, y2; `landmarks` float32[F,5,2]; `sure` bool[F]: faces to be
    found; the others are to be ignored, found or not.
    """

    boxes: np.ndarray
    landmarks: np.ndarray
    sure: np.ndarray

    def moved(self, scale: float, dx: float, dy: float) -> Labels:
        """Return the labels at `scale`, then shifted by (dx, dy)."""
        shift = np.array([dx, dy], dtype=np.float32)
        boxes = self.boxes * np.float32(scale) + np.tile(shift, 2)
        return replace(self, boxes=boxes, landmarks=self.landmarks * np.float32(scale) + shift)

    def flipped(self, width: float) -> Labels:
        """Return the labels of the horizontally mirrored picture, left landmarks staying left."""
        boxes = self.boxes.copy()
        boxes[:, [0, 2]] = width - self.boxes[:, [2, 0]]
        landmarks = self.landmarks[:, list(MIRROR)].copy()
        landmarks[..., 0] = width - landmarks[..., 0]
        return replace(self, boxes=boxes, landmarks=landmarks)

    def within(self, width: float, height: float) -> Labels:
        """Drop faces outside width x height pixels; truncated and tiny ones are no longer sure."""
        corner = np.array([width, height] * 2, dtype=np.float32)
        inside = np.clip(self.boxes, 0, corner)
        sizes = self.boxes[:, 2:] - self.boxes[:, :2]
        visible = (inside[:, 2:] - inside[:, :2]).prod(1) / np.maximum(sizes.prod(1), 1e-6)
        centre = (self.boxes[:, :2] + self.boxes[:, 2:]) / 2
        centred = ((centre > 0) & (centre < corner[:2])).all(1)
        sure = self.sure & (visible >= _VISIBLE) & centred & (sizes[:, 0] >= SMALLEST_FACE)
        keep = visible > 0
        return Labels(self.boxes[keep], self.landmarks[keep], sure[keep])

    @staticmethod
    def joined(parts: list[Labels]) -> Labels:
        """Concatenate the labels of the parts of one canvas."""
        return Labels(
            np.concatenate([part.boxes for part in parts]),
            np.concatenate([part.landmarks for part in parts]),
            np.concatenate([part.sure for part in parts]),
        )


@dataclass(frozen=True)
class Scene:
    """One labelled picture: `encoded` file bytes, its `source` data set, and its labels."""

    encoded: bytes
    source: str
    labels: Labels

    def picture(self) -> Image.Image:
        """Decode the picture as RGB."""
        return Image.open(io.BytesIO(self.encoded)).convert("RGB")


def split_of(encoded: bytes) -> str:
    """Return train (60 %), validation (20 %) or test (20 %), from the hash of the file's bytes.

    The pack names no people, so that pictures are split; adding some never moves another one.
    """
    bucket = int.from_bytes(hashlib.sha256(encoded).digest()[:8], "big") % 100
    return SPLITS[0] if bucket < 60 else SPLITS[1] if bucket < 80 else SPLITS[2]


def read_scenes(path: Path | str, split: str) -> list[Scene]:
    """Read one split of a Parquet pack with `image`, `source` and `faces` of 15 floats.

    Raises:
        ValueError: `split` is not train, validation or test.

    """
    if split not in SPLITS:
        message = f"no split {split!r}"
        raise ValueError(message)
    scenes = []
    for row in pq.read_table(str(path), columns=["image", "source", "faces"]).to_pylist():
        if split_of(row["image"]) != split:
            continue
        faces = np.array(row["faces"], dtype=np.float32).reshape(-1, 15)
        boxes = np.concatenate([faces[:, :2], faces[:, :2] + faces[:, 2:4]], axis=1)
        landmarks = faces[:, 4:14].reshape(-1, 5, 2)
        labels = Labels(boxes, landmarks, faces[:, 14] >= SURE_SCORE)
        scenes.append(Scene(row["image"], row["source"], labels))
    return scenes


def read_empty(folder: Path | str) -> list[Scene]:
    """Read a folder's pictures (WebP, JPEG, PNG) as scenes in which nobody is."""
    nobody = Labels(
        np.zeros((0, 4), np.float32), np.zeros((0, 5, 2), np.float32), np.zeros(0, dtype=bool)
    )
    kinds = {".webp", ".jpg", ".png"}
    return [
        Scene(path.read_bytes(), "empty", nobody)
        for path in sorted(Path(folder).iterdir())
        if path.suffix in kinds
    ]


@dataclass(frozen=True)
class Canvas:
    """A training picture: `clean` uint8[S,S,3] for the teacher, `seen` for the student, labels."""

    clean: np.ndarray
    seen: np.ndarray
    labels: Labels


@dataclass(frozen=True)
class Place:
    """A box float32[4] (x1, y1, x2, y2) in the picture of scene number `scene`."""

    scene: int
    box: np.ndarray


@dataclass(frozen=True)
class Hard:
    """Places that a detector got wrong: faces it missed, and what it took for a face."""

    missed: list[Place]
    false: list[Place]


class CanvasMaker:
    """Makes random canvases of `size` pixels from scenes; `night_share` of them are darkened.

    `grids` are the odds of 1, 4 and 16 crops. `hard_share` of the crops lie around the `hard`
    places, half of them around missed faces. `lamp_share` of the canvases are lit from a side, as
    the teacher does not see them. Scenes may be without faces.
    """

    def __init__(
        self,
        scenes: Sequence[Scene],
        size: int,
        night_share: float,
        *,
        grids: Sequence[float] = (0.5, 0.35, 0.15),
        hard: Hard | None = None,
        hard_share: float = 0.0,
        lamp_share: float = 0.0,
    ) -> None:
        self._scenes = list(scenes)
        if not any(scene.labels.sure.any() for scene in self._scenes):
            message = "no scene has a face"
            raise ValueError(message)
        # Decoding costs more than all the rest of a canvas: keep the pixels (about 0.4 MB a scene).
        self._pictures = [scene.picture() for scene in self._scenes]
        self._size = size
        self._night_share = night_share
        self._grids = grids
        self._hard = [places for places in (hard.missed, hard.false) if places] if hard else []
        self._hard_share = hard_share if self._hard else 0.0
        self._lamp_share = lamp_share

    def make(self, generator: np.random.Generator) -> Canvas:
        """Return one random canvas."""
        grid = int(generator.choice([1, 2, 4], p=self._grids))
        cell = self._size // grid
        clean = np.zeros((self._size, self._size, 3), dtype=np.uint8)
        parts = []
        for row in range(grid):
            for column in range(grid):
                pixels, labels = self._crop(generator, cell)
                x, y = column * cell, row * cell
                clean[y : y + cell, x : x + cell] = pixels
                parts.append(labels.moved(1.0, x, y))
        labels = Labels.joined(parts)
        clean = night.recolour(clean, generator)
        seen = night.degrade(self._lit(clean, labels, generator), generator, self._night_share)
        return Canvas(clean, seen, labels)

    def _lit(self, clean: np.ndarray, labels: Labels, generator: np.random.Generator) -> np.ndarray:
        """Return the canvas as it is, or lit from a side."""
        # Without a share nothing is drawn: older runs keep their canvases.
        if not self._lamp_share or generator.random() >= self._lamp_share:
            return clean
        return shade(clean, labels.boxes, generator)

    def _crop(self, generator: np.random.Generator, cell: int) -> tuple[np.ndarray, Labels]:
        """Return a cell x cell crop of a random scene, mostly around a face, often mirrored."""
        index, box = self._subject(generator)
        picture, labels = self._pictures[index], self._scenes[index].labels
        size = np.array([picture.width, picture.height])
        if box is None:
            scale = float(np.exp(generator.uniform(np.log(0.5), np.log(1.5))))
            corner = _anywhere(size * scale - cell, generator)
        else:
            wanted = cell * np.exp(generator.uniform(np.log(0.16), np.log(0.95)))
            # Enlarging adds no detail: at most 1.5 times.
            scale = min(max(wanted, 16.0) / float(box[2] - box[0]), 1.5)
            room = size * scale - cell
            # The centre falls anywhere in the crop, now and then beyond its edge.
            centre = (box[:2] + box[2:]) / 2 * scale
            corner = (centre - generator.uniform(0.0, 1.0, 2) * cell).astype(np.float64)
            if generator.random() < 0.75:
                # Most crops stay inside the picture where it is large enough.
                corner = np.where(room > 0, np.clip(corner, 0, np.maximum(room, 0)), corner)
            if generator.random() < _ANYWHERE:
                corner = _anywhere(room, generator)
        left, top = corner
        pixels = _window(picture, left, top, cell, scale, generator)
        labels = labels.moved(scale, -left, -top).within(cell, cell)
        if generator.random() < 0.5:
            pixels, labels = pixels[:, ::-1], labels.flipped(cell)
        return pixels, labels

    def _subject(self, generator: np.random.Generator) -> tuple[int, np.ndarray | None]:
        """Choose a scene and a box in it to crop around; None in a scene without faces."""
        if generator.random() < self._hard_share:
            places = self._hard[int(generator.integers(len(self._hard)))]
            place = places[int(generator.integers(len(places)))]
            return place.scene, place.box
        index = int(generator.integers(len(self._scenes)))
        labels = self._scenes[index].labels
        if not labels.sure.any():
            return index, None
        return index, labels.boxes[generator.choice(np.flatnonzero(labels.sure))]


def _anywhere(room: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Draw a crop's corner, x and y, where the picture leaves `room` around the crop."""
    return generator.uniform(np.minimum(room, 0), np.maximum(room, 0))


def _window(
    picture: Image.Image,
    left: float,
    top: float,
    cell: int,
    scale: float,
    generator: np.random.Generator,
) -> np.ndarray:
    """Cut cell x cell pixels at (left, top) of the scaled picture; outside is one random colour."""
    x1, y1 = max(left, 0.0), max(top, 0.0)
    x2 = min(left + cell, picture.width * scale)
    y2 = min(top + cell, picture.height * scale)
    pixels = np.empty((cell, cell, 3), dtype=np.uint8)
    pixels[:] = generator.integers(0, 256, 3)
    # Whole target pixels, so that the labels stay exact to a fraction of one.
    columns = slice(round(x1 - left), round(x2 - left))
    rows = slice(round(y1 - top), round(y2 - top))
    size = (columns.stop - columns.start, rows.stop - rows.start)
    if min(size) > 0:
        xs = np.clip((np.array([columns.start, columns.stop]) + left) / scale, 0, picture.width)
        ys = np.clip((np.array([rows.start, rows.stop]) + top) / scale, 0, picture.height)
        part = picture.resize(size, Image.Resampling.BILINEAR, box=(xs[0], ys[0], xs[1], ys[1]))
        pixels[rows, columns] = np.asarray(part)
    return pixels


@dataclass(frozen=True)
class Batch:
    """`clean` and `seen` float32[N,3,S,S] RGB 0..255, and the labels of each picture."""

    clean: Tensor
    seen: Tensor
    labels: list[Labels]


def batches(maker: CanvasMaker, size: int, seed: int) -> Iterator[Batch]:
    """Yield batches of `size` canvases without end, the same ones for the same seed."""
    generator = np.random.default_rng(seed)
    while True:
        yield collate([maker.make(generator) for _ in range(size)])


def collate(canvases: list[Canvas]) -> Batch:
    """Stack canvases of one size."""
    # Channels stay last in memory: PyTorch runs depthwise convolutions twice as fast so.
    clean, seen = (
        torch.from_numpy(np.stack(pictures).astype(np.float32)).permute(0, 3, 1, 2)
        for pictures in (
            [canvas.clean for canvas in canvases],
            [canvas.seen for canvas in canvases],
        )
    )
    return Batch(clean, seen, [canvas.labels for canvas in canvases])
