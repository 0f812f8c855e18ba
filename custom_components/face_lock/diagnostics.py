"""Diagnostics without names, pictures, embeddings or similarities."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, Final

from homeassistant.components.diagnostics import async_redact_data
from homeassistant.const import STATE_UNAVAILABLE
from homeassistant.core import HomeAssistant

from .coordinator import FaceLockConfigEntry
from .door_lock import TargetLock
from .people import people_of
from .settings import (
    CONF_ANNOUNCE,
    CONF_CODE,
    CONF_FACTOR_ENTITY,
    CONF_FACTOR_STATE,
    CONF_FLASH_LIGHT,
    CONF_TRIGGERS,
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
    """Describe a door."""
    coordinator = entry.runtime_data
    lock = coordinator.lock
    target = lock.state if isinstance(lock, TargetLock) else None
    return {
        "options": async_redact_data(entry.options, REDACTED),
        "bundle": asdict(coordinator.bundle.info),
        "runtimes": await hass.async_add_executor_job(available),
        "people": [len(coordinator.store.album(person)) for person in people_of(entry)],
        "watcher": asdict(coordinator.watcher.counters),
        "outage": coordinator.data.outage,
        "motion": coordinator.data.motion,
        "lock": {
            "target": isinstance(lock, TargetLock),
            "available": target is not None and target.state != STATE_UNAVAILABLE,
        },
    }
