"""What a door depends on and cannot mend: tells the owner, and starts anew where that helps."""

from __future__ import annotations

from typing import Final

from homeassistant.core import Event, HomeAssistant, callback
from homeassistant.helpers import entity_registry as er, issue_registry as ir
from homeassistant.helpers.event import async_track_entity_registry_updated_event
from homeassistant.helpers.storage import STORAGE_DIR

from .const import (
    CONF_LOCK,
    DOMAIN,
    ISSUE_LOCK_MISSING,
    ISSUE_PICTURES_MISSING,
    ISSUE_STORAGE_LOCKED,
    ISSUE_STORAGE_TOO_NEW,
    ISSUE_STORAGE_UNREADABLE,
)
from .coordinator import FaceLockConfigEntry
from .door_lock import TargetLock
from .issues import async_report, async_report_only
from .people import people_of
from .source import async_resolve
from .store import pictures_file

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
    """Start anew when an entity that is listened to is renamed or removed."""
    references = [entry.data.get(CONF_LOCK), *entry.runtime_data.settings.triggers]
    followed = [
        entity_id
        for reference in references
        if reference and (entity_id := async_resolve(hass, reference)) is not None
    ]

    @callback
    def _updated(event: Event[er.EventEntityRegistryUpdatedData]) -> None:
        data = event.data
        renamed = data["action"] == "update" and "entity_id" in data["changes"]
        if renamed or data["action"] == "remove":
            hass.config_entries.async_schedule_reload(entry.entry_id)

    entry.async_on_unload(async_track_entity_registry_updated_event(hass, followed, _updated))
