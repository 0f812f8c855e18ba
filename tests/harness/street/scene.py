"""What the camera at the street sees, and the networks that read it."""

from __future__ import annotations

import asyncio
import struct
import zlib
from collections import OrderedDict, deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np

from custom_components.face_lock import vision
from tests.harness.fake_networks import LANDMARKS, MAGIC, FakeNetworks, visitors

from .cast import Cast, Face, Role

WIDTH, HEIGHT = 160, 90
FACE: Final = 12.0
"""Width in pixels of a face at the door; the networks say that it is wide enough."""
QUIET_AFTER: Final = 12.0
"""Seconds after which a scene without anybody is quiet: what was going on is over."""
QUIET: Final = 9.0
"""Seconds that the camera takes for a picture of a quiet scene. A week has 600,000 seconds."""
QUIET_POSTER: Final = 1.8
"""The same while a poster hangs there that the door looks at."""
FROZEN: Final = 1.0
"""The same while the camera is frozen."""
TAKES: Final = 0.4
"""The same while somebody is there."""
KEPT: Final = 64
"""Pictures that can still be read."""


@dataclass(eq=False)
class Presence:
    """Somebody, or something, before the camera."""

    face: Face
    role: Role
    place: Callable[[float], tuple[float, float]]
    """Where the middle of the face is, in pixels, after so many seconds."""
    looks: float
    """Share of pictures in which the face can be compared."""
    size: float = FACE
    level: float = 0.0
    began: float = 0.0
    ended: float = float("inf")
    looked: int = 0
    """Pictures really taken in which the face could be compared."""


@dataclass(frozen=True)
class Shot:
    """A face that could be compared in a picture that was really taken."""

    at: float
    presence: Presence
    alike: tuple[float, ...]
    """Its scores with the residents."""


@dataclass
class Scene:
    """The place before the door; ``picture`` is the camera."""

    cast: Cast
    rng: np.random.Generator
    now: Callable[[], float]
    present: list[Presence] = field(default_factory=list)
    past: list[Presence] = field(default_factory=list)
    shots: deque[Shot] = field(default_factory=lambda: deque(maxlen=400))
    dark: Callable[[], bool] = field(default=lambda: False)
    taken: int = 0
    on_shot: Callable[[], None] = field(default=lambda: None)
    on_quiet: Callable[[bool], None] = field(default=lambda _: None)
    """Told whether nothing goes on."""
    is_watched: Callable[[], bool] = field(default=lambda: False)
    """Whether the door looks for faces."""
    _faces: OrderedDict[int, tuple[vision.Evidence, ...]] = field(default_factory=OrderedDict)
    _frozen: bytes | None = None
    _frozen_faces: tuple[int, tuple[vision.Evidence, ...]] | None = None
    _last: bytes = b""
    _alone_since: float = 0.0
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    def enter(self, presence: Presence) -> Presence:
        """Let somebody come into view."""
        presence.began = self.now()
        self.present.append(presence)
        if presence.role is not Role.POSTER:
            self._changed.set()
        return presence

    def leave(self, presence: Presence) -> None:
        """Let somebody go."""
        presence.ended = self.now()
        self.present.remove(presence)
        self.past.append(presence)
        self._alone_since = self.now()

    @property
    def is_frozen(self) -> bool:
        """Whether the camera serves its last picture."""
        return self._frozen is not None

    def freeze(self) -> None:
        """Serve the last picture from now on."""
        self._frozen = self._last
        self._frozen_faces = next(reversed(self._faces.items()))

    def thaw(self) -> None:
        """Take pictures again."""
        self._frozen, self._frozen_faces = None, None

    async def picture(self) -> bytes:
        """Serve a picture."""
        if self._frozen is not None:
            await asyncio.sleep(FROZEN)
            return self._frozen
        people = [p for p in self.present if p.role is not Role.POSTER]
        self._last = self._take()
        self._changed.clear()
        if people or self.now() - self._alone_since < QUIET_AFTER:
            await asyncio.sleep(TAKES)
            return self._last
        with suppress(TimeoutError):
            seconds = QUIET_POSTER if self.is_watched() else QUIET
            self.on_quiet(True)
            async with asyncio.timeout(seconds):
                await self._changed.wait()
        self.on_quiet(False)
        return self._last

    def faces(self, serial: int) -> tuple[vision.Evidence, ...]:
        """Who is in a picture; called in the recognition's thread."""
        if self._frozen_faces is not None and self._frozen_faces[0] == serial:
            return self._frozen_faces[1]
        return self._faces[serial]

    def _take(self) -> bytes:
        self.taken += 1
        now, rng, dark = self.now(), self.rng, self.dark()
        pixels = rng.integers(0, 3, (HEIGHT, WIDTH, 3), dtype=np.uint8)
        pixels += np.uint8(60 if dark else 120)
        found = []
        for presence in self.present:
            x, y = presence.place(now - presence.began)
            self._paint(pixels, presence, x, y)
            if 0 <= x < WIDTH and (evidence := self._look(presence, x, y, now)) is not None:
                found.append(evidence)
        if dark:
            pixels[:] = pixels[..., :1]
        pixels[0, :5] = np.array((MAGIC, *self.taken.to_bytes(4, "big")), np.uint8)[:, None]
        self._faces[self.taken] = tuple(found)
        if len(self._faces) > KEPT:
            self._faces.popitem(last=False)
        self.on_shot()
        return _png(pixels)

    def _paint(self, pixels: np.ndarray, presence: Presence, x: float, y: float) -> None:
        half = presence.size / 2
        still = presence.role is Role.POSTER
        # A person's body reaches down to the ground; a poster is as large as its face.
        wide, below = (half, int(y + half)) if still else (1.4 * half, HEIGHT)
        left, right = max(0, int(x - wide)), min(WIDTH, int(x + wide) + 1)
        top = max(1, int(y - half))
        if left < right and top < below:
            shape = (below - top, right - left, 3)
            rng = np.random.default_rng(7) if still else self.rng
            pixels[top:below, left:right] = rng.integers(0, 250, shape, dtype=np.uint8)

    def _look(self, presence: Presence, x: float, y: float, now: float) -> vision.Evidence | None:
        """See a face, unless it is turned too far away to be found at all."""
        rng, half = self.rng, presence.size / 2
        wavers = 0.05 if presence.role is Role.POSTER else 0.3
        x, y = x + rng.normal(0, wavers), y + rng.normal(0, wavers)
        box = (x - half, y - half, x + half, y + half)
        landmarks = (LANDMARKS - (24, 38)) * np.float32(presence.size / 45) + np.float32((x, y))
        face = vision.Face(box, landmarks.astype(np.float32), 0.9)
        quality = vision.FaceQuality(90.0, 40.0 if self.dark() else 130.0, 200.0)
        chance = rng.uniform()
        if chance >= presence.looks:
            seen = (
                presence.role is Role.POSTER or chance < presence.looks + (1.0 - presence.looks) / 2
            )
            return vision.Evidence(face, quality, vision.Problem.TURNED) if seen else None
        embedding = self.cast.embed(presence.face, presence.level, rng)
        presence.looked += 1
        alike = embedding[: len(self.cast.residents)] - 2 * embedding[-1]
        self.shots.append(Shot(now, presence, tuple(float(score) for score in alike)))
        return vision.Evidence(face, quality, embedding=embedding)


