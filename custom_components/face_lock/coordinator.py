"""One door while it runs: its cameras, its lock, its way to a record. Its entities subscribe."""

from __future__ import annotations

import logging
from collections.abc import Callable
from time import monotonic
from typing import Any, Final

from homeassistant.config_entries import ConfigEntry, ConfigSubentry
from homeassistant.core import CALLBACK_TYPE, HomeAssistant, callback
from homeassistant.helpers.entity import Entity
from homeassistant.helpers.update_coordinator import DataUpdateCoordinator

from .access.controller import Controller
from .access.door_contact import async_follow_contact
from .access.memory import async_memory
from .access.recorder import Recorder
from .challenge.prompter import Prompter
from .const import DOMAIN, ISSUE_CAMERA_MISSING, ISSUE_NOT_RELOCKED
from .door_state import DoorState
from .entity_reference import async_resolve
from .issues import async_report_if
from .locking.driver import OwnLock, make_lock
from .locking.relock import Relocks
from .people import doors_of
from .recognition.feed import Feeds, Wish
from .recognition.host import Decided
from .recognition.trigger import async_follow_triggers
from .recognition.watcher import Watcher
from .residents import Residents
from .settings import CONF_RECOGNIZING, MIN_SHARES, DoorSettings
from .storage.records import DoorRecords
from .vision import (
    Asking,
    Bundle,
    Circumstances,
    CoolDown,
    Decider,
    LivenessLevel,
    OperatingPoint,
    judge,
)
from .visit import Visit

_LOGGER = logging.getLogger(__name__)

SHOW_FOR: Final = 10.0
"""Seconds for which the last visit's person and confidence are shown."""


