"""One event for the end of each visit, and one for each question to its visitors."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, override

from homeassistant.components.event import EventEntity
from homeassistant.const import Platform
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .activity import KEY_ACCESS, visit_attributes
from .challenge.prompter import QUESTION_TYPES, Prompter, Question
from .coordinator import DoorCoordinator
from .entity import DoorEntity, async_add_for_doors, async_let_go
from .household import FaceLockConfigEntry
from .visit import OUTCOMES, Visit

PARALLEL_UPDATES = 0

KEY_CHALLENGE: Final = "challenge"


async def async_setup_entry(
    hass: HomeAssistant,
    entry: FaceLockConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Add each door's events; let go of the question's where nobody is asked any more."""

    def events(door: DoorCoordinator) -> Iterable[EventEntity]:
        yield AccessEvent(door)
        if door.prompter is not None:
            yield ChallengeEvent(door, door.prompter)
        else:
            async_let_go(hass, Platform.EVENT, f"{door.id}_{KEY_CHALLENGE}")

    async_add_for_doors(entry, async_add_entities, events)


class AccessEvent(DoorEntity, EventEntity):
    """Who was let in, or who was not and why.

    It stays available while the camera is lost: its last event remains true.
    """

    _attr_translation_key = "access"

    def __init__(self, coordinator: DoorCoordinator) -> None:
        super().__init__(coordinator, KEY_ACCESS)
        self._attr_event_types = list(OUTCOMES)

    @override
    async def async_added_to_hass(self) -> None:
        """Subscribe to the visits."""
        await super().async_added_to_hass()
        self.async_on_remove(self.coordinator.async_subscribe_visits(self._handle))

    @callback
    def _handle(self, visit: Visit) -> None:
        self._trigger_event(visit.outcome, visit_attributes(self.coordinator, visit))
        self.async_write_ha_state()

    @callback
    @override
    def _handle_coordinator_update(self) -> None:
        """Leave the state alone: only a visit changes it."""


class ChallengeEvent(DoorEntity, EventEntity):
    """What the visitor is asked to do, whoever it is."""

    _attr_translation_key = "challenge"

    def __init__(self, coordinator: DoorCoordinator, prompter: Prompter) -> None:
        super().__init__(coordinator, KEY_CHALLENGE)
        self._prompter = prompter
        self._attr_event_types = list(QUESTION_TYPES)

    @override
    async def async_added_to_hass(self) -> None:
        """Subscribe to the questions."""
        await super().async_added_to_hass()
        self.async_on_remove(self._prompter.async_subscribe(self._handle))

    @callback
    def _handle(self, question: Question) -> None:
        told = {"direction": question.direction, "message": question.message}
        self._trigger_event(question.event_type, told)
        self.async_write_ha_state()

    @callback
    @override
    def _handle_coordinator_update(self) -> None:
        """Leave the state alone: only a question changes it."""
