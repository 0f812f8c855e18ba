"""Views of a door from labelled scenes: training canvases, and single views for evaluation.

A canvas is a mosaic of tiles, each a part of one picture, so that one step sees people of many
sizes beside places without any. Where a face is labelled, its cells are to fire; around it and
below it, where its owner's body is, cells may do as they please; all other cells must stay silent.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import torch
from PIL import Image, ImageFilter
from torch import Tensor

from training.common.split import TRAIN, side_of
from training.detector import night
from training.detector.data import Labels, Scene, read_scenes
from training.presence.model import HEIGHT, MULTIPLE, STRIDES

WIDTH = 160
"""Columns of a training canvas: 5:3, between a 4:3 and a 16:9 camera."""

IGNORED = -1

# In pixels of the view. A face of 6 px in 96 rows is 80 px in 1280 rows: enough to recognise.
SMALLEST = 6.0
# The two grids share the heads between these heights.
_FINE_UP_TO = 32.0
_COARSE_FROM = 20.0
_LARGEST = 78.0
# More would blur the background of portraits, which is then told from people by its blur alone.
_ENLARGE = 1.4
_VISIBLE = 0.6


@dataclass(frozen=True)
class Source:
    """One picture: `grey` uint8[H,W], and the `labels` of its faces (none for an empty place)."""

    grey: np.ndarray
    labels: Labels
    name: str


@dataclass(frozen=True)
class View:
    """A view uint8[h,w] with its `labels` in its own pixels and `zone` bool[h,w]: people's."""

    grey: np.ndarray
    labels: Labels
    zone: np.ndarray


def no_faces() -> Labels:
    """Return the labels of a picture without anyone."""
    return Labels(np.zeros((0, 4), "f4"), np.zeros((0, 5, 2), "f4"), np.zeros(0, bool))


def from_scene(scene: Scene, name: str) -> Source:
    """Decode a labelled scene."""
    return Source(np.asarray(scene.picture().convert("L")), scene.labels, name)


def read_sources(path: Path | str, split: str) -> list[Source]:
    """Read a split of the scenes, as the detector's training splits them: by the file's hash."""
    scenes = read_scenes(path, split)
    return [from_scene(scene, f"{split}/{index}") for index, scene in enumerate(scenes)]


def read_empty(folder: Path | str, split: str) -> list[Source]:
    """Read the pictures of empty places on one side: train, validation or test.

    A file is named PLACE-ANYTHING. The hash of the place's name decides the side of all its
    pictures; validation and test share theirs, because places are few and choose no threshold.
    """
    sources = []
    for path in sorted(Path(folder).iterdir()):
        place = path.stem.rsplit("-", 1)[0]
        if (side_of(f"place/{place}", 0) == TRAIN) == (split == TRAIN):
            with Image.open(path) as picture:
                sources.append(Source(np.asarray(picture.convert("L")), no_faces(), place))
    return sources


def zones(labels: Labels, margin: float = 1.0) -> np.ndarray:
    """Return where the owners of the faces may be: boxes float[Z,4], three for each face.

    Beside the head, the shoulders and arms, and where somebody sits or stands astride; all reach
    down without end. `margin` widens them: 1 spans 2.1 widths of the face beside the head.
    """
    made = []
    for x1, y1, x2, y2 in labels.boxes:
        width, height, middle = x2 - x1, y2 - y1, (x1 + x2) / 2
        parts = (
            (y1 - 0.5 * height * margin, 1.05),
            (y2 - 0.3 * height, 2.0),
            (y2 + 1.5 * height, 3.2),
        )
        for top, half in parts:
            reach = half * margin * width
            made.append((middle - reach, top, middle + reach, np.inf))
    return np.array(made).reshape(-1, 4)


def zone_of(labels: Labels, shape: tuple[int, int]) -> np.ndarray:
    """Mark the zones of the faces in a picture, bool[h,w]."""
    zone = np.zeros(shape, bool)
    for left, top, right, _ in zones(labels):
        columns = slice(max(0, int(np.floor(left))), max(0, int(np.ceil(right))))
        zone[max(0, int(np.floor(top))) :, columns] = True
    return zone


def cut(source: Source, corner: Sequence[float], scale: float, size: tuple[int, int]) -> View:
    """Cut (width, height) `size` at `corner` of the source's own pixels, scaled by `scale`.

    The window must lie inside the picture.
    """
    left, top = corner
    width, height = size
    box = (left, top, left + width / scale, top + height / scale)
    picture = Image.fromarray(source.grey)
    grey = np.asarray(picture.resize(size, Image.Resampling.BILINEAR, box=box))
    labels = source.labels.moved(scale, -left * scale, -top * scale)
    zone = zone_of(labels, (height, width))
    corners = np.array([width, height] * 2, dtype=np.float32)
    inside = np.clip(labels.boxes, 0, corners)
    sizes = labels.boxes[:, 2:] - labels.boxes[:, :2]
    visible = (inside[:, 2:] - inside[:, :2]).prod(1) / np.maximum(sizes.prod(1), 1e-6)
    sure = labels.sure & (visible >= _VISIBLE) & (sizes[:, 0] >= SMALLEST)
    keep = visible > 0
    return View(grey, Labels(labels.boxes[keep], labels.landmarks[keep], sure[keep]), zone)


