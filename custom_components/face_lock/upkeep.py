"""What a door depends on and cannot mend: tells the owner, and starts anew where that helps."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime, timedelta
from typing import Final

from homeassistant.core import Event, HomeAssistant, callback
from homeassistant.helpers import (
    device_registry as dr,
    entity_registry as er,
    issue_registry as ir,
)
from homeassistant.helpers.event import (
    async_track_entity_registry_updated_event,
    async_track_time_interval,
)
from homeassistant.helpers.storage import STORAGE_DIR

from .const import (
    CONF_LOCK,
    DOMAIN,
    ISSUE_LOCK_MISSING,
    ISSUE_PICTURES_MISSING,
    ISSUE_PICTURES_NOT_SAVED,
    ISSUE_STORAGE_LOCKED,
    ISSUE_STORAGE_TOO_NEW,
    ISSUE_STORAGE_UNREADABLE,
)
from .coordinator import FaceLockConfigEntry
from .disk import NotSavedError
from .door_lock import TargetLock
from .issues import async_report, async_report_only
from .people import people_of
from .source import async_resolve
from .store import pictures_file

SAVE_AGAIN: Final = timedelta(minutes=5)
"""How often what the disk refused is offered to it again."""

STORAGE_ISSUES: Final = (ISSUE_STORAGE_LOCKED, ISSUE_STORAGE_TOO_NEW, ISSUE_STORAGE_UNREADABLE)


@callback
def async_report_storage(
    hass: HomeAssistant, entry: FaceLockConfigEntry, issue: str | None
) -> None:
    """Tell the owner why a door's file, which was left as it is, cannot be used; None: it can."""
    placeholders = {"door": entry.title}
    if issue != ISSUE_STORAGE_LOCKED:  # that may be the key's fault
        placeholders["file"] = f"{STORAGE_DIR}/{pictures_file(entry.entry_id)}"
    async_report_only(hass, STORAGE_ISSUES, issue, f"_{entry.entry_id}", **placeholders)


@callback
def async_clear_registries(hass: HomeAssistant, entry: FaceLockConfigEntry) -> None:
    """Remove the devices and entities of people who are not enrolled.

    Core does that when a person is removed, and writes its registries seconds after the entry: a
    power cut between the two brings the entities back, of nobody and for ever.
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
        if gone is not None:  # what is the door's own
            entities.async_clear_config_subentry(entry.entry_id, gone)
            devices.async_clear_config_subentry(entry.entry_id, gone)


@callback
def async_report_missing_pictures(hass: HomeAssistant, entry: FaceLockConfigEntry) -> None:
    """Tell the owner of people who are enrolled and cannot be recognised."""
    issue = f"{ISSUE_PICTURES_MISSING}_{entry.entry_id}"
    store = entry.runtime_data.store
    missing = [s.title for person, s in people_of(entry).items() if not store.album(person)]
    if missing:
        async_report(
            hass, issue, ISSUE_PICTURES_MISSING, door=entry.title, people=", ".join(missing)
        )
    else:
        ir.async_delete_issue(hass, DOMAIN, issue)


@callback
def async_keep_saving(hass: HomeAssistant, entry: FaceLockConfigEntry) -> None:
    """Tell the owner of pictures that the disk refused, and try to write them until it does."""
    issue = f"{ISSUE_PICTURES_NOT_SAVED}_{entry.entry_id}"
    records = entry.runtime_data.records

    @callback
    def _report() -> None:
        if records.pictures.is_saved:
            ir.async_delete_issue(hass, DOMAIN, issue)
        else:
            async_report(hass, issue, ISSUE_PICTURES_NOT_SAVED, door=entry.title)

    async def _save_again(_now: datetime) -> None:
        if not records.pictures.is_saved:
            with suppress(NotSavedError):
                await records.async_commit(people_of(entry).keys())
            _report()

    _report()
    entry.async_on_unload(async_track_time_interval(hass, _save_again, SAVE_AGAIN))


@callback
def async_report_missing_lock(hass: HomeAssistant, entry: FaceLockConfigEntry) -> None:
    """Tell the owner when the target lock was removed."""
    issue = f"{ISSUE_LOCK_MISSING}_{entry.entry_id}"
    lock = entry.runtime_data.lock
    if isinstance(lock, TargetLock) and lock.entity_id is None:
        async_report(hass, issue, ISSUE_LOCK_MISSING, door=entry.title)
    else:
        ir.async_delete_issue(hass, DOMAIN, issue)


@callback
def async_follow_names(hass: HomeAssistant, entry: FaceLockConfigEntry) -> None:
    """Start anew when an entity that is listened to is renamed, removed, or comes back."""
    references = [
        reference
        for reference in (entry.data.get(CONF_LOCK), *entry.runtime_data.settings.triggers)
        if reference
    ]
    followed = [i for r in references if (i := async_resolve(hass, r)) is not None]
    missing = [r for r in references if async_resolve(hass, r) is None]

    @callback
    def _updated(event: Event[er.EventEntityRegistryUpdatedData]) -> None:
        data = event.data
        renamed = data["action"] == "update" and "entity_id" in data["changes"]
        if renamed or data["action"] == "remove":
            hass.config_entries.async_schedule_reload(entry.entry_id)

    @callback
    def _created(event: Event[er.EventEntityRegistryUpdatedData]) -> None:
        # The registry gives an entity that comes back the id that it had.
        returned = any(async_resolve(hass, reference) is not None for reference in missing)
        if event.data["action"] == "create" and returned:
            hass.config_entries.async_schedule_reload(entry.entry_id)

    entry.async_on_unload(async_track_entity_registry_updated_event(hass, followed, _updated))
    if missing:
        entry.async_on_unload(hass.bus.async_listen(er.EVENT_ENTITY_REGISTRY_UPDATED, _created))
