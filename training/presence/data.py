"""Pictures with labelled people and pictures without, and windows cut out of them."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter

from training.common.split import TRAIN, side_of
from training.detector.data import Labels, Scene, read_scenes
from training.presence.mattes import key_of, read_mattes

# Width in pixels of the view. 6 px in 96 rows are 68 px in 1080 rows; what is smaller is a few grey
# dots, which can be told from leaves only at the price of more false alarms.
SMALLEST = 6.0
_LARGEST = 78.0
# More would blur the background of portraits, which is then told from people by its blur alone.
_ENLARGE = 1.4
_VISIBLE = 0.6
# A matte's grey level from which a pixel may be somebody's, and how far around it, in pixels.
_SOMEBODY = 26
_AROUND = 9
# Empty parts of a picture are looked for on a grid of so many pixels, and are no smaller than this.
_GRID = 8
_LEAST_PART = 48
# Of a face's box: where the matte covers less, its network sees nobody.
_AGREED = 0.5
# Of a reduced mask: a pixel any noticeable part of which is covered.
_TRACE = 12


@dataclass(frozen=True)
class Source:
    """One picture: `grey` uint8[H,W], and the `labels` of its faces (none for an empty place).

    `matte` uint8[H,W] says which pixels are people; without it the faces alone tell where they are.
    """

    grey: np.ndarray
    labels: Labels
    name: str
    matte: np.ndarray | None = None

    @cached_property
    def taken(self) -> np.ndarray:
        """Where somebody is or may be, bool[H,W]."""
        if self.matte is None:
            return zone_of(self.labels, self.grey.shape)
        wide = Image.fromarray(self.matte).filter(ImageFilter.MaxFilter(_AROUND))
        return (np.asarray(wide) >= _SOMEBODY) | heads_of(self.labels, self.grey.shape)


@dataclass(frozen=True)
class View:
    """A view uint8[h,w] with its `labels` in its own pixels and `zone` bool[h,w]: people's."""

    grey: np.ndarray
    labels: Labels
    zone: np.ndarray


def no_faces() -> Labels:
    """Return the labels of a picture without anyone."""
    return Labels(np.zeros((0, 4), "f4"), np.zeros((0, 5, 2), "f4"), np.zeros(0, bool))


def from_scene(scene: Scene, name: str, matte: bytes | None = None) -> Source:
    """Decode a labelled scene, and its matte of any size.

    With a matte, faces that it does not cover, such as drawn ones, are no longer sure.
    """
    picture = scene.picture().convert("L")
    if matte is None:
        return Source(np.asarray(picture), scene.labels, name)
    with Image.open(io.BytesIO(matte)) as stored:
        pixels = np.asarray(stored.convert("L").resize(picture.size))
    sure = scene.labels.sure & (covered(pixels, scene.labels.boxes) >= _AGREED)
    return Source(np.asarray(picture), replace(scene.labels, sure=sure), name, pixels)


