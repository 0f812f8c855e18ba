"""Tells whether the surroundings of a face move with it.

Behind a living head there is a background that the fixed camera always sees in the same place,
while a sheet or a screen carries the surroundings of its face along. So the area beside and above
the face is predicted twice from an earlier frame: left where it was, and moved as the face's
landmarks moved. The better prediction gets the vote, tile by tile; a tile without texture predicts
nothing and has no vote.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ..imaging.align import similarity_transform
from ..types import Face, FloatArray, View
from .view import SIDE, box_in

_SIDE: Final = SIDE // 2
_TILE: Final = 4
_TILES: Final = _SIDE // _TILE
_BESIDE: Final = 0.5
_ABOVE: Final = 0.6
_CHIN: Final = 0.25
"""Shares of the face's width and height: hair and hats lie nearer to it, shoulders below."""
_TEXTURE: Final = 9.0
"""Variance in grey levels that a wrong prediction must leave unexplained."""
_CLEARER: Final = 2.0
"""The better prediction must leave this many times less unexplained."""
_LEAST_SHIFT: Final = 0.12
_MOST_SHIFT: Final = 1.0
"""In widths of the face: a smaller shift is lost in noise, a larger one leaves the view."""
_PAIRS: Final = 6
_LEAST_TILES: Final = 8
_OUTSIDE: Final = -1e4

Sight = tuple[Face, View]


@dataclass(frozen=True, slots=True)
class Motion:
    """How many tiles moved with the face, and how many stayed where they were."""

    carried: int
    stayed: int

    @property
    def share(self) -> float | None:
        """Share 0..1 of the tiles that moved with the face; ``None`` if too few could tell."""
        told = self.carried + self.stayed
        return self.carried / told if told >= _LEAST_TILES else None


def surroundings(track: Sequence[Sight]) -> Motion:
    """Compare those frames of one face between which it moved furthest."""
    pairs = sorted(
        (
            (shift, i, j)
            for j in range(len(track))
            for i in range(j)
            if _LEAST_SHIFT <= (shift := _shift(track[i][0], track[j][0])) <= _MOST_SHIFT
        ),
        reverse=True,
    )[:_PAIRS]
    votes = [_votes(track[i], track[j]) for _, i, j in pairs]
    return Motion(sum(carried for carried, _ in votes), sum(stayed for _, stayed in votes))


def _shift(before: Face, now: Face) -> float:
    """How far the surroundings would move with the face, in widths of the face."""
    (left, top, right, bottom), one = now.box, before.box
    size = max(right - left, bottom - top, 1e-6)
    x = (left + right - one[0] - one[2]) / 2
    y = (top + bottom - one[1] - one[3]) / 2
    grown = abs(size - max(one[2] - one[0], one[3] - one[1]))
    return float(np.hypot(x, y) + grown) / size


def _votes(before: Sight, now: Sight) -> tuple[int, int]:
    (face, view), (later, seen_now) = before, now
    try:
        moved = _matrix(similarity_transform(later.landmarks, face.landmarks))
    except ValueError:
        return 0, 0
    # What the head hides in either frame is left out of both predictions: a wall that comes into
    # view behind it does not prove that anything moved along.
    known, grey = _background(face, view), _background(later, seen_now)
    carried = _unexplained(grey, _warped(known, view, seen_now, moved))
    stayed = _unexplained(grey, _warped(known, view, seen_now, np.eye(3)))
    told = np.isfinite(carried) & np.isfinite(stayed) & (np.maximum(carried, stayed) > _TEXTURE)
    return (
        int((told & (carried * _CLEARER < stayed)).sum()),
        int((told & (stayed * _CLEARER < carried)).sum()),
    )


def _matrix(affine: FloatArray) -> NDArray[np.float64]:
    return np.vstack([affine.astype(np.float64), [0.0, 0.0, 1.0]])


def _to_picture(view: View) -> NDArray[np.float64]:
    """From the halved view's pixels to the picture's."""
    scale = view.scale * SIDE / _SIDE
    return np.array([[scale, 0.0, view.origin[0]], [0.0, scale, view.origin[1]], [0.0, 0.0, 1.0]])


def _background(face: Face, view: View) -> FloatArray:
    """Return the view at half its size, float32, with all but the background far below zero.

    Background is what lies beside and above the head: hair and body move with it.
    """
    left, top, right, bottom = view.seen
    grey = view.grey.astype(np.float32)
    small = grey.reshape(_SIDE, 2, _SIDE, 2).mean(axis=(1, 3))
    inside = np.zeros((_SIDE, _SIDE), dtype=bool)
    inside[(top + 1) // 2 : bottom // 2, (left + 1) // 2 : right // 2] = True
    small[~(inside & _beside(face, view))] = _OUTSIDE
    halved: FloatArray = small.astype(np.float32)
    return halved


def _warped(grey: FloatArray, view: View, onto: View, motion: NDArray[np.float64]) -> FloatArray:
    """Return what ``view``, whose ``grey`` is known, predicts for ``onto``.

    ``motion`` leads from the picture of ``onto`` back to that of the view.
    """
    back = np.linalg.inv(_to_picture(view)) @ motion @ _to_picture(onto)
    warped = Image.fromarray(grey).transform(
        (_SIDE, _SIDE),
        Image.Transform.AFFINE,
        tuple(back[:2].ravel()),
        Image.Resampling.BILINEAR,
        fillcolor=_OUTSIDE,
    )
    return np.asarray(warped, dtype=np.float32)


def _unexplained(grey: FloatArray, predicted: FloatArray) -> FloatArray:
    """Return each tile's variance that the prediction leaves, NaN where it predicts nothing.

    The prediction may be a pixel off, for landmarks are, and brighter: cameras change their
    exposure.
    """
    padded = np.pad(predicted, 1, constant_values=_OUTSIDE)
    best = np.full((_TILES, _TILES), np.inf, dtype=np.float32)
    whole = (grey > _OUTSIDE / 2).reshape(_TILES, _TILE, _TILES, _TILE).all(axis=(1, 3))
    for y in range(3):
        for x in range(3):
            other = padded[y : y + _SIDE, x : x + _SIDE]
            tiles = (grey - other).reshape(_TILES, _TILE, _TILES, _TILE)
            mean = tiles.mean(axis=(1, 3))
            left = np.square(tiles).mean(axis=(1, 3)) - mean**2
            usable = (other > -1.0).reshape(_TILES, _TILE, _TILES, _TILE).all(axis=(1, 3))
            best = np.where(usable & whole & (left < best), left, best)
    best[~np.isfinite(best)] = np.nan
    return best


def _beside(face: Face, view: View) -> NDArray[np.bool_]:
    """Which pixels of the halved view lie beside or above the head, its hair left out."""
    halving = SIDE / _SIDE
    x1, y1, x2, y2 = (value / halving for value in box_in(view, face))
    y, x = np.mgrid[0:_SIDE, 0:_SIDE] + 0.5
    width, height = x2 - x1, y2 - y1
    around: NDArray[np.bool_] = (x < x1 - _BESIDE * width) | (x > x2 + _BESIDE * width)
    around |= y < y1 - _ABOVE * height
    around &= y < y2 - _CHIN * height
    return around
