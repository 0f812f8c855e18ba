"""The way from a decision to whoever is told of it, as a line.

decision -> one-time rules -> lock -> outcome -> record -> told
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from time import monotonic
from typing import Final

from homeassistant.config_entries import ConfigEntry
from homeassistant.core import Context, HomeAssistant, callback

from ..locking.driver import OwnLock, TargetLock
from ..locking.unlock import async_carry_out
from ..recognition.host import Decided
from ..residents import Residents
from ..settings import DoorSettings
from ..storage.lockout import LockoutStore
from ..vision import (
    AccessAttempt,
    Circumstances,
    DecisionPolicy,
    Opening,
    Problem,
)
from ..visit import Visit
from .grant import Grant
from .memory import Memory
from .recorder import Recorder
from .rules import barred
from .second_factor import SecondFactor

POLICY: Final = DecisionPolicy()


def _now() -> float:
    return monotonic()


class Controller:
    """Decides for one door whether a grant still holds, works its lock, and reports each visit."""

    def __init__(
        self,
        hass: HomeAssistant,
        entry: ConfigEntry,
        door: str,
        settings: DoorSettings,
        residents: Residents,
        memory: Memory,
        lockouts: LockoutStore,
        recorder: Recorder,
        lock: TargetLock | OwnLock,
        *,
        watches: Callable[[], bool],
        tell: Callable[[Visit], None],
        on_change: Callable[[], None],
    ) -> None:
        """``watches`` says whether recognition is switched on.

        ``tell`` is given the record of each visit, once nothing can undo it.

        ``on_change`` is told when the lockout, or who opened the door, changed otherwise.
        """
        self._hass = hass
        self._entry = entry
        self._door = door
        self._residents = residents
        self._memory = memory
        self._lockouts = lockouts
        self._recorder = recorder
        self._lock = lock
        self._watches = watches
        self._tell = tell
        self._on_change = on_change
        self._factor = SecondFactor(hass, settings, memory)
        self._opening: set[asyncio.Task[None]] = set()
        self._concluding: set[asyncio.Task[None]] = set()
        self._offering = asyncio.Lock()
        self.is_closed = False
        """Whether the door is being stopped: then no grant is carried out any more."""
        self.policy = replace(
            POLICY,
            attempts=max(1, settings.attempts),
            factor_wait=self._factor.wait,
            hold_longest=settings.hold_longest,
        )
        self.lockout = lockouts.restore(self.policy, monotonic())
        self._kept = (self.lockout.failures, self.is_locked_out)
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
        await asyncio.gather(*opening, return_exceptions=True)
        await asyncio.gather(*self._concluding, return_exceptions=True)
        # A lockout that is over must not begin again with the next start.
        await self._async_save()
        await self._recorder.async_write()

    @property
    def is_locked_out(self) -> bool:
        """Whether nothing opens after too many failures."""
        return self.lockout.locked(monotonic())

    async def async_end_lockout(self) -> int:
        """Forget the failures, for the owner; return how many there were."""
        failures = self.lockout.failures
        self.lockout.clear()
        await self._async_save()
        self._on_change()
        return failures

    @callback
    def async_keep_lockout(self) -> None:
        """Write the lockout down when it has changed by itself, to be called now and then.

        A power cut must bring back neither failures that have faded nor a lockout that is over, and
        must not undo failures of a visit that nobody was told about.
        """
        locked_out = self.is_locked_out  # lets failures fade
        now = (self.lockout.failures, locked_out)
        if now != self._kept and not self.is_closed:
            self._kept = now
            save = self._async_save()
            self._entry.async_create_background_task(self._hass, save, "face_lock lockout")

    async def async_offer_code(self, code: str, *, trusted: bool = False) -> bool:
        """Take the second factor; a right code ends a lockout, a wrong one counts as a failure.

        In a lockout only who is ``trusted`` is listened to: whoever stands at a keypad could try
        codes without end. Codes are checked one at a time, so that many at once cannot all be
        tried before the first of them counts, nor fill the memory.
        """
        async with self._offering:
            if self.is_locked_out and not trusted:
                return False
            now = monotonic()
            right = await self._factor.async_is_code(code)
            # A face may have been the last failure while the code was being checked.
            if self.is_locked_out and not trusted:
                return False
            if right:
                self._factor.take_code(now)
                self.lockout.clear()
            else:
                self.lockout.fail(monotonic())
            await self._async_save()
        self._on_change()
        return right

    @callback
    def circumstances(self) -> Circumstances:
        """Say what holds at the door now."""
        now, rules = monotonic(), self._residents.rules
        kept_out = barred(self._hass, rules.items(), self._door)
        return Circumstances(
            barred=self.passes.lift(kept_out, rules, now),
            factor_missing=self._factor.missing(now),
        )

    @callback
    def conclude(self, decided: Decided) -> None:
        """Take a decided visit to its end; returns at once."""
        # The lock may take seconds: the door is watched meanwhile.
        tasks = self._opening if decided.attempt.granted else self._concluding
        task = self._entry.async_create_background_task(
            self._hass, self._async_conclude(decided), "face_lock conclude"
        )
        if not task.done():
            tasks.add(task)
            task.add_done_callback(tasks.discard)

    async def _async_conclude(self, decided: Decided) -> None:
        outcome, opened_at = decided.attempt, None
        if outcome.granted:
            outcome = await self._async_open(outcome)
            self._let_end()
            decided.conclude(outcome)
            if outcome.granted:
                opened_at = monotonic()
                moment = partial(decided.conclude, outcome, momentary=True)
                self._lock.async_if_momentary(moment)
        elif not self._lockouts.is_saved(self.lockout):
            # A restart must not undo that a failure counts once it was reported.
            await self._async_save()
        visit = await self._recorder.async_record(decided, outcome, opened_at)
        self._tell(visit)
        if decided.attempt.granted:
            await self._async_save()
        await self._recorder.async_write()

    def _let_end(self) -> None:
        """From here on a stop waits for the present task instead of cancelling it."""
        task = asyncio.current_task()
        if task in self._opening:
            self._opening.discard(task)
            self._concluding.add(task)
            task.add_done_callback(self._concluding.discard)

    async def _async_open(self, attempt: AccessAttempt) -> AccessAttempt:
        """Open for a grant if it still holds; return the attempt with what came of it."""
        opening = Opening(attempt, max_age=POLICY.max_age)
        grant = Grant(self._hass, self._door, attempt, self._residents, self.passes, self._factor)
        try:
            await async_carry_out(
                opening,
                lambda: self._async_unlock(attempt, grant),
                lambda: self._objection(grant),
                _now,
            )
        except asyncio.CancelledError:
            # The door is being stopped. How far it came is known, and is still to be recorded.
            if (task := asyncio.current_task()) is not None:
                task.uncancel()
        outcome = opening.outcome or replace(attempt, granted=False, problem=Problem.STOPPED)
        if outcome.granted:
            self._memory.opened = True
        else:
            self.opened_for = None
        return outcome

    async def _async_unlock(self, attempt: AccessAttempt, grant: Grant) -> None:
        # Set before the call: the lock's change of state arrives while it runs.
        self.opened_for = self._residents.name_of(attempt.person)
        await self._lock.async_grant(Context(), lambda: grant.command(monotonic()))

    def _objection(self, grant: Grant) -> Problem | None:
        """Say why the lock must not be commanded, or not again: time has passed."""
        if self.is_closed or not self._watches():
            return Problem.STOPPED
        if self.is_locked_out:
            return Problem.LOCKED_OUT
        return grant.objection(monotonic())

    async def _async_save(self) -> None:
        await self._lockouts.async_save(self.lockout, monotonic())
