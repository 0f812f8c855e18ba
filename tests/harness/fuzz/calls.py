"""Target for the actions: anything that may stand in a call, and in the files it names.

The door's camera serves the same malformed picture, so that all its loops meet it as well.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
from collections.abc import Iterator
from functools import partial
from typing import Any
from unittest.mock import patch

import numpy as np
import probatio
from homeassistant.config_entries import ConfigEntryState
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers.json import json_bytes
from homeassistant.setup import async_setup_component
from homeassistant.util import dt as dt_util
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.face_lock.access.codes import hash_code
from custom_components.face_lock.const import DOMAIN
from custom_components.face_lock.people import people_of
from custom_components.face_lock.storage.key import KEY_FILE
from custom_components.face_lock.vision import Bundle, load_bundle
from custom_components.face_lock.vision.imaging.decode import MAX_SIDE
from custom_components.face_lock.visit import EVENT_ACCESS_DENIED, Visit
from tests.harness.devices import Deadbolt, DoorCamera
from tests.integration.conftest import (
    CAMERA,
    FRONT,
    STORED_KEY,
    TARGET,
    front_door,
    person,
    raw,
    sealed,
    stored,
)

from .faces import face
from .home import Home
from .target import ACCEPTED, Call, ensure, refused
from .values import changed, odd

FOLDER, VISIT = "{folder}", "{visit}"
"""What stands in an input for the folder that may be read and written, and for a visit."""
CODE = "2468"
PEOPLE = {"Anna": ("obama",), "Ben": ("collins",)}
STRANGERS = ("biden", "hopper")
"""The person in the camera's pictures, more or less: nobody for whom the door may open."""
CALLS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("verify", {"file": f"{FOLDER}/picture", "door": FRONT}),
    ("verify", {"camera": CAMERA}),
    ("enroll", {"name": "Chloe", "files": [f"{FOLDER}/picture", f"{FOLDER}/none"]}),
    ("enroll", {"name": "ben", "from_camera": True, "door": "Front door"}),
    ("forget", {"person": "nobody"}),
    ("unlock_for", {"person": "anna", "minutes": 10}),
    ("present_code", {"code": CODE, "door": FRONT}),
    ("clear_lockout", {"door": FRONT}),
    ("feedback", {"verdict": "that_was_me", "person": "Anna"}),
    ("feedback", {"verdict": "that_was_not_me", "visit": VISIT}),
    ("export_feedback", {"folder": f"{FOLDER}/export"}),
)


