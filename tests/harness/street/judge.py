"""Says what a door should have done, by who really was before its camera and never by its books.

Of the product it hears only what an owner hears: the commands to the lock, the lock's state, the
access events, and whether the door is locked out.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Final

from homeassistant.core import callback

from custom_components.face_lock.const import EVENT_ACCESS
from custom_components.face_lock.vision import DecisionPolicy
from tests.harness.fake_home import CONTACT, PHONE, TARGET, FakeHome

from .cast import Role
from .scene import Presence, Scene

POLICY: Final = DecisionPolicy()
RELOCK: Final = 10
"""Seconds after which the door locks again once nobody holds it."""
SLACK: Final = 4.0
"""Seconds that ticks, the lock and the hold's own second may add."""
RESIDENTS: Final = (Role.RESIDENT, Role.LEAVING)


@dataclass
class Verdict:
    """What happened at the door."""

    openings: dict[str, int] = field(default_factory=dict)
    """For whom, by what they wanted."""
    again: int = 0
    """How many of them were for somebody who had been let in and had not gone."""
    wrong: list[str] = field(default_factory=list)
    """Whatever must never happen."""
    mistaken: list[str] = field(default_factory=list)
    """Strangers who were let in because they resemble somebody, as some do at the chosen rate."""
    told: dict[str, int] = field(default_factory=dict)
    """Access events by what they said."""
    refused_for_lockout: list[str] = field(default_factory=list)
    """Residents who were told so."""
    lockouts: list[tuple[float, float]] = field(default_factory=list)
    """When each began, and for how many seconds it lasted."""
    worst_failures: int = 0
    """The most failures, by the door's own count."""
    longest_unlocked: float = 0.0
    """Seconds."""


