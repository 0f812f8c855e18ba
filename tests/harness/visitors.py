"""What the camera sees before a front door, and the product's own networks that look at it.

The scene is drawn from the portraits of ``tests/pictures``, in poses that are painted once; every
picture in which something happens gets a shift and noise of its own.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any, Final
from unittest.mock import patch

import numpy as np

from custom_components.face_lock import vision
from custom_components.face_lock.vision.networks.runtime import available

from .devices import Scene
from .fake_networks import FakeNetworks

CASTS: Final = (
    (),
    ("obama",),
    ("collins",),
    ("biden",),
    ("hopper",),
    ("obama", "collins"),
    ("obama", "biden"),
)
"""Who may stand there together; without an enrolled person among them, nothing may open."""
POSES: Final = 8
STILL_POSES: Final = 48
NOISE: Final = 5
"""The most grey levels that noise adds or takes."""
SHIFT: Final = 6
"""The most pixels by which a picture is shifted."""
FRESH_FOR: Final = 12.0
"""Seconds after which a picture in which nothing happens may be an earlier one."""
NIGHT: Final = (21, 6)
COARSE: Final = (14, 18)
"""Hours in which the camera sees in infrared, and hours in which its pictures are smaller."""
NOON: Final = 12


class RealNetworks(FakeNetworks):
    """The bundle's networks, on the ``wanted`` runtime or the fastest; counts what they see."""

    def __init__(self, wanted: str | None = None) -> None:
        super().__init__()
        self._wanted = wanted
        self.frames = 0
        self.faces = 0
        self.runtime = ""

    @property
    def bundle(self) -> vision.Bundle:
        """The bundle, as a door has it whenever it starts."""
        names = available() if self._wanted is None else [self._wanted]
        with patch.object(vision.networks.fastest, "available", lambda: names):
            bundle = vision.load_fastest_bundle()
        self.runtime = bundle.info.runtime
        return bundle

    def recognise(self, *seen: Any, **options: Any) -> vision.Sighting:
        """Look at a frame."""
        sighting = vision.recognise(*seen, **options)
        self.frames += 1
        self.faces += len(sighting.evidence)
        return sighting


class Visitors:
    """What the camera sees now."""

    def __init__(self, now: Callable[[], float], hour: Callable[[], int], seed: int) -> None:
        self._now = now
        self._hour = hour
        self._rng = np.random.default_rng(seed)
        scene = Scene()

        def paint(cast: tuple[str, ...]) -> np.ndarray:
            data = scene.picture(*cast, height=300 if len(cast) > 1 else 400)
            # Room for the noise and for what the light adds, so that nothing overflows.
            return np.clip(vision.decode_rgb(data), 40, 210)

        self._poses = {cast: [paint(cast) for _ in range(POSES)] for cast in CASTS}
        height, width = self._poses[()][0].shape[:2]
        noise = self._rng.integers(-NOISE, NOISE + 1, (height + 64, width + 64, 3), dtype=np.int8)
        self._noise = noise.view(np.uint8)  # adding with overflow is adding a negative number
        self._cast: tuple[str, ...] = ()
        self._before: tuple[str, ...] = ()
        self._order: Iterator[int] = itertools.cycle([0])
        self._light = 0
        self._passing = False
        self._changed_at = now()
        self._still = {
            view: itertools.cycle([self._render(*view) for _ in range(STILL_POSES)])
            for view in itertools.product((False, True), (False, True))
        }
        self.served = 0
        self.at_noon = False
        """Whether to treat any hour as noon."""

    def show(self, *cast: str, passing: bool = False, light: int = 0) -> None:
        """Change the scene: portraits, a person without a face, the light in grey levels."""
        self._before = self._cast
        self._cast, self._passing, self._light = cast, passing, light
        self._order = itertools.cycle(self._rng.permutation(POSES).tolist())
        self._changed_at = self._now()

    @property
    def visible(self) -> tuple[str, ...]:
        """Whose portraits are shown, or were a moment ago."""
        recently = self._now() - self._changed_at < 1.0
        return self._cast or (self._before if recently else ())

    def picture(self) -> bytes:
        """Take a picture."""
        self.served += 1
        hour = NOON if self.at_noon else self._hour()
        view = (_within(hour, NIGHT), _within(hour, COARSE))
        still = not (self._cast or self._passing or self._light)
        if still and self._now() - self._changed_at > FRESH_FOR:
            return next(self._still[view])
        return self._render(*view)

    def _render(self, night: bool, coarse: bool) -> bytes:
        pixels = self._poses[self._cast][next(self._order)]
        height, width = pixels.shape[:2]
        if self._cast:
            pixels = np.roll(pixels, self._rng.integers(-SHIFT, SHIFT + 1, 2), (0, 1))
        left, top = self._rng.integers(0, 64, 2)
        pixels = pixels + self._noise[top : top + height, left : left + width]
        pixels += np.uint8(self._light % 256)
        if self._passing:
            at = int(self._rng.integers(0, width - 120))
            pixels[60:, at : at + 120] = self._rng.integers(30, 60, (1, 120, 3), dtype=np.uint8)
        if night:
            pixels[:] = pixels[..., 1:2] * np.float32(0.7)
        if coarse:
            pixels = np.ascontiguousarray(pixels[::2, ::2])
        return vision.encode_jpeg(pixels)


def _within(hour: int, hours: tuple[int, int]) -> bool:
    start, end = hours
    return start <= hour < end if start < end else hour >= start or hour < end
