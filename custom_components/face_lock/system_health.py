"""What the page System information says of Face Lock: figures, no door's or person's name."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from homeassistant.components.system_health import SystemHealthRegistration
from homeassistant.config_entries import ConfigEntryState
from homeassistant.core import HomeAssistant, callback

from .const import DOMAIN
from .household import FaceLockConfigEntry
from .people import doors_of
from .recognition.own_models import models_folder
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
    households = [e.runtime_data for e in entries if e.state is ConfigEntryState.LOADED]
    infos = [household.bundle.info for household in households]
    running = {f"{info.runtime} {info.runtime_version}" for info in infos}
    # Face Lock's own, and those that the household is set to.
    folders = {None, *(models_folder(hass, household.settings.bundle) for household in households)}
    versions: list[str] = []
    for folder in sorted(folders, key=str):
        with suppress(BundleError):
            versions.append(await hass.async_add_executor_job(check_bundle, folder))
    return {
        "bundle": ", ".join(versions) or None,
        "models_verified": len(versions) == len(folders),
        "runtime": ", ".join(sorted(running)) or None,
        "doors": sum(len(doors_of(entry)) for entry in entries),
        "doors_watched": sum(
            door.data.outage is None
            for household in households
            for door in household.doors.values()
        ),
    }
