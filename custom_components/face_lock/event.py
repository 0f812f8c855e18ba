"""One event for the end of each visit."""

# ruff: noqa: ARG001 - Home Assistant calls these with fixed signatures

from __future__ import annotations

from typing import override

from homeassistant.components.event import EventEntity
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .const import EVENT_ACCESS_DENIED, EVENT_ACCESS_GRANTED
from .coordinator import Access, FaceLockConfigEntry, FaceLockCoordinator
from .entity import FaceLockEntity, percent

PARALLEL_UPDATES = 0


async def async_setup_entry(
    hass: HomeAssistant,
    entry: FaceLockConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Add the access event."""
    async_add_entities([AccessEvent(entry.runtime_data)])


class AccessEvent(FaceLockEntity, EventEntity):
    """Who was let in, or who was not and why.

    It stays available while the camera is lost: its last event remains true.
    """

    _attr_translation_key = "access"
    _attr_event_types = [EVENT_ACCESS_GRANTED, EVENT_ACCESS_DENIED]  # noqa: RUF012 - as core has it

    def __init__(self, coordinator: FaceLockCoordinator) -> None:
        super().__init__(coordinator, "access")

    @override
    async def async_added_to_hass(self) -> None:
        """Subscribe to the ends of visits."""
        await super().async_added_to_hass()
        self.async_on_remove(self.coordinator.async_subscribe_access(self._handle))

    @callback
    def _handle(self, access: Access) -> None:
        attempt = access.attempt
        self._trigger_event(
            EVENT_ACCESS_GRANTED if attempt.granted else EVENT_ACCESS_DENIED,
            {
                "person": access.person,
                "confidence": percent(attempt.confidence),
                "reason": None if attempt.problem is None else attempt.problem.value,
                "duration": round(attempt.duration, 3),
                "response_time": (
                    None if access.response_time is None else round(access.response_time, 3)
                ),
            },
        )
        self.async_write_ha_state()

    @callback
    @override
    def _handle_coordinator_update(self) -> None:
        """Leave the state alone: only an access changes it."""
