"""The lockout of one door, kept over restarts in a small file of its own.

It holds two numbers and nothing of anybody, so it is private but not encrypted: a lost key must not
lift a lockout.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any, Final

from homeassistant.core import HomeAssistant

from ..const import DOMAIN
from ..vision import DecisionPolicy, Lockout, LockoutState
from .checked_store import CheckedStore

_LOGGER = logging.getLogger(__name__)

VERSION: Final = 1
MAX_FAILURES: Final = 1_000_000
"""What is read as more could not be written again: JSON numbers of core's end at 64 bits."""


def _store(hass: HomeAssistant, door: str) -> CheckedStore[dict[str, Any]]:
    name = f"{DOMAIN}.{door}.lockout"
    return CheckedStore(hass, VERSION, name, private=True, atomic_writes=True)


async def async_remove_lockout(hass: HomeAssistant, door: str) -> None:
    """Delete a door's file."""
    await _store(hass, door).async_remove()


class LockoutStore:
    """Reads a door's lockout, and writes it whenever its number of failures changed."""

    def __init__(self, hass: HomeAssistant, door: str) -> None:
        self._store = _store(hass, door)
        self._state: LockoutState | None = LockoutState()
        self._writing = asyncio.Lock()

    async def async_load(self) -> None:
        """Read the file. One that cannot be read may have held a lockout, see ``restore``."""
        try:
            stored = await self._store.async_load()
            if stored is not None:
                failures = min(int(stored["failures"]), MAX_FAILURES)
                self._state = LockoutState(failures, float(stored["remaining"]))
        except Exception as error:  # noqa: BLE001 - whatever the disk, the file or its version raise
            _LOGGER.error(  # noqa: TRY400
                "The stored lockout cannot be read; the door is locked out for a while: %s", error
            )
            self._state = None

    def restore(self, policy: DecisionPolicy, now: float) -> Lockout:
        """Make the door's lockout: the stored one, or the first where it cannot be known."""
        lockout = Lockout(policy)
        unknown = LockoutState(policy.attempts, policy.lockout_base)
        lockout.restore(self._state or unknown, now)
        return lockout

    def is_saved(self, lockout: Lockout) -> bool:
        """Whether the file says how many failures there were."""
        return self._state is not None and self._state.failures == lockout.failures

    async def async_save(self, lockout: Lockout, now: float) -> None:
        """Write the lockout at once; what cannot be written still holds until a restart."""
        async with self._writing:
            state = lockout.snapshot(now)
            if state == self._state:
                return
            try:
                await self._store.async_write(
                    {"failures": state.failures, "remaining": state.remaining}
                )
            except Exception as error:  # noqa: BLE001 - whatever the disk raises
                _LOGGER.error("The lockout cannot be stored: %s", error)  # noqa: TRY400
            else:
                self._state = state
