"""Recognition on or off, and who is allowed in: for administrators, and for automations."""

# ruff: noqa: ARG001 - Home Assistant calls these with fixed signatures

from __future__ import annotations

from typing import Any, override

from homeassistant.components.switch import SwitchEntity
from homeassistant.const import EntityCategory
from homeassistant.core import HomeAssistant
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .coordinator import DoorCoordinator
from .entity import (
    DoorEntity,
    PersonEntity,
    async_add_for_doors,
    async_add_for_people,
    async_require_admin,
)
from .household import FaceLockConfigEntry

PARALLEL_UPDATES = 0


async def async_setup_entry(
    hass: HomeAssistant,
    entry: FaceLockConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Add each door's switch, and one for each person."""
    household = entry.runtime_data
    async_add_for_doors(entry, async_add_entities, lambda door: [RecognitionSwitch(door)])
    async_add_for_people(
        entry,
        async_add_entities,
        lambda person, subentry: [AllowedSwitch(household, person, subentry)],
    )


class RecognitionSwitch(DoorEntity, SwitchEntity):
    """Off: no picture is asked for, and no face opens the door. Kept over restarts."""

    _attr_translation_key = "recognition"

    def __init__(self, coordinator: DoorCoordinator) -> None:
        super().__init__(coordinator, "recognition")

    @property
    @override
    def is_on(self) -> bool:
        return self.coordinator.is_enabled

    @override
    async def async_turn_on(self, **kwargs: Any) -> None:
        """Watch the door."""
        await async_require_admin(self, self._context)
        self.coordinator.async_enable(enabled=True)

    @override
    async def async_turn_off(self, **kwargs: Any) -> None:
        """Watch it no more."""
        await async_require_admin(self, self._context)
        self.coordinator.async_enable(enabled=False)


class AllowedSwitch(PersonEntity, SwitchEntity):
    """Off: the person is recognised and not let in."""

    _attr_translation_key = "allowed"
    _attr_entity_category = EntityCategory.CONFIG

    @property
    @override
    def is_on(self) -> bool:
        person = self._household.residents.rules.get(self._person)
        return person is not None and person.allowed

    @override
    async def async_turn_on(self, **kwargs: Any) -> None:
        """Let the person in again."""
        await async_require_admin(self, self._context)
        self._household.residents.async_set_allowed(self._person, allowed=True)

    @override
    async def async_turn_off(self, **kwargs: Any) -> None:
        """Suspend the person."""
        await async_require_admin(self, self._context)
        self._household.residents.async_set_allowed(self._person, allowed=False)
