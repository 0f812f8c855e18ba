"""The one place that decides what an access attempt leads to; all entities subscribe to it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from time import monotonic
from typing import Final, TypeAlias

from homeassistant.config_entries import ConfigEntry, ConfigEntryState, ConfigSubentry
from homeassistant.core import CALLBACK_TYPE, Context, HomeAssistant, callback
from homeassistant.helpers import issue_registry as ir
from homeassistant.helpers.update_coordinator import DataUpdateCoordinator

from .const import (
    CONF_CAMERA,
    CONF_FALSE_POSITIVE_RATE,
    CONF_LOCK,
    CONF_RELOCK_AFTER,
    DEFAULT_FALSE_POSITIVE_RATE,
    DEFAULT_RELOCK_AFTER,
    DOMAIN,
    FALSE_POSITIVE_RATES,
    ISSUE_CAMERA_MISSING,
    SUBENTRY_PERSON,
)
from .door_lock import OwnLock, TargetLock
from .issues import async_report
from .records import DoorRecords
from .source import async_resolve
from .vision import (
    AccessAttempt,
    Bundle,
    Decider,
    DecisionPolicy,
    Problem,
    gallery_matcher,
)
from .watcher import DoorState, Watcher
from .worker import Worker

_LOGGER = logging.getLogger(__name__)

POLICY: Final = DecisionPolicy()

FaceLockConfigEntry: TypeAlias = "ConfigEntry[FaceLockCoordinator]"


@dataclass(frozen=True, slots=True)
class Access:
    """The end of a visit, as the owner is told: the attempt and what came of it.

    ``person`` is the name of whom the attempt names; ``response_time`` counts, for a grant, until
    the lock had been opened.
    """

    attempt: AccessAttempt
    person: str | None
    response_time: float | None


def people_of(entry: ConfigEntry) -> dict[str, ConfigSubentry]:
    """Person id -> subentry."""
    return {
        subentry.unique_id: subentry
        for subentry in entry.subentries.values()
        if subentry.subentry_type == SUBENTRY_PERSON and subentry.unique_id is not None
    }


def false_positive_rate(entry: ConfigEntry) -> float:
    """Return the rate the owner chose, 0..1."""
    key = entry.options.get(CONF_FALSE_POSITIVE_RATE, DEFAULT_FALSE_POSITIVE_RATE)
    return FALSE_POSITIVE_RATES[key]


class FaceLockCoordinator(DataUpdateCoordinator[DoorState]):
    """One door: its watcher, its lock, its people. Nothing is polled through it."""

    config_entry: FaceLockConfigEntry

    def __init__(
        self,
        hass: HomeAssistant,
        entry: FaceLockConfigEntry,
        bundle: Bundle,
        records: DoorRecords,
        worker: Worker,
    ) -> None:
        """Prepare the door.

        Raises:
            ValueError: no threshold is known that is strict enough for that many people.

        """
        super().__init__(
            hass,
            _LOGGER,
            config_entry=entry,
            name=f"{DOMAIN} {entry.entry_id}",
            update_interval=None,
        )
        self.data = DoorState()
        self.bundle = bundle
        self.records = records
        self.store = records.pictures
        self.worker = worker
        self.changed_by: str | None = None
        self._listening: list[Callable[[Access], None]] = []
        self._opening: set[asyncio.Task[None]] = set()
        self._stopping = False
        target = entry.data.get(CONF_LOCK)
        self.lock: TargetLock | OwnLock
        if target is None:
            relock_after = entry.options.get(CONF_RELOCK_AFTER, DEFAULT_RELOCK_AFTER)
            self.lock = OwnLock(hass, relock_after, self._own_lock_changed)
        else:
            self.lock = TargetLock(hass, target)
        matcher = gallery_matcher(bundle, self.store.gallery())
        point = bundle.thresholds.operating_point(false_positive_rate(entry), len(matcher))
        self.watcher = Watcher(
            hass,
            entry.data[CONF_CAMERA],
            worker,
            bundle,
            matcher,
            Decider(POLICY, bundle.thresholds, point),
            on_state=self._state_changed,
            on_attempt=self._attempted,
        )

    @callback
    def async_start(self) -> None:
        """Begin to watch the door."""
        if async_resolve(self.hass, self.config_entry.data[CONF_CAMERA]) is not None:
            # The door may have been given another camera.
            ir.async_delete_issue(self.hass, DOMAIN, self._camera_issue)
        self.watcher.async_start(self.config_entry.async_create_background_task)

    async def async_stop(self, *_: object) -> None:
        """Stop watching; from here on nothing opens."""
        self._stopping = True
        await self.watcher.async_stop()
        opening = list(self._opening)
        for task in opening:
            task.cancel()
        await asyncio.gather(*opening, return_exceptions=True)
        self.lock.async_stop()
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
    def _attempted(self, attempt: AccessAttempt) -> None:
        if not attempt.granted:
            self._report(attempt)
            return
        # The lock may take seconds: the door is watched meanwhile.
        task = self.config_entry.async_create_background_task(
            self.hass, self._async_open(attempt), "face_lock open"
        )
        if not task.done():
            self._opening.add(task)
            task.add_done_callback(self._opening.discard)

    async def _async_open(self, attempt: AccessAttempt) -> None:
        """Open for a grant if it still holds, and report how that went."""
        problem = self._objection(attempt)
        if problem is None:
            # Set before the call: the lock's change of state arrives while it runs.
            self.changed_by = self._name(attempt.person)
            try:
                await self.lock.async_unlock(context=Context())
            except asyncio.CancelledError:
                self._report(_refused(attempt, Problem.STOPPED))
                raise
            # The lock's integration raises whatever it met; its traceback is not ours to show.
            except Exception as error:  # noqa: BLE001
                _LOGGER.error(  # noqa: TRY400
                    "The lock did not unlock: %s", error
                )
                problem = Problem.LOCK_FAILED
        if problem is None:
            self._report(attempt)
        else:
            self.changed_by = None
            self._report(_refused(attempt, problem))

    def _objection(self, attempt: AccessAttempt) -> Problem | None:
        """Say why a grant no longer holds: time has passed since it was found."""
        if self._stopping or self.config_entry.state is not ConfigEntryState.LOADED:
            return Problem.STOPPED
        if attempt.person not in people_of(self.config_entry):
            return Problem.UNKNOWN_FACE
        if not 0 <= monotonic() - attempt.decided_at <= POLICY.max_age:
            return Problem.STALE_FRAMES
        return None

    # To the entities

    @callback
    def _report(self, attempt: AccessAttempt) -> None:
        response_time = attempt.response_time
        if attempt.granted and attempt.first_usable_at is not None:
            response_time = monotonic() - attempt.first_usable_at
        access = Access(attempt, self._name(attempt.person), response_time)
        for listener in list(self._listening):
            listener(access)
        self.async_update_listeners()

    @callback
    def _own_lock_changed(self) -> None:
        if isinstance(self.lock, OwnLock) and self.lock.is_locked:
            self.changed_by = None
        self.async_update_listeners()

    def _name(self, person: str | None) -> str | None:
        subentry = people_of(self.config_entry).get(person or "")
        return None if subentry is None else subentry.title


def _refused(attempt: AccessAttempt, problem: Problem) -> AccessAttempt:
    return replace(attempt, granted=False, problem=problem)
