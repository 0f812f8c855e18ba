"""Whom the door sees, how sure it is, how busy it is, and what is enrolled of each person."""

# ruff: noqa: ARG001 - Home Assistant calls these with fixed signatures

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final, override

from homeassistant.components.sensor import (
    RestoreSensor,
    SensorDeviceClass,
    SensorEntity,
    SensorEntityDescription,
    SensorStateClass,
)
from homeassistant.const import PERCENTAGE, EntityCategory, UnitOfTime
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .coordinator import DoorCoordinator
from .entity import (
    DescribedEntity,
    DoorEntityDescription,
    PersonEntity,
    async_add_for_doors,
    async_add_for_people,
)
from .format import percent
from .household import FaceLockConfigEntry
from .visit import Visit

PARALLEL_UPDATES = 0

Value = float | str | None


@dataclass(frozen=True, kw_only=True)
class DoorSensorDescription(SensorEntityDescription, DoorEntityDescription):
    """Describes a sensor of a door."""

    value: Callable[[DoorCoordinator], Value]


def _confidence(door: DoorCoordinator) -> Value:
    confidence = door.data.confidence
    return None if confidence is None else percent(confidence)


def _frames_per_second(door: DoorCoordinator) -> Value:
    performance = door.data.performance
    return None if performance is None else round(performance.frames_per_second, 2)


def _gate_open(door: DoorCoordinator) -> Value:
    performance = door.data.performance
    return None if performance is None else round(100 * performance.gate_open, 1)


def _inference(door: DoorCoordinator) -> Value:
    performance = door.data.performance
    if performance is None or performance.inference_seconds is None:
        return None
    return round(1000 * performance.inference_seconds, 1)


DESCRIPTIONS: Final = (
    # The running visit's best confidence, then the result's; unknown again soon after.
    DoorSensorDescription(
        key="confidence",
        translation_key="confidence",
        native_unit_of_measurement=PERCENTAGE,
        state_class=SensorStateClass.MEASUREMENT,
        suggested_display_precision=1,
        value=_confidence,
    ),
    DoorSensorDescription(
        key="last_person",
        translation_key="last_person",
        value=lambda door: door.residents.name_of(door.data.person),
    ),
    DoorSensorDescription(
        key="frames_per_second",
        translation_key="frames_per_second",
        state_class=SensorStateClass.MEASUREMENT,
        entity_category=EntityCategory.DIAGNOSTIC,
        entity_registry_enabled_default=False,
        value=_frames_per_second,
    ),
    DoorSensorDescription(
        key="gate_open",
        translation_key="gate_open",
        native_unit_of_measurement=PERCENTAGE,
        state_class=SensorStateClass.MEASUREMENT,
        entity_category=EntityCategory.DIAGNOSTIC,
        entity_registry_enabled_default=False,
        value=_gate_open,
    ),
    DoorSensorDescription(
        key="inference",
        translation_key="inference",
        native_unit_of_measurement=UnitOfTime.MILLISECONDS,
        device_class=SensorDeviceClass.DURATION,
        state_class=SensorStateClass.MEASUREMENT,
        entity_category=EntityCategory.DIAGNOSTIC,
        entity_registry_enabled_default=False,
        value=_inference,
    ),
    DoorSensorDescription(
        key="runtime",
        translation_key="runtime",
        entity_category=EntityCategory.DIAGNOSTIC,
        entity_registry_enabled_default=False,
        watching=False,
        value=lambda door: f"{door.bundle.info.runtime} {door.bundle.info.runtime_version}",
    ),
    DoorSensorDescription(
        key="model_version",
        translation_key="model_version",
        entity_category=EntityCategory.DIAGNOSTIC,
        entity_registry_enabled_default=False,
        watching=False,
        value=lambda door: door.bundle.info.version,
    ),
)


async def async_setup_entry(
    hass: HomeAssistant,
    entry: FaceLockConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Add each door's sensors, and those of each person."""
    async_add_for_doors(
        entry,
        async_add_entities,
        lambda door: [DoorSensor(door, description) for description in DESCRIPTIONS],
    )
    household = entry.runtime_data
    async_add_for_people(
        entry,
        async_add_entities,
        lambda person, subentry: [
            PicturesSensor(household, person, subentry),
            LastSeenSensor(household, person, subentry),
        ],
    )


class DoorSensor(DescribedEntity, SensorEntity):
    """One of `DESCRIPTIONS`."""

    entity_description: DoorSensorDescription

    @property
    @override
    def native_value(self) -> Value:
        return self.entity_description.value(self.coordinator)


class PicturesSensor(PersonEntity, SensorEntity):
    """Number of a person's reference pictures."""

    _attr_translation_key = "pictures"
    _attr_entity_category = EntityCategory.DIAGNOSTIC

    @property
    @override
    def native_value(self) -> int:
        return len(self._household.store.album(self._person))


class LastSeenSensor(PersonEntity, RestoreSensor):
    """When the person was last recognised at a door, let in or not."""

    _attr_translation_key = "last_seen"
    _attr_device_class = SensorDeviceClass.TIMESTAMP

    @override
    async def async_added_to_hass(self) -> None:
        """Take over what was known before the restart, and subscribe to the visits."""
        await super().async_added_to_hass()
        restored = await self.async_get_last_sensor_data()
        if restored is not None and isinstance(restored.native_value, datetime):
            self._attr_native_value = restored.native_value
        for door in self._household.doors.values():
            for visit in door.records.history.visits:
                self._note(visit)
        self.async_on_remove(self._household.async_subscribe_visits(self._handle))

    @callback
    def _handle(self, visit: Visit) -> None:
        if self._note(visit):
            self.async_write_ha_state()

    def _note(self, visit: Visit) -> bool:
        before = self._attr_native_value
        if visit.person != self._person or (isinstance(before, datetime) and before >= visit.ended):
            return False
        self._attr_native_value = visit.ended
        return True
