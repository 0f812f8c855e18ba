"""A door in Home Assistant's test harness: real models, real pictures, a camera under control."""

import asyncio
import base64
import json
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from types import MappingProxyType, SimpleNamespace
from unittest.mock import patch

import pytest
from homeassistant.config_entries import ConfigEntryState, ConfigSubentry
from homeassistant.core import Context, HomeAssistant, State, callback
from homeassistant.helpers import entity_registry as er, storage
from homeassistant.setup import async_setup_component
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.face_lock import vision
from custom_components.face_lock.const import (
    CONF_CAMERAS,
    CONF_ENROLLED_AT,
    CONF_LOCK,
    DOMAIN,
)
from custom_components.face_lock.coordinator import DoorCoordinator
from custom_components.face_lock.household import Household
from custom_components.face_lock.people import doors_of
from custom_components.face_lock.recognition import feed, models as runtime, watcher
from custom_components.face_lock.storage.key import KEY_FILE, Vault
from tests.harness.devices import PICTURES, Deadbolt, DoorCamera

ROOT = Path(__file__).resolve().parents[2]
CAMERA = "camera.front_door"
TARGET = "lock.deadbolt"
LOCK = "lock.front_door"
FRONT = "front"
"""The front door's id."""
EVENT = "event.front_door_access"
CONFIDENCE = "sensor.front_door_confidence"
MOTION = "binary_sensor.front_door_motion"


def raw(name: str) -> bytes:
    return (PICTURES / f"{name}.jpg").read_bytes()


class Clock:
    """The real monotonic clock, which a test can make jump forward."""

    def __init__(self) -> None:
        self._real = watcher.monotonic
        self._offset = 0.0

    def __call__(self) -> float:
        return self._real() + self._offset

    def jump(self, seconds: float) -> None:
        self._offset += seconds


@pytest.fixture
def expected_lingering_timers() -> bool:
    return False


@pytest.fixture(autouse=True)
def _custom_integrations(enable_custom_integrations: None) -> None:
    """Let the harness load this repository's integration."""


@pytest.fixture(autouse=True)
def _no_thread_left() -> Iterator[None]:
    """Every test must end without a thread of ours."""
    yield
    assert not [t for t in threading.enumerate() if t.name.startswith("face_lock")]


@cache
def real_bundle() -> vision.Bundle:
    """The models, without the one that spares the others most pictures of an empty scene."""
    return replace(vision.load_bundle(), presence=None)


@pytest.fixture
def bundle(monkeypatch: pytest.MonkeyPatch) -> vision.Bundle:
    """The real models, loaded once for all tests."""
    monkeypatch.setattr(runtime, "load_bundle", real_bundle)
    return real_bundle()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    for module in (
        "recognition.feed",
        "recognition.watcher",
        "recognition.snapshot",
        "coordinator",
        "access.controller",
        "access.recorder",
        "challenge.prompter",
        "challenge.flasher",
    ):
        monkeypatch.setattr(f"custom_components.face_lock.{module}.monotonic", clock)
    # As fast as the machine can; the decision's own times stay as they are.
    monkeypatch.setattr(feed, "IDLE_INTERVAL", 0.05)
    monkeypatch.setattr(feed, "OPEN_INTERVAL", 0.03)
    monkeypatch.setattr(feed, "VISIT_INTERVAL", 0.03)
    monkeypatch.setattr(watcher, "TICK_INTERVAL", 0.02)
    monkeypatch.setattr(feed, "MAX_BACKOFF", 0.05)
    return clock


@pytest.fixture
async def camera(hass: HomeAssistant) -> DoorCamera:
    assert await async_setup_component(hass, "camera", {})
    camera = DoorCamera()
    await hass.data["camera"].async_add_entities([camera])
    assert camera.entity_id == CAMERA
    return camera


@pytest.fixture
async def target(hass: HomeAssistant) -> Deadbolt:
    assert await async_setup_component(hass, "lock", {})
    lock = Deadbolt()
    await hass.data["lock"].async_add_entities([lock])
    assert lock.entity_id == TARGET
    return lock


