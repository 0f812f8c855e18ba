"""What the page System information says of Face Lock: figures, no door's or person's name."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from homeassistant.components.system_health import SystemHealthRegistration
from homeassistant.config_entries import ConfigEntryState
from homeassistant.core import HomeAssistant, callback

from .const import DOMAIN
from .coordinator import FaceLockConfigEntry
from .own_models import models_folder
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
    # Face Lock's own, and those that doors are set to.
    folders = {None, *(models_folder(hass, door.settings.bundle) for door in doors)}
    versions: list[str] = []
    for folder in sorted(folders, key=str):
        with suppress(BundleError):
            versions.append(await hass.async_add_executor_job(check_bundle, folder))
    return {
        "bundle": ", ".join(versions) or None,
        "models_verified": len(versions) == len(folders),
        "runtime": ", ".join(sorted(running)) or None,
        "doors": len(entries),
        "doors_watched": sum(door.data.outage is None for door in doors),
    }
