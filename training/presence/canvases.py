"""Training canvases of 96 x 160 pixels, and what each cell of them shall say.

A canvas is one view or a mosaic of several. Where a face is labelled, its cells are to fire; where
somebody's body may be, cells may do as they please; all other cells must stay silent.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image, ImageFilter
from torch import Tensor

from training.common.camera import to_linear, to_srgb
from training.detector import night
from training.presence.compose import (
    Cutout,
    cut_people,
    drawn_place,
    drawn_sign,
    has_whole_people,
    lengthen,
    paste,
    patch,
    place_of,
    thing,
)
from training.presence.data import (
    Source,
    View,
    cut,
    empty_parts,
    scales,
    window_anywhere,
    window_around,
)
from training.presence.model import HEIGHT, STRIDES

WIDTH = 160
"""Columns of a training canvas: 5:3, between a 4:3 and a 16:9 camera."""

IGNORED = -1

# The two grids share the heads between these heights.
_FINE_UP_TO = 32.0
_COARSE_FROM = 20.0
# Parts of pictures that a view would enlarge by more are left to smaller views.
_MOST_ENLARGED = 1.7
# Canvases that are kept to be shown again, and how often one of them is taken instead of a new one.
_KEPT = 6000
_AGAIN = 0.65
# Of the canvases, those that are one view; a mosaic shows more for the same work.
_ALONE = 0.4
# Heights in pixels of pasted faces, up to a share of the view's shorter side.
_PASTED = (8.0, 0.5)


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
    electrons = generator.poisson(to_linear(picture) * condition.photons)
    noise = generator.standard_normal(picture.shape, dtype=np.float32) * condition.read_noise
    return to_srgb((electrons + noise) * (condition.exposure / condition.photons))


def luma(picture: np.ndarray) -> np.ndarray:
    """Return the grey uint8[h,w] of RGB uint8[h,w,3] (BT.601)."""
    return np.asarray(Image.fromarray(picture).convert("L"))


class Stage:
    """Backgrounds without anyone, and the people and things that are pasted onto them."""

    def __init__(
        self, sources: list[Source], empty: list[Source], things: list[np.ndarray]
    ) -> None:
        self.people = [source for source in sources if has_whole_people(source)]
        self.empty = empty
        self.things = things
        self.parts = [part for source in sources for part in empty_parts(source)]

    def background(self, size: tuple[int, int], generator: np.random.Generator) -> View:
        """Return a view of (width, height) `size` without anyone."""
        kind = generator.random()
        if kind < 0.06:
            return drawn_place(size, generator)
        places = self.empty if self.empty and kind < 0.45 else self.parts or self.empty
        for _ in range(8):
            if not places:
                break
            source = places[generator.integers(len(places))]
            if scales(source, size)[0] <= _MOST_ENLARGED:
                return cut(source, *window_anywhere(source, size, generator), size)
        return drawn_place(size, generator)

    def with_things(self, view: View, generator: np.random.Generator) -> View:
        """Paste one to three things that are nobody."""
        for _ in range(int(generator.integers(1, 4))):
            tall = float(np.exp(generator.uniform(np.log(8), np.log(0.9 * view.grey.shape[0]))))
            cutout = self._thing(tall, generator)
            view = paste(view, cutout, place_of(cutout, view.grey.shape, generator), generator)
        return view

    def with_people(
        self, view: View, smallest: float, largest: float, generator: np.random.Generator
    ) -> View:
        """Paste the people of one picture, a face of whom is so high, in pixels."""
        source = self.people[generator.integers(len(self.people))]
        tall = float(np.exp(generator.uniform(np.log(smallest), np.log(largest))))
        cutout = cut_people(source, tall, generator)
        if cutout.cropped and generator.random() < 0.7:
            missing = max(0, view.grey.shape[0] - cutout.grey.shape[0])
            cutout = lengthen(cutout, int(generator.uniform(0.2, 1.0) * missing))
        return paste(view, cutout, place_of(cutout, view.grey.shape, generator), generator)

    def _thing(self, tall: float, generator: np.random.Generator) -> Cutout:
        kind = generator.random()
        if self.things and kind < 0.5:
            return thing(self.things[generator.integers(len(self.things))], min(tall, 60.0))
        if self.empty and kind < 0.75:
            return patch(self.empty[generator.integers(len(self.empty))], tall, generator)
        return drawn_sign(min(tall, 40.0), generator)


@dataclass(frozen=True)
class Canvas:
    """`grey` uint8[96,160] and the targets of both grids, int8[12,20] and int8[6,10]."""

    grey: np.ndarray
    fine: np.ndarray
    coarse: np.ndarray

    def mirrored(self) -> Canvas:
        """Return it with left and right exchanged."""
        return Canvas(self.grey[:, ::-1], self.fine[:, ::-1], self.coarse[:, ::-1])


class CanvasMaker:
    """Makes random canvases of 96 x 160 pixels."""

    def __init__(
        self, sources: list[Source], empty: list[Source], things: list[np.ndarray] | None = None
    ) -> None:
        self._faces = [source for source in sources if source.labels.sure.any()]
        if not self._faces:
            message = "no scene has a face"
            raise ValueError(message)
        self._stage = Stage(sources, empty, things or [])

    def make(self, generator: np.random.Generator) -> Canvas:
        """Return a canvas as a camera by day would see it."""
        grey = np.empty((HEIGHT, WIDTH), np.uint8)
        maps = [np.empty((HEIGHT // stride, WIDTH // stride), np.int8) for stride in STRIDES]
        nobody = generator.random() < 0.45
        for left, top, width, tall in _tiles(generator):
            view = self._tile((width, tall), nobody or generator.random() < 0.3, generator)
            grey[top : top + tall, left : left + width] = view.grey
            for stride, whole, part in zip(STRIDES, maps, targets_of(view), strict=True):
                x, y = left // stride, top // stride
                whole[y : y + part.shape[0], x : x + part.shape[1]] = part
        return Canvas(grey, maps[0], maps[1])

    def _tile(self, size: tuple[int, int], nobody: bool, generator: np.random.Generator) -> View:
        pasted = bool(self._stage.people) and generator.random() < 0.4
        if not nobody and not pasted:
            source = self._faces[generator.integers(len(self._faces))]
            return cut(source, *window_around(source, size, generator), size)
        view = self._stage.background(size, generator)
        if generator.random() < 0.5:
            view = self._stage.with_things(view, generator)
        if nobody:
            return view
        least, share = _PASTED
        return self._stage.with_people(view, least, share * min(size), generator)


def _tiles(generator: np.random.Generator) -> Iterator[tuple[int, int, int, int]]:
    """Yield left, top, width and height of tiles that cover a canvas, in multiples of 16."""
    if generator.random() < _ALONE:
        yield 0, 0, WIDTH, HEIGHT
        return
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


def batches(maker: CanvasMaker, size: int, seed: int, night_share: float) -> Iterator[Batch]:
    """Yield batches of `size` canvases without end, the same ones for the same seed.

    Composing costs more than learning: once there are enough, most canvases are shown again, in
    another light.
    """
    generator = np.random.default_rng(seed)
    kept: list[Canvas] = []
    while True:
        chosen = []
        for _ in range(size):
            if len(kept) >= _KEPT and generator.random() < _AGAIN:
                canvas = kept[generator.integers(_KEPT)]
            else:
                canvas = maker.make(generator)
                if len(kept) < _KEPT:
                    kept.append(canvas)
                else:
                    kept[generator.integers(_KEPT)] = canvas
            chosen.append(canvas.mirrored() if generator.random() < 0.5 else canvas)
        image = np.stack([degrade(one.grey, generator, night_share) for one in chosen])
        yield Batch(
            torch.from_numpy(image.astype(np.float32))[:, None],
            torch.from_numpy(np.stack([one.fine for one in chosen])),
            torch.from_numpy(np.stack([one.coarse for one in chosen])),
        )
