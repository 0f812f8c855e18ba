"""Notices locks that open for a moment only, such as an electric strike."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from homeassistant.components.lock.const import LockState
from homeassistant.core import (
    CALLBACK_TYPE,
    Event,
    EventStateChangedData,
    HomeAssistant,
    callback,
)

from ..entity_reference import async_follow
from .answer import async_lock_state

MOMENT: Final = 10.0
"""Seconds after an opening in which a lock that locks again does so by itself."""


class Moment:
    """Waits for one lock to lock again by itself soon after it was opened.

    What a person or an automation told it, or the door, is no moment: whoever locks a door behind
    them must not have it opened again.
    """

    def __init__(self, hass: HomeAssistant) -> None:
        self._hass = hass
        self._untrack: CALLBACK_TYPE | None = None
        self._waiting: list[tuple[float, Callable[[], None]]] = []

    @callback
    def async_watch(self, entity_id: str, then: Callable[[], None]) -> None:
        """Call ``then`` once it locks, or at once if it has: it was opened just now."""
        if async_lock_state(self._hass, entity_id) is LockState.LOCKED:
            then()
            return
        now = self._hass.loop.time()
        self._waiting = [(until, call) for until, call in self._waiting if now < until]
        self._waiting.append((now + MOMENT, then))

        @callback
        def changed(event: Event[EventStateChangedData]) -> None:
            if async_lock_state(self._hass, entity_id) is not LockState.LOCKED:
                return
            now, waiting = self._hass.loop.time(), self._waiting
            self.async_stop()
            if event.context.user_id is None and event.context.parent_id is None:
                for until, call in waiting:
                    if now < until:
                        call()

        if self._untrack is None:
            self._untrack = async_follow(self._hass, (entity_id,), changed)

    @callback
    def async_stop(self) -> None:
        """Wait no more."""
        self._waiting = []
        if self._untrack is not None:
            self._untrack()
            self._untrack = None
