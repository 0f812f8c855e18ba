"""Recognition on or off, and who is allowed in."""

# ruff: noqa: ARG001 - Home Assistant calls these with fixed signatures

from __future__ import annotations

from typing import Any, override

from homeassistant.components.switch import SwitchEntity
from homeassistant.const import STATE_OFF, EntityCategory
from homeassistant.core import HomeAssistant
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback
from homeassistant.helpers.restore_state import RestoreEntity

from .coordinator import FaceLockConfigEntry, FaceLockCoordinator
from .entity import FaceLockEntity, PersonEntity
from .people import people_of

PARALLEL_UPDATES = 0


async def async_setup_entry(
    hass: HomeAssistant,
    entry: FaceLockConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Add the door's switch, and one for each person."""
    coordinator = entry.runtime_data
    async_add_entities([RecognitionSwitch(coordinator)])
    for person, subentry in people_of(entry).items():
        async_add_entities(
            [AllowedSwitch(coordinator, person, subentry)],
            config_subentry_id=subentry.subentry_id,
        )


class RecognitionSwitch(FaceLockEntity, SwitchEntity, RestoreEntity):
    """Off: no picture is asked for, and no face opens the door. Remembered over restarts."""

    _attr_translation_key = "recognition"

    def __init__(self, coordinator: FaceLockCoordinator) -> None:
        super().__init__(coordinator, "recognition")

    @override
    async def async_added_to_hass(self) -> None:
        """Leave off what was off; the door is not watched yet at this point of the set-up."""
        await super().async_added_to_hass()
        state = await self.async_get_last_state()
        if state is not None and state.state == STATE_OFF:
            self.coordinator.async_enable(enabled=False)

    @property
    @override
    def is_on(self) -> bool:
        return self.coordinator.watcher.is_enabled

    @override
    async def async_turn_on(self, **kwargs: Any) -> None:
        """Watch the door."""
        self.coordinator.async_enable(enabled=True)

    @override
    async def async_turn_off(self, **kwargs: Any) -> None:
        """Watch it no more."""
        self.coordinator.async_enable(enabled=False)


class AllowedSwitch(PersonEntity, SwitchEntity):
    """Off: the person is recognised and not let in."""

    _attr_translation_key = "allowed"
    _attr_entity_category = EntityCategory.CONFIG

    @property
    @override
    def is_on(self) -> bool:
        person = self.coordinator.entrance.people.get(self._person)
        return person is not None and person.allowed

    @override
    async def async_turn_on(self, **kwargs: Any) -> None:
        """Let the person in again."""
        self.coordinator.async_set_allowed(self._person, allowed=True)

    @override
    async def async_turn_off(self, **kwargs: Any) -> None:
        """Suspend the person."""
        self.coordinator.async_set_allowed(self._person, allowed=False)
