"""What happens in front of the door."""

# ruff: noqa: ARG001 - Home Assistant calls these with fixed signatures

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, override

from homeassistant.components.binary_sensor import (
    BinarySensorEntity,
    BinarySensorEntityDescription,
)
from homeassistant.components.binary_sensor.const import BinarySensorDeviceClass
from homeassistant.core import HomeAssistant
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .coordinator import DoorCoordinator
from .entity import DescribedEntity, DoorEntityDescription, async_add_for_doors
from .household import FaceLockConfigEntry

PARALLEL_UPDATES = 0


@dataclass(frozen=True, kw_only=True)
class DoorBinarySensorDescription(BinarySensorEntityDescription, DoorEntityDescription):
    """Describes a binary sensor of a door."""

    value: Callable[[DoorCoordinator], bool]


DESCRIPTIONS: Final = (
    # On while the motion gate is open, that is while pictures are searched for faces.
    DoorBinarySensorDescription(
        key="motion",
        device_class=BinarySensorDeviceClass.MOTION,
        value=lambda door: door.data.motion,
    ),
    DoorBinarySensorDescription(
        key="face",
        translation_key="face",
        device_class=BinarySensorDeviceClass.OCCUPANCY,
        value=lambda door: door.data.face,
    ),
    DoorBinarySensorDescription(
        key="locked_out",
        translation_key="locked_out",
        watching=False,
        value=lambda door: door.controller.is_locked_out,
    ),
)


async def async_setup_entry(
    hass: HomeAssistant,
    entry: FaceLockConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Add each door's binary sensors."""
    async_add_for_doors(
        entry,
        async_add_entities,
        lambda door: [DoorBinarySensor(door, description) for description in DESCRIPTIONS],
    )


class DoorBinarySensor(DescribedEntity, BinarySensorEntity):
    """One of `DESCRIPTIONS`."""

    entity_description: DoorBinarySensorDescription

    @property
    @override
    def is_on(self) -> bool:
        return self.entity_description.value(self.coordinator)
