"""Target for the files in `.storage`: the encrypted content, its encryption, and its envelope."""

from __future__ import annotations

import base64
import json
import random
import shutil
from functools import partial
from time import monotonic
from typing import Any

import numpy as np
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import issue_registry as ir

from custom_components.face_lock import vision
from custom_components.face_lock.recognition.executor import Worker
from custom_components.face_lock.settings import DoorSettings
from custom_components.face_lock.storage.feedback import feedback_file
from custom_components.face_lock.storage.history import history_file
from custom_components.face_lock.storage.key import KEY_FILE, Vault
from custom_components.face_lock.storage.lockout import LockoutStore
from custom_components.face_lock.storage.records import (
    DoorRecords,
    HouseholdRecords,
    async_open_records,
)
from custom_components.face_lock.storage.template_format import CROP_SHAPE
from custom_components.face_lock.storage.templates import pictures_file
from custom_components.face_lock.storage.visit_picture import visit_file
from custom_components.face_lock.visit import OUTCOMES

from .home import Home
from .pictures import damage_anywhere
from .seeds import seeds
from .target import ACCEPTED, Call, ensure, refused
from .values import changed, changed_text, odd

DOOR = "door"
PEOPLE = ("anna", "ben")
VAULT = Vault("0011223344556677", bytes(range(32)))
NAMES = {
    "key": KEY_FILE,
    "pictures": pictures_file(DOOR),
    "feedback": feedback_file(DOOR),
    "visit": visit_file(DOOR),
    "visits": history_file(DOOR),
    "lockout": f"{pictures_file(DOOR)}.lockout",
}
VERSIONS = {"pictures": 2}
DAYS = 36_500
"""For which visits are kept: an input must not mean something else tomorrow."""
ODD_VERSIONS = (0, -1, 1, 2, 3, 99, 2**70, 1.5, True, None, "2", [2], {})


