"""The picture of the last visit, for owners who want one kept."""

from __future__ import annotations

import logging
from typing import override

from homeassistant.components.image import ImageEntity
from homeassistant.const import Platform
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers import entity_registry as er
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback
from homeassistant.util import dt as dt_util

from .access import Access
from .const import DOMAIN
from .coordinator import FaceLockConfigEntry, FaceLockCoordinator
from .disk import NotSavedError
from .entity import FaceLockEntity
from .vision import PictureError
from .visit_picture import VisitPicture

_LOGGER = logging.getLogger(__name__)

PARALLEL_UPDATES = 0

KEY = "last_visit"


async def async_setup_entry(
    hass: HomeAssistant,
    entry: FaceLockConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Add the image, or let go of it where pictures are not to be kept any more."""
    coordinator = entry.runtime_data
    if (visit := coordinator.records.visit) is not None:
        async_add_entities([LastVisitImage(hass, coordinator, visit)])
        return
    registry = er.async_get(hass)
    stale = registry.async_get_entity_id(Platform.IMAGE, DOMAIN, f"{entry.entry_id}_{KEY}")
    if stale is not None:
        registry.async_remove(stale)


class LastVisitImage(FaceLockEntity, ImageEntity):
    """Shows who came last, let in or not, until the picture expires."""

    _attr_translation_key = "last_visit"
    _attr_content_type = "image/jpeg"

    def __init__(
        self, hass: HomeAssistant, coordinator: FaceLockCoordinator, visit: VisitPicture
    ) -> None:
        FaceLockEntity.__init__(self, coordinator, KEY)
        ImageEntity.__init__(self, hass)
        self._visit = visit

    @override
    async def async_added_to_hass(self) -> None:
        """Subscribe to the ends of visits."""
        await super().async_added_to_hass()
        self._attr_image_last_updated = await self._visit.async_taken_at()
        self.async_on_remove(self.coordinator.async_subscribe_access(self._handle))

    @override
    async def async_image(self) -> bytes | None:
        """Return the picture, decrypted."""
        return await self._visit.async_load()

    @callback
    def _handle(self, access: Access) -> None:
        if access.picture is not None:
            self.coordinator.config_entry.async_create_task(
                self.hass, self._async_keep(access, access.picture), "face_lock last visit"
            )

    async def _async_keep(self, access: Access, picture: bytes) -> None:
        now, person = dt_util.utcnow(), access.attempt.person
        try:
            await self._visit.async_save(picture, now, [] if person is None else [person])
        except (PictureError, NotSavedError) as error:
            # It was looked at, and cannot be kept: the last one stays.
            _LOGGER.debug("The last visit's picture is not kept: %s", error)
            return
        self._attr_image_last_updated = now
        self.async_write_ha_state()

    @callback
    @override
    def _handle_coordinator_update(self) -> None:
        """Leave the state alone: only a visit changes it."""
