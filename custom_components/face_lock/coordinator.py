"""The one place that decides what an access attempt leads to; all entities subscribe to it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from time import monotonic
from typing import Final, TypeAlias

from homeassistant.components.event import DOMAIN as EVENT_DOMAIN
from homeassistant.config_entries import ConfigEntry
from homeassistant.const import STATE_ON, STATE_UNAVAILABLE, STATE_UNKNOWN
from homeassistant.core import (
    CALLBACK_TYPE,
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
from .asker import Asker
from .const import (
    CONF_CAMERA,
    CONF_LOCK,
    DOMAIN,
    ISSUE_CAMERA_MISSING,
    ISSUE_NOT_RELOCKED,
)
from .door_lock import OwnLock, TargetLock
from .entrance import Entrance
from .issues import async_report
from .lockout_store import LockoutStore
from .memory import async_memory
from .people import made_from, name_of, people_of
from .records import DoorRecords
from .settings import CONF_ALLOWED, DoorSettings, Sensitivity
from .source import async_resolve
from .vision import (
    AccessAttempt,
    Bundle,
    Decider,
    GateSettings,
    LivenessLevel,
    MotionGate,
    gallery_matcher,
    judge,
)
from .watcher import DoorState, Watcher
from .worker import Worker

_LOGGER = logging.getLogger(__name__)

OWN_RELOCK_AFTER: Final = 5
"""Seconds after which a lock of our own locks again where the owner chose none."""
MIN_SHARES: Final = {Sensitivity.LOW: 0.03, Sensitivity.NORMAL: 0.01, Sensitivity.HIGH: 0.003}
"""Share of the picture that must change to open the gate, 0..1."""

FaceLockConfigEntry: TypeAlias = "ConfigEntry[FaceLockCoordinator]"


def _nothing() -> None:
    pass


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
        self.memory = async_memory(hass, entry.entry_id)
        self.memory.visits.forget_all_but(people_of(entry))
        self._made_from = made_from(entry)
        self._listening: list[Callable[[Access], None]] = []
        self._untrack: CALLBACK_TYPE = _nothing
        self.lock = self._make_lock(entry.data.get(CONF_LOCK))
        self.entrance = Entrance(
            hass,
            entry,
            settings,
            self.memory,
            lockouts,
            self.lock,
            on_end=self._visit_ended,
            on_change=self.async_update_listeners,
        )
        matcher = gallery_matcher(bundle, records.pictures.gallery())
        rate = self.settings.false_positive_rate
        point = bundle.thresholds.operating_point(rate, len(matcher))
        asks = settings.liveness is LivenessLevel.CHALLENGE
        self.asker = Asker(hass, entry, settings) if asks else None
        self.watcher = Watcher(
            hass,
            entry.data[CONF_CAMERA],
            worker,
            bundle,
            matcher,
            Decider(
                self.entrance.policy,
                bundle.thresholds,
                point,
                judge=judge(
                    settings.liveness,
                    bundle.liveness.points if bundle.liveness else (),
                    bundle.score_limits,
                ),
                ask=None if self.asker is None else self.asker.draw,
                lockout=self.entrance.lockout,
                frames=self.memory.frames,
            ),
            MotionGate(GateSettings(min_share=MIN_SHARES[self.settings.sensitivity])),
            # A face that votes is measured, others need not be.
            cues_from=None if settings.liveness is LivenessLevel.OFF else point.threshold,
            keep_picture=self.settings.keep_last_visit,
            circumstances=self.entrance.circumstances,
            on_state=self._state_changed,
            on_attempt=self._attempted,
            on_ask=None if self.asker is None else self.asker.async_ask,
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
        self.entrance.async_close()
        self._untrack()
        self._untrack = _nothing
        await self.watcher.async_stop()
        if self.asker is not None:
            await self.asker.async_stop()
        await self.entrance.async_stop()
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
        if self.entrance.opened_for is not None:
            self.entrance.opened_for = None
            self.async_update_listeners()

    @callback
    def async_enable(self, *, enabled: bool) -> None:
        """Switch recognition on or off."""
        self.watcher.async_enable(enabled=enabled)
        if not enabled and self.asker is not None:
            self.asker.async_end()
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
        self.entrance.async_read_people()
        self.async_update_listeners()

    @property
    def is_watching(self) -> bool:
        """Whether faces would be seen now."""
        return self.data.outage is None and self.watcher.is_enabled

    @property
    def is_current(self) -> bool:
        """Whether the entry still says what this door was made from."""
        return made_from(self.config_entry) == self._made_from

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

    @callback
    def _attempted(self, attempt: AccessAttempt, picture: bytes | None) -> None:
        if attempt.granted and self.asker is not None:
            self.asker.async_end()
        self.entrance.conclude(attempt, picture)

    @property
    def _camera_issue(self) -> str:
        return f"{ISSUE_CAMERA_MISSING}_{self.config_entry.entry_id}"

    # To the entities

    @callback
    def _visit_ended(self, attempt: AccessAttempt, picture: bytes | None) -> None:
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
            self.entrance.opened_for = None
        self.async_update_listeners()

    def _is_held(self) -> bool:
        """Whether the door must not be locked yet: whom it was opened for is still there."""
        return (
            self.settings.hold
            and not self.entrance.is_closed
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
        return name_of(self.config_entry, person)