class Store:
    """The files of a household. An input is JSON: kind of file -> its bytes, as Latin-1."""

    name = "store"

    def __init__(self) -> None:
        self._home = Home()
        self._bundle = vision.load_bundle()
        self._worker = Worker(self._home.hass)
        self._valid = _valid(self._bundle.verifier)
        self._folder = self._home.path / ".storage"
        probe = np.ones(self._bundle.verifier.embedding_size, np.float32)
        self._probe = probe / np.linalg.norm(probe)

    def make(self, seed: int, number: int) -> bytes:
        rng = random.Random(f"store {seed} {number}")  # noqa: S311 - not for secrets
        files = {kind: _written(rng, kind, content) for kind, content in self._valid.items()}
        for kind in rng.sample(list(NAMES), rng.choice((1, 1, 1, 2))):
            files[kind] = _damaged(rng, kind, self._valid[kind])
        if rng.random() < 0.05:
            del files[rng.choice(list(files))]
        return json.dumps({kind: text.decode("latin-1") for kind, text in files.items()}).encode()

    def calls(self, data: bytes) -> tuple[Call, ...]:
        files = {kind: text.encode("latin-1") for kind, text in json.loads(data).items()}
        return (partial(self._start, files),)

    def close(self) -> None:
        self._home.run(self._worker.async_stop())
        self._home.close()

    def _start(self, files: dict[str, bytes]) -> str:
        shutil.rmtree(self._folder, ignore_errors=True)
        self._folder.mkdir()
        for kind, content in files.items():
            (self._folder / NAMES[kind]).write_bytes(content)
        try:
            return self._home.run(self._async_start(files))
        finally:
            ir.async_get(self._home.hass).issues.clear()  # one for each broken file

    async def _async_start(self, files: dict[str, bytes]) -> str:
        """Do with a door's files everything that its start and its later life do."""
        await self._async_lockout()
        try:
            records = await async_open_records(self._home.hass, DOOR, [DOOR], keep_pictures=True)
        except HomeAssistantError as error:
            path = self._folder / NAMES["pictures"]
            now = path.read_bytes() if path.exists() else None
            ensure(now == files.get("pictures"), "the pictures' file was changed and refused")
            return refused(error, type(error).__name__)
        await records.async_settle(PEOPLE, self._bundle, self._worker)
        self._look_at(records)
        settings = DoorSettings(keep_last_visit=True, days=DAYS)
        await self._async_visits(await records.async_open_door(DOOR, settings))
        if (told := await self._async_feedback(records)) is not None:
            return told
        await records.async_commit(PEOPLE)
        return ACCEPTED

    def _look_at(self, records: HouseholdRecords) -> None:
        """Check the types of what was read, and recognise with it."""
        for person, album in records.pictures.people.items():
            ensure(person in PEOPLE, person)
            for portrait in album:
                embedding = portrait.template.embedding
                ensure(embedding.dtype == np.float32 and np.isfinite(embedding).all(), embedding)
                ensure(isinstance(portrait.template.model, str), portrait.template.model)
                ensure(portrait.crop is None or portrait.crop.shape == CROP_SHAPE, "crop")
        matcher = vision.gallery_matcher(self._bundle, records.pictures.gallery())
        match = matcher.match(self._probe)
        ensure(match is None or -1.01 <= match.similarity <= 1.01, match)

    async def _async_visits(self, records: DoorRecords) -> None:
        """Check the last visit's picture and the records; what cannot be read is forgotten."""
        picture = records.picture
        ensure(picture is not None, "picture")
        if picture is not None and (taken := await picture.async_taken_at()) is not None:
            ensure(taken.tzinfo is not None, taken)
            ensure(isinstance(await picture.async_load(), bytes), "picture")
        for visit in records.history.visits:
            ensure(visit.ended.tzinfo is not None and visit.outcome in OUTCOMES, visit)
            ensure(isinstance(visit.duration, float | int), visit)
        await records.async_forget_all_but(PEOPLE)
        ensure(all(v.person in {None, *PEOPLE} for v in records.history.visits), "forgotten")

    async def _async_feedback(self, records: HouseholdRecords) -> str | None:
        path = self._folder / NAMES["feedback"]
        before = path.read_bytes() if path.exists() else None
        target = self._home.path / "export"
        shutil.rmtree(target, ignore_errors=True)
        try:
            number = await records.feedback.async_count()
            ensure(await records.feedback.async_export(target) == number, "export")
        except HomeAssistantError as error:
            now = path.read_bytes() if path.exists() else None
            ensure(now == before, "the feedback's file was changed and refused")
            return refused(error, f"feedback: {type(error).__name__}")
        outside = [file for file in self._home.path.rglob("*.png") if target not in file.parents]
        ensure(not outside, outside)
        return None

    async def _async_lockout(self) -> None:
        """Restore a lockout; one that cannot be read must last."""
        store = LockoutStore(self._home.hass, DOOR)
        await store.async_load()
        policy, now = vision.DecisionPolicy(), monotonic()
        lockout = store.restore(policy, now)
        ensure(lockout.failures >= 0, lockout.failures)
        ensure(0 <= lockout.remaining(now) <= policy.lockout_max, lockout.remaining(now))
        lockout.fail(now)
        await store.async_save(lockout, now)
        again = LockoutStore(self._home.hass, DOOR)
        await again.async_load()
        restored = again.restore(policy, now)
        ensure(restored.locked(now) == lockout.locked(now), "a lockout was not kept")


