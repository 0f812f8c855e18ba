"""Finding entities and devices: by names that survive renaming, and those of our own."""

from __future__ import annotations

from homeassistant.core import HomeAssistant, State, callback
from homeassistant.helpers import device_registry as dr, entity_registry as er

from .const import DOMAIN


@callback
def async_entity_reference(hass: HomeAssistant, entity_id: str) -> str:
    """Name an entity so that the name survives renaming: its registry id if it has one."""
    registry = er.async_get(hass)
    entry = registry.async_get(entity_id)
    return entity_id if entry is None else entry.id


@callback
def async_resolve(hass: HomeAssistant, reference: str) -> str | None:
    """Return the entity id that ``reference`` stands for now; None once it was removed."""
    return er.async_resolve_entity_id(er.async_get(hass), reference)


@callback
def async_state_of(hass: HomeAssistant, reference: str | None) -> State | None:
    """Return the state of what ``reference`` stands for; None where there is none."""
    entity_id = None if reference is None else async_resolve(hass, reference)
    return None if entity_id is None else hass.states.get(entity_id)


@callback
def async_device_of(hass: HomeAssistant, entry_id: str, owner: str) -> str | None:
    """Return the device id of a door or a person of ours; None where there is none (yet)."""
    try:
        return dr.async_get_device_id_by_identifier(hass, (DOMAIN, owner), config_entry_id=entry_id)
    except ValueError:
        return None
