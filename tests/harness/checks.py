"""Checks whether a door may open, only by what its camera took and what its owner allowed."""

from __future__ import annotations

from contextlib import suppress
from typing import Any, Final

from homeassistant.components.lock import LockState
from homeassistant.core import callback

from custom_components.face_lock.people import people_of
from custom_components.face_lock.vision import DecisionPolicy

from .fake_home import LOCK, PHONE, FakeHome

POLICY: Final = DecisionPolicy()


class Checks:
    """Compares every opening with what the camera took and the owner allowed.

    It knows nothing about tracks, votes or queues: at some moment within the last seconds,
    everything that an opening requires must have been true.
    """

    def __init__(self, house: FakeHome) -> None:
        """Look at every command to ``house``'s locks from now on."""
        self._house = house
        self.openings = 0
        house.on_command = self.commanded
        house.hass.bus.async_listen("state_changed", self._changed)
        self._factor_at = float("-inf")
        self._watched_at = float("-inf")

    def note(self) -> None:
        """Note what holds now; called often."""
        house, now = self._house, self._house.loop.time()
        if house.state(PHONE) == "on":
            self._factor_at = now
        if self._is_watched():
            self._watched_at = now

    def _is_watched(self) -> bool:
        with suppress(AttributeError):
            return bool(self._house.watcher.is_enabled)
        return False

    @callback  # otherwise core would run it in a thread, later
    def _changed(self, event: Any) -> None:
        old, new = event.data["old_state"], event.data["new_state"]
        if event.data["entity_id"] == PHONE and old is not None and old.state == "on":
            self._factor_at = self._house.loop.time()
        if event.data["entity_id"] != LOCK or "lock" in self._house.settings:
            return
        opens = new is not None and new.state == LockState.UNLOCKED
        if opens and (old is None or old.state != LockState.UNLOCKED):
            self.commanded()

    def commanded(self) -> None:
        """The lock is told to open, or a lock of our own opens."""
        house, now = self._house, self._house.loop.time()
        house.commands.append(now)
        self.openings += 1
        self.note()
        why = [self._objection(name, identity) for name, identity in house.people.items()]
        if all(why):
            house.violations.append(f"opened at {now:.2f}: " + "; ".join(map(str, why)))

    def _objection(self, name: str, identity: int) -> str | None:
        """Say why the door must not open for a person now."""
        house, now = self._house, self._house.loop.time()
        asks = "factor_entity" in house.settings.get("security", {})
        if not house.runs:
            return f"the door does not run, the entry is {house.entry.state}"
        subentry = people_of(house.entry).get(name.lower())
        objections = {
            f"{name} was not in the last pictures": not self._was_seen(identity, now),
            f"{name} may not come in": subentry is None or subentry.data.get("allowed") is False,
            "recognition is off": now - self._watched_at > POLICY.max_age,
            "locked out": house.door.controller.is_locked_out,
            "no second factor": asks and now - self._factor_at > POLICY.max_age,
        }
        return next((text for text, holds in objections.items() if holds), None)

    def _was_seen(self, identity: int, now: float) -> bool:
        """Whether the camera took a quorum of pictures of a person, the newest just now."""
        since = now - POLICY.max_age - POLICY.window
        shots = self._house.shots
        seen = [shot.at for shot in shots if identity in shot.identities]
        recent = [at for at in seen if at >= since]
        # A picture that is served late counts as new when it is requested: one of the quorum may
        # be.
        late = now - self._house.delayed_at <= POLICY.max_age + POLICY.window
        wanted = POLICY.quorum - late
        return len(recent) >= wanted and (late or now - recent[-1] <= POLICY.max_age)
