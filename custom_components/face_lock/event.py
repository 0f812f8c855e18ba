"""One event for the end of each visit, and one for each question to its visitors."""

from __future__ import annotations

from typing import Any, Final, override

from homeassistant.components.event import EventEntity
from homeassistant.const import ATTR_DEVICE_ID, ATTR_ENTITY_ID, ATTR_NAME, Platform
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers import entity_registry as er
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .access import EVENT_TYPES, Access
from .asker import QUESTION_TYPES, Asker, Question
from .const import DOMAIN, EVENT_ACCESS
from .coordinator import FaceLockConfigEntry, FaceLockCoordinator
from .entity import FaceLockEntity, percent

PARALLEL_UPDATES = 0

KEY_CHALLENGE: Final = "challenge"


async def async_setup_entry(
    hass: HomeAssistant,
    entry: FaceLockConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Add the events; let go of the question's where nobody is asked any more."""
    coordinator = entry.runtime_data
    async_add_entities([AccessEvent(coordinator)])
    if coordinator.asker is not None:
        async_add_entities([ChallengeEvent(coordinator, coordinator.asker)])
        return
    registry = er.async_get(hass)
    unique_id = f"{entry.entry_id}_{KEY_CHALLENGE}"
    stale = registry.async_get_entity_id(Platform.EVENT, DOMAIN, unique_id)
    if stale is not None:
        registry.async_remove(stale)


class AccessEvent(FaceLockEntity, EventEntity):
    """Who was let in, or who was not and why.

    It stays available while the camera is lost: its last event remains true.
    """

    _attr_translation_key = "access"

    def __init__(self, coordinator: FaceLockCoordinator) -> None:
        super().__init__(coordinator, "access")
        self._attr_event_types = list(EVENT_TYPES)

    @override
    async def async_added_to_hass(self) -> None:
        """Subscribe to the ends of visits."""
        await super().async_added_to_hass()
        self.async_on_remove(self.coordinator.async_subscribe_access(self._handle))

    @callback
    def _handle(self, access: Access) -> None:
        attempt = access.attempt
        told = {
            "person": access.name,
            "confidence": percent(attempt.confidence),
            "reason": None if attempt.problem is None else attempt.problem.value,
            "duration": round(attempt.duration, 3),
            "response_time": (
                None if access.response_time is None else round(access.response_time, 3)
            ),
        }
        self._trigger_event(access.event_type, told)
        self.async_write_ha_state()
        self._log({"event_type": access.event_type, **told})

    @callback
    def _log(self, told: dict[str, Any]) -> None:
        """Let the logbook know: it would only show the type of the event."""
        device = {} if self.device_entry is None else {ATTR_DEVICE_ID: self.device_entry.id}
        door = {ATTR_ENTITY_ID: self.entity_id, ATTR_NAME: self.coordinator.config_entry.title}
        self.hass.bus.async_fire(EVENT_ACCESS, {**door, **device, **told})

    @callback
    @override
    def _handle_coordinator_update(self) -> None:
        """Leave the state alone: only an access changes it."""


class ChallengeEvent(FaceLockEntity, EventEntity):
    """What the visitor is asked to do, whoever it is."""

    _attr_translation_key = "challenge"

    def __init__(self, coordinator: FaceLockCoordinator, asker: Asker) -> None:
        super().__init__(coordinator, KEY_CHALLENGE)
        self._asker = asker
        self._attr_event_types = list(QUESTION_TYPES)

    @override
    async def async_added_to_hass(self) -> None:
        """Subscribe to the questions."""
        await super().async_added_to_hass()
        self.async_on_remove(self._asker.async_subscribe(self._handle))

    @callback
    def _handle(self, question: Question) -> None:
        told = {"direction": question.direction, "message": question.message}
        self._trigger_event(question.event_type, told)
        self.async_write_ha_state()

    @callback
    @override
    def _handle_coordinator_update(self) -> None:
        """Leave the state alone: only a question changes it."""