class DoorCoordinator(DataUpdateCoordinator[DoorState]):
    """One door. Nothing is polled through it."""

    config_entry: ConfigEntry[Any]

    def __init__(
        self,
        hass: HomeAssistant,
        entry: ConfigEntry[Any],
        subentry: ConfigSubentry,
        settings: DoorSettings,
        bundle: Bundle,
        residents: Residents,
        records: DoorRecords,
        relocks: Relocks,
        feeds: Feeds,
    ) -> None:
        """Prepare the door.

        Raises:
            RateUnavailableError: no threshold is strict enough for that many people.

        """
        self.id: Final = subentry.unique_id or subentry.subentry_id
        super().__init__(
            hass, _LOGGER, config_entry=entry, name=f"{DOMAIN} {self.id}", update_interval=None
        )
        self.data = DoorState()
        self.subentry_id: Final = subentry.subentry_id
        self.title: Final = subentry.title
        self.settings = settings
        self.bundle = bundle
        self.residents = residents
        self.records = records
        self.entities: set[Entity] = set()
        self.memory = async_memory(hass, self.id)
        self.listens_to: Final = self.would_listen_to()
        self._told: list[Callable[[Visit], None]] = []
        self._untrack: list[CALLBACK_TYPE] = []
        self._shown: tuple[float, Visit] | None = None
        # Found out before anything is made that would have to be stopped.
        self._point = self._operating_point()
        self.lock = make_lock(
            hass,
            settings,
            relocks,
            held=self._is_held,
            on_change=self._own_lock_changed,
            on_relock=self._relocked,
        )
        self.controller = Controller(
            hass,
            entry,
            self.id,
            settings,
            residents,
            self.memory,
            records.lockout,
            Recorder(hass, entry, self.id, residents, records),
            self.lock,
            watches=lambda: self.is_enabled,
            tell=self._tell,
            on_change=self.async_update_listeners,
        )
        asks = settings.liveness is LivenessLevel.CHALLENGE
        self.prompter = Prompter(hass, entry, self.title, settings) if asks else None
        self._feeds, cool_down = feeds, CoolDown()
        self.watchers = tuple(self._make_watcher(camera, cool_down) for camera in settings.cameras)
        if not subentry.data.get(CONF_RECOGNIZING, True):
            self._enable(enabled=False)

    def _make_watcher(self, camera: str, cool_down: CoolDown) -> Watcher:
        bundle, settings = self.bundle, self.settings
        decider = Decider(
            self.controller.policy,
            bundle.thresholds,
            self._point,
            judge=judge(
                settings.liveness,
                bundle.liveness.points if bundle.liveness else (),
                bundle.score_limits,
            ),
            ask=None if self.prompter is None else self.prompter.draw,
            lockout=self.controller.lockout,
            frames=self.memory.frames(camera),
            cool_down=cool_down,
        )
        return Watcher(
            self.hass,
            self,
            camera,
            self._feeds,
            decider,
            self._wish(),
            keep_picture=settings.keep_last_visit,
        )

    @callback
    def async_start(self) -> None:
        """Begin to watch the door."""
        self._report_missing_cameras()
        self.lock.async_resume()
        for watcher in self.watchers:
            watcher.async_start(self.config_entry.async_create_background_task)
        self._untrack = [
            async_follow_triggers(self.hass, self.settings.triggers, self._look),
            async_follow_contact(
                self.hass,
                self.settings.contact,
                opened=self._door_opened,
                closed=self._door_closed,
            ),
        ]

    async def async_stop(self, *_: object) -> None:
        """Stop watching; from here on nothing opens. May be called again."""
        self.controller.async_close()
        while self._untrack:
            self._untrack.pop()()
        for watcher in self.watchers:
            await watcher.async_stop()
        if self.prompter is not None:
            await self.prompter.async_stop()
        await self.controller.async_stop()
        await self.lock.async_stop()
        await self._feeds.async_stop_unused()

    def would_listen_to(self) -> frozenset[str]:
        """Return the ids, as they are now, of the entities whose changes the door follows."""
        found = (async_resolve(self.hass, reference) for reference in self.settings.followed)
        return frozenset(entity_id for entity_id in found if entity_id is not None)

    @callback
    def async_use_people(self) -> None:
        """Recognise whom the household has now; a visit that is going on is not ended by it.

        Raises:
            RateUnavailableError: no threshold is strict enough for that many people.

        """
        self._point = self._operating_point()
        for watcher in self.watchers:
            watcher.async_use(self._point, self._wish())
        self.async_update_listeners()

    @callback
    def async_subscribe_visits(self, listener: Callable[[Visit], None]) -> CALLBACK_TYPE:
        """Call ``listener`` with the record of each visit; return how to stop that."""
        self._told.append(listener)
        return lambda: self._told.remove(listener)

    @callback
    def async_forget_changed_by(self) -> None:
        """Somebody else than a recognised person works the lock."""
        if self.controller.opened_for is not None:
            self.controller.opened_for = None
            self.async_update_listeners()

    @callback
    def async_enable(self, *, enabled: bool) -> None:
        """Switch recognition on or off, and keep that over restarts."""
        self._enable(enabled=enabled)
        subentry = doors_of(self.config_entry)[self.id]
        self.hass.config_entries.async_update_subentry(
            self.config_entry, subentry, data={**subentry.data, CONF_RECOGNIZING: enabled}
        )

    @callback
    def _enable(self, *, enabled: bool) -> None:
        for watcher in self.watchers:
            watcher.async_enable(enabled=enabled)
        if not enabled:
            self._shown = None
            if self.prompter is not None:
                self.prompter.async_end()
        self.camera_changed()

    @property
    def is_enabled(self) -> bool:
        """Whether the door is watched at all."""
        return all(watcher.is_enabled for watcher in self.watchers)

    @property
    def is_watching(self) -> bool:
        """Whether faces would be seen now."""
        return self.data.outage is None and self.is_enabled

    def _wish(self) -> Wish:
        # A face that votes is measured, others need not be.
        is_off = self.settings.liveness is LivenessLevel.OFF
        return Wish(
            MIN_SHARES[self.settings.sensitivity], None if is_off else self._point.threshold
        )

    def _operating_point(self) -> OperatingPoint:
        return self.bundle.thresholds.operating_point(
            self.settings.false_positive_rate, len(self.residents.matcher)
        )

    # From the owner's other devices

    @callback
    def _look(self) -> None:
        for watcher in self.watchers:
            watcher.async_open_gate()

    @callback
    def _door_opened(self) -> None:
        for watcher in self.watchers:
            watcher.door_opened(monotonic())

    @callback
    def _door_closed(self) -> None:
        for watcher in self.watchers:
            watcher.door_closed(monotonic())
        self.lock.async_door_closed()

    # From the watchers: see ``Host``

    def circumstances(self) -> Circumstances:
        """Say what holds at the door now."""
        return self.controller.circumstances()

    @callback
    def decided(self, decided: Decided) -> None:
        """Take a visit to its end."""
        if decided.attempt.granted and self.prompter is not None:
            self.prompter.async_end()
        self.controller.conclude(decided)

    @callback
    def ask(self, asking: Asking) -> None:
        """Put a question to the visitors."""
        if self.prompter is not None:
            self.prompter.async_ask(asking)

    @callback
    def camera_changed(self) -> None:
        """Take note of what the cameras show."""
        before, state = self.data, self._state()
        self.controller.async_keep_lockout()
        if state == before:
            return
        self.async_set_updated_data(state)
        if state.outage == before.outage:
            return
        if state.outage is None:
            _LOGGER.info("%s is watched again", self.title)
        elif before.outage is None:
            _LOGGER.warning("%s is not watched: %s", self.title, state.outage)
        self._report_missing_cameras()

    def _state(self) -> DoorState:
        shown = self._shown
        if shown is not None and monotonic() - shown[0] >= SHOW_FOR:
            shown = self._shown = None
        return DoorState.of(
            [watcher.state for watcher in self.watchers],
            None if shown is None else shown[1],
            locked_out=self.controller.is_locked_out,
        )

    @callback
    def _report_missing_cameras(self) -> None:
        missing = any(async_resolve(self.hass, c) is None for c in self.settings.cameras)
        self._report_if(missing, ISSUE_CAMERA_MISSING)

    # To the entities and the logbook

    @callback
    def _tell(self, visit: Visit) -> None:
        self._shown = (monotonic(), visit)
        for listener in list(self._told):
            listener(visit)
        self.async_update_listeners()

    @callback
    def _own_lock_changed(self) -> None:
        if isinstance(self.lock, OwnLock) and self.lock.is_locked:
            self.controller.opened_for = None
        self.async_update_listeners()

    def _is_held(self) -> bool:
        """Whether the door must not be locked yet: whom it was opened for is still there."""
        return (
            self.settings.hold
            and not self.controller.is_closed
            and any(w.is_hosting and w.state.outage is None for w in self.watchers)
        )

    @callback
    def _relocked(self, error: Exception | None) -> None:
        if error is not None:
            _LOGGER.error("%s was not locked again: %s", self.title, error)
        self._report_if(error is not None, ISSUE_NOT_RELOCKED)

    @callback
    def _report_if(self, wrong: bool, issue: str) -> None:
        async_report_if(self.hass, wrong, f"{issue}_{self.id}", issue, door=self.title)
