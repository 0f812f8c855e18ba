"""What a grant opens: the owner's lock, or a lock of our own where there is none.

Either is locked again by an `AutoLock`; all doors that open one lock of the owner's share that.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from homeassistant.components.lock.const import (
    DOMAIN as LOCK_DOMAIN,
    LockEntityFeature,
    LockState,
)
from homeassistant.const import (
    ATTR_ENTITY_ID,
    ATTR_SUPPORTED_FEATURES,
    SERVICE_LOCK,
    SERVICE_OPEN,
    SERVICE_UNLOCK,
    STATE_UNAVAILABLE,
)
from homeassistant.core import Context, HomeAssistant, State, callback
from homeassistant.exceptions import HomeAssistantError

from ..const import DOMAIN
from ..entity_reference import async_resolve, async_state_of
from ..settings import DoorSettings
from ..vision import Problem
from .answer import OPEN_STATES, Answer
from .auto_lock import AutoLock, OutOfReachError
from .moment import Moment
from .relock import Opener, Relock, Relocks

CALL_TIMEOUT: Final = 15.0
"""Seconds the target lock gets to unlock."""
OWN_RELOCK_AFTER: Final = 5
"""Seconds after which a lock of our own locks again where the owner chose none."""


class LockFailedError(HomeAssistantError):
    """The lock did not do what it was asked to."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(translation_domain=DOMAIN, translation_key=problem.value)
        self.problem = problem


class TargetLock:
    """The owner's lock entity."""

    def __init__(
        self,
        hass: HomeAssistant,
        reference: str,
        relock: Relock,
        *,
        open_latch: bool,
        leave_open: bool,
        relock_after: float,
        held: Callable[[], bool],
        on_relock: Callable[[Exception | None], None],
    ) -> None:
        """Work the lock that ``reference`` (a registry id or an entity id) names.

        After a grant it is locked again in ``relock_after`` seconds, never by us if that is 0, and
        with ``leave_open`` neither if it stood open before; ``on_relock`` is told how that went.
        """
        self._hass = hass
        self._reference = reference
        self._open_latch = open_latch
        self._leave_open = leave_open
        self._relock_after = relock_after
        self._relock = relock
        self._moment = Moment(hass)
        self._opener = Opener(held, self._async_relock, on_relock)
        relock.async_join(self._opener)

    @property
    def entity_id(self) -> str | None:
        """Its entity id now, None once it was removed."""
        return async_resolve(self._hass, self._reference)

    @property
    def state(self) -> State | None:
        """Its state now, None where it is missing."""
        return async_state_of(self._hass, self._reference)

    @callback
    def async_resume(self) -> None:
        """Lock what was to be locked when Home Assistant ended."""
        self._relock.async_resume()

    async def async_grant(self, context: Context, commanding: Callable[[], None]) -> None:
        """Let somebody in; return once the lock says that it is open.

        ``commanding`` is called right before the lock is told, if it can be told at all.

        Raises:
            LockFailedError: the lock is not there, did not say so in time, or is jammed.
            Exception: whatever the lock's integration raises.

        """
        opens = self._open_latch and self._can_open
        with Answer(self._hass, self._reachable()) as answer:
            commanding()
            if self._is_to_be_locked(answer.before):
                # The timer runs before the call: a lock that answers late may be open all the same.
                self._relock.async_start(self._relock_after)
            try:
                async with asyncio.timeout(CALL_TIMEOUT):
                    service = SERVICE_OPEN if opens else SERVICE_UNLOCK
                    await self._async_call(service, context, None)
                    opened = await answer.async_open(moves=opens)
            except TimeoutError as error:
                jammed = answer.state is LockState.JAMMED
                raise LockFailedError(
                    Problem.LOCK_JAMMED if jammed else Problem.LOCK_TIMEOUT
                ) from error
        if not opened:
            raise LockFailedError(Problem.LOCK_JAMMED)

    async def async_unlock(self, context: Context | None = None, code: str | None = None) -> None:
        """Unlock the target."""
        await self._async_call(SERVICE_UNLOCK, context, code)

    async def async_lock(self, context: Context | None = None, code: str | None = None) -> None:
        """Lock the target."""
        self._moment.async_stop()
        await self._async_call(SERVICE_LOCK, context, code)

    async def async_open(self, context: Context | None = None, code: str | None = None) -> None:
        """Open the target's latch."""
        await self._async_call(SERVICE_OPEN, context, code)

    @callback
    def async_if_momentary(self, then: Callable[[], None]) -> None:
        """Call ``then`` if it turns out that the last grant opened for a moment only."""
        if (entity_id := self.entity_id) is not None:
            self._moment.async_watch(entity_id, then)

    @callback
    def async_door_closed(self) -> None:
        """Lock soon, if it is to be locked: the door itself is closed."""
        self._relock.async_door_closed(self._relock_after)

    async def async_stop(self) -> None:
        """Lock what is still to be locked: nobody would do it later."""
        self._moment.async_stop()
        await self._relock.async_leave(self._opener)

    @property
    def _can_open(self) -> bool:
        features = (
            0 if self.state is None else self.state.attributes.get(ATTR_SUPPORTED_FEATURES, 0)
        )
        return bool(LockEntityFeature.OPEN & LockEntityFeature(features))

    def _is_to_be_locked(self, before: LockState | None) -> bool:
        """Whether this opening is ours to end: a lock that we opened did not stand open before."""
        return self._relock.is_pending or not (self._leave_open and before in OPEN_STATES)

    async def _async_relock(self) -> None:
        try:
            await self.async_lock(Context())
        except LockFailedError as error:
            if error.problem is Problem.LOCK_UNAVAILABLE:
                raise OutOfReachError(str(error)) from error
            raise

    def _reachable(self) -> str:
        """Return the entity id; raises LockFailedError for a lock that cannot be told anything."""
        state = self.state
        # Core skips an unavailable entity silently, which would look like success.
        if state is None or state.state == STATE_UNAVAILABLE:
            raise LockFailedError(Problem.LOCK_UNAVAILABLE)
        return state.entity_id

    async def _async_call(self, service: str, context: Context | None, code: str | None) -> None:
        entity_id = self._reachable()
        data = {ATTR_ENTITY_ID: entity_id} | ({"code": code} if code else {})
        with Answer(self._hass, entity_id) as answer:
            try:
                async with asyncio.timeout(CALL_TIMEOUT):
                    await self._hass.services.async_call(
                        LOCK_DOMAIN, service, data, blocking=True, context=context
                    )
            except TimeoutError as error:
                raise LockFailedError(Problem.LOCK_TIMEOUT) from error
            if answer.jammed:
                raise LockFailedError(Problem.LOCK_JAMMED)


