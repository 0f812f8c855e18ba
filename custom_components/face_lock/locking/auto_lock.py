"""Locks a door again a while after it was opened."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Final

from homeassistant.core import CALLBACK_TYPE, HomeAssistant, callback
from homeassistant.helpers.event import async_call_later

HELD_INTERVAL: Final = 1.0
"""Seconds after which a door that is held open is looked at again."""
RETRY_INTERVAL: Final = 30.0
RETRIES: Final = 3
"""How often, and how many seconds apart, a lock that failed to lock is asked again."""


class AutoLock:
    """One timer. It waits while the door is held, and asks a failing lock a few times."""

    def __init__(
        self,
        hass: HomeAssistant,
        seconds: float,
        held: Callable[[], bool],
        lock: Callable[[], Awaitable[None]],
        on_done: Callable[[Exception | None], None] = lambda _: None,
    ) -> None:
        """Call ``lock`` ``seconds`` after each start, never if that is 0.

        ``on_done`` is told after each try: None, or why the lock did not lock.
        """
        self._hass = hass
        self._seconds = seconds
        self._held = held
        self._lock = lock
        self._on_done = on_done
        self._retries = 0
        self._cancel: CALLBACK_TYPE | None = None

    @callback
    def async_start(self) -> None:
        """Begin to wait, anew if need be."""
        self.async_cancel()
        self._retries = RETRIES
        if self._seconds > 0:
            self._wait(self._seconds)

    @callback
    def async_cancel(self) -> None:
        """Wait no more."""
        if self._cancel is not None:
            self._cancel()
            self._cancel = None

    async def async_finish(self) -> None:
        """Lock now what would be locked later."""
        if self._cancel is not None:
            self.async_cancel()
            self._retries = 0
            await self._async_lock()

    @callback
    def _wait(self, seconds: float) -> None:
        self._cancel = async_call_later(self._hass, seconds, self._async_due)

    async def _async_due(self, _now: datetime) -> None:
        self._cancel = None
        if self._held():
            self._wait(HELD_INTERVAL)
            return
        await self._async_lock()

    async def _async_lock(self) -> None:
        try:
            await self._lock()
        except Exception as error:  # noqa: BLE001 - a lock's integration raises whatever it met
            if self._retries > 0 and self._cancel is None:
                self._retries -= 1
                self._wait(RETRY_INTERVAL)
            self._on_done(error)
        else:
            self._on_done(None)