def scales(source: Source, size: tuple[int, int]) -> tuple[float, float]:
    """Return the least and the greatest scale at which `size` is cut from inside the picture."""
    height, width = source.grey.shape
    least = max(size[0] / width, size[1] / height)
    return least, max(least, _ENLARGE)


def window_around(
    source: Source, size: tuple[int, int], generator: np.random.Generator
) -> tuple[np.ndarray, float]:
    """Return corner and scale of a random window that holds a random sure face."""
    box = source.labels.boxes[generator.choice(np.flatnonzero(source.labels.sure))]
    tall = float(box[3] - box[1])
    largest = min(_LARGEST, 0.85 * size[1], 0.85 * size[0])
    wanted = np.exp(generator.uniform(np.log(7.0), np.log(largest)))
    scale = float(np.clip(wanted / tall, *scales(source, size)))
    span = np.array(size) / scale
    room = np.maximum(np.array(source.grey.shape[::-1]) - span, 0)
    # The whole head where it fits.
    low = np.clip(box[2:] + 0.1 * tall - span, 0, room)
    high = np.clip(box[:2] - 0.1 * tall, 0, room)
    return generator.uniform(np.minimum(low, high), np.maximum(low, high)), scale


def window_anywhere(
    source: Source, size: tuple[int, int], generator: np.random.Generator
) -> tuple[np.ndarray, float]:
    """Return corner and scale of a random window."""
    scale = float(np.exp(generator.uniform(*np.log(scales(source, size)))))
    room = np.maximum(np.array(source.grey.shape[::-1]) - np.array(size) / scale, 0)
    return generator.uniform(0, room), scale


def window_beside(
    source: Source, size: tuple[int, int], generator: np.random.Generator, tries: int = 12
) -> View | None:
    """Return a random view that touches nobody, or None where none was found."""
    for _ in range(tries):
        corner, scale = window_anywhere(source, size, generator)
        if not touches(source, corner, scale, size):
            return cut(source, corner, scale, size)
    return None


def touches(
    source: Source, corner: np.ndarray, scale: float, size: tuple[int, int], margin: float = 1.0
) -> bool:
    """Say whether a window holds part of anybody's zone."""
    near = zones(source.labels, margin)
    end = corner + np.array(size) / scale
    inside = (near[:, :2] < end).all(1) & (near[:, 2:] > corner).all(1)
    return bool(inside.any())


def drawn_place(size: tuple[int, int], generator: np.random.Generator) -> View:
    """Make up an empty place: a gradient with rectangles, posts and soft noise."""
    width, height = size
    ends = generator.uniform(0, 255, (2, 2)).astype(np.float32)
    grey = Image.fromarray(ends).resize(size, Image.Resampling.BICUBIC)
    pixels = np.array(grey, dtype=np.float32)
    for _ in range(generator.integers(0, 7)):
        x, y = generator.uniform(-0.2, 1.0, 2) * size
        wide, tall = np.exp(generator.uniform(np.log(2), np.log(size)))
        rows = slice(max(0, int(y)), max(0, int(y + tall)))
        columns = slice(max(0, int(x)), max(0, int(x + wide)))
        pixels[rows, columns] = generator.uniform(0, 255)
    cells = int(generator.integers(2, 24))
    coarse = generator.normal(0, generator.uniform(0, 40), (cells, cells)).astype(np.float32)
    pixels += np.asarray(Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC))
    drawn = Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))
    if generator.random() < 0.5:
        drawn = drawn.filter(ImageFilter.GaussianBlur(generator.uniform(0.3, 2.0)))
    return View(np.asarray(drawn), no_faces(), np.zeros((height, width), bool))


