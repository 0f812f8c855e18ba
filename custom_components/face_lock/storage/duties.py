"""Which locks are to be locked again: kept on the disk, so that a crash leaves no door open.

The file names locks and nobody, so it is private but not encrypted: a lost key must not leave a
door unlocked. A file that somebody planted can only lock.
"""

from __future__ import annotations

import asyncio
import logging

from homeassistant.core import HomeAssistant, callback

from ..const import DOMAIN
from .checked_store import CheckedStore

_LOGGER = logging.getLogger(__name__)

VERSION = 1


def duties_file(entry_id: str) -> str:
    """Name a household's file."""
    return f"{DOMAIN}.{entry_id}.duties"


class Duties:
    """The locks, by registry id or entity id, that a household opened and did not lock yet."""

    def __init__(self, hass: HomeAssistant, entry_id: str) -> None:
        self._hass = hass
        self._store: CheckedStore[dict[str, list[str]]] = CheckedStore(
            hass, VERSION, duties_file(entry_id), private=True, atomic_writes=True
        )
        self._locks: set[str] = set()
        self._written: set[str] | None = set()
        self._unknown = False
        self._writing = asyncio.Lock()

    async def async_load(self) -> None:
        """Read the file. One that cannot be read may have named any lock, see `includes`."""
        try:
            stored = await self._store.async_load()
            locks = [] if stored is None else list(stored["locks"])
            if not all(isinstance(lock, str) for lock in locks):
                raise TypeError("not the name of a lock")  # noqa: TRY301
        except Exception as error:  # noqa: BLE001 - whatever the disk, the file or its version raise
            _LOGGER.error(  # noqa: TRY400
                "Which locks are to be locked again cannot be read; all of them are: %s", error
            )
            self._unknown, self._written = True, None
        else:
            self._locks, self._written = set(locks), set(locks)

    def includes(self, lock: str) -> bool:
        """Whether ``lock`` is to be locked again, or may be."""
        return self._unknown or lock in self._locks

    @callback
    def async_set(self, lock: str, *, pending: bool) -> None:
        """Note that ``lock`` is to be locked again, or was; written to the disk at once."""
        if pending:
            self._locks.add(lock)
        else:
            self._locks.discard(lock)
        self._hass.async_create_task(self.async_write(), "face_lock duties")

    @callback
    def async_forget_all_but(self, locks: set[str]) -> None:
        """Forget locks that no door opens any more."""
        self._locks &= locks

    async def async_write(self) -> None:
        """Write what changed; what the disk refuses holds until Home Assistant ends."""
        async with self._writing:
            locks = set(self._locks)
            if locks == self._written:
                return
            try:
                await self._store.async_write({"locks": sorted(locks)})
            except Exception as error:  # noqa: BLE001 - whatever the disk raises
                _LOGGER.error(  # noqa: TRY400
                    "That a lock is to be locked again cannot be stored: %s", error
                )
            else:
                self._written = locks
