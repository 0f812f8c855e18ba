"""What a grant opens: the owner's lock, or a lock of our own where there is none."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime
from typing import Final

from homeassistant.components.lock.const import DOMAIN as LOCK_DOMAIN, LockState
from homeassistant.const import (
    ATTR_ENTITY_ID,
    SERVICE_LOCK,
    SERVICE_OPEN,
    SERVICE_UNLOCK,
    STATE_UNAVAILABLE,
)
from homeassistant.core import CALLBACK_TYPE, Context, HomeAssistant, State, callback
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers.event import async_call_later

from .const import DOMAIN
from .source import async_resolve

CALL_TIMEOUT: Final = 15.0
"""Seconds the target lock gets to unlock."""


class LockFailedError(HomeAssistantError):
    """The lock did not do what it was asked to."""

    def __init__(self, key: str) -> None:
        super().__init__(translation_domain=DOMAIN, translation_key=key)


class TargetLock:
    """The owner's lock entity."""

    def __init__(self, hass: HomeAssistant, reference: str) -> None:
        """Work the lock that ``reference`` (a registry id or an entity id) names."""
        self._hass = hass
        self._reference = reference

    @property
    def entity_id(self) -> str | None:
        """Its entity id now, None once it was removed."""
        return async_resolve(self._hass, self._reference)

    @property
    def state(self) -> State | None:
        """Its state now, None where it is missing."""
        return None if self.entity_id is None else self._hass.states.get(self.entity_id)

    async def async_unlock(self, context: Context | None = None, code: str | None = None) -> None:
        """Unlock the target."""
        await self._async_call(SERVICE_UNLOCK, context, code)

    async def async_lock(self, context: Context | None = None, code: str | None = None) -> None:
        """Lock the target."""
        await self._async_call(SERVICE_LOCK, context, code)

    async def async_open(self, context: Context | None = None, code: str | None = None) -> None:
        """Open the target's latch."""
        await self._async_call(SERVICE_OPEN, context, code)

    @callback
    def async_stop(self) -> None:
        """Nothing to let go of."""

    async def _async_call(self, service: str, context: Context | None, code: str | None) -> None:
        state = self.state
        # Core skips an unavailable entity silently, which would look like success.
        if state is None or state.state == STATE_UNAVAILABLE:
            raise LockFailedError("lock_unavailable")
        data = {ATTR_ENTITY_ID: state.entity_id} | ({"code": code} if code else {})
        try:
            async with asyncio.timeout(CALL_TIMEOUT):
                await self._hass.services.async_call(
                    LOCK_DOMAIN, service, data, blocking=True, context=context
                )
        except TimeoutError as error:
            raise LockFailedError("lock_timeout") from error
        after = self.state
        if after is not None and after.state == LockState.JAMMED:
            raise LockFailedError("lock_jammed")


class OwnLock:
    """A lock that is only a state, for automations to follow; it locks again by itself.

    It is locked whenever it is made: after a restart, a reload, a failure.
    """

    def __init__(
        self, hass: HomeAssistant, relock_after: float, on_change: Callable[[], None]
    ) -> None:
        """Lock again ``relock_after`` seconds after each unlocking; report each change."""
        self._hass = hass
        self._relock_after = relock_after
        self._on_change = on_change
        self._cancel: CALLBACK_TYPE | None = None
        self.is_locked = True

    async def async_unlock(self, context: Context | None = None, code: str | None = None) -> None:
        """Unlock, and lock again in a while."""
        del context, code
        self._forget_timer()
        self.is_locked = False
        self._cancel = async_call_later(self._hass, self._relock_after, self._relock)
        self._on_change()

    async def async_lock(self, context: Context | None = None, code: str | None = None) -> None:
        """Lock now."""
        del context, code
        self.async_stop()

    @callback
    def async_stop(self) -> None:
        """Lock: nobody would do it later."""
        self._forget_timer()
        self.is_locked = True
        self._on_change()

    @callback
    def _forget_timer(self) -> None:
        if self._cancel is not None:
            self._cancel()
            self._cancel = None

    @callback
    def _relock(self, _now: datetime) -> None:
        self._cancel = None
        self.is_locked = True
        self._on_change()
