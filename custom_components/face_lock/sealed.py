"""An encrypted file of Home Assistant's ``.storage``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from homeassistant.core import HomeAssistant
from homeassistant.helpers.json import json_bytes
from homeassistant.util.json import json_loads

from .disk import CheckedStore
from .vault import Sealed, Vault, async_erase

Upgrade = Callable[[int, Any], Any]
"""(older major version, its content) -> today's content; raises ValueError for nonsense."""


class SealedStore:
    """JSON in one private file, encrypted as a whole and replaced at once or not at all."""

    def __init__(
        self,
        hass: HomeAssistant,
        vault: Vault,
        name: str,
        *,
        version: int = 1,
        last_plain_version: int = 0,
        upgrade: Upgrade | None = None,
    ) -> None:
        """Name the file; content up to ``last_plain_version`` was not encrypted."""
        self.name: Final = name
        self._hass = hass
        self._vault = vault
        self._file = _File(hass, vault, name, version, last_plain_version, upgrade)

    async def async_load(self) -> Any:
        """Read the content, None without a file; one of an older version is rewritten.

        Raises:
            VaultError: it cannot be decrypted; the file is left as it is.
            UnsupportedStorageVersionError: a newer version of the integration wrote it.

        """
        if (stored := await self._file.async_load()) is None:
            return None
        return await self._hass.async_add_executor_job(_open, self._vault, stored, self.name)

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
    def __init__(
        self,
        hass: HomeAssistant,
        vault: Vault,
        name: str,
        version: int,
        last_plain_version: int,
        upgrade: Upgrade | None,
    ) -> None:
        super().__init__(
            hass, version, name, private=True, atomic_writes=True, serialize_in_event_loop=False
        )
        self._vault = vault
        self._last_plain_version = last_plain_version
        self._upgrade = upgrade

    async def _async_migrate_func(
        self,
        old_major_version: int,
        old_minor_version: int,  # noqa: ARG002
        old_data: Any,
    ) -> Sealed:
        """Bring an older file up to date; core then writes it over the old one, at once."""
        return await self.hass.async_add_executor_job(self._migrate, old_major_version, old_data)

    def _migrate(self, version: int, stored: Any) -> Sealed:
        if version > self._last_plain_version:
            stored = _open(self._vault, stored, self.key)
        if version != self.version:  # minor versions can read each other
            if self._upgrade is None:
                raise NotImplementedError
            stored = self._upgrade(version, stored)
        return _seal(self._vault, stored, self.key)


def _seal(vault: Vault, content: Any, name: str) -> Sealed:
    return vault.seal(json_bytes(content), name)


def _open(vault: Vault, stored: Any, name: str) -> Any:
    return json_loads(vault.open(stored, name))
