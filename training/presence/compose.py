"""Pasting people, and things that are not people, onto places.

The same places then stand behind somebody and behind nobody, and neither a place nor the edge of
what was pasted tells which it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from training.detector.data import Labels
from training.presence.data import SMALLEST, Source, View, covered, cut, no_faces, scales

# Of a face's box: less, and the matte missed its owner.
_COVERED = 0.85
_VISIBLE = 0.8
_LARGEST_SCALE = 1.2


@dataclass(frozen=True)
class Cutout:
    """`grey` and `alpha` float32[h,w], 0..255 and 0..1; `labels` of faces; `cropped` below."""

    grey: np.ndarray
    alpha: np.ndarray
    labels: Labels
    cropped: bool = False


def has_whole_people(source: Source) -> bool:
    """Say whether a picture's matte holds its sure faces, so that its people can be cut out."""
    if source.matte is None or not source.labels.sure.any():
        return False
    boxes = source.labels.boxes[source.labels.sure]
    return bool((covered(source.matte, boxes) >= _COVERED).all())


def cut_people(source: Source, tall: float, generator: np.random.Generator) -> Cutout:
    """Cut out everybody of a picture, scaled so that a sure face becomes `tall` pixels high.

    Pictures are not enlarged by more than a fifth; the face may then be smaller.
    """
    boxes = source.labels.boxes[source.labels.sure]
    box = boxes[generator.integers(len(boxes))]
    scale = min(tall / float(box[3] - box[1]), _LARGEST_SCALE)
    assert source.matte is not None  # noqa: S101 - `has_whole_people` was asked
    height, width = source.grey.shape
    size = (max(2, round(width * scale)), max(2, round(height * scale)))
    grey, alpha = (
        np.asarray(Image.fromarray(one).resize(size, Image.Resampling.BILINEAR), dtype=np.float32)
        for one in (source.grey, source.matte)
    )
    alpha /= 255
    return Cutout(grey, alpha, source.labels.moved(scale, 0, 0), bool(alpha[-1].max() > 0.5))


def lengthen(cutout: Cutout, rows: int) -> Cutout:
    """Stretch the lowest third, clothes, by `rows`: portraits end at the chest, people do not."""
    kept = max(int(cutout.grey.shape[0] * 0.66), int(cutout.labels.boxes[:, 3].max(initial=0)) + 1)
    below = cutout.grey.shape[0] - kept
    if below < 1 or rows < 1:
        return cutout
    size = (cutout.grey.shape[1], below + rows)
    grey, alpha = (
        np.concatenate([one[:kept], np.asarray(Image.fromarray(one[kept:]).resize(size))])
        for one in (cutout.grey, cutout.alpha)
    )
    return Cutout(grey, alpha, cutout.labels, cutout.cropped)


def thing(picture: np.ndarray, tall: float) -> Cutout:
    """Scale a thing uint8[h,w,2], grey with alpha, to `tall` pixels."""
    height, width = picture.shape[:2]
    scale = tall / height
    small = Image.fromarray(picture, "LA").resize(
        (max(2, round(width * scale)), max(2, round(tall))), Image.Resampling.BILINEAR
    )
    pixels = np.asarray(small, dtype=np.float32)
    return Cutout(pixels[..., 0], pixels[..., 1] / 255, no_faces())


def patch(source: Source, tall: float, generator: np.random.Generator) -> Cutout:
    """Take a rounded piece of a place, as high as a person with a face of some size would be."""
    size = (max(4, round(tall * float(generator.uniform(0.4, 1.2)))), max(4, round(tall)))
    scale = scales(source, size)[0]
    room = np.maximum(np.array(source.grey.shape[::-1]) - np.array(size) / scale, 0)
    grey = cut(source, generator.uniform(0, room), scale, size).grey.astype(np.float32)
    mask = Image.new("L", size)
    draw = ImageDraw.Draw(mask)
    for _ in range(int(generator.integers(1, 4))):
        x1, y1 = generator.uniform(0, 0.5, 2) * size
        x2, y2 = generator.uniform(0.5, 1, 2) * size
        shape = draw.ellipse if generator.random() < 0.6 else draw.rectangle
        shape((x1, y1, x2, y2), fill=255)
    mask = mask.filter(ImageFilter.GaussianBlur(float(generator.uniform(0.3, 1.2))))
    return Cutout(grey, np.asarray(mask, dtype=np.float32) / 255, no_faces())


