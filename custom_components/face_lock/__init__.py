"""Face Lock: a door that opens when its camera sees an enrolled face."""

# ruff: noqa: ARG001 - Home Assistant calls these with fixed signatures

from __future__ import annotations

import logging
from datetime import timedelta
from typing import Final

from homeassistant.config_entries import ConfigEntryState
from homeassistant.const import EVENT_HOMEASSISTANT_STOP, Platform
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import (
    ConfigEntryError,
    ConfigEntryNotReady,
    UnsupportedStorageVersionError,
)
from homeassistant.helpers import (
    config_validation as cv,
    device_registry as dr,
    issue_registry as ir,
)
from homeassistant.helpers.event import async_track_time_interval
from homeassistant.helpers.typing import ConfigType

from .actions import async_setup_actions
from .const import (
    DOMAIN,
    ISSUE_CAMERA_MISSING,
    ISSUE_LOCK_MISSING,
    ISSUE_NOT_RELOCKED,
    ISSUE_OWN_MODELS,
    ISSUE_PICTURES_MISSING,
    ISSUE_PICTURES_NOT_SAVED,
    ISSUE_STORAGE_LOCKED,
    ISSUE_STORAGE_TOO_NEW,
    ISSUE_STORAGE_UNREADABLE,
)
from .coordinator import FaceLockConfigEntry, FaceLockCoordinator
from .disk import NotSavedError
from .entity import door_device
from .issues import async_report_only
from .lockout_store import LockoutStore, async_remove_lockout
from .memory import async_forget
from .people import people_of
from .records import DoorRecords, async_open_records, async_remove_records
from .runtime import BUNDLE_ISSUES, async_load_models
from .settings import (
    CONF_FALSE_POSITIVE_RATE,
    CONF_RELOCK_AFTER,
    SECTION_DOOR,
    SECTION_RECOGNITION,
    DoorSettings,
)
from .upkeep import (
    STORAGE_ISSUES,
    async_clear_registries,
    async_follow_names,
    async_keep_saving,
    async_report_missing_lock,
    async_report_missing_pictures,
    async_report_storage,
)
from .vault import KeyNotSavedError, VaultError
from .vision import RateUnavailableError
from .worker import Worker

_LOGGER = logging.getLogger(__name__)

CONFIG_SCHEMA = cv.config_entry_only_config_schema(DOMAIN)

EXPIRY_INTERVAL: Final = timedelta(hours=1)
DOOR_ISSUES: Final = (
    ISSUE_CAMERA_MISSING,
    ISSUE_LOCK_MISSING,
    ISSUE_NOT_RELOCKED,
    ISSUE_OWN_MODELS,
    ISSUE_PICTURES_MISSING,
    ISSUE_PICTURES_NOT_SAVED,
    *STORAGE_ISSUES,
)

PLATFORMS = [
    Platform.BINARY_SENSOR,
    Platform.EVENT,
    Platform.IMAGE,
    Platform.LOCK,
    Platform.SENSOR,
    Platform.SWITCH,
]


async def async_setup(hass: HomeAssistant, config: ConfigType) -> bool:
    """Register the actions, which exist whether or not a door is set up."""
    async_setup_actions(hass)
    return True


async def async_setup_entry(hass: HomeAssistant, entry: FaceLockConfigEntry) -> bool:
    """Set up a door."""
    settings = _settings(entry)
    bundle = await async_load_models(hass, entry, settings.bundle)
    records = await _async_open_records(hass, entry, settings)
    worker = Worker(hass)
    # Registered before anything can fail, so that no failure leaves the thread behind.
    entry.async_on_unload(worker.async_stop)
    renewed = await records.async_settle(people_of(entry).keys(), bundle, worker)
    if renewed:
        _LOGGER.info("Embedded the pictures of %s people with the new model", renewed)
    lockouts = LockoutStore(hass, entry.entry_id)
    await lockouts.async_load()
    try:
        coordinator = FaceLockCoordinator(hass, entry, settings, bundle, records, worker, lockouts)
    except RateUnavailableError as error:
        raise ConfigEntryError(
            translation_domain=DOMAIN, translation_key="rate_unavailable"
        ) from error
    entry.runtime_data = coordinator
    async_clear_registries(hass, entry)
    dr.async_get(hass).async_get_or_create(config_entry_id=entry.entry_id, **door_device(entry))
    async_report_missing_pictures(hass, entry)
    async_report_missing_lock(hass, entry)
    async_keep_saving(hass, entry)
    async_follow_names(hass, entry)

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
    # Whatever was changed while the door was set up has told no listener.
    if coordinator.is_current:
        coordinator.async_read_people()
    else:
        hass.async_create_task(_async_start_anew(hass, entry), f"{DOMAIN} start anew")
    return True


