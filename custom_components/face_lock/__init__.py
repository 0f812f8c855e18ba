"""Face Lock: a door that opens when its camera sees an enrolled face."""

from __future__ import annotations

import logging

from homeassistant.config_entries import ConfigEntryState
from homeassistant.const import EVENT_HOMEASSISTANT_STOP, Platform
from homeassistant.core import Event, HomeAssistant, callback
from homeassistant.exceptions import ConfigEntryError, UnsupportedStorageVersionError
from homeassistant.helpers import (
    config_validation as cv,
    device_registry as dr,
    entity_registry as er,
    issue_registry as ir,
)
from homeassistant.helpers.event import async_track_entity_registry_updated_event

from .const import (
    CONF_LOCK,
    DOMAIN,
    ISSUE_CAMERA_MISSING,
    ISSUE_LOCK_MISSING,
    ISSUE_NOT_RELOCKED,
    ISSUE_PICTURES_MISSING,
)
from .coordinator import FaceLockConfigEntry, FaceLockCoordinator, people_of
from .door_lock import TargetLock
from .entity import door_device
from .issues import async_report
from .runtime import async_load_bundle
from .settings import (
    CONF_FALSE_POSITIVE_RATE,
    CONF_RELOCK_AFTER,
    SECTION_DOOR,
    SECTION_RECOGNITION,
)
from .source import async_resolve
from .store import PictureStore, async_remove_store, embed_anew
from .vision import Bundle, RateUnavailableError
from .worker import Worker

_LOGGER = logging.getLogger(__name__)

CONFIG_SCHEMA = cv.config_entry_only_config_schema(DOMAIN)

PLATFORMS = [
    Platform.BINARY_SENSOR,
    Platform.EVENT,
    Platform.LOCK,
    Platform.SENSOR,
    Platform.SWITCH,
]


async def async_setup_entry(hass: HomeAssistant, entry: FaceLockConfigEntry) -> bool:
    """Set up a door."""
    bundle = await async_load_bundle(hass)
    store = await _async_load_store(hass, entry)
    worker = Worker(hass)
    # Registered before anything can fail, so that no failure leaves the thread behind.
    entry.async_on_unload(worker.async_stop)
    await _async_renew_templates(entry, bundle, store, worker)
    try:
        coordinator = FaceLockCoordinator(hass, entry, bundle, store, worker)
    except RateUnavailableError as error:
        raise ConfigEntryError(
            translation_domain=DOMAIN, translation_key="rate_unavailable"
        ) from error
    except (KeyError, TypeError, ValueError) as error:
        raise ConfigEntryError(
            translation_domain=DOMAIN,
            translation_key="settings_unknown",
            translation_placeholders={"error": repr(error)},
        ) from error
    entry.runtime_data = coordinator
    dr.async_get(hass).async_get_or_create(config_entry_id=entry.entry_id, **door_device(entry))
    _report_missing_pictures(hass, entry, store)
    _follow_target(hass, entry, coordinator)
    _follow_names(hass, entry, coordinator)

    await hass.config_entries.async_forward_entry_setups(entry, PLATFORMS)

    entry.async_on_unload(coordinator.async_stop)
    entry.async_on_unload(
        hass.bus.async_listen_once(EVENT_HOMEASSISTANT_STOP, coordinator.async_stop)
    )
    entry.async_on_unload(entry.add_update_listener(_async_update_listener))
    coordinator.async_start()
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
    return await hass.config_entries.async_unload_platforms(entry, PLATFORMS)


async def async_remove_entry(hass: HomeAssistant, entry: FaceLockConfigEntry) -> None:
    """Delete everything that is known of a removed door."""
    await async_remove_store(hass, entry.entry_id)
    for issue in (
        ISSUE_CAMERA_MISSING,
        ISSUE_LOCK_MISSING,
        ISSUE_NOT_RELOCKED,
        ISSUE_PICTURES_MISSING,
    ):
        ir.async_delete_issue(hass, DOMAIN, f"{issue}_{entry.entry_id}")


async def _async_update_listener(hass: HomeAssistant, entry: FaceLockConfigEntry) -> None:
    """Write down who came and delete who went, then start anew with that."""
    # Suspending somebody must not end a visit that is going on.
    if entry.state is ConfigEntryState.LOADED and entry.runtime_data.is_current:
        entry.runtime_data.async_read_people()
        return
    try:
        await entry.runtime_data.store.async_commit(people_of(entry).keys())
    finally:
        await hass.config_entries.async_reload(entry.entry_id)


async def _async_load_store(hass: HomeAssistant, entry: FaceLockConfigEntry) -> PictureStore:
    store = PictureStore(hass, entry.entry_id)
    try:
        await store.async_load()
    except UnsupportedStorageVersionError as error:
        raise ConfigEntryError(
            translation_domain=DOMAIN, translation_key="storage_too_new"
        ) from error
    except Exception as error:  # core's reader lets through whatever the disk or the file raise
        raise ConfigEntryError(
            translation_domain=DOMAIN, translation_key="storage_unreadable"
        ) from error
    if store.people.keys() - people_of(entry).keys():
        # Of somebody who was removed while this door was not loaded.
        await store.async_commit(people_of(entry).keys())
    return store


async def _async_renew_templates(
    entry: FaceLockConfigEntry, bundle: Bundle, store: PictureStore, worker: Worker
) -> None:
    """Templates of another model cannot be compared: make them anew from the stored crops."""
    outdated = store.outdated(bundle.verifier.model)
    for person in outdated:
        store.put(person, await worker.async_run(embed_anew, bundle, store.album(person)))
    if outdated:
        _LOGGER.info("Embedded the pictures of %s people with the new model", len(outdated))
        await store.async_commit(people_of(entry).keys())


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
    """Tell the owner when the target lock was removed."""
    lock = coordinator.lock
    if not isinstance(lock, TargetLock):
        return
    issue = f"{ISSUE_LOCK_MISSING}_{entry.entry_id}"
    if lock.entity_id is None:
        async_report(hass, issue, ISSUE_LOCK_MISSING, door=entry.title)
    else:
        ir.async_delete_issue(hass, DOMAIN, issue)


@callback
def _follow_names(
    hass: HomeAssistant, entry: FaceLockConfigEntry, coordinator: FaceLockCoordinator
) -> None:
    """Start anew when an entity that is listened to is renamed or removed."""
    references = [entry.data.get(CONF_LOCK), *coordinator.settings.triggers]
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