class Judge:
    """Compares every command, and every time that the lock stays open, with the truth."""

    def __init__(self, house: FakeHome, scene: Scene, *, contact: bool) -> None:
        """Listen from now on; ``contact``: the door knows when somebody comes out."""
        self._house = house
        self._scene = scene
        self._contact = contact
        self.barred: set[str] = set()
        self.asks_phone = False
        self.phone_at = float("-inf")
        """When the second factor was last given."""
        self.verdict = Verdict()
        self.opened: dict[Presence, list[float]] = {}
        """When the lock was commanded for somebody."""
        self.events: list[tuple[float, float, str | None, str | None]] = []
        """Of each event: when it was told, how long it had taken, its reason and its person."""
        self._locked_out_since: float | None = None
        self._unlocked_since: float | None = None
        self._closed_at = float("-inf")
        self._let_in: list[Presence] = []
        house.on_command = self.commanded
        scene.on_shot = self.note
        house.hass.bus.async_listen("state_changed", self._changed)
        house.hass.bus.async_listen(EVENT_ACCESS, self._told)

    @property
    def clock(self) -> str:
        """The day and the time, for whoever reads a finding."""
        return self._house.utcnow().strftime("%a %H:%M:%S")

    @property
    def lockouts(self) -> int:
        """How many there were, with one that goes on."""
        return len(self.verdict.lockouts) + (self._locked_out_since is not None)

    def note(self) -> None:
        """Look at the door after each picture that was taken."""
        house, now = self._house, self._house.loop.time()
        if house.state(PHONE) == "on":
            self.phone_at = now
        if not house.runs:
            return
        lockout = house.door.controller.lockout
        self.verdict.worst_failures = max(self.verdict.worst_failures, lockout.failures)
        if house.door.controller.is_locked_out:
            if self._locked_out_since is None:
                self._locked_out_since = now
        elif self._locked_out_since is not None:
            since, self._locked_out_since = self._locked_out_since, None
            self.verdict.lockouts.append((since, now - since))
        if self._unlocked_since is not None:
            self._judge_unlocked(now)

    # What opens

    def commanded(self) -> None:
        """The lock is told to open."""
        now = self._house.loop.time()
        self.note()
        seen = self._seen(now)
        proven = [p for p in seen if p.role in RESIDENTS]
        if self._locked_out_since is not None:
            self._fault("opened while locked out")
        if self.asks_phone and now - self.phone_at > POLICY.max_age:
            self._fault("opened without the second factor")
        if not proven:
            self._opened_for_nobody(seen, now)
            return
        again = any(presence in self.opened for presence in proven)
        for presence in proven:
            self.opened.setdefault(presence, []).append(now)
        self._let_in = proven
        who = proven[0]
        self.verdict.again += again
        if who.role is Role.LEAVING and self._contact:
            self._fault(f"{who.face.name}, who came out, was let in for looking back")
        _count(self.verdict.openings, who.role)

    def _opened_for_nobody(self, seen: list[Presence], now: float) -> None:
        """No resident was there: then a stranger is one whom the rate lets in, or it is wrong."""
        since = now - POLICY.max_age - POLICY.window
        threshold = self.threshold
        doubles = [
            p
            for p in seen
            if p.role is not Role.BARRED
            and sum(
                max(shot.alike) >= threshold
                for shot in self._scene.shots
                if shot.presence is p and shot.at >= since
            )
            >= POLICY.quorum
        ]
        self._let_in = doubles
        if not doubles:
            names = [f"{p.face.name} ({p.role})" for p in self._scene.present]
            self._fault(f"opened for nobody: {names}")
            return
        for presence in doubles:
            self.opened.setdefault(presence, []).append(now)
        _count(self.verdict.openings, doubles[0].role)
        self.verdict.mistaken.append(f"{self.clock} {doubles[0].face.name} ({doubles[0].role})")

    @property
    def threshold(self) -> float:
        """The score from which a face is taken for somebody, by the bundle's table."""
        door = self._house.door
        people = len(self._house.people)
        rate = door.settings.false_positive_rate
        return float(door.bundle.thresholds.operating_point(rate, people).threshold)

    def _seen(self, now: float) -> list[Presence]:
        """Who showed a quorum of pictures just now, and may come in."""
        since = now - POLICY.max_age - POLICY.window
        recent = [shot for shot in self._scene.shots if shot.at >= since]
        seen = Counter(shot.presence for shot in recent)
        newest = {shot.presence: shot.at for shot in recent}
        return [
            presence
            for presence, count in seen.items()
            if count >= POLICY.quorum
            and now - newest[presence] <= POLICY.max_age
            and presence.face.name not in self.barred
        ]

    # What stays open

    @callback
    def _changed(self, event: Any) -> None:
        entity, new = event.data["entity_id"], event.data["new_state"]
        now = self._house.loop.time()
        old = event.data["old_state"]
        if entity == PHONE and old is not None and old.state == "on":
            self.phone_at = now
        if entity == CONTACT and new is not None and new.state == "off":
            self._closed_at = now  # from here on the lock has its time once more
        if entity != TARGET or new is None:
            return
        if new.state == "unlocked":
            if self._unlocked_since is None:
                self._unlocked_since = now
        elif self._unlocked_since is not None:
            self._judge_unlocked(now)
            self._unlocked_since = None

    def _judge_unlocked(self, now: float) -> None:
        """The lock is open: those who were let in must have been seen, and not for too long."""
        assert self._unlocked_since is not None
        commands = [at for times in self.opened.values() for at in times]
        last = max(commands, default=self._unlocked_since)
        self.verdict.longest_unlocked = max(
            self.verdict.longest_unlocked, now - self._unlocked_since
        )
        shown = [shot.at for shot in self._scene.shots if shot.presence in self._let_in]
        proven = max([last, *(at for at in shown if at <= now)])
        limit = max(POLICY.hold_unseen, POLICY.absence) + SLACK
        if now > max(last + RELOCK, proven + limit, self._closed_at + RELOCK) + SLACK:
            self._once("the lock stays open with nobody there who was let in", last)
        if now > last + POLICY.hold_longest + RELOCK + 2 * SLACK:
            self._once("the lock stays open for longer than anybody holds it", last)

    # What is told

    @callback
    def _told(self, event: Any) -> None:
        data, now = event.data, self._house.loop.time()
        reason = data["reason"]
        _count(self.verdict.told, reason or "granted")
        self.events.append((now, data["duration"], reason, data["person"]))
        if reason != "locked_out":
            return
        began = now - data["duration"]
        for presence in (*self._scene.present, *self._scene.past[-20:]):
            text = f"{self.clock} {presence.face.name}"
            if (
                presence.role is Role.RESIDENT
                and presence not in self.opened
                and presence.began <= now
                and presence.ended >= began
                and text not in self.verdict.refused_for_lockout
            ):
                self.verdict.refused_for_lockout.append(text)

    def end(self) -> None:
        """Close what is still open."""
        if self._locked_out_since is not None:
            lasted = self._house.loop.time() - self._locked_out_since
            self.verdict.lockouts.append((self._locked_out_since, lasted))
            self._locked_out_since = None

    def _fault(self, text: str) -> None:
        self.verdict.wrong.append(f"{self.clock} {text}")

    def _once(self, text: str, since: float) -> None:
        marked = f"{text} since {since:.1f}"
        if not any(marked in known for known in self.verdict.wrong):
            self._fault(marked)


def _count(counts: dict[str, int], what: str) -> None:
    counts[str(what)] = counts.get(str(what), 0) + 1
