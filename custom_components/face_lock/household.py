"""All doors and people of one config entry while it is loaded, and how they change in place."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from functools import partial
from typing import Any, Final, TypeAlias

from homeassistant.config_entries import ConfigEntry, ConfigEntryState, ConfigSubentry
from homeassistant.core import CALLBACK_TYPE, HomeAssistant, callback
from homeassistant.helpers import device_registry as dr, issue_registry as ir

from .access.memory import async_forget
from .activity import async_tell_logbook
from .const import (
    CONF_LOCK,
    DOMAIN,
    ISSUE_CAMERA_MISSING,
    ISSUE_CONTACT_MISSING,
    ISSUE_DOOR_UNUSABLE,
    ISSUE_LOCK_MISSING,
    ISSUE_NOT_RELOCKED,
)
from .coordinator import DoorCoordinator
from .entity_reference import async_device_of
from .issues import async_report
from .locking.relock import Relocks
from .people import doors_of, people_of
from .recognition.executor import Worker
from .recognition.feed import Feeds
from .residents import Residents
from .settings import CONF_RECOGNIZING, DoorSettings, HouseholdSettings
from .storage.checked_store import NotSavedError
from .storage.records import HouseholdRecords, async_remove_door_records
from .vision import Bundle, RateUnavailableError
from .visit import Visit

_LOGGER = logging.getLogger(__name__)

FaceLockConfigEntry: TypeAlias = "ConfigEntry[Household]"

DOOR_ISSUES: Final = (
    ISSUE_CAMERA_MISSING,
    ISSUE_CONTACT_MISSING,
    ISSUE_DOOR_UNUSABLE,
    ISSUE_LOCK_MISSING,
    ISSUE_NOT_RELOCKED,
)

Made = tuple[str, Mapping[str, Any]]


class Household:
    """Starts and stops doors, and passes on to them who may come in."""

    def __init__(
        self,
        hass: HomeAssistant,
        entry: FaceLockConfigEntry,
        settings: HouseholdSettings,
        bundle: Bundle,
        records: HouseholdRecords,
        worker: Worker,
    ) -> None:
        self.hass = hass
        self.entry = entry
        self.settings = settings
        self.bundle = bundle
        self.records = records
        self.store = records.pictures
        self.worker = worker
        """For what is not a door's own work: looking at pictures to enrol people with."""
        self.residents = Residents(hass, entry, bundle, records.pictures)
        self.doors: dict[str, DoorCoordinator] = {}
        """Door id -> door, of those that could be started."""
        self.enrolling = asyncio.Lock()
        """Held by whoever compares new pictures with those enrolled and then adds them."""
        self._relocks = Relocks(hass, records.duties)
        self._feeds = Feeds(
            hass, bundle, lambda: self.residents.matcher, entry.async_create_background_task
        )
        self._made: dict[str, Made] = {}
        self._people: dict[str, str] = {}
        self._running = False
        self._changing = asyncio.Lock()
        self._door_listeners: list[Callable[[DoorCoordinator], None]] = []
        self._person_listeners: list[Callable[[str, ConfigSubentry], None]] = []
        self._visit_listeners: list[Callable[[Visit], None]] = []

    @property
    def is_loaded(self) -> bool:
        """Whether this is the household that runs: not one that was reloaded meanwhile."""
        return self.entry.state is ConfigEntryState.LOADED and self.entry.runtime_data is self

    @property
    def loosest_rate(self) -> float:
        """The highest false positive rate of the doors."""
        rates = [door.settings.false_positive_rate for door in self.doors.values()]
        return max(rates, default=DoorSettings().false_positive_rate)

    async def async_open(self) -> None:
        """Prepare all doors; they are not watched yet."""
        for door, subentry in doors_of(self.entry).items():
            await self._async_open_door(door, subentry)
        self._people = {p: s.title for p, s in people_of(self.entry).items()}
        self.records.duties.async_forget_all_but(
            {s.data[CONF_LOCK] for s in doors_of(self.entry).values() if s.data.get(CONF_LOCK)}
        )

    @callback
    def async_start(self) -> None:
        """Begin to watch the doors."""
        self._running = True
        for door in self.doors.values():
            door.async_start()

    async def async_stop(self, *_: object) -> None:
        """Stop watching: from here on nothing opens. May be called again."""
        self._running = False
        for door in self.doors.values():
            door.controller.async_close()
        async with self._changing:
            await asyncio.gather(*(door.async_stop() for door in self.doors.values()))
        await self.worker.async_stop()
        # The next start reads the files.
        await self.store.async_flush()
        await self.records.duties.async_write()

    # For the platforms

    @callback
    def async_add_for_doors(self, listener: Callable[[DoorCoordinator], None]) -> CALLBACK_TYPE:
        """Call ``listener`` with each door there is and will be; return how to stop that."""
        for door in self.doors.values():
            listener(door)
        self._door_listeners.append(listener)
        return lambda: self._door_listeners.remove(listener)

    @callback
    def async_add_for_people(
        self, listener: Callable[[str, ConfigSubentry], None]
    ) -> CALLBACK_TYPE:
        """Call ``listener`` with each person there is and will be; return how to stop that."""
        for person, subentry in people_of(self.entry).items():
            listener(person, subentry)
        self._person_listeners.append(listener)
        return lambda: self._person_listeners.remove(listener)

    @callback
    def async_subscribe_visits(self, listener: Callable[[Visit], None]) -> CALLBACK_TYPE:
        """Call ``listener`` with the record of each visit to any door; return how to stop that."""
        self._visit_listeners.append(listener)
        return lambda: self._visit_listeners.remove(listener)

    @callback
    def _visited(self, door: DoorCoordinator, visit: Visit) -> None:
        async_tell_logbook(self.hass, door, visit)
        for listener in list(self._visit_listeners):
            listener(visit)

    # Changes in place

    async def async_changed(self) -> None:
        """Take over what the entry says now, disturbing no more than what was changed."""
        # Who may come in holds at once, whatever else there is to do.
        self.residents.async_read()
        unusable = self._use_people()
        async with self._changing:
            if not self._running:
                return
            if HouseholdSettings.of(self.entry.options) != self.settings:
                self.hass.config_entries.async_schedule_reload(self.entry.entry_id)
                return
            await self._async_follow_doors(unusable)
            if gone := self._follow_people():
                await self._async_forget(gone)
            # Whoever calls this while somebody else's change is written waits for that as well.
            await self._async_commit()

    async def async_restart_door(self, door: str) -> None:
        """Start one door again, for example because an entity that it listens to was renamed."""
        async with self._changing:
            subentry = doors_of(self.entry).get(door)
            if self._running and subentry is not None:
                await self._async_close_door(door)
                await self._async_open_door(door, subentry)

    async def _async_commit(self) -> None:
        """Write down who came, and delete what is kept of who went."""
        people = people_of(self.entry).keys()
        if self.store.is_committed and self.store.is_saved and self.store.people.keys() <= people:
            return
        try:
            await self.async_write()
        except NotSavedError as error:
            _LOGGER.error("New pictures are in memory only: %s", error)  # noqa: TRY400
        self.residents.async_tell()

    async def async_write(self) -> None:
        """Write everybody's pictures; raises NotSavedError."""
        await self.records.async_commit(people_of(self.entry).keys())

    @callback
    def _use_people(self) -> set[str]:
        """Give the doors the new people; return the doors that cannot go on with so many."""
        unusable = set()
        for door in self.doors.values():
            try:
                door.async_use_people()
            except RateUnavailableError:
                door.controller.async_close()
                unusable.add(door.id)
        return unusable

    async def _async_follow_doors(self, unusable: set[str]) -> None:
        now = doors_of(self.entry)
        for door in self._made.keys() - now.keys():
            await self._async_close_door(door)
            await self._async_erase_door(door)
        for door, subentry in now.items():
            broken = door in unusable or door not in self.doors
            if broken or self._made.get(door) != _made(subentry):
                await self._async_close_door(door)
                await self._async_open_door(door, subentry)

    @callback
    def _follow_people(self) -> Collection[str]:
        """Let entities come, and devices be called, as people do; return who is gone."""
        devices = dr.async_get(self.hass)
        known, now = self._people, people_of(self.entry)
        self._people = {person: subentry.title for person, subentry in now.items()}
        for person, subentry in now.items():
            if person not in known:
                for listener in list(self._person_listeners):
                    listener(person, subentry)
            elif known[person] != subentry.title:
                device = async_device_of(self.hass, self.entry.entry_id, person)
                if device is not None:
                    devices.async_update_device(device, name=subentry.title)
        return known.keys() - now.keys()

    async def _async_forget(self, gone: Collection[str]) -> None:
        people = people_of(self.entry).keys()
        for door in list(self.doors.values()):
            for person in gone:
                door.memory.passes.take_back(person)
            await door.records.async_forget_all_but(people)

    async def _async_open_door(self, door: str, subentry: ConfigSubentry) -> None:
        """Make a door; one that cannot be made stays shut, and the others go on."""
        self._made[door] = _made(subentry)
        issue = f"{ISSUE_DOOR_UNUSABLE}_{door}"
        try:
            settings = DoorSettings.of(subentry.data)
            if not settings.cameras:
                raise ValueError("no camera")  # noqa: TRY301 - as what the settings raise
            records = await self.records.async_open_door(door, settings)
            await records.async_forget_all_but(people_of(self.entry).keys())
            made = DoorCoordinator(
                self.hass,
                self.entry,
                subentry,
                settings,
                self.bundle,
                self.residents,
                records,
                self._relocks,
                self._feeds,
            )
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            _LOGGER.error("%s is not watched: %s", subentry.title, error)  # noqa: TRY400
            async_report(
                self.hass, issue, ISSUE_DOOR_UNUSABLE, door=subentry.title, error=str(error)
            )
            return
        ir.async_delete_issue(self.hass, DOMAIN, issue)
        self.doors[door] = made
        made.async_subscribe_visits(partial(self._visited, made))
        for listener in list(self._door_listeners):
            listener(made)
        if self._running:
            made.async_start()

    async def _async_close_door(self, door: str) -> None:
        self._made.pop(door, None)
        closed = self.doors.pop(door, None)
        if closed is not None:
            await closed.async_stop()
            await asyncio.gather(*(entity.async_remove() for entity in list(closed.entities)))

    async def _async_erase_door(self, door: str) -> None:
        async_forget(self.hass, door)
        with suppress(OSError):
            await async_remove_door_records(self.hass, door)
        for issue in DOOR_ISSUES:
            ir.async_delete_issue(self.hass, DOMAIN, f"{issue}_{door}")


def _made(subentry: ConfigSubentry) -> Made:
    """Return what a door is made from, to be compared: all but whether it is watched."""
    data = {key: value for key, value in subentry.data.items() if key != CONF_RECOGNIZING}
    return subentry.title, data
