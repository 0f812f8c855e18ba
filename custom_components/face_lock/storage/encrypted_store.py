"""An encrypted file of Home Assistant's ``.storage``."""

# ruff: noqa: ARG002 - Home Assistant calls these with fixed signatures

from __future__ import annotations

from typing import Any, Final, cast

from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers.json import json_bytes
from homeassistant.util.json import json_loads

from .checked_store import CheckedStore
from .key import DamagedError, Sealed, Vault, async_erase


class EncryptedStore:
    """JSON in one private file, encrypted as a whole and replaced at once or not at all."""

    def __init__(self, hass: HomeAssistant, vault: Vault, name: str, *, version: int = 1) -> None:
        self.name: Final = name
        self._hass = hass
        self._vault = vault
        self._file = _File(hass, version, name)

    async def async_load(self) -> Any:
        """Read the content, None without a file.

        Raises:
            VaultError: it cannot be decrypted; the file is left as it is.
            UnsupportedStorageVersionError: a newer version of the integration wrote it.
            DamagedError: it is no such file, or of an older version; it is left as it is.
            HomeAssistantError: the disk cannot be read.

        """
        try:
            if (stored := await self._file.async_load()) is None:
                return None
            return await self._hass.async_add_executor_job(_open, self._vault, stored, self.name)
        except HomeAssistantError:
            raise
        except Exception as error:  # core's reader raises whatever a file that is none of its meets
            raise DamagedError from error

    async def async_save(self, content: Any) -> None:
        """Replace the content.

        Raises:
            NotSavedError: the disk refused it; the old content is still there.

        """
        await self._file.async_write(
            await self._hass.async_add_executor_job(_seal, self._vault, content, self.name)
        )

    async def async_remove(self) -> None:
        """Delete the file."""
        await async_erase(self._hass, self.name)


class _File(CheckedStore[Sealed]):
    _migrated: Sealed | None = None

    def __init__(self, hass: HomeAssistant, version: int, name: str) -> None:
        super().__init__(
            hass, version, name, private=True, atomic_writes=True, serialize_in_event_loop=False
        )

    async def async_save(self, data: Sealed) -> None:
        """Save; but leave another minor version alone, which core saves before it is decrypted."""
        if data is not self._migrated:
            await super().async_save(data)
        self._migrated = None

    async def _async_migrate_func(
        self, old_major_version: int, old_minor_version: int, old_data: Any
    ) -> Sealed:
        """Refuse what an older version wrote: what was not encrypted is anybody's to write."""
        if old_major_version != self.version:
            raise DamagedError
        self._migrated = cast("Sealed", old_data)  # minor versions can read each other
        return self._migrated


def _seal(vault: Vault, content: Any, name: str) -> Sealed:
    return vault.seal(json_bytes(content), name)


def _open(vault: Vault, stored: Any, name: str) -> Any:
    return json_loads(vault.open(stored, name))
