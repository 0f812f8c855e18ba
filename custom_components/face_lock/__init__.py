"""Face Lock: a door that opens when its camera sees an enrolled face."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import Final

from homeassistant.const import EVENT_HOMEASSISTANT_STOP, Platform
from homeassistant.core import Event, HomeAssistant, callback
from homeassistant.exceptions import (
    ConfigEntryError,
    ConfigEntryNotReady,
    UnsupportedStorageVersionError,
)
from homeassistant.helpers import (
    config_validation as cv,
    device_registry as dr,
    entity_registry as er,
    issue_registry as ir,
)
from homeassistant.helpers.event import (
    async_track_entity_registry_updated_event,
    async_track_time_interval,
)

from .const import (
    CONF_KEEP_LAST_VISIT,
    CONF_KEEP_PICTURES,
    CONF_LAST_VISIT_DAYS,
    DEFAULT_KEEP_LAST_VISIT,
    DEFAULT_KEEP_PICTURES,
    DEFAULT_LAST_VISIT_DAYS,
    DOMAIN,
    ISSUE_CAMERA_MISSING,
    ISSUE_LOCK_MISSING,
    ISSUE_PICTURES_MISSING,
    ISSUE_STORAGE_LOCKED,
)
from .coordinator import FaceLockConfigEntry, FaceLockCoordinator, people_of
from .door_lock import TargetLock
from .entity import door_device
from .issues import async_report
from .records import DoorRecords, async_open_records, async_remove_records
from .runtime import async_load_bundle
from .store import PictureStore
from .vault import KeyNotSavedError, VaultError
from .worker import Worker

_LOGGER = logging.getLogger(__name__)

CONFIG_SCHEMA = cv.config_entry_only_config_schema(DOMAIN)

EXPIRY_INTERVAL: Final = timedelta(hours=1)
DOOR_ISSUES: Final = (
    ISSUE_CAMERA_MISSING,
    ISSUE_LOCK_MISSING,
    ISSUE_PICTURES_MISSING,
    ISSUE_STORAGE_LOCKED,
)

PLATFORMS = [Platform.BINARY_SENSOR, Platform.EVENT, Platform.LOCK, Platform.SENSOR]


async def async_setup_entry(hass: HomeAssistant, entry: FaceLockConfigEntry) -> bool:
    """Set up a door."""
    bundle = await async_load_bundle(hass)
    records = await _async_open_records(hass, entry)
    worker = Worker(hass)
    # Registered before anything can fail, so that no failure leaves the thread behind.
    entry.async_on_unload(worker.async_stop)
    renewed = await records.async_settle(people_of(entry).keys(), bundle, worker)
    if renewed:
        _LOGGER.info("Embedded the pictures of %s people with the new model", renewed)
    try:
        coordinator = FaceLockCoordinator(hass, entry, bundle, records, worker)
    except ValueError as error:
        raise ConfigEntryError(
            translation_domain=DOMAIN, translation_key="rate_unavailable"
        ) from error
    entry.runtime_data = coordinator
    dr.async_get(hass).async_get_or_create(config_entry_id=entry.entry_id, **door_device(entry))
    _report_missing_pictures(hass, entry, records.pictures)
    _follow_target(hass, entry, coordinator)

    await hass.config_entries.async_forward_entry_setups(entry, PLATFORMS)

    entry.async_on_unload(coordinator.async_stop)
    entry.async_on_unload(
        hass.bus.async_listen_once(EVENT_HOMEASSISTANT_STOP, coordinator.async_stop)
    )
    entry.async_on_unload(entry.add_update_listener(_async_update_listener))
    if records.visit is not None:
        entry.async_on_unload(
            async_track_time_interval(hass, records.visit.async_expire, EXPIRY_INTERVAL)
        )
    coordinator.async_start()
    return True


async def async_unload_entry(hass: HomeAssistant, entry: FaceLockConfigEntry) -> bool:
    """Unload a door: first nothing opens any more, then the entities go."""
    await entry.runtime_data.async_stop()
    return await hass.config_entries.async_unload_platforms(entry, PLATFORMS)


async def async_remove_entry(hass: HomeAssistant, entry: FaceLockConfigEntry) -> None:
    """Delete everything that is known of a removed door."""
    await async_remove_records(hass, entry.entry_id)
    for issue in DOOR_ISSUES:
        ir.async_delete_issue(hass, DOMAIN, f"{issue}_{entry.entry_id}")


async def _async_update_listener(hass: HomeAssistant, entry: FaceLockConfigEntry) -> None:
    """Write down who came and delete who went, then start anew with that."""
    try:
        await entry.runtime_data.records.async_commit(people_of(entry).keys())
    finally:
        await hass.config_entries.async_reload(entry.entry_id)


async def _async_open_records(hass: HomeAssistant, entry: FaceLockConfigEntry) -> DoorRecords:
    options = entry.options
    keep_visit = options.get(CONF_KEEP_LAST_VISIT, DEFAULT_KEEP_LAST_VISIT)
    visit_days = options.get(CONF_LAST_VISIT_DAYS, DEFAULT_LAST_VISIT_DAYS)
    issue = f"{ISSUE_STORAGE_LOCKED}_{entry.entry_id}"
    try:
        records = await async_open_records(
            hass,
            entry.entry_id,
            keep_pictures=options.get(CONF_KEEP_PICTURES, DEFAULT_KEEP_PICTURES),
            visit_days=visit_days if keep_visit else None,
        )
    except KeyNotSavedError as error:
        raise ConfigEntryNotReady(
            translation_domain=DOMAIN, translation_key=error.translation_key
        ) from error
    except VaultError as error:
        async_report(hass, issue, ISSUE_STORAGE_LOCKED, door=entry.title)
        raise ConfigEntryError(
            translation_domain=DOMAIN, translation_key=error.translation_key
        ) from error
    except UnsupportedStorageVersionError as error:
        raise ConfigEntryError(
            translation_domain=DOMAIN, translation_key="storage_too_new"
        ) from error
    except Exception as error:  # core's reader lets through whatever the disk or the file raise
        raise ConfigEntryError(
            translation_domain=DOMAIN, translation_key="storage_unreadable"
        ) from error
    ir.async_delete_issue(hass, DOMAIN, issue)
    return records


@callback
def _report_missing_pictures(
    hass: HomeAssistant, entry: FaceLockConfigEntry, store: PictureStore
) -> None:
    issue = f"{ISSUE_PICTURES_MISSING}_{entry.entry_id}"
    missing = [s.title for person, s in people_of(entry).items() if not store.album(person)]
    if missing:
        async_report(
            hass, issue, ISSUE_PICTURES_MISSING, door=entry.title, people=", ".join(missing)
        )
    else:
        ir.async_delete_issue(hass, DOMAIN, issue)


@callback
def _follow_target(
    hass: HomeAssistant, entry: FaceLockConfigEntry, coordinator: FaceLockCoordinator
) -> None:
    """Start anew when the target lock is renamed; tell the owner when it was removed."""
    lock = coordinator.lock
    if not isinstance(lock, TargetLock):
        return
    issue = f"{ISSUE_LOCK_MISSING}_{entry.entry_id}"
    if (entity_id := lock.entity_id) is None:
        async_report(hass, issue, ISSUE_LOCK_MISSING, door=entry.title)
        return
    ir.async_delete_issue(hass, DOMAIN, issue)

    @callback
    def _updated(event: Event[er.EventEntityRegistryUpdatedData]) -> None:
        data = event.data
        renamed = data["action"] == "update" and "entity_id" in data["changes"]
        if renamed or data["action"] == "remove":
            hass.config_entries.async_schedule_reload(entry.entry_id)

    entry.async_on_unload(async_track_entity_registry_updated_event(hass, entity_id, _updated))