class StreetNetworks(FakeNetworks):
    """Reads the scene's pictures."""

    scene: Scene

    def portraits(self, identity: int, first: int) -> list[vision.Portrait]:
        """What is stored of a resident."""
        del first
        return self.scene.cast.portraits(identity, self.model)

    def recognise(
        self,
        bundle: vision.Bundle,
        matcher: vision.Matcher,
        frame: vision.Frame,
        **options: Any,
    ) -> vision.Sighting:
        """Say who is in a frame, as ``vision.recognise`` does."""
        code = [int(value) for value in frame.rgb[0, :5, 0]]
        assert code[0] == MAGIC
        found = self.scene.faces(int.from_bytes(bytes(code[1:]), "big"))
        faces = visitors(frame, found, bundle.verifier.model, options)
        matched = tuple(
            face if face.embedding is None else _matched(face, matcher) for face in faces
        )
        return vision.Sighting(frame.digest, frame.taken_at, matched)


def _png(pixels: np.ndarray) -> bytes:
    """Encode uint8[H, W, 3] without compressing it, in a tenth of the time of an encoder."""
    height, width = pixels.shape[:2]
    rows = np.zeros((height, 1 + 3 * width), np.uint8)  # each begins with its filter: none
    rows[:, 1:] = pixels.reshape(height, -1)
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = zlib.compress(rows.tobytes(), 0)
    chunks = ((b"IHDR", header), (b"IDAT", data), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        for name, body in chunks
    )


def _matched(face: vision.Evidence, matcher: vision.Matcher) -> vision.Evidence:
    assert face.embedding is not None
    return replace(face, match=matcher.match(face.embedding))


async def until(condition: Callable[[], Any], seconds: float, step: float = 0.2) -> bool:
    """Wait until a condition holds; return whether it did in time."""
    waited = 0.0
    while not condition():
        if waited >= seconds:
            return False
        await asyncio.sleep(step)
        waited += step
    return True