def person(name: str) -> ConfigSubentry:
    """A person's subentry; the person's id is the lower-case name."""
    return ConfigSubentry(
        data=MappingProxyType({CONF_ENROLLED_AT: datetime.now(UTC).isoformat()}),
        subentry_type="person",
        title=name,
        unique_id=name.lower(),
    )


def front_door(
    hass: HomeAssistant,
    *,
    lock: str | None = None,
    settings: dict[str, dict[str, object]] | None = None,
    title: str = "Front door",
    door: str = FRONT,
    cameras: tuple[str, ...] = (CAMERA,),
) -> ConfigSubentry:
    """A door's subentry; give ``settings`` by section.

    What is not given has its default, but for liveness: the scene's portraits are flat pictures,
    which the liveness check refuses, as it should.
    """
    registry = er.async_get(hass)
    security = {"liveness": "off", **(settings or {}).get("security", {})}
    data = {
        **(settings or {}),
        "security": security,
        CONF_CAMERAS: [registry.async_get(camera).id for camera in cameras],
    }
    if lock is not None:
        known = registry.async_get(lock)
        data[CONF_LOCK] = lock if known is None else known.id
    return ConfigSubentry(
        data=MappingProxyType(data), subentry_type="door", title=title, unique_id=door
    )


# The harness replaces these for the time of each test.
REAL_STORE = {
    name: getattr(storage.Store, name)
    for name in ("_async_load", "_async_write_data", "async_remove")
}


@pytest.fixture
def disk(hass: HomeAssistant, tmp_path: Path) -> Iterator[Path]:
    """The folder of a storage that really is on the disk."""
    hass.config.config_dir = str(tmp_path)
    with patch.multiple(storage.Store, **REAL_STORE):
        yield tmp_path / storage.STORAGE_DIR


VAULT = Vault("0011223344556677", bytes(range(32)))
STORED_KEY = {
    "version": 1,
    "key": KEY_FILE,
    "data": {"id": VAULT.key_id, "key": base64.b64encode(VAULT.key).decode()},
}


def sealed(content: object, name: str, version: int = 2) -> dict[str, object]:
    """A file of ours as it lies in the storage, encrypted with the tests' key."""
    data = VAULT.seal(json.dumps(content).encode(), name)
    return {"version": version, "minor_version": 1, "key": name, "data": data}


def unsealed(hass_storage: dict[str, object], name: str) -> dict[str, object]:
    """The content of an encrypted file."""
    return json.loads(VAULT.open(hass_storage[name]["data"], name))


def stored(bundle: vision.Bundle, people: dict[str, tuple[str, ...]]) -> dict[str, object]:
    """The content of a door's file with the named pictures of each person."""
    content = {}
    for name, pictures in people.items():
        portraits = [vision.examine(bundle, vision.decode_rgb(raw(p))) for p in pictures]
        content[name.lower()] = {
            "pictures": [
                {
                    "crop": base64.b64encode(vision.encode_png(p.crop)).decode(),
                    "embedding": base64.b64encode(p.template.embedding.tobytes()).decode(),
                    "model": p.template.model,
                }
                for p in portraits
            ]
        }
    return {"people": content}


