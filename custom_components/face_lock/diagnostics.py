"""Diagnostics without names, pictures, embeddings or similarities."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, Final

from homeassistant.components.diagnostics import async_redact_data
from homeassistant.const import STATE_UNAVAILABLE
from homeassistant.core import HomeAssistant

from .coordinator import DoorCoordinator
from .household import FaceLockConfigEntry
from .locking.driver import TargetLock
from .people import doors_of, people_of
from .settings import (
    CONF_ANNOUNCE,
    CONF_CODE,
    CONF_FACTOR_ENTITY,
    CONF_FACTOR_STATE,
    CONF_FLASH_LIGHT,
    CONF_TRIGGERS,
    SECTIONS,
)
from .vision.networks.runtime import available

REDACTED: Final = {
    CONF_ANNOUNCE,
    CONF_CODE,
    CONF_FACTOR_ENTITY,
    CONF_FACTOR_STATE,
    CONF_FLASH_LIGHT,
    CONF_TRIGGERS,
}
"""A code's hash could be tried out; entities are named after people and places."""


async def async_get_config_entry_diagnostics(
    hass: HomeAssistant, entry: FaceLockConfigEntry
) -> dict[str, Any]:
    """Describe a household and its doors."""
    household = entry.runtime_data
    return {
        "options": dict(entry.options),
        "bundle": asdict(household.bundle.info),
        "runtimes": await hass.async_add_executor_job(available),
        "people": [len(household.store.album(person)) for person in people_of(entry)],
        "doors": [
            _describe(door, dict(doors_of(entry)[i].data)) for i, door in household.doors.items()
        ],
    }


def _describe(door: DoorCoordinator, data: dict[str, Any]) -> dict[str, Any]:
    lock = door.lock
    target = lock.state if isinstance(lock, TargetLock) else None
    return {
        "options": async_redact_data({name: data.get(name, {}) for name in SECTIONS}, REDACTED),
        "cameras": [
            asdict(watcher.counters) | {"visits": watcher.visits} for watcher in door.watchers
        ],
        "visits": len(door.records.history.visits),
        "outage": door.data.outage,
        "motion": door.data.motion,
        "lock": {
            "target": isinstance(lock, TargetLock),
            "available": target is not None and target.state != STATE_UNAVAILABLE,
        },
    }
