"""What a grant opens: the owner's lock, or a lock of our own where there is none.

Either is locked again by a `AutoLock`.
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
from homeassistant.helpers.event import async_track_state_change_event

from ..const import DOMAIN
from ..entity_reference import async_resolve, async_state_of
from ..settings import DoorSettings
from ..vision import Problem
from .auto_lock import AutoLock

CALL_TIMEOUT: Final = 15.0
"""Seconds the target lock gets to unlock."""
OWN_RELOCK_AFTER: Final = 5
"""Seconds after which a lock of our own locks again where the owner chose none."""
OPEN_STATES: Final = (LockState.UNLOCKED, LockState.OPEN)


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
        *,
        open_latch: bool,
        relock_after: float,
        held: Callable[[], bool],
        on_relock: Callable[[Exception | None], None],
    ) -> None:
        """Work the lock that ``reference`` (a registry id or an entity id) names.

        After a grant it is locked again in ``relock_after`` seconds, never by us if that is 0;
        ``on_relock`` is told how that went.
        """
        self._hass = hass
        self._reference = reference
        self._open_latch = open_latch
        self._relocker = AutoLock(hass, relock_after, held, self._async_relock, on_relock)

    @property
    def entity_id(self) -> str | None:
        """Its entity id now, None once it was removed."""
        return async_resolve(self._hass, self._reference)

    @property
    def state(self) -> State | None:
        """Its state now, None where it is missing."""
        return async_state_of(self._hass, self._reference)

    async def async_grant(self, context: Context) -> None:
        """Let somebody in; return once the lock says that it is open.

        Raises:
            LockFailedError: the lock is not there, did not say so in time, or is jammed.
            Exception: whatever the lock's integration raises.

        """
        opens = self._open_latch and self._can_open
        # The timer runs before the call: a lock that answers late may be open all the same.
        self._relocker.async_start()
        try:
            async with asyncio.timeout(CALL_TIMEOUT):
                await self._async_call(SERVICE_OPEN if opens else SERVICE_UNLOCK, context, None)
                await self._async_confirmed()
        except TimeoutError as error:
            raise LockFailedError(Problem.LOCK_TIMEOUT) from error

    async def _async_confirmed(self) -> None:
        """Wait until the target is open: many integrations hear of it after the call."""
        if (state := self.state) is None:
            raise LockFailedError(Problem.LOCK_UNAVAILABLE)
        changed = asyncio.Event()
        untrack = async_track_state_change_event(
            self._hass, state.entity_id, callback(lambda _: changed.set())
        )
        try:
            while (state := self.state) is None or state.state not in OPEN_STATES:
                if state is not None and state.state == LockState.JAMMED:
                    raise LockFailedError(Problem.LOCK_JAMMED)
                changed.clear()
                await changed.wait()
        finally:
            untrack()

    async def async_unlock(self, context: Context | None = None, code: str | None = None) -> None:
        """Unlock the target."""
        await self._async_call(SERVICE_UNLOCK, context, code)

    async def async_lock(self, context: Context | None = None, code: str | None = None) -> None:
        """Lock the target."""
        await self._async_call(SERVICE_LOCK, context, code)

    async def async_open(self, context: Context | None = None, code: str | None = None) -> None:
        """Open the target's latch."""
        await self._async_call(SERVICE_OPEN, context, code)

    async def async_stop(self) -> None:
        """Lock what is still to be locked: nobody would do it later."""
        await self._relocker.async_finish()

    @property
    def _can_open(self) -> bool:
        features = (
            0 if self.state is None else self.state.attributes.get(ATTR_SUPPORTED_FEATURES, 0)
        )
        return bool(LockEntityFeature.OPEN & LockEntityFeature(features))

    async def _async_relock(self) -> None:
        if self.state is not None and self.state.state == LockState.LOCKED:
            return
        await self.async_lock(Context())

    async def _async_call(self, service: str, context: Context | None, code: str | None) -> None:
        state = self.state
        # Core skips an unavailable entity silently, which would look like success.
        if state is None or state.state == STATE_UNAVAILABLE:
            raise LockFailedError(Problem.LOCK_UNAVAILABLE)
        data = {ATTR_ENTITY_ID: state.entity_id} | ({"code": code} if code else {})
        try:
            async with asyncio.timeout(CALL_TIMEOUT):
                await self._hass.services.async_call(
                    LOCK_DOMAIN, service, data, blocking=True, context=context
                )
        except TimeoutError as error:
            raise LockFailedError(Problem.LOCK_TIMEOUT) from error
        after = self.state
        if after is not None and after.state == LockState.JAMMED:
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
        held: Callable[[], bool],
        on_change: Callable[[], None],
    ) -> None:
        """Lock again ``relock_after`` seconds after each unlocking; report each change."""
        self._relocker = AutoLock(hass, relock_after, held, self.async_lock)
        self._on_change = on_change
        self.is_locked = True

    async def async_grant(self, context: Context) -> None:
        """Let somebody in."""
        await self.async_unlock(context)

    async def async_unlock(self, context: Context | None = None, code: str | None = None) -> None:
        """Unlock, and lock again in a while."""
        del context, code
        self._relocker.async_start()
        self._change(is_locked=False)

    async def async_lock(self, context: Context | None = None, code: str | None = None) -> None:
        """Lock now."""
        del context, code
        self._relocker.async_cancel()
        self._change(is_locked=True)

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
    *,
    held: Callable[[], bool],
    on_change: Callable[[], None],
    on_relock: Callable[[Exception | None], None],
) -> TargetLock | OwnLock:
    """Make what a door's grants open."""
    if settings.lock is None:
        relock_after = settings.relock_after or OWN_RELOCK_AFTER
        return OwnLock(hass, relock_after=relock_after, held=held, on_change=on_change)
    return TargetLock(
        hass,
        settings.lock,
        open_latch=settings.open_latch,
        relock_after=settings.relock_after or 0,
        held=held,
        on_relock=on_relock,
    )
