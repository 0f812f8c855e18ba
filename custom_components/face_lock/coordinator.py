"""The one place that decides what an access attempt leads to; all entities subscribe to it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from dataclasses import replace
from time import monotonic
from typing import Any, Final, TypeAlias

from homeassistant.components.event import DOMAIN as EVENT_DOMAIN
from homeassistant.config_entries import ConfigEntry, ConfigEntryState, ConfigSubentry
from homeassistant.const import STATE_ON, STATE_UNAVAILABLE, STATE_UNKNOWN
from homeassistant.core import (
    CALLBACK_TYPE,
    Context,
    Event,
    EventStateChangedData,
    HomeAssistant,
    callback,
)
from homeassistant.helpers import issue_registry as ir
from homeassistant.helpers.event import async_track_state_change_event
from homeassistant.helpers.update_coordinator import DataUpdateCoordinator
from homeassistant.util import dt as dt_util

from .access import Access
from .const import (
    CONF_CAMERA,
    CONF_LOCK,
    DOMAIN,
    ISSUE_CAMERA_MISSING,
    ISSUE_NOT_RELOCKED,
    SUBENTRY_PERSON,
)
from .door_lock import OwnLock, TargetLock
from .factor import SecondFactor
from .issues import async_report
from .lockout_store import LockoutStore
from .memory import async_memory
from .permits import barred, objection
from .records import DoorRecords
from .settings import CONF_ALLOWED, DoorSettings, PersonSettings, Sensitivity
from .source import async_resolve
from .unlocking import async_carry_out
from .vision import (
    RETRIED,
    AccessAttempt,
    Bundle,
    Circumstances,
    Decider,
    DecisionPolicy,
    GateSettings,
    LivenessLevel,
    MotionGate,
    Opening,
    Problem,
    gallery_matcher,
    judge,
)
from .watcher import DoorState, Watcher
from .worker import Worker

_LOGGER = logging.getLogger(__name__)

POLICY: Final = DecisionPolicy()
OWN_RELOCK_AFTER: Final = 5
"""Seconds after which a lock of our own locks again where the owner chose none."""
MIN_SHARES: Final = {Sensitivity.LOW: 0.03, Sensitivity.NORMAL: 0.01, Sensitivity.HIGH: 0.003}
"""Share of the picture that must change to open the gate, 0..1."""

FaceLockConfigEntry: TypeAlias = "ConfigEntry[FaceLockCoordinator]"


def people_of(entry: ConfigEntry) -> dict[str, ConfigSubentry]:
    """Person id -> subentry."""
    return {
        subentry.unique_id: subentry
        for subentry in entry.subentries.values()
        if subentry.subentry_type == SUBENTRY_PERSON and subentry.unique_id is not None
    }


def _nothing() -> None:
    pass


def _now() -> float:
    return monotonic()


def _settings_of(entry: ConfigEntry) -> dict[str, PersonSettings]:
    return {person: PersonSettings.of(s) for person, s in people_of(entry).items()}


def _people(entry: ConfigEntry) -> dict[str, tuple[str, dict[str, Any]]]:
    """Return what a door is made from of its people: all but who is suspended."""
    return {
        person: (s.title, {k: v for k, v in s.data.items() if k != CONF_ALLOWED})
        for person, s in people_of(entry).items()
    }


class FaceLockCoordinator(DataUpdateCoordinator[DoorState]):
    """One door: its watcher, its lock, its people. Nothing is polled through it."""

    config_entry: FaceLockConfigEntry

    def __init__(
        self,
        hass: HomeAssistant,
        entry: FaceLockConfigEntry,
        settings: DoorSettings,
        bundle: Bundle,
        records: DoorRecords,
        worker: Worker,
        lockouts: LockoutStore,
    ) -> None:
        """Prepare the door.

        Raises:
            RateUnavailableError: no threshold is strict enough for that many people.

        """
        super().__init__(
            hass,
            _LOGGER,
            config_entry=entry,
            name=f"{DOMAIN} {entry.entry_id}",
            update_interval=None,
        )
        self.data = DoorState()
        self.settings = settings
        self.bundle = bundle
        self.records = records
        self.store = records.pictures
        self.worker = worker
        self.people = _settings_of(entry)
        self.changed_by: str | None = None
        self.memory = async_memory(hass, entry.entry_id)
        self.memory.visits.forget_all_but(self.people)
        self.passes = self.memory.passes
        self._made_from = (entry.title, entry.data, entry.options, _people(entry))
        self._listening: list[Callable[[Access], None]] = []
        self._opening: set[asyncio.Task[None]] = set()
        self._concluding: set[asyncio.Task[None]] = set()
        self._stopping = False
        self._untrack: CALLBACK_TYPE = _nothing
        self.lock = self._make_lock(entry.data.get(CONF_LOCK))
        matcher = gallery_matcher(bundle, records.pictures.gallery())
        rate = self.settings.false_positive_rate
        point = bundle.thresholds.operating_point(rate, len(matcher))
        self._factor = SecondFactor(hass, settings, self.memory)
        policy = replace(POLICY, attempts=max(1, settings.attempts), factor_wait=self._factor.wait)
        self._lockouts = lockouts
        self._lockout = lockouts.restore(policy, monotonic())
        self.watcher = Watcher(
            hass,
            entry.data[CONF_CAMERA],
            worker,
            bundle,
            matcher,
            Decider(
                policy,
                bundle.thresholds,
                point,
                judge=judge(settings.liveness, bundle.liveness.points if bundle.liveness else ()),
                lockout=self._lockout,
                frames=self.memory.frames,
            ),
            MotionGate(GateSettings(min_share=MIN_SHARES[self.settings.sensitivity])),
            # A face that votes is measured, others need not be.
            cues_from=None if settings.liveness is LivenessLevel.OFF else point.threshold,
            keep_picture=self.settings.keep_last_visit,
            circumstances=self._circumstances,
            on_state=self._state_changed,
            on_attempt=self._attempted,
        )

    def _make_lock(self, target: str | None) -> TargetLock | OwnLock:
        chosen = self.settings.relock_after
        if target is None:
            return OwnLock(
                self.hass,
                relock_after=chosen or OWN_RELOCK_AFTER,
                held=self._is_held,
                on_change=self._own_lock_changed,
            )
        return TargetLock(
            self.hass,
            target,
            open_latch=self.settings.open_latch,
            relock_after=chosen or 0,
            held=self._is_held,
            on_relock=self._relocked,
        )

    @callback
    def async_start(self) -> None:
        """Begin to watch the door."""
        if async_resolve(self.hass, self.config_entry.data[CONF_CAMERA]) is not None:
            # The door may have been given another camera.
            ir.async_delete_issue(self.hass, DOMAIN, self._camera_issue)
        self.watcher.async_start(self.config_entry.async_create_background_task)
        triggers = [async_resolve(self.hass, reference) for reference in self.settings.triggers]
        self._untrack = async_track_state_change_event(
            self.hass, [entity_id for entity_id in triggers if entity_id], self._triggered
        )

    async def async_stop(self, *_: object) -> None:
        """Stop watching; from here on nothing opens. May be called again."""
        self._stopping = True
        self._untrack()
        self._untrack = _nothing
        await self.watcher.async_stop()
        opening = list(self._opening)
        for task in opening:
            task.cancel()
        await asyncio.gather(*opening, *self._concluding, return_exceptions=True)
        # A lockout that is over must not begin again with the next start.
        await self._lockouts.async_save(self._lockout, monotonic())
        await self.lock.async_stop()
        await self.worker.async_stop()

    @callback
    def async_subscribe_access(self, listener: Callable[[Access], None]) -> CALLBACK_TYPE:
        """Call ``listener`` at the end of each visit; return how to stop that."""
        self._listening.append(listener)
        return lambda: self._listening.remove(listener)

    @callback
    def async_forget_changed_by(self) -> None:
        """Somebody else than a recognised person works the lock."""
        if self.changed_by is not None:
            self.changed_by = None
            self.async_update_listeners()

    @callback
    def async_enable(self, *, enabled: bool) -> None:
        """Switch recognition on or off."""
        self.watcher.async_enable(enabled=enabled)
        self.async_update_listeners()

    @callback
    def async_set_allowed(self, person: str, *, allowed: bool) -> None:
        """Suspend a person, or let the person in again; takes effect at once, without a reload."""
        subentry = people_of(self.config_entry)[person]
        self.hass.config_entries.async_update_subentry(
            self.config_entry, subentry, data={**subentry.data, CONF_ALLOWED: allowed}
        )
        self.async_read_people()

    @callback
    def async_read_people(self) -> None:
        """Take over who is suspended and who is not."""
        self.people = _settings_of(self.config_entry)
        self.async_update_listeners()

    @property
    def is_locked_out(self) -> bool:
        """Whether nothing opens after too many failed visits."""
        return self._lockout.locked(monotonic())

    async def async_end_lockout(self) -> int:
        """Forget the failed visits, for the owner; return how many there were in a row."""
        failures = self._lockout.failures
        self._lockout.clear()
        await self._lockouts.async_save(self._lockout, monotonic())
        self.async_update_listeners()
        return failures

    async def async_offer_code(self, code: str) -> bool:
        """Take the second factor; a right code ends a lockout, a wrong one counts as a failure.

        The caller must not be a stranger's way to try codes without end: in a lockout only one
        whom Home Assistant knows may offer them.
        """
        right = await self._factor.async_offer(code, monotonic())
        if right:
            self._lockout.clear()
        else:
            self._lockout.fail(monotonic())
        await self._lockouts.async_save(self._lockout, monotonic())
        self.async_update_listeners()
        return right

    @property
    def is_watching(self) -> bool:
        """Whether faces would be seen now."""
        return self.data.outage is None and self.watcher.is_enabled

    @property
    def is_current(self) -> bool:
        """Whether the entry still says what this door was made from."""
        entry = self.config_entry
        return (entry.title, entry.data, entry.options, _people(entry)) == self._made_from

    # From the owner's other devices

    @callback
    def _triggered(self, event: Event[EventStateChangedData]) -> None:
        """Look when a motion sensor goes on or a doorbell rings."""
        old, new = event.data["old_state"], event.data["new_state"]
        ignored = (STATE_UNAVAILABLE, STATE_UNKNOWN)
        if old is None or new is None or old.state in ignored or new.state in ignored:
            return
        if new.domain == EVENT_DOMAIN or new.state == STATE_ON != old.state:
            self.watcher.async_open_gate()

    # From the watcher

    @callback
    def _state_changed(self, state: DoorState) -> None:
        before = self.data.outage
        self.async_set_updated_data(state)
        if state.outage == before:
            return
        if state.outage is None:
            _LOGGER.info("%s is watched again", self.config_entry.title)
            ir.async_delete_issue(self.hass, DOMAIN, self._camera_issue)
            return
        if before is None:
            _LOGGER.warning("%s is not watched: %s", self.config_entry.title, state.outage)
        if async_resolve(self.hass, self.config_entry.data[CONF_CAMERA]) is None:
            async_report(
                self.hass, self._camera_issue, ISSUE_CAMERA_MISSING, door=self.config_entry.title
            )

    @property
    def _camera_issue(self) -> str:
        return f"{ISSUE_CAMERA_MISSING}_{self.config_entry.entry_id}"

    @callback
    def _circumstances(self) -> Circumstances:
        now = monotonic()
        return Circumstances(
            barred=self.passes.lift(barred(self.hass, self.people.items()), self.people, now),
            factor_missing=self._factor.missing(now),
        )

    @callback
    def _attempted(self, attempt: AccessAttempt, picture: bytes | None) -> None:
        if attempt.granted:
            # The lock may take seconds: the door is watched meanwhile.
            self._spawn(self._async_open(attempt, picture), "open", self._opening)
        elif self._lockouts.is_saved(self._lockout):
            self._report(attempt, picture)
        else:
            self._spawn(self._async_deny(attempt, picture), "deny", self._concluding)

    @callback
    def _spawn(
        self, work: Coroutine[Any, Any, None], name: str, tasks: set[asyncio.Task[None]]
    ) -> None:
        task = self.config_entry.async_create_background_task(self.hass, work, f"face_lock {name}")
        if not task.done():
            tasks.add(task)
            task.add_done_callback(tasks.discard)

    async def _async_deny(self, attempt: AccessAttempt, picture: bytes | None) -> None:
        """Report a failed visit once a restart cannot undo that it counts."""
        await self._lockouts.async_save(self._lockout, monotonic())
        self._report(attempt, picture)

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
                self.memory.opened = True
            else:
                self.changed_by = None
            if opening.commanded and outcome.problem not in RETRIED:
                self._use_pass(attempt)
            self._report(outcome, picture)
        await self._lockouts.async_save(self._lockout, monotonic())

    async def _async_unlock(self, attempt: AccessAttempt) -> None:
        # Set before the call: the lock's change of state arrives while it runs.
        self.changed_by = self.name_of(attempt.person)
        self._factor.use()
        await self.lock.async_grant(Context())

    def _use_pass(self, attempt: AccessAttempt) -> None:
        """Take the pass of whoever needed one: also a lock that did not answer may have opened."""
        rules = self.people.get(attempt.person or "")
        if attempt.person and rules and objection(self.hass, rules) is not None:
            self.passes.use(attempt.person, rules, monotonic())

    def _objection(self, attempt: AccessAttempt) -> Problem | None:
        """Say why a grant no longer holds: time has passed since it was found."""
        if self._stopping or self.config_entry.state is not ConfigEntryState.LOADED:
            return Problem.STOPPED
        if attempt.person is None or attempt.person not in people_of(self.config_entry):
            return Problem.UNKNOWN_FACE
        rules = self.people[attempt.person]
        problem = objection(self.hass, rules)
        held = self.passes.holds(attempt.person, rules, monotonic())
        return None if held else problem

    # To the entities

    @callback
    def _report(self, attempt: AccessAttempt, picture: bytes | None) -> None:
        response_time = attempt.response_time
        if attempt.granted and attempt.first_usable_at is not None:
            response_time = monotonic() - attempt.first_usable_at
        access = Access(attempt, self.name_of(attempt.person), response_time, picture)
        self.memory.visits.add(access, dt_util.utcnow())
        for listener in list(self._listening):
            listener(access)
        self.async_update_listeners()

    @callback
    def _own_lock_changed(self) -> None:
        if isinstance(self.lock, OwnLock) and self.lock.is_locked:
            self.changed_by = None
        self.async_update_listeners()

    def _is_held(self) -> bool:
        """Whether the door must not be locked yet: whom it was opened for is still there."""
        return (
            self.settings.hold
            and not self._stopping
            and self.data.outage is None
            and self.watcher.is_hosting
        )

    @callback
    def _relocked(self, error: Exception | None) -> None:
        issue = f"{ISSUE_NOT_RELOCKED}_{self.config_entry.entry_id}"
        if error is None:
            ir.async_delete_issue(self.hass, DOMAIN, issue)
            return
        _LOGGER.error("%s was not locked again: %s", self.config_entry.title, error)
        async_report(self.hass, issue, ISSUE_NOT_RELOCKED, door=self.config_entry.title)

    def name_of(self, person: str | None) -> str | None:
        """Return the name of a person, by id; None for somebody who is not enrolled."""
        subentry = people_of(self.config_entry).get(person or "")
        return None if subentry is None else subentry.title