class OwnLock:
    """A lock that is only a state, for automations to follow; it always locks again by itself.

    It is locked whenever it is made: after a restart, a reload, a failure.
    """

    def __init__(
        self,
        hass: HomeAssistant,
        *,
        relock_after: float,
        holds: bool,
        held: Callable[[], bool],
        on_change: Callable[[], None],
    ) -> None:
        """Lock again ``relock_after`` seconds after each unlocking; report each change.

        Unless it ``holds`` for whoever is there, nobody is known to have come in by it.
        """
        self._relock_after = relock_after
        self._holds = holds
        self._relocker = AutoLock(hass, held, self._async_relock)
        self._moments: list[Callable[[], None]] = []
        self._on_change = on_change
        self.is_locked = True
        self.is_unlocking = False
        """For an instant, where it opens again before it has locked."""

    @callback
    def async_resume(self) -> None:
        """Do nothing: it is locked already."""

    async def async_grant(self, context: Context, commanding: Callable[[], None]) -> None:
        """Let somebody in; ``commanding`` is called right before."""
        commanding()
        if not self.is_locked:
            # So that a relay that follows is pulsed for a second person too.
            self.is_unlocking = True
            self._on_change()
            self.is_unlocking = False
        await self.async_unlock(context)

    async def async_unlock(self, context: Context | None = None, code: str | None = None) -> None:
        """Unlock, and lock again in a while."""
        del context, code
        self._relocker.async_start(self._relock_after)
        self._change(is_locked=False)

    async def async_lock(self, context: Context | None = None, code: str | None = None) -> None:
        """Lock now."""
        del context, code
        self._moments = []
        self._relocker.async_cancel()
        self._change(is_locked=True)

    @callback
    def async_if_momentary(self, then: Callable[[], None]) -> None:
        """Call ``then`` once the moment for which the last grant opened is over."""
        if not self._holds:
            self._moments.append(then)

    @callback
    def async_door_closed(self) -> None:
        """Lock soon: the door itself is closed."""
        self._relocker.async_door_closed(self._relock_after)

    async def _async_relock(self) -> None:
        moments = self._moments
        await self.async_lock()
        for moment in moments:
            moment()

    async def async_stop(self) -> None:
        """Lock: nobody would do it later."""
        await self.async_lock()

    @callback
    def _change(self, *, is_locked: bool) -> None:
        self.is_locked = is_locked
        self._on_change()


def make_lock(
    hass: HomeAssistant,
    settings: DoorSettings,
    relocks: Relocks,
    *,
    held: Callable[[], bool],
    on_change: Callable[[], None],
    on_relock: Callable[[Exception | None], None],
) -> TargetLock | OwnLock:
    """Make what a door's grants open."""
    if settings.lock is None:
        relock_after = settings.relock_after or OWN_RELOCK_AFTER
        return OwnLock(
            hass,
            relock_after=relock_after,
            holds=settings.hold,
            held=held,
            on_change=on_change,
        )
    return TargetLock(
        hass,
        settings.lock,
        relocks.of(settings.lock),
        open_latch=settings.open_latch,
        leave_open=settings.leave_open,
        relock_after=settings.relock_after or 0,
        held=held,
        on_relock=on_relock,
    )
