"""What all entities of a door, or of a person, have in common."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final, override

from homeassistant.auth.permissions.const import POLICY_CONTROL
from homeassistant.config_entries import ConfigSubentry
from homeassistant.core import Context, HomeAssistant, callback
from homeassistant.exceptions import Unauthorized, UnknownUser
from homeassistant.helpers import entity_registry as er
from homeassistant.helpers.device_registry import DeviceInfo
from homeassistant.helpers.entity import Entity, EntityDescription
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback
from homeassistant.helpers.update_coordinator import CoordinatorEntity

from .const import DOMAIN
from .coordinator import DoorCoordinator
from .household import FaceLockConfigEntry, Household

MANUFACTURER: Final = "Face Lock"
MODEL_DOOR: Final = "Door"
MODEL_PERSON: Final = "Person"


@callback
def async_add_for_doors(
    entry: FaceLockConfigEntry,
    add: AddConfigEntryEntitiesCallback,
    make: Callable[[DoorCoordinator], Iterable[Entity]],
) -> None:
    """Add a platform's entities for each door, now and later."""
    entry.async_on_unload(
        entry.runtime_data.async_add_for_doors(
            lambda door: add(make(door), config_subentry_id=door.subentry_id)
        )
    )


@callback
def async_add_for_people(
    entry: FaceLockConfigEntry,
    add: AddConfigEntryEntitiesCallback,
    make: Callable[[str, ConfigSubentry], Iterable[Entity]],
) -> None:
    """Add a platform's entities for each person, now and later."""
    entry.async_on_unload(
        entry.runtime_data.async_add_for_people(
            lambda person, subentry: add(
                make(person, subentry), config_subentry_id=subentry.subentry_id
            )
        )
    )


@callback
def async_let_go(hass: HomeAssistant, platform: str, unique_id: str) -> None:
    """Remove the registry's entry of an entity that the owner does not want any more."""
    registry = er.async_get(hass)
    if (stale := registry.async_get_entity_id(platform, DOMAIN, unique_id)) is not None:
        registry.async_remove(stale)


def door_device(door: DoorCoordinator) -> DeviceInfo:
    """Describe the door's device."""
    return DeviceInfo(
        identifiers={(DOMAIN, door.id)},
        name=door.title,
        manufacturer=MANUFACTURER,
        model=MODEL_DOOR,
        sw_version=door.bundle.info.version,
    )


class DoorEntity(CoordinatorEntity[DoorCoordinator]):
    """An entity of a door."""

    _attr_has_entity_name = True

    def __init__(self, coordinator: DoorCoordinator, key: str) -> None:
        super().__init__(coordinator)
        self._attr_unique_id = f"{coordinator.id}_{key}"
        self._attr_device_info = door_device(coordinator)

    @override
    async def async_added_to_hass(self) -> None:
        """Go with the door when it is started again."""
        await super().async_added_to_hass()
        self.coordinator.entities.add(self)

    @override
    async def async_will_remove_from_hass(self) -> None:
        """Be forgotten by the door."""
        self.coordinator.entities.discard(self)
        await super().async_will_remove_from_hass()


@dataclass(frozen=True, kw_only=True)
class DoorEntityDescription(EntityDescription):
    """Describes an entity of a door; ``watching``: its value comes from the camera's pictures."""

    watching: bool = True


class DescribedEntity(DoorEntity):
    """An entity of a door that its description says all of."""

    entity_description: DoorEntityDescription

    def __init__(self, coordinator: DoorCoordinator, description: DoorEntityDescription) -> None:
        super().__init__(coordinator, description.key)
        self.entity_description = description

    @property
    @override
    def available(self) -> bool:
        """Whether the door is being watched, for what depends on it."""
        watching = self.entity_description.watching
        return super().available and (not watching or self.coordinator.is_watching)


async def async_require_admin(entity: Entity, context: Context | None) -> None:
    """Let nobody but administrators, and automations that nobody runs, change who may come in.

    Raises:
        UnknownUser: whoever calls exists no more.
        Unauthorized: the caller is no administrator.

    """
    if context is None or context.user_id is None:
        return
    user = await entity.hass.auth.async_get_user(context.user_id)
    if user is None:
        raise UnknownUser(context=context, entity_id=entity.entity_id)
    if not user.is_admin:
        raise Unauthorized(context=context, entity_id=entity.entity_id, permission=POLICY_CONTROL)


class PersonEntity(Entity):
    """An entity of an enrolled person; its translation key tells it from the others."""

    _attr_has_entity_name = True
    _attr_should_poll = False
    _attr_translation_key: str

    def __init__(self, household: Household, person: str, subentry: ConfigSubentry) -> None:
        self._household = household
        self._person = person
        self._attr_unique_id = f"{person}_{self._attr_translation_key}"
        self._attr_device_info = DeviceInfo(
            identifiers={(DOMAIN, person)},
            name=subentry.title,
            manufacturer=MANUFACTURER,
            model=MODEL_PERSON,
        )

    @property
    @override
    def extra_state_attributes(self) -> dict[str, str] | None:
        """Name the person of Home Assistant, where the owner chose one."""
        entity_id = self._household.residents.entity_of(self._person)
        return None if entity_id is None else {"person_entity": entity_id}

    @override
    async def async_added_to_hass(self) -> None:
        """Follow the people."""
        await super().async_added_to_hass()
        self.async_on_remove(self._household.residents.async_subscribe(self.async_write_ha_state))
