"""Whom a door opens for: second factor, passes, lockout, and the way from a grant to the lock."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import replace
from time import monotonic
from typing import Any, Final

from homeassistant.config_entries import ConfigEntry, ConfigEntryState
from homeassistant.core import Context, HomeAssistant, callback

from .door_lock import OwnLock, TargetLock
from .factor import SecondFactor
from .lockout_store import LockoutStore
from .memory import Memory
from .people import name_of, people_of, rules_of
from .permits import barred, objection
from .settings import DoorSettings
from .unlocking import async_carry_out
from .vision import (
    RETRIED,
    AccessAttempt,
    Circumstances,
    DecisionPolicy,
    Opening,
    Problem,
)

POLICY: Final = DecisionPolicy()


def _now() -> float:
    return monotonic()


class Entrance:
    """What stands between a visit's decision and the lock, and what of it a restart keeps."""

    def __init__(
        self,
        hass: HomeAssistant,
        entry: ConfigEntry,
        settings: DoorSettings,
        memory: Memory,
        lockouts: LockoutStore,
        lock: TargetLock | OwnLock,
        *,
        on_end: Callable[[AccessAttempt, bytes | None], None],
        on_change: Callable[[], None],
    ) -> None:
        """``on_end`` is told how each visit ended, with its picture, once nothing can undo that.

        ``on_change`` is told when the lockout, or who opened the door, changed otherwise.
        """
        self._hass = hass
        self._entry = entry
        self._memory = memory
        self._lockouts = lockouts
        self._lock = lock
        self._on_end = on_end
        self._on_change = on_change
        self._factor = SecondFactor(hass, settings, memory)
        self._opening: set[asyncio.Task[None]] = set()
        self._concluding: set[asyncio.Task[None]] = set()
        self.is_closed = False
        """Whether the door is being stopped: then no grant is carried out any more."""
        self.policy = replace(
            POLICY, attempts=max(1, settings.attempts), factor_wait=self._factor.wait
        )
        self.lockout = lockouts.restore(self.policy, monotonic())
        self.people = rules_of(entry)
        """When each person may come in."""
        self.passes = memory.passes
        self.opened_for: str | None = None
        """The name of whom the lock was last worked for, None once somebody else worked it."""

    @callback
    def async_close(self) -> None:
        """Open nothing any more."""
        self.is_closed = True

    async def async_stop(self) -> None:
        """End what is going on; may be called again."""
        self.async_close()
        opening = list(self._opening)
        for task in opening:
            task.cancel()
        await asyncio.gather(*opening, *self._concluding, return_exceptions=True)
        # A lockout that is over must not begin again with the next start.
        await self._async_save()

    @callback
    def async_read_people(self) -> None:
        """Take over who may come in when."""
        self.people = rules_of(self._entry)

    @property
    def is_locked_out(self) -> bool:
        """Whether nothing opens after too many failed visits."""
        return self.lockout.locked(monotonic())

    async def async_end_lockout(self) -> int:
        """Forget the failed visits, for the owner; return how many there were in a row."""
        failures = self.lockout.failures
        self.lockout.clear()
        await self._async_save()
        self._on_change()
        return failures

    async def async_offer_code(self, code: str) -> bool:
        """Take the second factor; a right code ends a lockout, a wrong one counts as a failure.

        The caller must not be a stranger's way to try codes without end: in a lockout only one
        whom Home Assistant knows may offer them.
        """
        right = await self._factor.async_offer(code, monotonic())
        if right:
            self.lockout.clear()
        else:
            self.lockout.fail(monotonic())
        await self._async_save()
        self._on_change()
        return right

    @callback
    def circumstances(self) -> Circumstances:
        """Say what holds at the door now."""
        now = monotonic()
        return Circumstances(
            barred=self.passes.lift(barred(self._hass, self.people.items()), self.people, now),
            factor_missing=self._factor.missing(now),
        )

    @callback
    def conclude(self, attempt: AccessAttempt, picture: bytes | None) -> None:
        """Open for a grant, write down a failure, then tell how the visit ended."""
        if attempt.granted:
            # The lock may take seconds: the door is watched meanwhile.
            self._spawn(self._async_open(attempt, picture), "open", self._opening)
        elif self._lockouts.is_saved(self.lockout):
            self._on_end(attempt, picture)
        else:
            self._spawn(self._async_deny(attempt, picture), "deny", self._concluding)

    @callback
    def _spawn(
        self, work: Coroutine[Any, Any, None], name: str, tasks: set[asyncio.Task[None]]
    ) -> None:
        task = self._entry.async_create_background_task(self._hass, work, f"face_lock {name}")
        if not task.done():
            tasks.add(task)
            task.add_done_callback(tasks.discard)

    async def _async_save(self) -> None:
        await self._lockouts.async_save(self.lockout, monotonic())

    async def _async_deny(self, attempt: AccessAttempt, picture: bytes | None) -> None:
        """Report a failed visit once a restart cannot undo that it counts."""
        await self._async_save()
        self._on_end(attempt, picture)

    async def _async_open(self, attempt: AccessAttempt, picture: bytes | None) -> None:
        """Open for a grant if it still holds, and report how that went."""
        opening = Opening(attempt, max_age=POLICY.max_age)
        try:
            await async_carry_out(
                opening, lambda: self._async_unlock(attempt), lambda: self._objection(attempt), _now
            )
        finally:
            # Also where the door is being stopped: the outcome is known then, too.
            outcome = opening.outcome or replace(attempt, granted=False, problem=Problem.STOPPED)
            if outcome.granted:
                self._memory.opened = True
            else:
                self.opened_for = None
            if opening.commanded and outcome.problem not in RETRIED:
                self._use_pass(attempt)
            self._on_end(outcome, picture)
        await self._async_save()

    async def _async_unlock(self, attempt: AccessAttempt) -> None:
        # Set before the call: the lock's change of state arrives while it runs.
        self.opened_for = name_of(self._entry, attempt.person)
        self._factor.use()
        await self._lock.async_grant(Context())

    def _use_pass(self, attempt: AccessAttempt) -> None:
        """Take the pass of whoever needed one: also a lock that did not answer may have opened."""
        rules = self.people.get(attempt.person or "")
        if attempt.person and rules and objection(self._hass, rules) is not None:
            self.passes.use(attempt.person, rules, monotonic())

    def _objection(self, attempt: AccessAttempt) -> Problem | None:
        """Say why a grant no longer holds: time has passed since it was found."""
        if self.is_closed or self._entry.state is not ConfigEntryState.LOADED:
            return Problem.STOPPED
        if attempt.person is None or attempt.person not in people_of(self._entry):
            return Problem.UNKNOWN_FACE
        rules = self.people[attempt.person]
        problem = objection(self._hass, rules)
        held = self.passes.holds(attempt.person, rules, monotonic())
        return None if held else problem