class Door:
    """A configured door and what a test wants to know of it."""

    def __init__(self, hass: HomeAssistant, entry: MockConfigEntry, clock: Clock) -> None:
        self.hass = hass
        self.entry = entry
        self.clock = clock
        self.accesses: list[State] = []
        hass.bus.async_listen("state_changed", self._changed)

    @callback
    def _changed(self, event: object) -> None:
        new, old = event.data["new_state"], event.data["old_state"]
        if event.data["entity_id"] != EVENT or new is None:
            return
        if new.state not in ("unknown", "unavailable") and (old is None or old.state != new.state):
            self.accesses.append(new)

    @property
    def household(self) -> Household:
        return self.entry.runtime_data

    @property
    def door(self) -> DoorCoordinator:
        """The door as it runs now."""
        return self.household.doors[FRONT]

    @property
    def watcher(self) -> watcher.Watcher:
        return self.door.watchers[0]

    @property
    def subentry(self) -> ConfigSubentry:
        return doors_of(self.entry)[FRONT]

    def change(self, **sections: dict[str, object]) -> None:
        """Change some options of the door."""
        data = {key: {**self.subentry.data.get(key, {}), **v} for key, v in sections.items()}
        self.hass.config_entries.async_update_subentry(
            self.entry, self.subentry, data={**self.subentry.data, **data}
        )

    async def until(self, condition: Callable[[], object], seconds: float = 30) -> None:
        """Wait until something is so; the limit only ends a test that failed."""
        async with asyncio.timeout(seconds):
            while not condition():  # noqa: ASYNC110 - what is waited for sets no event
                await asyncio.sleep(0.01)

    async def access(self, number: int = 1) -> SimpleNamespace:
        """Wait for the given access; return its attributes."""
        await self.until(lambda: len(self.accesses) >= number)
        return SimpleNamespace(**self.accesses[number - 1].attributes)

    async def frames(self, camera: DoorCamera, number: int = 3) -> None:
        """Wait until so many more pictures were asked for."""
        wanted = camera.requests + number
        await self.until(lambda: camera.requests >= wanted)

    async def recognised(self, number: int = 3) -> None:
        """Wait until the networks have looked at so many more pictures."""
        counters = self.watcher.counters
        wanted = counters.recognised + number
        await self.until(lambda: counters.recognised >= wanted)

    def state(self, entity_id: str) -> str:
        return self.hass.states.get(entity_id).state

    async def idle(self) -> None:
        """Wait until no picture is being looked at, with a camera that gives none."""
        watching = self.watcher
        await self.until(lambda: watching.feed.is_idle)

    async def wait(self, camera: DoorCamera, seconds: float) -> None:
        """Let time pass in steps that no one takes for a silent camera."""
        for _ in range(round(seconds)):
            self.clock.jump(1)
            await self.frames(camera, 2)

    async def leave(self, camera: DoorCamera) -> None:
        """Empty the door and let the visit's absence pass."""
        camera.show()
        await self.frames(camera, 2)
        await self.wait(camera, 3)


@pytest.fixture
async def set_up(
    hass: HomeAssistant,
    hass_storage: dict[str, object],
    bundle: vision.Bundle,
    camera: DoorCamera,
    clock: Clock,
) -> AsyncIterator[Callable[..., object]]:
    """Set up a door for people, as restored from its stored pictures."""
    entries: list[MockConfigEntry] = []

    async def set_up(
        people: dict[str, tuple[str, ...]],
        *,
        lock: str | None = None,
        settings: dict[str, dict[str, object]] | None = None,
        options: dict[str, object] | None = None,
        doors: tuple[ConfigSubentry, ...] | None = None,
    ) -> Door:
        """Set up the front door with ``settings`` by section, or other ``doors``.

        ``options`` are those of the household.
        """
        if doors is None:
            doors = (front_door(hass, lock=lock, settings=settings),)
        entry = MockConfigEntry(
            domain=DOMAIN,
            entry_id=f"household{len(entries) + 1}",
            title="Face Lock",
            options=options or {},
            version=2,
            subentries_data=[s.as_dict() for s in (*doors, *(person(name) for name in people))],
        )
        key = f"{DOMAIN}.{entry.entry_id}"
        hass_storage[KEY_FILE] = STORED_KEY
        hass_storage[key] = sealed(stored(bundle, people), key)
        entry.add_to_hass(hass)
        door = Door(hass, entry, clock)
        await hass.config_entries.async_setup(entry.entry_id)
        await hass.async_block_till_done()
        entries.append(entry)
        return door

    yield set_up
    for entry in entries:
        if entry.state is ConfigEntryState.LOADED:
            await hass.config_entries.async_unload(entry.entry_id)


@pytest.fixture
def call(hass):
    """Call an action as an automation does; return its answer."""

    async def call(name: str, /, *, context: Context | None = None, **data: object) -> dict:
        return await hass.services.async_call(
            DOMAIN, name, data, blocking=True, return_response=True, context=context
        )

    return call


@pytest.fixture
def folder(hass, tmp_path):
    """A folder that Home Assistant may use."""
    folder = (tmp_path / "allowed").resolve()
    folder.mkdir()
    hass.config.allowlist_external_dirs = {str(folder)}
    return folder
