"""Face Lock: doors that open when a camera sees an enrolled face."""

# ruff: noqa: ARG001 - Home Assistant calls these with fixed signatures

from __future__ import annotations

import logging
from typing import Final

from homeassistant.const import EVENT_HOMEASSISTANT_STOP, Platform
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import (
    ConfigEntryError,
    ConfigEntryNotReady,
    UnsupportedStorageVersionError,
)
from homeassistant.helpers import config_validation as cv, issue_registry as ir
from homeassistant.helpers.typing import ConfigType

from .access.memory import async_forget
from .const import (
    DOMAIN,
    ISSUE_FACE_IN_VIEW,
    ISSUE_OLD_ENTRY,
    ISSUE_OWN_MODELS,
    ISSUE_PERSON_MISSING,
    ISSUE_PICTURES_MISSING,
    ISSUE_PICTURES_NOT_SAVED,
    ISSUE_STORAGE_LOCKED,
    ISSUE_STORAGE_TOO_NEW,
    ISSUE_STORAGE_UNREADABLE,
)
from .household import DOOR_ISSUES, FaceLockConfigEntry, Household
from .issues import async_report, async_report_only, async_withdraw
from .maintenance import (
    STORAGE_ISSUES,
    async_clear_registries,
    async_keep_up,
    async_report_storage,
)
from .people import doors_of, people_of
from .recognition.executor import Worker
from .recognition.models import BUNDLE_ISSUES, async_load_models
from .services import async_setup_services
from .settings import HouseholdSettings
from .storage.key import KeyNotSavedError, VaultError
from .storage.records import HouseholdRecords, async_open_records, async_remove_records

_LOGGER = logging.getLogger(__name__)

CONFIG_SCHEMA = cv.config_entry_only_config_schema(DOMAIN)

VERSION: Final = 2
"""Of the config entry. Version 1 was one entry for each door."""
HOUSEHOLD_ISSUES: Final = (
    ISSUE_OLD_ENTRY,
    ISSUE_OWN_MODELS,
    ISSUE_PERSON_MISSING,
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
    async_setup_services(hass)
    return True


async def async_setup_entry(hass: HomeAssistant, entry: FaceLockConfigEntry) -> bool:
    """Set up a household."""
    settings = HouseholdSettings.of(entry.options)
    bundle = await async_load_models(hass, entry, settings.bundle)
    records = await _async_open_records(hass, entry, settings)
    worker = Worker(hass)
    # Registered before anything can fail, so that no failure leaves the thread behind.
    entry.async_on_unload(worker.async_stop)
    renewed = await records.async_settle(people_of(entry).keys(), bundle, worker)
    if renewed:
        _LOGGER.info("Embedded the pictures of %s people with the new model", renewed)
    household = Household(hass, entry, settings, bundle, records, worker)
    entry.async_on_unload(household.async_stop)
    entry.runtime_data = household
    async_clear_registries(hass, entry)
    await household.async_open()

    await hass.config_entries.async_forward_entry_setups(entry, PLATFORMS)

    entry.async_on_unload(
        hass.bus.async_listen_once(EVENT_HOMEASSISTANT_STOP, household.async_stop)
    )
    entry.async_on_unload(entry.add_update_listener(_async_update_listener))
    async_keep_up(hass, entry)
    household.async_start()
    # Whatever was changed while the doors were set up has told no listener.
    await household.async_changed()
    return True


async def async_migrate_entry(hass: HomeAssistant, entry: FaceLockConfigEntry) -> bool:
    """Say what to do with an entry of a version that had one for each door."""
    if entry.version < VERSION:
        issue = f"{ISSUE_OLD_ENTRY}_{entry.entry_id}"
        async_report(hass, issue, ISSUE_OLD_ENTRY, door=entry.title)
    return entry.version == VERSION


async def async_unload_entry(hass: HomeAssistant, entry: FaceLockConfigEntry) -> bool:
    """Unload a household: first nothing opens any more, then the entities go."""
    await entry.runtime_data.async_stop()
    return await hass.config_entries.async_unload_platforms(entry, PLATFORMS)


async def async_remove_entry(hass: HomeAssistant, entry: FaceLockConfigEntry) -> None:
    """Delete everything that is known of a removed household."""
    doors = doors_of(entry)
    for door in doors:
        async_forget(hass, door)
    await async_remove_records(hass, entry.entry_id, doors)
    for issue in HOUSEHOLD_ISSUES:
        ir.async_delete_issue(hass, DOMAIN, f"{issue}_{entry.entry_id}")
    async_withdraw(hass, f"{ISSUE_FACE_IN_VIEW}_{entry.entry_id}_")
    for door in doors:
        for issue in DOOR_ISSUES:
            ir.async_delete_issue(hass, DOMAIN, f"{issue}_{door}")
    if not hass.config_entries.async_entries(DOMAIN):
        async_report_only(hass, BUNDLE_ISSUES, None)


async def _async_update_listener(hass: HomeAssistant, entry: FaceLockConfigEntry) -> None:
    await entry.runtime_data.async_changed()


async def _async_open_records(
    hass: HomeAssistant, entry: FaceLockConfigEntry, settings: HouseholdSettings
) -> HouseholdRecords:
    try:
        records = await async_open_records(
            hass, entry.entry_id, doors_of(entry), keep_pictures=settings.keep_pictures
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
