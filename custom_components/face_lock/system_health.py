"""What the page System information says of Face Lock: figures, no door's or person's name."""

from __future__ import annotations

from typing import Any

from homeassistant.components.system_health import SystemHealthRegistration
from homeassistant.config_entries import ConfigEntryState
from homeassistant.core import HomeAssistant, callback

from .const import DOMAIN
from .coordinator import FaceLockConfigEntry
from .vision import BundleError, check_bundle


@callback
def async_register(
    hass: HomeAssistant,  # noqa: ARG001 - Core passes it
    register: SystemHealthRegistration,
) -> None:
    """Register the callback that system health asks."""
    register.async_register_info(async_system_health_info)


async def async_system_health_info(hass: HomeAssistant) -> dict[str, Any]:
    """Describe the models, as they are on the disk now, the runtime and the doors."""
    entries: list[FaceLockConfigEntry] = hass.config_entries.async_entries(DOMAIN)
    doors = [e.runtime_data for e in entries if e.state is ConfigEntryState.LOADED]
    running = {f"{door.bundle.info.runtime} {door.bundle.info.runtime_version}" for door in doors}
    version: str | None
    try:
        version = await hass.async_add_executor_job(check_bundle)
    except BundleError:
        version = None
    return {
        "bundle": version,
        "models_verified": version is not None,
        "runtime": ", ".join(sorted(running)) or None,
        "doors": len(entries),
        "doors_watched": sum(door.data.outage is None for door in doors),
    }
