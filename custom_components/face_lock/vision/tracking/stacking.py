"""The mean of several frames of one face, for when each frame alone is too dark.

Sensor noise falls with the square root of the number of averaged frames, while the face remains. So
at night a face is recognised by the mean of its track's aligned crops, embedded once, where single
frames tell almost nothing (`training/verifier/visits.py` measures both). Photographers call this
stacking.

A mean of two faces would be a ghost that resembles both, so a stack holds one face: crops of one
track, each of which resembles the mean of the earlier ones once both are coarse enough for the
noise to vanish. A crop that does not is left out, and a second one in a row restarts the stack. The
decision checks for itself that all frames of a stack were fresh, different and of one track, and
that each half resembles the same person.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from ..imaging.quality import luma
from ..types import Face, FaceQuality, FloatArray, RgbImage
from .seen_frames import SeenFrames
from .tracker import Tracker

BRIGHT: Final = 90.0
"""Mean luma of a crop from which a single frame tells as much as the mean of several."""
GREY: Final = 4.0
"""Mean spread of a crop's channels below which it has no colour: an infrared camera's, noisy
however bright its own lamp makes it. JPEG leaves a spread of one or two."""
FEWEST: Final = 4
MOST: Final = 10
"""Frames of a stack: at least two for each half, at most as many as were measured."""
WINDOW: Final = 3.0
"""Seconds within which the frames of a stack were taken."""
SAME_FACE: Final = 0.75
"""Correlation of a crop with the mean of the earlier ones, both made coarse, below which they may
show two faces. Of webcam frames half a second apart 5 % lie below it, and of different people 90
%."""
REACH: Final = 4
"""Pixels by which landmarks may err from frame to frame."""
_COARSE: Final = 8


@dataclass(frozen=True, slots=True, eq=False)
class Stack:
    """The mean of some crops of one face, and the means of the two halves: uint8[112, 112, 3] each.

    ``taken_at`` holds the time at which each was taken, in order.
    """

    whole: RgbImage
    older: RgbImage
    newer: RgbImage
    taken_at: tuple[float, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Crop:
    """An aligned crop float32[112, 112, 3] of a stack, the time it was taken, and its weight."""

    taken_at: float
    weight: float
    pixels: FloatArray


def mean(crops: Sequence[Crop]) -> FloatArray:
    """Return the weighted mean of crops: float32[112, 112, 3]."""
    weights = np.array([crop.weight for crop in crops], dtype=np.float32)
    total = np.tensordot(weights, np.stack([crop.pixels for crop in crops]), axes=1)
    average: FloatArray = total / weights.sum()
    return average


class Stacker:
    """Keeps the crops of every face in view from frame to frame; not thread-safe."""

    def __init__(self) -> None:
        self._tracker = Tracker(max_gap=WINDOW)
        self._piles: dict[int, deque[Crop]] = {}
        self._frames = SeenFrames()
        self._doubted: set[int] = set()
        """Tracks whose last crop did not resemble the earlier ones."""

    def add(
        self,
        faces: Sequence[Face],
        crops: Sequence[tuple[RgbImage, FaceQuality] | None],
        taken_at: float,
        digest: bytes,
    ) -> list[Stack | None]:
        """Add a frame's aligned crops, ``None`` for a face that is no evidence.

        Returns the stack by which each face is to be recognised: ``None`` for a face that is bright
        enough by itself, has too few frames, or is no evidence. A frame that was seen before adds
        nothing, because the decision would not count any stack that contains it.
        """
        tracks = self._tracker.assign(faces, taken_at)
        self._piles = {
            track: self._piles.get(track, deque(maxlen=MOST))
            for track in {*tracks, *self._piles}
            if track in tracks or self._recent(track, taken_at)
        }
        self._doubted &= self._piles.keys()
        if self._frames.known(digest):
            return [None] * len(tracks)
        return [
            None if item is None else self._stack(track, *item, taken_at)
            for track, item in zip(tracks, crops, strict=True)
        ]

    def _recent(self, track: int, taken_at: float) -> bool:
        pile = self._piles[track]
        return bool(pile) and abs(taken_at - pile[-1].taken_at) <= WINDOW

    def _stack(
        self, track: int, crop: RgbImage, quality: FaceQuality, taken_at: float
    ) -> Stack | None:
        pile = self._piles[track]
        if not (quality.brightness < BRIGHT or (quality.brightness <= 255.0 and is_grey(crop))):
            pile.clear()
            return None
        # Also drops crops that lie in the future after the clock stepped back.
        kept = [one for one in pile if 0.0 < taken_at - one.taken_at <= WINDOW]
        pixels = crop.astype(np.float32)
        if kept:
            before = mean(kept)
            pixels = shifted(pixels, *offset(pixels, before))
            if resemblance(pixels, before) >= SAME_FACE:
                self._doubted.discard(track)
            elif track not in self._doubted:
                # A turn or a blink is left out once; a change that stays restarts the stack.
                self._doubted.add(track)
                return None
            else:
                self._doubted.discard(track)
                kept = []
        pile.clear()
        # The darker a frame, the more of it is noise.
        pile.extend([*kept, Crop(taken_at, max(quality.brightness, 1.0), pixels)])
        if len(pile) < FEWEST:
            return None
        crops = list(pile)
        middle = len(crops) // 2
        return Stack(
            whole=_picture(mean(crops)),
            older=_picture(mean(crops[:middle])),
            newer=_picture(mean(crops[middle:])),
            taken_at=tuple(one.taken_at for one in crops),
        )


def offset(crop: FloatArray, reference: FloatArray) -> tuple[int, int]:
    """Find by how many pixels (down, right) ``crop`` must be moved to match ``reference``.

    Both are float32[112, 112, 3]. The best match has the highest correlation within ``REACH``,
    after the finest detail, which is mostly noise, is removed.
    """
    spectrum = np.fft.rfft2(_flat(reference)) * np.conj(np.fft.rfft2(_flat(crop))) * _SMOOTH
    peaks = np.fft.fftshift(np.fft.irfft2(spectrum, s=crop.shape[:2]))
    middle = (crop.shape[0] // 2, crop.shape[1] // 2)
    near = peaks[
        middle[0] - REACH : middle[0] + REACH + 1, middle[1] - REACH : middle[1] + REACH + 1
    ]
    down, right = np.unravel_index(int(np.argmax(near)), near.shape)
    return int(down) - REACH, int(right) - REACH


def shifted(crop: FloatArray, down: int, right: int) -> FloatArray:
    """Move float32[H, W, 3] by whole pixels; the edge is repeated."""
    height, width = crop.shape[:2]
    rows = np.clip(np.arange(height) - down, 0, height - 1)
    columns = np.clip(np.arange(width) - right, 0, width - 1)
    return crop[rows][:, columns]


def is_grey(crop: RgbImage) -> bool:
    """Whether uint8[H, W, 3] has no colour."""
    spread = crop.max(axis=2).astype(np.int16) - crop.min(axis=2)
    return float(spread.mean()) < GREY


def resemblance(one: FloatArray, other: FloatArray) -> float:
    """Correlation, -1..1, of two coarsened float32[112, 112, 3]; 0 without contrast."""
    a, b = _coarse(one), _coarse(other)
    spread = float(np.sqrt((a * a).sum() * (b * b).sum()))
    return float((a * b).sum()) / spread if spread > 1e-6 else 0.0


def _picture(pixels: FloatArray) -> RgbImage:
    picture: RgbImage = np.clip(pixels + 0.5, 0, 255).astype(np.uint8)
    return picture


def _flat(rgb: FloatArray) -> FloatArray:
    grey = luma(rgb)
    # A window, because the edges of a crop are not part of the face.
    flat: FloatArray = (grey - grey.mean()) * _WINDOW
    return flat


def _coarse(rgb: FloatArray) -> FloatArray:
    """Means of blocks of 8 x 8 pixels within the face, without the overall brightness."""
    grey = luma(rgb)[_COARSE:-_COARSE, _COARSE:-_COARSE]
    side = grey.shape[0] // _COARSE
    blocks: FloatArray = grey.reshape(side, _COARSE, side, _COARSE).mean(axis=(1, 3))
    coarse: FloatArray = blocks - blocks.mean()
    return coarse


def _hann(size: int) -> FloatArray:
    return np.hanning(size).astype(np.float32)


_WINDOW: Final[FloatArray] = np.outer(_hann(112), _hann(112))
_FREQUENCY: Final = np.hypot(np.fft.fftfreq(112)[:, None], np.fft.rfftfreq(112)[None, :])
_SMOOTH: Final = np.exp(-((_FREQUENCY / 0.06) ** 2))
