"""An owner who changes things at a door in a real Home Assistant, and notes the answers."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Callable, Coroutine
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from demo.client import ApiError, Client, Json

PICTURES: Final = Path(__file__).resolve().parents[1] / "pictures"
FACES: Final = {
    "obama": ("obama", "obama2", "obama3"),
    "biden": ("biden",),
    "collins": ("collins",),
    "hopper": ("hopper",),
}
"""Who can be enrolled at once, and with which pictures."""
DOMAIN: Final = "face_lock"
LOCK: Final = "lock.front_door"
EVENT: Final = "event.front_door_access"
SWITCH: Final = "switch.front_door_recognition"
CODE: Final = "2468"
PATIENCE: Final = 60.0
"""The longest that the owner waits for anything, in seconds."""


@dataclass(slots=True)
class Held:
    """What the door holds: ``people`` and ``relock`` are core's to keep, the rest is ours.

    ``people``: name -> (id, whether allowed); ``pictures``: id -> how many, None as the id while
    nobody knows it; ``feedback``: id -> how many records, None for a visit of nobody.
    """

    people: dict[str, tuple[str | None, bool]] = field(default_factory=dict)
    relock: int = 5
    pictures: dict[str | None, int] = field(default_factory=dict)
    failures: int = 0
    feedback: Counter[str | None] = field(default_factory=Counter)

    @property
    def cores(self) -> tuple[frozenset[tuple[str, bool]], int]:
        """What core keeps of it, without the ids."""
        return frozenset((name, allowed) for name, (_, allowed) in self.people.items()), self.relock


Change = Callable[[Held], None]


@dataclass(frozen=True, slots=True)
class Work:
    """One thing to do: how it changes what is held, and how it is requested."""

    name: str
    change: Change
    ask: Callable[[], Coroutine[Any, Any, Any]]


@dataclass(frozen=True, slots=True)
class Version:
    """What core has to keep, and between which moments that changed."""

    cores: tuple[frozenset[tuple[str, bool]], int]
    began: float
    answered: float


class Owner:
    """Works through a client that is connected."""

    def __init__(self, client: Client, entry_id: str, held: Held, rng: random.Random) -> None:
        self._client = client
        self._entry_id = entry_id
        self._rng = rng
        self._serial = rng.randrange(10**6)
        self.visited = False
        self.held = held
        """What was confirmed."""
        self.in_flight: Held | None = None
        """What would be held if the unanswered work had been done as well."""
        self.versions = [Version(held.cores, 0.0, 0.0)]
        self.answered: list[str] = []
        self.doing = ""

    async def async_call(self, action: str, **data: Any) -> Any:
        """Perform one of our actions and return its answer."""
        result = await self._client.command(
            "call_service",
            domain=DOMAIN,
            service=action,
            service_data=data,
            return_response=True,
        )
        return result["response"]

    async def async_do(self, work: Work) -> None:
        """Do something; its changes are held once it has been answered."""
        after = deepcopy(self.held)
        work.change(after)
        began, self.in_flight, self.doing = time.monotonic(), after, work.name
        answer = await work.ask()
        if work.name == "enrol":
            assert answer["kept"], answer
            name, person = answer["person"], answer["person_id"]
            after.people[name] = (person, after.people[name][1])
            if None in after.pictures:
                after.pictures[person] = after.pictures.pop(None)
        elif work.name == "feedback":
            after.feedback[None] -= 1
            after.feedback[answer["person_id"]] += 1
        if after.cores != self.held.cores:
            self.versions.append(Version(after.cores, began, time.monotonic()))
        self.held, self.in_flight = after, None
        self.answered.append(work.name)

    def choose(self) -> Work:
        """Choose what to do next."""
        choices = [self._relock, self._wrong_code, self._right_code, self._unlock]
        free = [face for face in FACES if self._name_of(face) is None]
        choices += [self._enrol] * (3 if free else 0)
        if self.held.people:
            choices += [self._forget, self._suspend, self._suspend]
        if self._can_add():
            choices += [self._add] * 2
        if self.visited:
            choices += [self._feedback] * 3
        return self._rng.choice(choices)()

    def _name_of(self, face: str) -> str | None:
        return next((name for name in self.held.people if name.startswith(face)), None)

    def _someone(self) -> str:
        return self._rng.choice(sorted(self.held.people))

    def _enrol(self) -> Work:
        face = self._rng.choice([face for face in FACES if self._name_of(face) is None])
        self._serial += 1
        name = f"{face} {self._serial}"

        def change(held: Held) -> None:
            held.people[name] = (None, True)
            held.pictures[None] = 1

        return Work("enrol", change, lambda: self._async_enrol(name, FACES[face][0]))

    def _async_enrol(self, name: str, picture: str) -> Coroutine[Any, Any, Any]:
        return self.async_call("enroll", name=name, files=[str(PICTURES / f"{picture}.jpg")])

    def _can_add(self) -> bool:
        name = self._name_of("obama")
        return name is not None and 0 < self._count(name) < len(FACES["obama"])

    def _count(self, name: str) -> int:
        return self.held.pictures.get(self.held.people[name][0], 0)

    def _add(self) -> Work:
        name = self._name_of("obama")
        assert name is not None
        person, count = self.held.people[name][0], self._count(name)

        def change(held: Held) -> None:
            held.pictures[person] = count + 1

        return Work("enrol", change, lambda: self._async_enrol(name, FACES["obama"][count]))

    def _forget(self) -> Work:
        return self.forget(self._someone())

    def forget(self, name: str) -> Work:
        """Remove a person."""

        def change(held: Held) -> None:
            person, _ = held.people.pop(name)
            held.pictures.pop(person, None)
            del held.feedback[person]

        async def ask() -> None:
            self.visited = False  # the visits of a forgotten person are forgotten, too
            await self.async_call("forget", person=name)

        return Work("forget", change, ask)

    def _suspend(self) -> Work:
        name = self._someone()
        person, allowed = self.held.people[name]

        def change(held: Held) -> None:
            held.people[name] = (person, not allowed)

        async def ask() -> None:
            entities = await self._client.command("config/entity_registry/list")
            (switch,) = (
                e["entity_id"]
                for e in entities
                if e["unique_id"] == f"{person}_allowed" and e["platform"] == DOMAIN
            )
            await self._client.action("switch", f"turn_{'off' if allowed else 'on'}", switch)

        return Work("suspend", change, ask)

    def _relock(self) -> Work:
        seconds = self._rng.choice([n for n in range(1, 600) if n != self.held.relock])

        def change(held: Held) -> None:
            held.relock = seconds

        return Work("options", change, lambda: self.async_options(door={"relock_after": seconds}))

    async def async_options(self, **wanted: Json) -> None:
        """Go through the steps of the door's options, each as it is but for ``wanted``."""
        subentries = await self._client.command(
            "config_entries/subentries/list", entry_id=self._entry_id
        )
        (front,) = (s["subentry_id"] for s in subentries if s["subentry_type"] == "door")
        for section, values in wanted.items():
            await self._async_change(front, section, values)

    async def _async_change(self, front: str, section: str, values: Json) -> None:
        async def form(shown: Json) -> Json:
            return {
                f["name"]: f["description"]["suggested_value"]
                if "suggested_value" in (f.get("description") or {})
                else f["default"]
                for f in shown["data_schema"]
                if "default" in f or "suggested_value" in (f.get("description") or {})
            } | values

        before = await self._async_since()
        await self._client.flow(
            [self._entry_id, "door"],
            {"reconfigure": {"next_step_id": section}, section: form},
            kind="subentries",
            subentry=front,
        )
        end = time.monotonic() + PATIENCE
        while await self._async_since() in (before, None):
            if time.monotonic() > end:
                raise ApiError("the door does not start with other options")
            await asyncio.sleep(0.1)

    async def _async_since(self) -> str | None:
        """Since when the door has been running, None while it is not."""
        state = (await self._client.states()).get(SWITCH, {"state": "unavailable"})
        return None if state["state"] == "unavailable" else str(state["last_changed"])

    def _wrong_code(self) -> Work:
        def change(held: Held) -> None:
            held.failures += 1

        return Work("code", change, lambda: self.async_call("present_code", code="1357"))

    def _right_code(self) -> Work:
        def change(held: Held) -> None:
            held.failures = 0

        return Work("code", change, lambda: self.async_call("present_code", code=CODE))

    def _feedback(self) -> Work:
        def change(held: Held) -> None:
            held.feedback[None] += 1

        return Work(
            "feedback", change, lambda: self.async_call("feedback", verdict="that_was_not_me")
        )

    def _unlock(self) -> Work:
        return Work("unlock", lambda _: None, lambda: self._client.action("lock", "unlock", LOCK))

    async def async_wait_for_visit(self, seconds: float) -> None:
        """Wait until a visit has ended, so that the owner can give feedback on it."""
        before = (await self._client.states())[EVENT]["state"]
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            await asyncio.sleep(0.3)
            state = (await self._client.states())[EVENT]["state"]
            if state not in (before, "unknown", "unavailable"):
                self.visited = True
                return
        raise ApiError("no visit ended")
