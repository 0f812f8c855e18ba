"""A visit, simulated: a person's cut-out comes nearer to the gate, stays and leaves.

What is simulated: approach and sway as scale and shift of one photograph, sensor noise, JPEG; of a
turned head only what perspective does to the two halves of a face. What is not: blinking, changing
light. It exercises the whole way from camera to lock with real faces; it measures no error rates.
"""

import io
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache, cached_property
from pathlib import Path

import numpy as np
from PIL import Image

from . import scene

FRAME_PERIOD = 0.25
"""Seconds between two frames of the camera."""

_NOISE = 2.5  # standard deviation of the sensor noise, in 8-bit steps
_QUALITY = 85
_VISITORS = Path(__file__).parent / "visitors"


@dataclass(frozen=True)
class Visitor:
    """A cut-out of `visitors/`: the width of its face and the column of its nose, in its pixels.

    `turn` from -1 (to the person's own left) to 1 simulates a turned head.
    """

    file: str
    name: str
    face_px: float
    nose_x: int
    turn: float = 0.0

    @cached_property
    def picture(self) -> Image.Image:
        """RGBA, transparent around the person."""
        cutout = Image.open(_VISITORS / self.file).convert("RGBA")
        return turned(cutout, self.nose_x, self.turn) if self.turn else cutout


@dataclass(frozen=True)
class Frame:
    """One JPEG of the camera, and how wide the visitor's face is in it (0: nobody)."""

    jpeg: bytes
    face_px: float


@dataclass(frozen=True)
class Timeline:
    """Seconds of each part of a visit."""

    before: float = 1.5
    approach: float = 3.0
    stay: float = 4.0
    leave: float = 2.0
    after: float = 2.0

    @property
    def seconds(self) -> float:
        """The whole visit."""
        return self.before + self.approach + self.stay + self.leave + self.after

    def nearness(self, t: float) -> float | None:
        """0 (at the street) to 1 (at the gate) at second `t`; None: nobody in view."""
        t -= self.before
        if t < 0 or t >= self.approach + self.stay + self.leave:
            return None
        if t < self.approach:
            return _smooth(t / self.approach)
        t -= self.approach + self.stay
        return 1.0 if t < 0 else 1.0 - _smooth(t / self.leave)


def _smooth(x: float) -> float:
    return x * x * (3 - 2 * x)


def turned(cutout: Image.Image, nose_x: int, turn: float) -> Image.Image:
    """Narrow one side of a face and widen the other, as perspective does when a head turns."""
    width, height = cutout.size
    seam = round(nose_x * (1 - turn))
    right = round((width - nose_x) * (1 + turn))
    result = Image.new(cutout.mode, (seam + right, height))
    for box, x, size in (
        ((0, 0, nose_x, height), 0, seam),
        ((nose_x, 0, width, height), seam, right),
    ):
        part = cutout.crop(box).resize((size, height), Image.Resampling.LANCZOS)
        result.paste(part, (x, 0))
    return result


@cache
def _noise_tile() -> np.ndarray:
    """Return a noise field larger than a frame; a frame takes a random part of it."""
    width, height = scene.SIZE
    rng = np.random.default_rng(1)
    tile = rng.normal(0, _NOISE, (height + 256, width + 256)).round()
    return tile.astype(np.int16)[..., None]


def encode(picture: Image.Image, rng: np.random.Generator) -> bytes:
    """JPEG of an RGB picture with sensor noise."""
    width, height = picture.size
    y, x = rng.integers(0, 256, 2)
    noisy = np.asarray(picture, np.int16) + _noise_tile()[y : y + height, x : x + width]
    buffer = io.BytesIO()
    Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(buffer, "JPEG", quality=_QUALITY)
    return buffer.getvalue()


def compose(visitor: Visitor, nearness: float, t: float) -> tuple[Image.Image, float]:
    """Return the scene with a visitor at `nearness` 0..1, RGB, and how wide the face is in it."""
    width, _ = scene.SIZE
    cutout = visitor.picture
    near = min(1.0, 0.92 * scene.GATE_TOP / cutout.height)
    # Perspective: size goes with the inverse of the distance, from 4.5 to 1 times the nearest.
    scale = near / (1 + 3.5 * (1 - nearness))
    size = (round(cutout.width * scale), round(cutout.height * scale))
    person = cutout.resize(size, Image.Resampling.LANCZOS)
    step = math.sin(2 * math.pi * 1.8 * t) * (1 - nearness)
    sway = math.sin(2 * math.pi * 0.4 * t) * nearness
    x = width * (0.50 + 0.06 * nearness) - size[0] / 2 + 10 * sway
    y = scene.GATE_TOP + 10 + 80 * nearness - size[1] + 4 * step
    picture = scene.background().copy()
    picture.paste(person, (round(x), round(y)), person)
    picture.paste(scene.foreground(), (0, 0), scene.foreground())
    return picture, visitor.face_px * scale


def render(
    visitor: Visitor | None,
    seed: int,
    timeline: Timeline | None = None,
    progress: Callable[[], None] = lambda: None,
) -> list[Frame]:
    """All frames of a visit, FRAME_PERIOD apart; with no visitor an empty door."""
    timeline = timeline or Timeline()
    rng = np.random.default_rng(seed)
    frames = []
    for index in range(round(timeline.seconds / FRAME_PERIOD)):
        t = index * FRAME_PERIOD
        nearness = timeline.nearness(t) if visitor else None
        picture, face_px = scene.background().copy(), 0.0
        if visitor and nearness is not None:
            picture, face_px = compose(visitor, nearness, t)
        else:
            picture.paste(scene.foreground(), (0, 0), scene.foreground())
        frames.append(Frame(encode(picture, rng), face_px))
        progress()
    return frames


def freeze(frames: list[Frame]) -> list[Frame]:
    """Return the visit as a camera that hangs shows it: one frame for the whole time."""
    still = max(frames, key=lambda frame: frame.face_px)
    return [replace(still) if frame.face_px else frame for frame in frames]
