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
RESUME_AFTER: Final = 5.0
"""Seconds from a start to the locking that the last run of Home Assistant left undone."""


class OutOfReachError(Exception):
    """The lock is not there: it is asked again until it is."""


class AutoLock:
    """The duty to lock again, and its one timer.

    It waits while the door is held, asks a failing lock a few times, and one that is out of reach
    until it comes back.
    """

    def __init__(
        self,
        hass: HomeAssistant,
        held: Callable[[], bool],
        lock: Callable[[], Awaitable[None]],
        *,
        on_done: Callable[[Exception | None], None] = lambda _: None,
        on_pending: Callable[[bool], None] = lambda _: None,
    ) -> None:
        """Call ``lock`` once it is time.

        ``on_done`` is told after each try: None, or why the lock did not lock. ``on_pending`` is
        told whether the lock is still to be locked again, whenever that changes.
        """
        self._hass = hass
        self._held = held
        self._lock = lock
        self._on_done = on_done
        self._on_pending = on_pending
        self._retries = 0
        self._due = 0.0
        self._is_held_up = False
        """Whether it waits for somebody who holds the door."""
        self._cancel: CALLBACK_TYPE | None = None
        self.is_pending = False
        """Whether the lock was opened and not locked again yet."""

    @callback
    def async_start(self, seconds: float) -> None:
        """Lock in ``seconds``, never if that is 0; of several starts the latest time counts."""
        if seconds <= 0:
            return
        self._retries = RETRIES
        self._pend(pending=True)
        if self._cancel is None or self._due <= self._hass.loop.time() + seconds:
            self._wait(seconds)

    @callback
    def async_door_closed(self, seconds: float) -> None:
        """Lock in ``seconds`` what waited for the door to be left, or for another try.

        A time that is running already is not made longer by a door that is closed again and again.
        """
        late = self._is_held_up or self._due > self._hass.loop.time() + seconds
        if self.is_pending and self._cancel is not None and seconds > 0 and late:
            self._wait(seconds)

    @callback
    def async_cancel(self) -> None:
        """Wait no more: the lock was locked."""
        self._stop_waiting()
        self._pend(pending=False)

    async def async_finish(self) -> None:
        """Lock now what would be locked later; nothing is tried again."""
        if self.is_pending:
            self._stop_waiting()
            await self._async_lock(again=False)

    @callback
    def _wait(self, seconds: float, *, held: bool = False) -> None:
        self._stop_waiting()
        self._is_held_up = held
        self._due = self._hass.loop.time() + seconds
        self._cancel = async_call_later(self._hass, seconds, self._async_when_due)

    @callback
    def _stop_waiting(self) -> None:
        if self._cancel is not None:
            self._cancel()
            self._cancel = None

    @callback
    def _pend(self, *, pending: bool) -> None:
        if self.is_pending != pending:
            self.is_pending = pending
            self._on_pending(pending)

    async def _async_when_due(self, _now: datetime) -> None:
        self._cancel = None
        if self._held():
            self._wait(HELD_INTERVAL, held=True)
            return
        await self._async_lock(again=True)

    async def _async_lock(self, *, again: bool) -> None:
        try:
            await self._lock()
        except OutOfReachError as error:
            if again and self._cancel is None:
                self._wait(RETRY_INTERVAL)
            self._on_done(error)
        except Exception as error:  # noqa: BLE001 - a lock's integration raises whatever it met
            if again and self._retries > 0 and self._cancel is None:
                self._retries -= 1
                self._wait(RETRY_INTERVAL)
            self._on_done(error)
        else:
            # Opened again while it was being locked, it is to be locked once more.
            if self._cancel is None:
                self._pend(pending=False)
            self._on_done(None)
