"""Locks of the owner's that are to be locked again, each one for all doors that open it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from homeassistant.components.lock.const import LockState
from homeassistant.core import (
    CALLBACK_TYPE,
    Event,
    EventStateChangedData,
    HomeAssistant,
    callback,
)
from homeassistant.helpers.event import async_track_state_change_event

from ..entity_reference import async_resolve
from ..storage.duties import Duties
from .answer import async_bolts, async_lock_state
from .auto_lock import RESUME_AFTER, AutoLock


@dataclass(frozen=True, slots=True, eq=False)
class Opener:
    """A door that opens a lock.

    ``held`` says whether somebody for whom it was opened is still there, ``lock`` locks it, and
    ``on_relock`` is told how that went.
    """

    held: Callable[[], bool]
    lock: Callable[[], Awaitable[None]]
    on_relock: Callable[[Exception | None], None]


class Relock:
    """Locks one lock again: the door that opens it for longest, or is held, decides when.

    That it is to be locked is kept on the disk until it was seen to be locked, whoever did that.
    """

    def __init__(self, hass: HomeAssistant, reference: str, duties: Duties) -> None:
        self._hass = hass
        self._reference = reference
        self._duties = duties
        self._doors: list[Opener] = []
        self._timer = AutoLock(
            hass, self._is_held, self._async_lock, on_done=self._done, on_pending=self._pending
        )
        self._untrack: CALLBACK_TYPE | None = None
        self._was_open = False

    @property
    def is_pending(self) -> bool:
        """Whether one of the doors opened the lock, and it was not locked since."""
        return self._timer.is_pending

    @callback
    def async_join(self, door: Opener) -> None:
        """Begin to open the lock."""
        self._doors.append(door)

    async def async_leave(self, door: Opener) -> None:
        """Open it no more; the last one that leaves locks it at once, if it is to be locked.

        It may be called again.
        """
        if door not in self._doors:
            return
        if self._doors == [door]:
            await self._timer.async_finish()
            self._follow(follow=False)
        self._doors.remove(door)

    @callback
    def async_start(self, seconds: float) -> None:
        """Lock in ``seconds``, never if that is 0: the lock is being told to open now."""
        self._was_open = self._state not in (None, LockState.LOCKED)
        self._timer.async_start(seconds)

    @callback
    def async_door_closed(self, seconds: float) -> None:
        """Lock in ``seconds`` what is still open because somebody held it."""
        self._timer.async_door_closed(seconds)

    @callback
    def async_resume(self) -> None:
        """Lock soon what was to be locked when Home Assistant ended."""
        if self._duties.includes(self._reference):
            self._timer.async_start(RESUME_AFTER)
            self._follow(follow=True)

    @property
    def _state(self) -> LockState | None:
        entity_id = async_resolve(self._hass, self._reference)
        return None if entity_id is None else async_lock_state(self._hass, entity_id)

    def _is_held(self) -> bool:
        return any(door.held() for door in self._doors)

    async def _async_lock(self) -> None:
        await self._doors[0].lock()

    @callback
    def _done(self, error: Exception | None) -> None:
        for door in list(self._doors):
            door.on_relock(error)

    @callback
    def _pending(self, pending: bool) -> None:
        self._duties.async_set(self._reference, pending=pending)
        self._follow(follow=pending)

    @callback
    def _follow(self, *, follow: bool) -> None:
        if self._untrack is not None:
            self._untrack()
            self._untrack = None
        entity_id = async_resolve(self._hass, self._reference)
        if follow and entity_id is not None:
            self._untrack = async_track_state_change_event(
                self._hass, {entity_id, *async_bolts(self._hass, entity_id)}, self._changed
            )

    @callback
    def _changed(self, _event: Event[EventStateChangedData]) -> None:
        """Forget the duty once the lock, which was open, is locked."""
        state = self._state
        if state is LockState.LOCKED and self._was_open:
            self._timer.async_cancel()
            self._done(None)
        elif state not in (None, LockState.LOCKED):
            self._was_open = True


class Relocks:
    """All locks of a household that are opened by doors."""

    def __init__(self, hass: HomeAssistant, duties: Duties) -> None:
        self._hass = hass
        self._duties = duties
        self._locks: dict[str, Relock] = {}

    @callback
    def of(self, reference: str) -> Relock:
        """Return what locks the lock that ``reference`` names; doors of one lock share it."""
        if reference not in self._locks:
            self._locks[reference] = Relock(self._hass, reference, self._duties)
        return self._locks[reference]
