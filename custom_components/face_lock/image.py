"""The picture of the last visit, for owners who want one kept."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, override

from homeassistant.components.image import ImageEntity
from homeassistant.const import Platform
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .coordinator import DoorCoordinator
from .entity import DoorEntity, async_add_for_doors, async_let_go
from .household import FaceLockConfigEntry
from .storage.visit_picture import VisitPicture
from .visit import Visit

PARALLEL_UPDATES = 0

KEY: Final = "last_visit"


async def async_setup_entry(
    hass: HomeAssistant,
    entry: FaceLockConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Add each door's image, or let go of it where pictures are not to be kept any more."""

    def images(door: DoorCoordinator) -> Iterable[ImageEntity]:
        if door.records.picture is not None:
            yield LastVisitImage(hass, door, door.records.picture)
        else:
            async_let_go(hass, Platform.IMAGE, f"{door.id}_{KEY}")

    async_add_for_doors(entry, async_add_entities, images)


class LastVisitImage(DoorEntity, ImageEntity):
    """Shows who came last, let in or not, until the picture expires."""

    _attr_translation_key = "last_visit"
    _attr_content_type = "image/jpeg"

    def __init__(
        self, hass: HomeAssistant, coordinator: DoorCoordinator, kept: VisitPicture
    ) -> None:
        DoorEntity.__init__(self, coordinator, KEY)
        ImageEntity.__init__(self, hass)
        self._kept = kept

    @override
    async def async_added_to_hass(self) -> None:
        """Subscribe to the visits."""
        await super().async_added_to_hass()
        self._attr_image_last_updated = await self._kept.async_taken_at()
        self.async_on_remove(self.coordinator.async_subscribe_visits(self._handle))

    @override
    async def async_image(self) -> bytes | None:
        """Return the picture, decrypted."""
        return await self._kept.async_load()

    @callback
    def _handle(self, visit: Visit) -> None:
        if visit.picture:
            self._attr_image_last_updated = visit.ended
            self.async_write_ha_state()

    @callback
    @override
    def _handle_coordinator_update(self) -> None:
        """Leave the state alone: only a visit changes it."""