def drawn_sign(tall: float, generator: np.random.Generator) -> Cutout:
    """Draw rings, spots, bars or a letter: emblems, wheels, lamps, plates."""
    side = max(4, round(tall))
    grey = Image.new("L", (side, side), int(generator.integers(0, 256)))
    mask = Image.new("L", (side, side))
    draw, shape = ImageDraw.Draw(grey), ImageDraw.Draw(mask)
    outline = shape.ellipse if generator.random() < 0.6 else shape.rectangle
    outline((0, 0, side - 1, side - 1), fill=255)
    kind = generator.integers(4)
    inks = [int(value) for value in generator.integers(0, 256, 4)]
    if kind == 0:
        for index, ink in enumerate(inks):
            edge = side * (0.08 + 0.11 * index)
            draw.ellipse((edge, edge, side - 1 - edge, side - 1 - edge), fill=ink)
    elif kind == 1:
        for ink in inks:
            x, y, r = generator.uniform(0, side, 3) * (1, 1, 0.25)
            draw.ellipse((x - r, y - r, x + r, y + r), fill=ink)
    elif kind == 2:
        for index, ink in enumerate(inks):
            draw.rectangle((side * index / 4, 0, side * (index + 0.6) / 4, side), fill=ink)
    else:
        letter = chr(int(generator.integers(65, 91)))
        draw.text((side * 0.2, 0), letter, fill=inks[0], font_size=max(4, side * 0.9))
    return Cutout(
        np.asarray(grey, dtype=np.float32), np.asarray(mask, dtype=np.float32) / 255, no_faces()
    )


def place_of(cutout: Cutout, shape: tuple[int, int], generator: np.random.Generator) -> np.ndarray:
    """Choose a corner (x, y) at which a head of the cut-out, or all of a thing, is in view.

    Who was cropped below by the edge of his picture is so by the edge of the view.
    """
    view = np.array(shape[::-1])
    size = np.array(cutout.grey.shape[::-1])
    sure = np.flatnonzero(cutout.labels.sure)
    if len(sure):
        box = cutout.labels.boxes[generator.choice(sure)]
        first, last = -box[:2], view - box[2:]
        if cutout.cropped:
            first[1] = max(first[1], view[1] - size[1])
    else:
        first, last = np.minimum(0, view - size), np.maximum(0, view - size)
    first, last = np.minimum(first, last), np.maximum(first, last)
    # Heads are more often high in the view than at its lower edge.
    share = generator.random(2) ** (1, 2)
    return np.rint(first + (last - first) * share).astype(int)


def paste(
    view: View,
    cutout: Cutout,
    corner: Sequence[int] | np.ndarray,
    generator: np.random.Generator,
) -> View:
    """Paste a cut-out at (x, y) of a view, in the view's light; its people are labelled."""
    x, y = corner
    height, width = view.grey.shape
    rows, columns = cutout.grey.shape
    top, bottom = max(0, y), min(height, y + rows)
    left, right = max(0, x), min(width, x + columns)
    if bottom <= top or right <= left:
        return view
    grey = view.grey.astype(np.float32)
    part = (slice(top - y, bottom - y), slice(left - x, right - x))
    there = (slice(top, bottom), slice(left, right))
    alpha, own = cutout.alpha[part], cutout.grey[part]
    weight = max(float(alpha.sum()), 1e-3)
    mean = float((alpha * own).sum()) / weight
    around = float((alpha * grey[there]).sum()) / weight
    # Some of the place's light falls on whoever stands there.
    wanted = mean + generator.uniform(0.0, 0.8) * (around - mean)
    own = (own - mean) * generator.uniform(0.6, 1.1) + wanted
    grey[there] = np.clip(grey[there] * (1 - alpha) + own * alpha, 0, 255)
    if not len(cutout.labels.boxes):
        return View(np.rint(grey).astype(np.uint8), view.labels, view.zone)
    zone = view.zone.copy()
    zone[there] |= alpha > 0.1
    moved = cutout.labels.moved(1.0, x, y)
    inside = np.clip(moved.boxes, 0, np.array([width, height] * 2, dtype=np.float32))
    sizes = moved.boxes[:, 2:] - moved.boxes[:, :2]
    visible = (inside[:, 2:] - inside[:, :2]).prod(1) / np.maximum(sizes.prod(1), 1e-6)
    sure = moved.sure & (visible >= _VISIBLE) & (sizes[:, 0] >= SMALLEST)
    keep = visible > 0
    added = Labels(moved.boxes[keep], moved.landmarks[keep], sure[keep])
    return View(np.rint(grey).astype(np.uint8), Labels.joined([view.labels, added]), zone)


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