class Actions:
    """Calls of every action. An input is JSON: action, data, and a picture as Latin-1."""

    name = "actions"

    def __init__(self) -> None:
        self._home = Home()
        self._bundle = load_bundle()
        # As in `faces`: the runtime keeps the memory that the largest picture takes.
        self._bundle.detector.detect(np.zeros((MAX_SIDE, MAX_SIDE, 3), np.uint8))
        self._stack = contextlib.ExitStack()
        self._camera, self._target = DoorCamera(), Deadbolt()
        self._folder = self._home.path / "allowed"
        self._folder.mkdir()
        self._entry = self._home.run(self._async_set_up(self._home.hass, self._bundle))

    def make(self, seed: int, number: int) -> bytes:
        rng = random.Random(f"actions {seed} {number}")  # noqa: S311 - not for secrets
        action, data = rng.choice(CALLS)
        data = changed(rng, data) if rng.random() < 0.9 else dict(data)
        if not isinstance(data, dict):
            data = {action: odd(rng)}
        picture = face(seed, number, STRANGERS).decode("latin-1")
        return json.dumps([action, data, picture]).encode()

    def calls(self, data: bytes) -> tuple[Call, ...]:
        action, given, picture = json.loads(data)
        return (partial(self._call, action, self._filled(given), picture.encode("latin-1")),)

    def close(self) -> None:
        self._home.run(self._home.hass.config_entries.async_unload(self._entry.entry_id))
        self._stack.close()
        self._home.close()

    async def _async_set_up(self, hass: HomeAssistant, bundle: Bundle) -> MockConfigEntry:
        """Set up a door with two people, a lock, a code and a visit, as its owner would have it."""
        for domain, entity in (("camera", self._camera), ("lock", self._target)):
            ensure(await async_setup_component(hass, domain, {}), domain)
            await hass.data[domain].async_add_entities([entity])
        hass.config.allowlist_external_dirs = {str(self._folder.resolve())}
        module = "custom_components.face_lock"
        for name, value in (
            ("recognition.models.load_bundle", lambda: bundle),
            ("services.enroll.CAPTURE_INTERVAL", 0.0),
            ("services.enroll.CAPTURE_TIMEOUT", 0.05),
            ("services.enroll.CAPTURE_WALK", 0.05),
        ):
            self._stack.enter_context(patch(f"{module}.{name}", value))
        settings = {
            "security": {"liveness": "off", "code": hash_code(CODE)},
            "privacy": {"keep_last_visit": True},
        }
        door = front_door(hass, lock=TARGET, settings=settings)
        entry = MockConfigEntry(
            domain=DOMAIN,
            version=2,
            subentries_data=[s.as_dict() for s in (door, *(person(name) for name in PEOPLE))],
        )
        pictures = f"{DOMAIN}.{entry.entry_id}"
        storage = self._home.path / ".storage"
        storage.mkdir(exist_ok=True)
        (storage / KEY_FILE).write_text(json.dumps(STORED_KEY))
        (storage / pictures).write_text(json.dumps(sealed(stored(bundle, PEOPLE), pictures)))
        entry.add_to_hass(hass)
        await hass.config_entries.async_setup(entry.entry_id)
        await hass.async_block_till_done()
        ensure(entry.state is ConfigEntryState.LOADED, entry.state)
        now = dt_util.utcnow()
        denied = Visit(
            id="1",
            door=FRONT,
            camera=CAMERA,
            began=now,
            ended=now,
            began_at=0.0,
            ended_at=1.0,
            outcome=EVENT_ACCESS_DENIED,
            person="anna",
            name="Anna",
            reason="too_few_frames",
            confidence=0.5,
            response_time=None,
        )
        records = entry.runtime_data.doors[FRONT].records
        records.history.add(denied)
        await records.picture.async_save(raw("obama"), denied.id, now, ["anna"])
        return entry

    def _filled(self, value: Any) -> Any:
        """Put the real folder and door into a call's data."""
        if isinstance(value, dict):
            return {self._filled(key): self._filled(part) for key, part in value.items()}
        if isinstance(value, list):
            return [self._filled(part) for part in value]
        if isinstance(value, str):
            return value.replace(FOLDER, str(self._folder)).replace(VISIT, "1")
        return value

    def _call(self, action: str, data: dict[str, Any], picture: bytes) -> str:
        (self._folder / "picture").write_bytes(picture)
        self._camera.freeze(picture)
        before = set(_files(self._home.path))
        told = self._home.run(self._async_call(action, data))
        for file in set(_files(self._home.path)) - before:
            ensure(file.startswith(("allowed/", ".storage/")), f"{file} was written")
            if file.startswith("allowed/"):
                (self._home.path / file).unlink()
        return told

    async def _async_call(self, action: str, data: dict[str, Any]) -> str:
        hass, door = self._home.hass, self._entry.runtime_data.doors[FRONT]
        try:
            answer = await hass.services.async_call(
                DOMAIN, action, data, blocking=True, return_response=True
            )
            ensure(isinstance(answer, dict) and json_bytes(answer), answer)
            told = ACCEPTED
        except probatio.Invalid as error:
            told = refused(error, "Invalid")
        except HomeAssistantError as error:
            ensure(error.translation_key, f"{error!r} has no translation")
            told = refused(error, f"{action}: {error.translation_key}")
        await self._async_check()
        ensure(door.watchers[0].counters.failed_recognitions == 0, "recognition raised an error")
        return told

    async def _async_check(self) -> None:
        """Check that nothing was opened, and restore the people for the next call."""
        ensure(not self._target.calls, self._target.calls)
        hass, entry = self._home.hass, self._entry
        ensure(entry.state is ConfigEntryState.LOADED, entry.state)
        people = people_of(entry)
        ensure({"anna", "ben"} <= people.keys(), people)
        for found, subentry in people.items():
            if found not in ("anna", "ben"):
                hass.config_entries.async_remove_subentry(entry, subentry.subentry_id)
        await hass.async_block_till_done()


def _files(folder: os.PathLike[str]) -> Iterator[str]:
    for parent, _, names in os.walk(folder):
        for name in names:
            yield os.path.relpath(os.path.join(parent, name), folder)  # noqa: PTH118
