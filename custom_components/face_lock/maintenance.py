"""Looks after what the doors depend on: repair issues, and starting a door again."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime, timedelta
from typing import Final

from homeassistant.config_entries import ConfigEntry
from homeassistant.core import Event, HomeAssistant, callback
from homeassistant.helpers import (
    device_registry as dr,
    entity_registry as er,
)
from homeassistant.helpers.event import async_track_time_interval
from homeassistant.helpers.storage import STORAGE_DIR

from .const import (
    ISSUE_CONTACT_MISSING,
    ISSUE_LOCK_MISSING,
    ISSUE_PERSON_MISSING,
    ISSUE_PICTURES_MISSING,
    ISSUE_PICTURES_NOT_SAVED,
    ISSUE_STORAGE_LOCKED,
    ISSUE_STORAGE_TOO_NEW,
    ISSUE_STORAGE_UNREADABLE,
)
from .coordinator import DoorCoordinator
from .entity_reference import async_resolve
from .household import FaceLockConfigEntry, Household
from .issues import async_report_if, async_report_only
from .storage.checked_store import NotSavedError
from .storage.templates import pictures_file

SAVE_AGAIN: Final = timedelta(minutes=5)
"""How often what the disk refused is offered to it again."""
EXPIRY_INTERVAL: Final = timedelta(hours=1)

STORAGE_ISSUES: Final = (ISSUE_STORAGE_LOCKED, ISSUE_STORAGE_TOO_NEW, ISSUE_STORAGE_UNREADABLE)


@callback
def async_report_storage(hass: HomeAssistant, entry: ConfigEntry, issue: str | None) -> None:
    """Tell the owner why the pictures' file, left as it is, cannot be used; None: it can."""
    placeholders = {}
    if issue != ISSUE_STORAGE_LOCKED:  # that may be the key's fault
        placeholders["file"] = f"{STORAGE_DIR}/{pictures_file(entry.entry_id)}"
    async_report_only(hass, STORAGE_ISSUES, issue, f"_{entry.entry_id}", **placeholders)


@callback
def async_clear_registries(hass: HomeAssistant, entry: ConfigEntry) -> None:
    """Remove the devices and entities of doors and people that are gone.

    Core does that when one is removed, and writes its registries seconds after the entry: a power
    cut between the two brings the entities back, of nobody and for ever.
    """
    entities, devices = er.async_get(hass), dr.async_get(hass)
    found = {
        *(
            e.config_subentry_id
            for e in er.async_entries_for_config_entry(entities, entry.entry_id)
        ),
        *(d.config_subentry_id for d in dr.async_entries_for_config_entry(devices, entry.entry_id)),
    }
    for gone in found - entry.subentries.keys():
        if gone is not None:
            entities.async_clear_config_subentry(entry.entry_id, gone)
            devices.async_clear_config_subentry(entry.entry_id, gone)


@callback
def async_keep_up(hass: HomeAssistant, entry: FaceLockConfigEntry) -> None:
    """Look after a household until its entry is unloaded."""
    household = entry.runtime_data
    keeper = _Keeper(hass, household)
    entry.async_on_unload(household.residents.async_subscribe(keeper.report_people))
    entry.async_on_unload(household.async_add_for_doors(keeper.report_entities))
    entry.async_on_unload(
        hass.bus.async_listen(er.EVENT_ENTITY_REGISTRY_UPDATED, keeper.registry_updated)
    )
    entry.async_on_unload(async_track_time_interval(hass, keeper.async_save_again, SAVE_AGAIN))
    entry.async_on_unload(async_track_time_interval(hass, keeper.async_expire, EXPIRY_INTERVAL))
    keeper.report_people()


class _Keeper:
    def __init__(self, hass: HomeAssistant, household: Household) -> None:
        self._hass = hass
        self._household = household
        self._suffix = f"_{household.entry.entry_id}"

    @callback
    def report_people(self) -> None:
        """Tell the owner of people who cannot be recognised, or lost their person entity."""
        store, rules = self._household.store, self._household.residents.rules
        unseen = [r.name for person, r in rules.items() if not store.album(person)]
        lost = [
            r.name
            for r in rules.values()
            if r.person_entity and async_resolve(self._hass, r.person_entity) is None
        ]
        for issue, people in ((ISSUE_PICTURES_MISSING, unseen), (ISSUE_PERSON_MISSING, lost)):
            async_report_if(
                self._hass,
                bool(people),
                f"{issue}{self._suffix}",
                issue,
                people=", ".join(people),
            )
        self.report_saved()

    @callback
    def report_saved(self) -> None:
        """Tell the owner of pictures that the disk refused."""
        issue = ISSUE_PICTURES_NOT_SAVED
        wrong = not self._household.store.is_saved
        async_report_if(self._hass, wrong, f"{issue}{self._suffix}", issue)

    @callback
    def report_entities(self, door: DoorCoordinator) -> None:
        """Tell the owner when the door's lock or contact was removed."""
        for issue, reference in (
            (ISSUE_LOCK_MISSING, door.settings.lock),
            (ISSUE_CONTACT_MISSING, door.settings.contact),
        ):
            wrong = reference is not None and async_resolve(self._hass, reference) is None
            async_report_if(self._hass, wrong, f"{issue}_{door.id}", issue, door=door.title)

    async def async_save_again(self, _now: datetime) -> None:
        """Offer the disk what it refused."""
        if not self._household.store.is_saved:
            with suppress(NotSavedError):
                await self._household.async_write()
        self.report_saved()

    async def async_expire(self, _now: datetime) -> None:
        """Delete what has been kept for long enough."""
        for door in list(self._household.doors.values()):
            await door.records.async_expire()

    @callback
    def registry_updated(self, event: Event[er.EventEntityRegistryUpdatedData]) -> None:
        """Start the doors again that listen to an entity which was renamed, went, or came back."""
        data = event.data
        names = {data["entity_id"]}
        if data["action"] == "update":
            if "old_entity_id" not in data:
                return
            names.add(data["old_entity_id"])
        for door in list(self._household.doors.values()):
            if names & door.listens_to or door.listens_to != door.would_listen_to():
                self._household.entry.async_create_task(
                    self._hass, self._household.async_restart_door(door.id), "face_lock restart"
                )
        if any(name.startswith("person.") for name in names):
            self.report_people()
