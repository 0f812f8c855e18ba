"""Diagnostics without names, pictures, embeddings or similarities."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from homeassistant.const import STATE_UNAVAILABLE
from homeassistant.core import HomeAssistant

from .coordinator import FaceLockConfigEntry, people_of
from .door_lock import TargetLock
from .vision.runtime import available


async def async_get_config_entry_diagnostics(
    hass: HomeAssistant, entry: FaceLockConfigEntry
) -> dict[str, Any]:
    """Describe a door."""
    coordinator = entry.runtime_data
    lock = coordinator.lock
    target = lock.state if isinstance(lock, TargetLock) else None
    return {
        "options": dict(entry.options),
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