def targets_of(view: View) -> tuple[np.ndarray, np.ndarray]:
    """Return what the cells of both grids shall say, int8: 1 a head, 0 nobody, -1 anything."""
    height, width = view.grey.shape
    maps = []
    for stride in STRIDES:
        cells = view.zone.reshape(height // stride, stride, width // stride, stride)
        target = np.where(cells.any((1, 3)), np.int8(IGNORED), np.int8(0))
        for box, sure in zip(view.labels.boxes, view.labels.sure, strict=True):
            tall = box[3] - box[1]
            wanted = tall <= _FINE_UP_TO if stride == STRIDES[0] else tall >= _COARSE_FROM
            if sure and wanted:
                _mark(target, box / stride)
        maps.append(target)
    return maps[0], maps[1]


def _mark(target: np.ndarray, box: np.ndarray) -> None:
    """Set the cells whose middle is in the inner half of `box` (in cells), or the one beneath."""
    middle, half = (box[:2] + box[2:]) / 2, (box[2:] - box[:2]) / 4
    limit = np.array(target.shape[::-1])
    first = np.clip(np.ceil(middle - half - 0.5).astype(int), 0, limit - 1)
    last = np.clip(np.floor(middle + half - 0.5).astype(int), 0, limit - 1)
    nearest = np.clip(np.floor(middle).astype(int), 0, limit - 1)
    first, last = np.minimum(first, nearest), np.maximum(last, nearest)
    target[first[1] : last[1] + 1, first[0] : last[0] + 1] = 1


def degrade(grey: np.ndarray, generator: np.random.Generator, night_share: float) -> np.ndarray:
    """Return uint8[h,w] as a door camera might show it: other light, night, blur, JPEG."""
    light = grey.astype(np.float32)
    if generator.random() < 0.7:
        light = (light - 127.5) * np.float32(generator.uniform(0.6, 1.25)) + 127.5
        light = np.clip(light + np.float32(generator.uniform(-40, 30)), 0, 255)
    picture = np.rint(light).astype(np.uint8)
    if generator.random() >= night_share:
        if generator.random() < 0.3:
            blur = ImageFilter.GaussianBlur(generator.uniform(0.3, 1.0))
            picture = np.asarray(Image.fromarray(picture).filter(blur))
        return picture
    condition = night.random_night(generator)
    if condition.infrared:
        coloured = np.repeat(picture[..., None], 3, axis=2)
        return luma(night.simulate(coloured, condition, generator))
    # `night.simulate` on one channel: a third of its time.
    electrons = generator.poisson(night.to_linear(picture) * condition.photons)
    noise = generator.standard_normal(picture.shape, dtype=np.float32) * condition.read_noise
    return night.to_srgb((electrons + noise) * (condition.exposure / condition.photons))


def luma(picture: np.ndarray) -> np.ndarray:
    """Return the grey uint8[h,w] of RGB uint8[h,w,3] (BT.601)."""
    return np.asarray(Image.fromarray(picture).convert("L"))


class CanvasMaker:
    """Makes random canvases of 96 x 160 pixels."""

    def __init__(self, sources: list[Source], empty: list[Source], night_share: float) -> None:
        self._people = [source for source in sources if source.labels.sure.any()]
        if not self._people:
            message = "no scene has a face"
            raise ValueError(message)
        self._empty = empty
        # Most portraits leave no room for even the narrowest tile: not tried again and again.
        generator = np.random.default_rng(0)
        size = (2 * MULTIPLE, HEIGHT)
        self._roomy = [
            one for one in sources if window_beside(one, size, generator, 40) is not None
        ]
        self._night_share = night_share

    def make(self, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return uint8[96,160] and the targets of both grids, int8[12,20] and int8[6,10]."""
        grey = np.empty((HEIGHT, WIDTH), np.uint8)
        maps = [np.empty((HEIGHT // stride, WIDTH // stride), np.int8) for stride in STRIDES]
        nobody = generator.random() < 0.4
        for left, top, width, tall in _tiles(generator):
            view = self._tile((width, tall), nobody or generator.random() < 0.4, generator)
            pixels, targets = view.grey, targets_of(view)
            if generator.random() < 0.5:
                pixels, targets = pixels[:, ::-1], tuple(one[:, ::-1] for one in targets)
            grey[top : top + tall, left : left + width] = pixels
            for stride, whole, part in zip(STRIDES, maps, targets, strict=True):
                x, y = left // stride, top // stride
                whole[y : y + part.shape[0], x : x + part.shape[1]] = part
        return degrade(grey, generator, self._night_share), maps[0], maps[1]

    def _tile(self, size: tuple[int, int], nobody: bool, generator: np.random.Generator) -> View:
        if not nobody:
            source = self._people[generator.integers(len(self._people))]
            return cut(source, *window_around(source, size, generator), size)
        kind = generator.random()
        if self._empty and kind < 0.35:
            source = self._empty[generator.integers(len(self._empty))]
            return cut(source, *window_anywhere(source, size, generator), size)
        if self._roomy and kind < 0.9:
            for _ in range(4):
                source = self._roomy[generator.integers(len(self._roomy))]
                view = window_beside(source, size, generator)
                if view is not None:
                    return view
        return drawn_place(size, generator)


def _tiles(generator: np.random.Generator) -> Iterator[tuple[int, int, int, int]]:
    """Yield left, top, width and height of tiles that cover a canvas, in multiples of 16."""
    left = 0
    while left < WIDTH:
        width = min(int(generator.choice([32, 48, 64, 80, 96, 160])), WIDTH - left)
        top = 0 if generator.random() < 0.75 else int(generator.choice([32, 48, 64]))
        if top:
            yield left, 0, width, top
        yield left, top, width, HEIGHT - top
        left += width


@dataclass(frozen=True)
class Batch:
    """`image` float32[N,1,96,W] in 0..255 and int8 targets, `fine` and `coarse`, [N,h,w]."""

    image: Tensor
    fine: Tensor
    coarse: Tensor


def batches(maker: CanvasMaker, size: int, seed: int) -> Iterator[Batch]:
    """Yield batches of `size` canvases without end, the same ones for the same seed."""
    generator = np.random.default_rng(seed)
    while True:
        made = [maker.make(generator) for _ in range(size)]
        image, fine, coarse = (np.stack(part) for part in zip(*made, strict=True))
        yield Batch(
            torch.from_numpy(image.astype(np.float32))[:, None],
            torch.from_numpy(fine),
            torch.from_numpy(coarse),
        )


@dataclass(frozen=True)
class Trial:
    """One view of the evaluation: `grey` uint8[96,W]; `face` its height in px, 0 for nobody."""

    grey: np.ndarray
    face: float
    name: str


def trials(sources: list[Source], seed: int, per_picture: int = 2) -> list[Trial]:
    """Cut plain views, one picture each: with a whole labelled face, and without anyone.

    Windows lie inside the picture. Those with somebody are 64 to 176 px wide. Those without are
    48 to 160 px wide, because what portraits leave free is narrow, and three times as many are
    tried.
    """
    made = []
    for index, source in enumerate(sources):
        generator = np.random.default_rng([seed, index])
        for _ in range(per_picture):
            made.extend(_with_somebody(source, generator))
        for _ in range(3 * per_picture):
            made.extend(_with_nobody(source, generator))
    return made


def _with_somebody(source: Source, generator: np.random.Generator) -> Iterator[Trial]:
    if not source.labels.sure.any():
        return
    size = (int(generator.integers(4, 12)) * MULTIPLE, HEIGHT)
    view = cut(source, *window_around(source, size, generator), size)
    heights = view.labels.boxes[:, 3] - view.labels.boxes[:, 1]
    whole = [_whole(box, size) for box in view.labels.boxes] & view.labels.sure
    if whole.any():
        yield Trial(view.grey, float(heights[whole].max()), source.name)


def _with_nobody(source: Source, generator: np.random.Generator) -> Iterator[Trial]:
    for _ in range(40):
        size = (int(generator.integers(3, 11)) * MULTIPLE, HEIGHT)
        corner, scale = window_anywhere(source, size, generator)
        if scale <= 1.6 and not touches(source, corner, scale, size, 1.15):
            yield Trial(cut(source, corner, scale, size).grey, 0.0, source.name)
            return


def read_webcam(path: Path | str) -> list[Trial]:
    """Return whole frames of people before a webcam, 96 rows high, named by their subject."""
    made = []
    for row in pq.read_table(str(path), columns=["image", "label", "subject"]).to_pylist():
        if row["label"] == "live":
            picture = Image.open(io.BytesIO(row["image"])).convert("L")
            width = round(picture.width * HEIGHT / picture.height / MULTIPLE) * MULTIPLE
            grey = picture.resize((width, HEIGHT), Image.Resampling.BILINEAR)
            # How high the face is was not labelled: it is some part of the frame.
            made.append(Trial(np.asarray(grey), HEIGHT / 3, row["subject"]))
    return made


def far_away(tests: list[Trial], places: list[Source], seed: int) -> list[Trial]:
    """Show each trial at half its size, on the ground of an empty place: people further off.

    Views without anyone are pasted just the same, so that an edge betrays nobody.
    """
    made = []
    for index, trial in enumerate(tests):
        generator = np.random.default_rng([seed, index])
        place = places[generator.integers(len(places))]
        size = (WIDTH, HEIGHT)
        grey = cut(place, *window_anywhere(place, size, generator), size).grey.copy()
        height, width = (side // 2 for side in trial.grey.shape)
        small = Image.fromarray(trial.grey).resize((width, height), Image.Resampling.BOX)
        left = int(generator.integers(0, WIDTH - width + 1))
        grey[HEIGHT - height :, left : left + width] = np.asarray(small)
        made.append(Trial(grey, trial.face / 2, trial.name))
    return made


def _whole(box: np.ndarray, size: tuple[int, int]) -> bool:
    return bool((box[:2] >= -0.5).all() and (box[2:] <= np.array(size) + 0.5).all())


def digest(trial: Trial) -> int:
    """Return a seed that depends on the view alone."""
    return int.from_bytes(hashlib.sha256(trial.grey.tobytes()).digest()[:4], "big")
