"""What all entities of a door have in common."""

from __future__ import annotations

from dataclasses import dataclass
from math import floor
from typing import override

from homeassistant.config_entries import ConfigSubentry
from homeassistant.helpers import device_registry as dr
from homeassistant.helpers.device_registry import DeviceInfo
from homeassistant.helpers.entity import EntityDescription
from homeassistant.helpers.update_coordinator import CoordinatorEntity

from .const import DOMAIN
from .coordinator import FaceLockConfigEntry, FaceLockCoordinator

MANUFACTURER = "Face Lock"


def percent(probability: float) -> float:
    """Return a probability 0..1 in %, one decimal, rounded down: certainty is never claimed."""
    return floor(round(1000 * probability, 6)) / 10


def door_device(entry: FaceLockConfigEntry) -> DeviceInfo:
    """Describe the door's device."""
    return DeviceInfo(
        identifiers={(DOMAIN, entry.entry_id)},
        name=entry.title,
        manufacturer=MANUFACTURER,
        model="Door",
        sw_version=entry.runtime_data.bundle.info.version,
    )


class FaceLockEntity(CoordinatorEntity[FaceLockCoordinator]):
    """An entity of a door."""

    _attr_has_entity_name = True

    def __init__(self, coordinator: FaceLockCoordinator, key: str) -> None:
        super().__init__(coordinator)
        entry = coordinator.config_entry
        self._attr_unique_id = f"{entry.entry_id}_{key}"
        self._attr_device_info = door_device(entry)


@dataclass(frozen=True, kw_only=True)
class DoorEntityDescription(EntityDescription):
    """Describes an entity of a door; ``watching``: its value comes from the camera's pictures."""

    watching: bool = True


class DescribedEntity(FaceLockEntity):
    """An entity of a door that its description says all of."""

    entity_description: DoorEntityDescription

    def __init__(
        self, coordinator: FaceLockCoordinator, description: DoorEntityDescription
    ) -> None:
        super().__init__(coordinator, description.key)
        self.entity_description = description

    @property
    @override
    def available(self) -> bool:
        """Whether the door is being watched, for what depends on it."""
        watching = self.entity_description.watching
        return super().available and (not watching or self.coordinator.is_watching)


class PersonEntity(CoordinatorEntity[FaceLockCoordinator]):
    """An entity of an enrolled person; its translation key tells it from the others."""

    _attr_has_entity_name = True
    _attr_translation_key: str

    def __init__(
        self, coordinator: FaceLockCoordinator, person: str, subentry: ConfigSubentry
    ) -> None:
        super().__init__(coordinator)
        entry = coordinator.config_entry
        self._person = person
        self._attr_unique_id = f"{person}_{self._attr_translation_key}"
        self._attr_device_info = DeviceInfo(
            identifiers={(DOMAIN, person)},
            name=subentry.title,
            manufacturer=MANUFACTURER,
            model="Person",
            via_device_id=dr.async_get_device_id_by_identifier(
                coordinator.hass, (DOMAIN, entry.entry_id), config_entry_id=entry.entry_id
            ),
        )
