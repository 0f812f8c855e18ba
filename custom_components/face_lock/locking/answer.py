"""What a lock says after a command, as told from what it said before."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Final, Self

from homeassistant.components.lock.const import DOMAIN as LOCK_DOMAIN, LockState
from homeassistant.const import ATTR_ENTITY_ID
from homeassistant.core import Event, EventStateChangedData, HomeAssistant, callback
from homeassistant.helpers.event import async_track_state_change_event

OPEN_STATES: Final = (LockState.UNLOCKED, LockState.OPEN)

_ORDER: Final = (
    LockState.JAMMED,
    LockState.OPENING,
    LockState.LOCKING,
    LockState.UNLOCKING,
    LockState.LOCKED,
    LockState.OPEN,
    LockState.UNLOCKED,
)
"""A group is what its members are by this order: locked as long as one of them is locked."""


@callback
def async_lock_state(hass: HomeAssistant, entity_id: str) -> LockState | None:
    """Return what a lock is now, None where nobody knows.

    Core's lock groups read as unlocked while a member is unavailable: of a group, those members
    count that say what they are.
    """
    states = {_state_of(hass, member) for member in async_bolts(hass, entity_id)}
    return next((state for state in _ORDER if state in states), None)


@callback
def async_bolts(hass: HomeAssistant, entity_id: str) -> list[str]:
    """Return the locks that a group stands for, also of groups of groups, or the lock itself."""
    found, groups, waiting = [], set(), [entity_id]
    while waiting:
        name = waiting.pop()
        state = hass.states.get(name)
        members = None if state is None else state.attributes.get(ATTR_ENTITY_ID)
        if not isinstance(members, list | tuple) or not members:
            found.append(name)
        elif name not in groups:
            groups.add(name)
            waiting += [str(m) for m in members if str(m).startswith(f"{LOCK_DOMAIN}.")]
    return found


def _state_of(hass: HomeAssistant, entity_id: str) -> LockState | None:
    state = hass.states.get(entity_id)
    try:
        return None if state is None else LockState(state.state)
    except ValueError:  # unavailable, unknown
        return None


class Answer:
    """Follows a lock from just before a command, while it is used as a context.

    Only what the lock says after it has changed is an answer, so that neither a jam of the last
    locking nor a bolt that was drawn already is taken for one.
    """

    def __init__(self, hass: HomeAssistant, entity_id: str) -> None:
        self._hass = hass
        self._entity_id = entity_id
        self.before: Final = async_lock_state(hass, entity_id)
        self._moved = False
        self._opened = False
        self._changed = asyncio.Event()
        self._untrack = async_track_state_change_event(
            hass, {entity_id, *async_bolts(hass, entity_id)}, self._note
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._untrack()

    @property
    def state(self) -> LockState | None:
        """What the lock is now."""
        return async_lock_state(self._hass, self._entity_id)

    @property
    def jammed(self) -> bool:
        """Whether it has jammed since."""
        return self._moved and self.state is LockState.JAMMED

    async def async_open(self, *, moves: bool) -> bool:
        """Wait until the lock has opened, or has jammed; return whether it opened.

        One that is closed again by then, as a strike is, has opened too. With ``moves`` it must
        have moved for that, as a latch does; else a bolt that was drawn before the command and
        still is will do.
        """
        while not self.jammed:
            if self._opened or (self.state in OPEN_STATES and not moves):
                return True
            self._changed.clear()
            await self._changed.wait()
        return False

    @callback
    def _note(self, _event: Event[EventStateChangedData]) -> None:
        state = self.state
        if state is not None and state is not self.before:
            self._moved = True
        self._opened |= self._moved and state in OPEN_STATES
        self._changed.set()