async def async_migrate_entry(hass: HomeAssistant, entry: FaceLockConfigEntry) -> bool:
    """Put the options of earlier versions into sections; leave those of later ones alone."""
    if entry.version > 1:
        return False
    if entry.minor_version < 2:
        flat = entry.options
        options = {
            section: {key: flat[key]}
            for section, key in (
                (SECTION_RECOGNITION, CONF_FALSE_POSITIVE_RATE),
                (SECTION_DOOR, CONF_RELOCK_AFTER),
            )
            if key in flat
        }
        hass.config_entries.async_update_entry(entry, options=options, minor_version=2)
    return True


async def async_unload_entry(hass: HomeAssistant, entry: FaceLockConfigEntry) -> bool:
    """Unload a door: first nothing opens any more, then the entities go."""
    await entry.runtime_data.async_stop()
    # The next start reads the file.
    await entry.runtime_data.store.async_flush()
    return await hass.config_entries.async_unload_platforms(entry, PLATFORMS)


async def async_remove_entry(hass: HomeAssistant, entry: FaceLockConfigEntry) -> None:
    """Delete everything that is known of a removed door."""
    async_forget(hass, entry.entry_id)
    await async_remove_records(hass, entry.entry_id)
    await async_remove_lockout(hass, entry.entry_id)
    for issue in DOOR_ISSUES:
        ir.async_delete_issue(hass, DOMAIN, f"{issue}_{entry.entry_id}")
    if not hass.config_entries.async_entries(DOMAIN):
        async_report_only(hass, BUNDLE_ISSUES, None)


async def _async_update_listener(hass: HomeAssistant, entry: FaceLockConfigEntry) -> None:
    """Take over who is suspended; for any other change, start anew with it."""
    # Suspending somebody must not end a visit that is going on.
    if entry.state is ConfigEntryState.LOADED and entry.runtime_data.is_current:
        entry.runtime_data.async_read_people()
        return
    await _async_start_anew(hass, entry)


async def _async_start_anew(hass: HomeAssistant, entry: FaceLockConfigEntry) -> None:
    """Write down who came and delete who went, then load the door with that."""
    try:
        await entry.runtime_data.records.async_commit(people_of(entry).keys())
    except NotSavedError as error:
        _LOGGER.error("%s has pictures in memory alone: %s", entry.title, error)  # noqa: TRY400
    finally:
        await hass.config_entries.async_reload(entry.entry_id)


def _settings(entry: FaceLockConfigEntry) -> DoorSettings:
    try:
        return DoorSettings.of(entry.options)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ConfigEntryError(
            translation_domain=DOMAIN,
            translation_key="settings_unknown",
            translation_placeholders={"error": str(error)},
        ) from error


async def _async_open_records(
    hass: HomeAssistant, entry: FaceLockConfigEntry, settings: DoorSettings
) -> DoorRecords:
    try:
        records = await async_open_records(
            hass,
            entry.entry_id,
            keep_pictures=settings.keep_pictures,
            visit_days=settings.days if settings.keep_last_visit else None,
        )
    except KeyNotSavedError as error:
        raise ConfigEntryNotReady(
            translation_domain=DOMAIN, translation_key=error.translation_key
        ) from error
    except VaultError as error:
        async_report_storage(hass, entry, ISSUE_STORAGE_LOCKED)
        raise ConfigEntryError(
            translation_domain=DOMAIN, translation_key=error.translation_key
        ) from error
    except UnsupportedStorageVersionError as error:
        async_report_storage(hass, entry, ISSUE_STORAGE_TOO_NEW)
        raise ConfigEntryError(
            translation_domain=DOMAIN, translation_key=ISSUE_STORAGE_TOO_NEW
        ) from error
    except Exception as error:  # core's reader lets through whatever the disk or the file raise
        async_report_storage(hass, entry, ISSUE_STORAGE_UNREADABLE)
        raise ConfigEntryError(
            translation_domain=DOMAIN, translation_key=ISSUE_STORAGE_UNREADABLE
        ) from error
    async_report_storage(hass, entry, None)
    return records
