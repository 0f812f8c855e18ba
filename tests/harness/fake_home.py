"""A house with one door, in a real Home Assistant core on a clock that jumps.

Everything is the product's own except the networks (``fake_networks``), the devices and the clock.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sys
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final
from unittest.mock import patch

import numpy as np
from homeassistant.config_entries import ConfigEntryState, ConfigSubentry
from homeassistant.core import HomeAssistant
from homeassistant.helpers import entity_registry as er
from homeassistant.setup import async_setup_component
from homeassistant.util import dt as dt_util
from pytest_homeassistant_custom_component.common import (
    MockConfigEntry,
    async_test_home_assistant,
)

from custom_components.face_lock.const import (
    CONF_CAMERAS,
    CONF_ENROLLED_AT,
    CONF_LOCK,
    DOMAIN,
    SUBENTRY_DOOR,
    SUBENTRY_PERSON,
)
from custom_components.face_lock.people import doors_of
from custom_components.face_lock.recognition import models as runtime
from custom_components.face_lock.storage.records import HouseholdRecords, async_open_records
from custom_components.face_lock.vision import Portrait
from custom_components.face_lock.vision.pipeline import camera as camera_pipeline

from .devices import Deadbolt, DoorCamera
from .fake_networks import FakeNetworks, Painter
from .virtual_clock import VirtualLoop

ROOT: Final = Path(__file__).resolve().parents[2]
CAMERA: Final = "camera.front_door"
TARGET: Final = "lock.deadbolt"
LOCK: Final = "lock.front_door"
EVENT: Final = "event.front_door_access"
FRONT: Final = "front"
"""The door's id."""
PHONE: Final = "input_boolean.phone"
CONTACT: Final = "binary_sensor.contact"
DAY: Final = datetime(2026, 11, 24, 8, 0, tzinfo=UTC)
"""What the wall clock says when the loop's clock says 0."""