def covered(matte: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """Return how much of each box of float32[F,4] a matte uint8[H,W] covers, float[F] in 0..1."""
    parts = [
        matte[top:bottom, left:right]
        for left, top, right, bottom in np.maximum(np.rint(boxes), 0).astype(int)
    ]
    return np.array([part.mean() / 255 if part.size else 0.0 for part in parts])


def read_sources(path: Path | str, split: str, mattes: Path | str = "") -> list[Source]:
    """Read a split of the scenes, as the detector's training splits them: by the file's hash."""
    stored = read_mattes(mattes) if mattes else {}
    return [
        from_scene(scene, f"{split}/{index}", stored.get(key_of(scene.encoded)))
        for index, scene in enumerate(read_scenes(path, split))
    ]


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


def read_things(folder: Path | str, split: str) -> list[np.ndarray]:
    """Read cut-out things, grey with alpha uint8[h,w,2], split as the places are by their name."""
    made = []
    for path in sorted(Path(folder).iterdir()):
        if (side_of(f"thing/{path.stem}", 0) == TRAIN) == (split == TRAIN):
            with Image.open(path) as picture:
                made.append(np.asarray(picture.convert("LA")))
    return made


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


def heads_of(labels: Labels, shape: tuple[int, int]) -> np.ndarray:
    """Mark the heads and a little air around them, bool[h,w]."""
    marked = np.zeros(shape, bool)
    for x1, y1, x2, y2 in labels.boxes:
        aside, above = 0.35 * (x2 - x1), 0.35 * (y2 - y1)
        edges = np.array([y1 - above, y2 + above, x1 - aside, x2 + aside])
        top, bottom, left, right = np.maximum(np.rint(edges), 0).astype(int)
        marked[top:bottom, left:right] = True
    return marked


def cut(
    source: Source, corner: Sequence[float] | np.ndarray, scale: float, size: tuple[int, int]
) -> View:
    """Cut (width, height) `size` at `corner` of the source's own pixels, scaled by `scale`.

    The window must lie inside the picture.
    """
    left, top = corner
    width, height = size
    box = (left, top, left + width / scale, top + height / scale)
    grey = _resized(source.grey, size, box)
    labels = source.labels.moved(scale, -left * scale, -top * scale)
    if len(labels.boxes):
        zone = _resized(source.taken.astype(np.uint8) * 255, size, box) > _TRACE
    else:
        zone = np.zeros((height, width), bool)
    corners = np.array([width, height] * 2, dtype=np.float32)
    inside = np.clip(labels.boxes, 0, corners)
    sizes = labels.boxes[:, 2:] - labels.boxes[:, :2]
    visible = (inside[:, 2:] - inside[:, :2]).prod(1) / np.maximum(sizes.prod(1), 1e-6)
    sure = labels.sure & (visible >= _VISIBLE) & (sizes[:, 0] >= SMALLEST)
    keep = visible > 0
    return View(grey, Labels(labels.boxes[keep], labels.landmarks[keep], sure[keep]), zone)


def _resized(
    pixels: np.ndarray, size: tuple[int, int], box: tuple[float, float, float, float]
) -> np.ndarray:
    return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BILINEAR, box=box))


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


def empty_parts(source: Source, most: int = 3) -> list[Source]:
    """Return the largest upright rectangles of a picture in which nobody is, as empty places.

    Each is at least 48 px wide and high; a rectangle overlaps none of the others.
    """
    rows, columns = (side // _GRID for side in source.taken.shape)
    cells = source.taken[: rows * _GRID, : columns * _GRID]
    free = np.asarray(~cells.reshape(rows, _GRID, columns, _GRID).any((1, 3)))
    parts = []
    for _ in range(most):
        left, top, right, bottom = largest_rectangle(free)
        if min(right - left, bottom - top) * _GRID < _LEAST_PART:
            break
        free[top:bottom, left:right] = False
        grey = source.grey[top * _GRID : bottom * _GRID, left * _GRID : right * _GRID]
        parts.append(Source(grey, no_faces(), source.name))
    return parts


def largest_rectangle(free: np.ndarray) -> tuple[int, int, int, int]:
    """Return left, top, right and bottom of the largest rectangle that is all true in bool[h,w].

    All zero where nothing is true. Rows are swept with a stack of rising column heights.
    """
    best, area = (0, 0, 0, 0), 0
    heights = np.zeros(free.shape[1] + 1, int)
    for row, line in enumerate(free):
        heights[:-1] = np.where(line, heights[:-1] + 1, 0)
        stack: list[int] = []
        for column, height in enumerate(heights.tolist()):
            while stack and heights[stack[-1]] >= height:
                tall = int(heights[stack.pop()])
                left = stack[-1] + 1 if stack else 0
                if tall * (column - left) > area:
                    area = tall * (column - left)
                    best = (left, row + 1 - tall, column, row + 1)
            stack.append(column)
    return best