def _valid(verifier: Any) -> dict[str, Any]:
    """Return the content of a door's files."""
    rng = np.random.default_rng(1)
    embeddings = rng.normal(size=(5, verifier.embedding_size)).astype("<f4")
    embeddings /= np.linalg.norm(embeddings, axis=1, keepdims=True)
    crop = base64.b64encode(vision.encode_png(np.full(CROP_SHAPE, 90, np.uint8))).decode()
    pictures = [
        {
            "embedding": base64.b64encode(embedding.tobytes()).decode(),
            "model": verifier.model if number < 4 else "an older one",
        }
        | ({"crop": crop} if number % 2 else {})
        for number, embedding in enumerate(embeddings)
    ]
    record = {
        "visit": "1",
        "door": DOOR,
        "when": "2026-11-24T08:00:00+00:00",
        "person": "anna",
        "verdict": "that_was_me",
        "decision": "access_granted",
        "similarity": 0.7,
        "model": verifier.model,
        "crop": crop,
    }
    visited = {
        "id": "1",
        "door": DOOR,
        "camera": "camera.front_door",
        "began": "2026-11-24T08:00:00+00:00",
        "ended": "2026-11-24T08:00:03+00:00",
        "began_at": 100.0,
        "ended_at": 103.0,
        "outcome": "access_granted",
        "person": "anna",
        "name": "Anna",
        "reason": None,
        "confidence": 0.9,
        "response_time": 0.5,
        "picture": True,
    }
    visit = {"visit": "1", "people": ["anna"], "jpeg": base64.b64encode(seeds()["jpeg"]).decode()}
    return {
        "key": {"id": VAULT.key_id, "key": base64.b64encode(VAULT.key).decode()},
        "pictures": {
            "people": {"anna": {"pictures": pictures[:3]}, "ben": {"pictures": pictures[3:]}}
        },
        "feedback": {"records": [record, record | {"person": None, "crop": None}]},
        "visit": visit | {"at": "2026-11-24T08:00:00+00:00"},
        "visits": {"visits": [visited, visited | {"person": None, "name": None}]},
        "lockout": {"failures": 7, "remaining": 61.5},
    }


def _written(rng: random.Random, kind: str, content: Any, name: str | None = None) -> bytes:
    """Write a file as it should be."""
    plain = kind in ("key", "lockout")
    sealed = content if plain else _sealed(rng, json.dumps(content).encode(), name or NAMES[kind])
    return _wrapped(kind, sealed, VERSIONS.get(kind, 1))


def _wrapped(kind: str, data: Any, version: Any) -> bytes:
    told = {"version": version, "minor_version": 1, "key": NAMES[kind], "data": data}
    return json.dumps(told).encode()


def _sealed(rng: random.Random, plain: bytes, name: str) -> dict[str, str]:
    """Encrypt as `Vault.seal` does, but always the same."""
    nonce = rng.randbytes(12)
    content = nonce + ChaCha20Poly1305(VAULT.key).encrypt(nonce, plain, name.encode())
    return {"key_id": VAULT.key_id, "sealed": base64.b64encode(content).decode()}


def _damaged(rng: random.Random, kind: str, content: Any) -> bytes:
    """Damage a file's content, its encryption, its envelope, or its bytes."""
    whole = json.loads(_written(rng, kind, content))
    how = rng.choice(("content", "content", "content", "plain", "version", "seal", "name", "text"))
    encrypted = kind not in ("key", "lockout")
    if how == "plain" or (how == "content" and not encrypted):  # version 1 was not encrypted either
        return _wrapped(kind, changed(rng, content), 1)
    if how == "content":
        whole["data"] = _sealed(rng, changed_text(rng, content), NAMES[kind])
    elif how == "version":
        whole["version"] = rng.choice(ODD_VERSIONS)
    elif how == "seal" and encrypted:
        text = damage_anywhere(rng, base64.b64decode(whole["data"]["sealed"]))
        key_id = rng.choice((VAULT.key_id, VAULT.key_id, "another", odd(rng)))
        whole["data"] = {"key_id": key_id, "sealed": base64.b64encode(text).decode()}
    elif how == "name":  # in the place of another file
        return _written(rng, kind, content, NAMES[rng.choice(list(NAMES))])
    else:
        return changed_text(rng, whole)
    return json.dumps(whole).encode()
