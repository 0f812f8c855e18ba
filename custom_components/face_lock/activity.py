"""What automations and the logbook are told of a visit, whichever entities the owner enabled."""

from __future__ import annotations

from typing import Any

from homeassistant.const import ATTR_DEVICE_ID, ATTR_ENTITY_ID, ATTR_NAME, Platform
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers import entity_registry as er

from .const import DOMAIN, EVENT_ACCESS
from .coordinator import DoorCoordinator
from .entity_reference import async_device_of, async_resolve
from .format import percent
from .visit import Visit

KEY_ACCESS = "access"
KEY_LOCK = "lock"


@callback
def visit_attributes(door: DoorCoordinator, visit: Visit) -> dict[str, Any]:
    """Describe a visit, for the event entity and the bus alike."""
    return {
        "person": visit.name,
        "person_entity": door.residents.entity_of(visit.person),
        "confidence": percent(visit.confidence),
        "reason": visit.reason,
        "duration": round(visit.duration, 3),
        "response_time": None if visit.response_time is None else round(visit.response_time, 3),
        "camera": async_resolve(door.hass, visit.camera),
        "visit": visit.id,
    }


@callback
def async_tell_logbook(hass: HomeAssistant, door: DoorCoordinator, visit: Visit) -> None:
    """Let the logbook know: of an event entity it would only show the event's type."""
    device = async_device_of(hass, door.config_entry.entry_id, door.id)
    where = {ATTR_NAME: door.title, ATTR_ENTITY_ID: _entity(hass, door)}
    if device is not None:
        where[ATTR_DEVICE_ID] = device
    hass.bus.async_fire(
        EVENT_ACCESS, {**where, "event_type": visit.outcome, **visit_attributes(door, visit)}
    )


@callback
def _entity(hass: HomeAssistant, door: DoorCoordinator) -> str | None:
    """Return the entity under which the line is found: the lock where there is no event."""
    registry = er.async_get(hass)
    for platform, key in ((Platform.EVENT, KEY_ACCESS), (Platform.LOCK, KEY_LOCK)):
        entity_id = registry.async_get_entity_id(platform, DOMAIN, f"{door.id}_{key}")
        known = None if entity_id is None else registry.async_get(entity_id)
        if known is not None and not known.disabled:
            return entity_id
    return None
