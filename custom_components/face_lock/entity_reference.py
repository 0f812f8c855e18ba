"""Finding entities and devices: by names that survive renaming, and those of our own."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from homeassistant.core import (
    CALLBACK_TYPE,
    Event,
    EventStateChangedData,
    HomeAssistant,
    State,
    callback,
)
from homeassistant.helpers import device_registry as dr, entity_registry as er
from homeassistant.helpers.event import async_track_state_change_event

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
def async_follow(
    hass: HomeAssistant,
    references: Iterable[str],
    changed: Callable[[Event[EventStateChangedData]], None],
) -> CALLBACK_TYPE:
    """Call ``changed`` with each change of some entities; return how to stop that."""
    found = (async_resolve(hass, reference) for reference in references)
    entity_ids = {entity_id for entity_id in found if entity_id is not None}
    return async_track_state_change_event(hass, entity_ids, changed)


@callback
def async_device_of(hass: HomeAssistant, entry_id: str, owner: str) -> str | None:
    """Return the device id of a door or a person of ours; None where there is none (yet)."""
    try:
        return dr.async_get_device_id_by_identifier(hass, (DOMAIN, owner), config_entry_id=entry_id)
    except ValueError:
        return None
