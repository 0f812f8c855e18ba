"""Whether something moves in front of the door."""

# ruff: noqa: ARG001 - Home Assistant calls these with fixed signatures

from __future__ import annotations

from typing import override

from homeassistant.components.binary_sensor import BinarySensorEntity
from homeassistant.components.binary_sensor.const import BinarySensorDeviceClass
from homeassistant.core import HomeAssistant
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .coordinator import FaceLockConfigEntry, FaceLockCoordinator
from .entity import WatchingEntity

PARALLEL_UPDATES = 0


async def async_setup_entry(
    hass: HomeAssistant,
    entry: FaceLockConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Add the motion sensor."""
    async_add_entities([MotionSensor(entry.runtime_data)])


class MotionSensor(WatchingEntity, BinarySensorEntity):
    """On while the motion gate is open, that is while pictures are searched for faces."""

    _attr_device_class = BinarySensorDeviceClass.MOTION

    def __init__(self, coordinator: FaceLockCoordinator) -> None:
        super().__init__(coordinator, "motion")

    @property
    @override
    def is_on(self) -> bool:
        return self.coordinator.data.motion
