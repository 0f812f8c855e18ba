"""Files of Home Assistant's ``.storage`` that say when the disk took nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers.storage import Store
from homeassistant.util.file import WriteError
from homeassistant.util.json import SerializationError

from ..const import DOMAIN

T = TypeVar("T", bound=Mapping[str, Any] | Sequence[Any])


class NotSavedError(HomeAssistantError):
    """The disk is full, gone, or may not be written to; what lay there before is still there."""

    def __init__(self) -> None:
        super().__init__(translation_domain=DOMAIN, translation_key="not_saved")


class CheckedStore(Store[T]):
    """A store of core's, whose ``async_save`` only logs what could not be written."""

    _refused = False

    async def async_write(self, data: T) -> None:
        """Replace the content.

        Raises:
            NotSavedError: the disk refused it.

        """
        self._refused = False
        await self.async_save(data)
        if self._refused:
            raise NotSavedError

    async def _async_write_data(self, data: dict[str, Any]) -> None:
        try:
            await super()._async_write_data(data)
        except (SerializationError, WriteError):
            self._refused = True
            raise
