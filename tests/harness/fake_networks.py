"""Pictures that say who is in them, and networks that read it; everything else is the product's.

The motion gate, the decoding, the matching, the decision and the storage are the product's own.
Only the four networks are replaced: they answer immediately and are always right, so that the
effect of a fault can be told from that of recognition. ``tests/integration`` runs the real ones.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

import numpy as np
from PIL import Image

from custom_components.face_lock import vision
from custom_components.face_lock.vision.imaging.align import CROP_SIZE

WIDTH, HEIGHT = 96, 72
FACE = 48
"""Pixels of a face's side in a picture."""
SIZE = 128
"""Length of a direction."""
CROWDING = 0.25
POSTER = 99
"""An identity on paper: it looks the same in every picture, but for what the light does."""
MAGIC = 201
LANDMARKS = np.array([[14, 28], [34, 28], [24, 38], [16, 48], [32, 48]], np.float32)
GOOD = vision.FaceQuality(120, 130, 300)


@cache
def direction(text: str) -> np.ndarray:
    """A unit vector float32[128] for a text; any two are nearly at right angles."""
    seed = int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")
    vector = np.random.default_rng(seed).normal(size=SIZE).astype(np.float32)
    return vector / np.linalg.norm(vector)


def crop(identity: int, number: int) -> np.ndarray:
    """An enrolled picture uint8[112, 112, 3] of a person."""
    pixels = np.random.default_rng((identity, number)).integers(0, 255, (CROP_SIZE, CROP_SIZE, 3))
    pixels[0, 0] = (MAGIC, identity, number)
    return pixels.astype(np.uint8)


def template_of(pixels: np.ndarray, model: str) -> np.ndarray:
    """Embed an enrolled picture as the verifier ``model`` does; identity 0 is nobody."""
    magic, identity, number = (int(v) for v in pixels[0, 0])
    assert magic == MAGIC
    vector = direction(f"{model}/{identity}") + 0.3 * direction(f"{model}/{identity}/{number}")
    return embedding_of(vector)


def embedding_of(vector: np.ndarray) -> np.ndarray:
    """Embed a direction float[128] as the product does, with the crowding of an ordinary face."""
    return np.append(vector / np.linalg.norm(vector), CROWDING).astype(np.float32)


class Painter:
    """Makes the camera's pictures; no two are alike."""

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng
        self._serial = 0
        self.wall = np.full((HEIGHT, WIDTH, 3), 120, np.uint8)

    def __call__(self, *identities: int, size: int = 1, grey: bool = False) -> bytes:
        """Draw who is there, side by side, as PNG; ``size`` times as large, or infrared."""
        self._serial += 1
        pixels = self.wall + self._rng.integers(0, 3, self.wall.shape, dtype=np.uint8)
        for index, identity in enumerate(identities):
            rng = np.random.default_rng(POSTER) if identity == POSTER else self._rng
            pixels[12:60, 2 + 47 * index : 47 + 47 * index] = rng.integers(
                0, 255, (48, 45, 3), dtype=np.uint8
            )
        if grey:
            pixels[:] = pixels[..., :1]
        code = (MAGIC, *self._serial.to_bytes(4, "big"), len(identities), *identities)
        pixels[0, : len(code)] = np.array(code, np.uint8)[:, None]
        if size > 1:
            pixels = np.repeat(np.repeat(pixels, size, 0), size, 1)
        out = io.BytesIO()
        Image.fromarray(pixels).save(out, "PNG", compress_level=1)
        return out.getvalue()


def read(rgb: np.ndarray) -> tuple[int, list[int]]:
    """Return the serial number of a picture and who is in it."""
    size = max(1, rgb.shape[0] // HEIGHT)
    code = [int(v) for v in rgb[0, ::size, 0]]
    assert code[0] == MAGIC
    return int.from_bytes(bytes(code[1:5]), "big"), code[6 : 6 + code[5]]


def visitors(
    frame: vision.Frame,
    evidence: Sequence[vision.Evidence],
    model: str,
    options: Mapping[str, Any],
) -> list[vision.Evidence]:
    """Leave out what the camera's scene, one of the ``options``, knows to hang in view."""
    scene = options.get("scene")
    if scene is None:
        return list(evidence)
    still = scene.still(frame, [each.face for each in evidence], model)
    rest = [each for each, hangs in zip(evidence, still, strict=True) if not hangs]
    faces, embeddings = [each.face for each in rest], [each.embedding for each in rest]
    known = scene.known(faces, embeddings, model, idle=bool(options.get("idle")))
    return [each for each, hangs in zip(rest, known, strict=True) if not hangs]


class Verifier:
    """Embeds enrolled pictures."""

    embedding_size = SIZE + 1

    def __init__(self, model: str) -> None:
        self.model = model

    def embed(self, crops: np.ndarray) -> np.ndarray:
        """Embed uint8[N, 112, 112, 3]."""
        rows = [template_of(pixels, self.model) for pixels in crops]
        return np.array(rows, np.float32).reshape(len(rows), self.embedding_size)


@dataclass
class FakeNetworks:
    """Reads pictures in the worker's thread; a test makes it slow, broken, or hang."""

    model: str = "alpha"
    before: Callable[[], None] = field(default=lambda: None)
    """Called in the thread before each picture is read."""

    @property
    def bundle(self) -> vision.Bundle:
        """The shipped bundle, with the measured thresholds, and these networks."""
        return replace(
            _shipped(),
            presence=None,
            liveness=None,
            antispoofing=None,
            upright=None,
            verifier=Verifier(self.model),
        )

    def portraits(self, identity: int, first: int) -> list[vision.Portrait]:
        """What is stored of a person enrolled with the pictures from this number on."""
        return portraits(identity, self.model, first)

    def recognise(
        self,
        bundle: vision.Bundle,
        matcher: vision.Matcher,
        frame: vision.Frame,
        **options: Any,
    ) -> vision.Sighting:
        """Say who is in a frame, as ``vision.recognise`` does."""
        self.before()
        serial, identities = read(frame.rgb)
        model = bundle.verifier.model
        evidence = []
        for index, identity in enumerate(identities):
            # As similar to its templates as another picture of the same person.
            differs = 0.1 if identity == POSTER else 0.35
            vector = direction(f"{model}/{identity}") + differs * direction(f"{serial}/{index}")
            embedding = embedding_of(vector)
            left = 2.0 + 47 * index
            face = vision.Face(
                (left, 12.0, left + 45, 60.0),
                LANDMARKS + np.array((left, 0), np.float32),
                0.95,
            )
            evidence.append(
                vision.Evidence(face, GOOD, embedding=embedding, match=matcher.match(embedding))
            )
        seen = visitors(frame, evidence, model, options)
        return vision.Sighting(frame.digest, frame.taken_at, tuple(seen))


@cache
def _shipped() -> vision.Bundle:
    return vision.load_bundle()


def portraits(identity: int, model: str, first: int = 0, count: int = 2) -> list[vision.Portrait]:
    """What is stored of a person enrolled with the pictures of these numbers."""
    found = [crop(identity, number) for number in range(first, first + count)]
    return [vision.Portrait(p, vision.Template(template_of(p, model), model)) for p in found]
