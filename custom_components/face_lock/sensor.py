"""How sure the recognition is, and how many pictures each person has."""

# ruff: noqa: ARG001 - Home Assistant calls these with fixed signatures

from __future__ import annotations

from typing import override

from homeassistant.components.sensor import SensorEntity, SensorStateClass
from homeassistant.config_entries import ConfigSubentry
from homeassistant.const import PERCENTAGE, EntityCategory
from homeassistant.core import HomeAssistant
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .coordinator import FaceLockConfigEntry, FaceLockCoordinator, people_of
from .entity import PersonEntity, WatchingEntity, percent

PARALLEL_UPDATES = 0


async def async_setup_entry(
    hass: HomeAssistant,
    entry: FaceLockConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Add the door's sensor, and one for each person."""
    coordinator = entry.runtime_data
    async_add_entities([ConfidenceSensor(coordinator)])
    for person, subentry in people_of(entry).items():
        async_add_entities(
            [PicturesSensor(coordinator, person, subentry)],
            config_subentry_id=subentry.subentry_id,
        )


class ConfidenceSensor(WatchingEntity, SensorEntity):
    """The running visit's best confidence, then the result's; unknown again soon after."""

    _attr_translation_key = "confidence"
    _attr_native_unit_of_measurement = PERCENTAGE
    _attr_state_class = SensorStateClass.MEASUREMENT
    _attr_suggested_display_precision = 1

    def __init__(self, coordinator: FaceLockCoordinator) -> None:
        super().__init__(coordinator, "confidence")

    @property
    @override
    def native_value(self) -> float | None:
        confidence = self.coordinator.data.confidence
        return None if confidence is None else percent(confidence)


class PicturesSensor(PersonEntity, SensorEntity):
    """Number of a person's reference pictures."""

    _attr_translation_key = "pictures"
    _attr_entity_category = EntityCategory.DIAGNOSTIC

    def __init__(
        self, coordinator: FaceLockCoordinator, person: str, subentry: ConfigSubentry
    ) -> None:
        super().__init__(coordinator, person, subentry, "pictures")

    @property
    @override
    def native_value(self) -> int:
        return len(self.coordinator.store.album(self._person))