class Errors(logging.Handler):
    """Collects what the product or the loop could not handle: everything with a traceback."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.found: list[str] = []
        self.allowed: tuple[str, ...] = ()
        """What the log may say because of the current fault."""

    def emit(self, record: logging.LogRecord) -> None:
        """Note a record with an exception."""
        text = record.getMessage()
        if record.exc_info and not any(part in text for part in self.allowed):
            self.found.append(f"{record.name}: {text}: {record.exc_info[1]!r}")


@dataclass(frozen=True)
class Shot:
    """A picture that the camera took: when, and who was in it."""

    at: float
    identities: tuple[int, ...]


class FakeHome:
    """A door, who lives behind it, and everything that can go wrong with it."""

    def __init__(
        self,
        hass: HomeAssistant,
        loop: VirtualLoop,
        rng: np.random.Generator,
        networks: FakeNetworks | None = None,
    ) -> None:
        """Build the devices; ``async_move_in`` sets the door up."""
        self.hass = hass
        self.loop = loop
        self.networks = networks or FakeNetworks()
        self.painter = Painter(rng)
        self.people: dict[str, int] = {}
        """Name -> identity, of everybody who was ever enrolled."""
        self.pictures: dict[str, int] = {}
        """Name -> number of the first picture with which the owner last enrolled them."""
        self.present: tuple[int, ...] = ()
        """Identities of the people at the door."""
        self.companion: int | None = None
        """The person who stands beside them."""
        self.left: set[int] = set()
        """Those of them who came out of the door, or stayed outside when it closed."""
        self.serve: Callable[[], Any] = self.paint
        """What the camera answers."""
        self.shots: deque[Shot] = deque(maxlen=400)
        """What the camera really took, the newest last."""
        self.last: deque[bytes] = deque(maxlen=15)
        """The newest of its pictures."""
        self.delayed_at = float("-inf")
        """When the picture before the newest was last served."""
        self.violations: list[str] = []
        """What happened and never should, in words."""
        self.errors = Errors()
        self.wall_offset = timedelta()
        self.commands: list[float] = []
        """Times at which the owner's lock was told to unlock."""
        self.camera = self.another_camera()
        self.deadbolt = self.another_deadbolt()
        self.works: set[asyncio.Task[Any]] = set()
        self.entry: MockConfigEntry

    def on_command(self) -> None:
        """The lock is told to unlock; a test may replace this."""
        self.commands.append(self.loop.time())

    def paint(self, **options: Any) -> bytes:
        """Take a picture of the people who are there."""
        companion = () if self.companion is None else (self.companion,)
        identities = (*self.present[: 2 - len(companion)], *companion)
        picture = self.painter(*identities, **options)
        self.shots.append(Shot(self.loop.time(), identities))
        self.last.append(picture)
        return picture

    def contact(self, state: str) -> None:
        """Let the door's contact say ``on`` for open, or anything else."""
        self.hass.states.async_set(CONTACT, state, {"device_class": "door"})

    def another_camera(self) -> DoorCamera:
        """Make a new camera entity."""
        return DoorCamera(lambda: self.serve())  # noqa: PLW0108 - it may be replaced

    def another_deadbolt(self) -> Deadbolt:
        """Make a new lock entity."""
        return Deadbolt(lambda: self.on_command())  # noqa: PLW0108 - it may be replaced

    def later(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Do something in parallel; ``works`` holds what is not done yet."""
        task = self.loop.create_task(work)
        self.works.add(task)
        task.add_done_callback(self._worked)
        return task

    def _worked(self, task: asyncio.Task[Any]) -> None:
        self.works.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self.violations.append(f"the owner met an exception: {error!r}")

    def utcnow(self) -> datetime:
        """What the wall clock says."""
        return DAY + timedelta(seconds=self.loop.time()) + self.wall_offset

    def subentry(self, name: str, **data: Any) -> ConfigSubentry:
        """Make the subentry of a person."""
        return ConfigSubentry(
            data=MappingProxyType({CONF_ENROLLED_AT: self.utcnow().isoformat(), **data}),
            subentry_type=SUBENTRY_PERSON,
            title=name,
            unique_id=name.lower(),
        )

    async def async_build(self) -> None:
        """Put the camera, the lock and the phone into the house."""
        for domain in ("camera", "lock", "homeassistant"):
            assert await async_setup_component(self.hass, domain, {})
        await self.hass.data["camera"].async_add_entities([self.camera])
        await self.hass.data["lock"].async_add_entities([self.deadbolt])
        self.hass.states.async_set(PHONE, "on")
        self.contact("off")
        await self.hass.async_block_till_done()

    async def async_move_in(
        self,
        people: Mapping[str, int],
        *,
        target: bool = True,
        settings: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> None:
        """Enrol people and set the door up, with the given options by section.

        The liveness check is off unless requested, because the networks are not the product's.
        """
        registry = er.async_get(self.hass)
        data: dict[str, Any] = {name: dict(section) for name, section in (settings or {}).items()}
        data["security"] = {"liveness": "off"} | data.get("security", {})
        data[CONF_CAMERAS] = [registry.async_get(CAMERA).id]
        if target:
            data[CONF_LOCK] = registry.async_get(TARGET).id
        front = ConfigSubentry(
            data=MappingProxyType(data),
            subentry_type=SUBENTRY_DOOR,
            title="Front door",
            unique_id=FRONT,
        )
        subentries = [front, *(self.subentry(name) for name in people)]
        self.entry = MockConfigEntry(
            domain=DOMAIN,
            title="Face Lock",
            version=2,
            subentries_data=[subentry.as_dict() for subentry in subentries],
        )
        self.entry.add_to_hass(self.hass)
        records = await self.async_records()
        for name, identity in people.items():
            records.pictures.put(name.lower(), self.album(name, identity))
        await records.async_commit([name.lower() for name in people])
        await self.async_start()

    def album(self, name: str, identity: int) -> list[Portrait]:
        """Take new pictures of a person, for enrolling them."""
        self.people[name] = identity
        self.pictures[name] = (self.pictures.get(name, -2) + 2) % 200
        return self.networks.portraits(identity, self.pictures[name])

    async def async_records(self) -> HouseholdRecords:
        """Read what the storage holds."""
        return await async_open_records(self.hass, self.entry.entry_id, [FRONT], keep_pictures=True)

    async def async_start(self) -> None:
        """Set the door up, or try to."""
        await self.hass.config_entries.async_setup(self.entry.entry_id)
        await self.hass.async_block_till_done()

    async def async_move_out(self) -> None:
        """Remove the household and everything of it."""
        self.loop.release()
        await self.hass.config_entries.async_remove(self.entry.entry_id)
        await self.hass.async_block_till_done()

    @property
    def settings(self) -> Mapping[str, Any]:
        """What the door's subentry keeps."""
        return doors_of(self.entry)[FRONT].data

    def change(self, **settings: Any) -> None:
        """Change some of that."""
        front = doors_of(self.entry)[FRONT]
        self.hass.config_entries.async_update_subentry(
            self.entry, front, data={**front.data, **settings}
        )

    @property
    def household(self) -> Any:
        """What runs; raises AttributeError where it does not."""
        if self.entry.state is not ConfigEntryState.LOADED:
            raise AttributeError("the household is not set up")
        return self.entry.runtime_data

    @property
    def door(self) -> Any:
        """The door's coordinator; raises AttributeError where it does not run."""
        door = self.household.doors.get(FRONT)
        if door is None:
            raise AttributeError("the door does not run")
        return door

    @property
    def runs(self) -> bool:
        """Whether the door runs; it does not for a moment while it is started again."""
        return (
            self.entry.state is ConfigEntryState.LOADED and FRONT in self.entry.runtime_data.doors
        )

    @property
    def watcher(self) -> Any:
        """The watcher of its camera."""
        return self.door.watchers[0]

    def state(self, entity_id: str) -> str | None:
        """A state now, None where there is none."""
        state = self.hass.states.get(entity_id)
        return None if state is None else state.state

    async def until(self, condition: Callable[[], object], seconds: float) -> bool:
        """Wait until a condition holds; return whether it did in time."""
        end = self.loop.time() + seconds
        while not condition():
            if self.loop.time() >= end:
                return False
            await asyncio.sleep(0.05)
        return True


@contextlib.contextmanager
def _clocks(house: FakeHome) -> Any:
    """Replace the real clocks with the loop's."""
    with contextlib.ExitStack() as stack:
        for name, module in list(sys.modules.items()):
            if name.startswith("custom_components.face_lock") and hasattr(module, "monotonic"):
                stack.enter_context(patch.object(module, "monotonic", house.loop.time))
        at = "homeassistant.helpers.event"
        for what, value in (
            ("homeassistant.util.dt.utcnow", house.utcnow),
            (
                "homeassistant.util.dt.now",
                lambda zone=None: house.utcnow().astimezone(
                    zone or dt_util.get_default_time_zone()
                ),
            ),
            (f"{at}.time_tracker_utcnow", house.utcnow),
            (f"{at}.time_tracker_timestamp", lambda: house.utcnow().timestamp()),
        ):
            stack.enter_context(patch(what, value))
        yield


@contextlib.asynccontextmanager
async def a_home(
    folder: Path, seed: int, *, networks: FakeNetworks | None = None
) -> AsyncIterator[FakeHome]:
    """Build a house whose configuration lies in ``folder``; on a ``VirtualLoop`` only.

    ``networks`` replace the scripted ones.
    """
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualLoop)
    link = folder / "custom_components"
    if not link.exists():
        link.symlink_to(ROOT / "custom_components", target_is_directory=True)
    async with async_test_home_assistant(config_dir=str(folder)) as hass:
        house = FakeHome(hass, loop, np.random.default_rng(seed), networks)
        logging.getLogger().addHandler(house.errors)
        hass.data.pop("custom_components", None)  # so that the folder is searched for it
        loop.set_exception_handler(
            lambda _, context: house.errors.found.append(
                f"loop: {context.get('message')}: {context.get('exception')!r}"
            )
        )
        with (
            patch.object(runtime, "load_bundle", lambda: house.networks.bundle),
            patch.object(camera_pipeline, "recognise", house.networks.recognise),
            _clocks(house),
        ):
            try:
                await house.async_build()
                yield house
            finally:
                loop.release()
                await hass.async_stop(force=True)
                logging.getLogger().removeHandler(house.errors)
