"""Checks whether a door may open, only by what its camera took and what its owner allowed."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress
from typing import Any, Final

from homeassistant.components.lock import LockState
from homeassistant.core import callback

from custom_components.face_lock.locking import driver
from custom_components.face_lock.people import people_of
from custom_components.face_lock.vision import DecisionPolicy

from .fake_home import CONTACT, LOCK, PHONE, FakeHome

POLICY: Final = DecisionPolicy()
HELD: Final = max(POLICY.hold_unseen, POLICY.absence) + POLICY.max_age
"""Seconds after the last picture of whom the door was opened for in which it may still be held."""
LATE: Final = 4.0
"""Seconds that a hold's own second, a tick, a slow picture and the lock may add."""
EXCUSED: Final = frozenset(
    {"lock's answer", "lock's state", "entry", "executor", "monotonic clock", "storage", "people"}
)
"""Places of faults in which nobody can say when the lock is locked again."""


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
        self._let_in: tuple[frozenset[int], float] | None = None
        """Whom the door was last opened for, and when, while it is to be locked again."""
        self._excused_until = float("-inf")
        self._closed_at = float("-inf")
        """When the door itself was last closed: from then on the lock has its time once more."""
        self._cleared_at = house.loop.time()
        """When all failures were last forgotten."""

    def excuse(self, broken: Collection[str], seconds: float = 0.0) -> None:
        """Do not judge when a lock is locked while certain places are ``broken``, and a while."""
        lasts = float("inf") if EXCUSED.intersection(broken) else seconds
        self._excused_until = self._house.loop.time() + lasts

    def begin(self) -> None:
        """Begin with a healthy door."""
        self._let_in, self._excused_until = None, float("-inf")
        self.cleared()

    def cleared(self) -> None:
        """Note that the owner ended a lockout."""
        self._cleared_at = self._house.loop.time()

    def note(self) -> None:
        """Note what holds now; called often."""
        house, now = self._house, self._house.loop.time()
        if house.state(PHONE) == "on":
            self._factor_at = now
        if self._is_watched():
            self._watched_at = now
        self._judge_hold(now)
        self._judge_lockout()

    def _judge_hold(self, now: float) -> None:
        """Only pictures of whom the door was opened for keep it from being locked again."""
        if self._let_in is None:
            return
        identities, at = self._let_in
        shown = [shot.at for shot in self._house.shots if identities.intersection(shot.identities)]
        last = max([at, *shown])
        if now <= self._excused_until:
            self._let_in = None
        elif now > max(at + self._relock, last + HELD, self._closed_at + self._relock) + LATE:
            self._house.violations.append(f"not locked again at {now:.2f}, opened at {at:.2f}")
            self._let_in = None

    @property
    def _relock(self) -> float:
        after = self._house.settings.get("door", {}).get("relock_after")
        return float(driver.OWN_RELOCK_AFTER if after is None else after)

    def _judge_lockout(self) -> None:
        """Strangers who pass or wait, and pictures that hang there, lock nobody out."""
        house, now = self._house, self._house.loop.time()
        with suppress(AttributeError):
            if not house.door.controller.is_locked_out:
                return
            enrolled = set(house.people.values())
            if not any(
                s.at >= self._cleared_at and enrolled & set(s.identities) for s in house.shots
            ):
                house.violations.append(f"locked out at {now:.2f} though only strangers were there")
                self._cleared_at = now

    def _is_watched(self) -> bool:
        with suppress(AttributeError):
            return bool(self._house.watcher.is_enabled)
        return False

    @callback  # otherwise core would run it in a thread, later
    def _changed(self, event: Any) -> None:
        old, new = event.data["old_state"], event.data["new_state"]
        if event.data["entity_id"] == PHONE and old is not None and old.state == "on":
            self._factor_at = self._house.loop.time()
        if event.data["entity_id"] == CONTACT and new is not None and new.state == "off":
            self._closed_at = self._house.loop.time()
        if event.data["entity_id"] == LOCK and (new is None or new.state == LockState.LOCKED):
            # Late, it is a violation; then there is nothing left to judge.
            self._judge_hold(self._house.loop.time())
            self._let_in = None
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
        why = {name: self._objection(name, identity) for name, identity in house.people.items()}
        proven = frozenset(house.people[name] for name, objection in why.items() if not objection)
        relocks = "lock" not in house.settings or "relock_after" in house.settings.get("door", {})
        earlier = frozenset() if self._let_in is None else self._let_in[0]
        self._let_in = (earlier | proven, now) if relocks and proven else None
        self._cleared_at = now
        if not proven:
            house.violations.append(f"opened at {now:.2f}: " + "; ".join(map(str, why.values())))

    def _objection(self, name: str, identity: int) -> str | None:
        """Say why the door must not open for a person now."""
        house, now = self._house, self._house.loop.time()
        asks = "factor_entity" in house.settings.get("security", {})
        knows = "contact" in house.settings.get("door", {})
        if not house.runs:
            return f"the door does not run, the entry is {house.entry.state}"
        subentry = people_of(house.entry).get(name.lower())
        objections = {
            f"{name} was not in the last pictures": not self._was_seen(identity, now),
            f"{name} may not come in": subentry is None or subentry.data.get("allowed") is False,
            f"{name} came out, or stayed outside": knows and identity in house.left,
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
