"""What people do at the door, each as a course of events on the loop's clock."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final

from tests.harness.fake_home import PHONE, FakeHome

from .calendar import Entry
from .cast import PRINTED, Cast, Face, Role
from .judge import Judge
from .scene import FACE, HEIGHT, WIDTH, Presence, Scene, until

DOOR: Final = (80.0, 30.0)
"""Where somebody at the door has the face."""
BESIDE: Final = 26.0
"""Pixels from one person at the door to the next."""
PATIENCE: Final = (25.0, 60.0)
"""Seconds after which a resident takes the key."""
AGAIN: Final = 12.0
"""Seconds after which a resident who was not recognised steps nearer."""
TURNS: Final = (0.02, 0.5)
"""How much of the way nearer helps, drawn anew."""


STAYING: Final = {
    "linger": Role.PASSER_BY,
    "visitor": Role.VISITOR,
    "courier": Role.COURIER,
}


@dataclass
class Coming:
    """A resident who came home."""

    name: str
    at: float
    dark: bool
    with_phone: bool
    frozen: bool
    waited: float | None = None
    """Seconds until the lock was told to open for them; None for the key."""
    refused: tuple[str, ...] = ()
    """What the door said meanwhile."""


@dataclass
class Stay:
    """Somebody who has no key and stood there."""

    role: Role
    at: float
    seconds: float
    alone: bool
    """Whether nobody else was in view meanwhile."""
    events: int
    failures: int
    """By how many failures the door's own count rose, at most."""


@dataclass
class Actors:
    """Puts people before the camera."""

    house: FakeHome
    scene: Scene
    cast: Cast
    judge: Judge
    contact: bool
    comings: list[Coming] = field(default_factory=list)
    stays: list[Stay] = field(default_factory=list)
    passed: dict[str, int] = field(default_factory=dict)
    """How many passed, and how many of them showed a face in three pictures or more."""
    _poster: Presence | None = None

    async def act(self, entry: Entry, rng: random.Random) -> None:
        """Let an entry of the calendar happen."""
        what, who = entry.what, entry.who
        if what in STAYING:
            await self.stay(STAYING[what], entry.seconds, rng)
        elif what == "come":
            middle = (len(who) - 1) / 2
            coming = [
                self.come(name, rng, DOOR[0] + BESIDE * (index - middle), index)
                for index, name in enumerate(who)
            ]
            await asyncio.gather(*coming)
        else:
            courses: dict[str, Callable[[], Awaitable[None]]] = {
                "pass": lambda: self.walk(rng),
                "barred": lambda: self.barred(entry.seconds, rng),
                "chat": lambda: self.chat(who[0], entry.seconds, rng),
                "leave": lambda: self.leave(who, rng),
                "poster up": lambda: self.put_up(rng),
                "poster down": self.take_down,
                "freeze": lambda: self.freeze(entry.seconds),
                "ask for a phone": lambda: self.ask(phone=True),
                "ask for no phone": lambda: self.ask(phone=False),
            }
            await courses[what]()

    # Strangers

    async def walk(self, rng: random.Random, looks: float | None = None) -> None:
        """Cross the picture, from either side; some look at the camera."""
        seconds, back = rng.uniform(3.0, 7.0), rng.random() < 0.5
        y = rng.uniform(20, 32)

        def place(after: float) -> tuple[float, float]:
            way = -10 + (WIDTH + 20) * after / seconds
            return (WIDTH - way if back else way), y

        if looks is None:
            looks = rng.uniform(0.4, 0.9) if rng.random() < 0.3 else 0.0
        size = FACE * rng.uniform(0.7, 1.0)
        presence = Presence(self.cast.stranger(), Role.PASSER_BY, place, looks, size)
        await self._show(presence, seconds)
        self.passed["all"] = self.passed.get("all", 0) + 1
        self.passed["looked"] = self.passed.get("looked", 0) + (presence.looked >= 3)

    async def stay(
        self,
        role: Role,
        seconds: float,
        rng: random.Random,
        face: Face | None = None,
        looks: float | None = None,
        x: float | None = None,
    ) -> Stay:
        """Stand at the door, or near it, as a stranger."""
        if x is None:
            x = DOOR[0] + rng.uniform(-40, 40)
        looks = rng.uniform(0.3, 0.8) if looks is None else looks
        face = face or self.cast.stranger()
        presence = Presence(face, role, _standing(x, rng), looks)
        failures, told = self._failures(), len(self.judge.events)
        await self._show(presence, seconds)
        await asyncio.sleep(3)
        others = [*self.scene.present, *self.scene.past[-200:]]
        stay = Stay(
            role,
            presence.began,
            seconds,
            alone=all(p is presence or p.ended < presence.began - 3 for p in others),
            events=len(self.judge.events) - told,
            failures=self._failures() - failures,
        )
        self.stays.append(stay)
        return stay

    async def hold_up(self, face: Face, seconds: float, rng: random.Random) -> None:
        """Hold a picture of a face to the camera, where the last one was."""
        x = DOOR[0] + rng.uniform(-2, 2)
        await self._show(Presence(face, Role.PICTURE, lambda _: (x, DOOR[1]), 0.95), seconds)

    async def barred(
        self,
        seconds: float,
        rng: random.Random,
        x: float = DOOR[0],
        level: float | None = None,
    ) -> None:
        """Somebody who is enrolled and may not come in any more stands there."""
        (face,) = (f for f in self.cast.residents if f.name in self.judge.barred)
        level = self.cast.visit(dark=self.scene.dark()) if level is None else level
        presence = Presence(face, Role.BARRED, _standing(x, rng), 0.8, level=level)
        await self._show(presence, seconds)

    async def _show(self, presence: Presence, seconds: float) -> None:
        self.scene.enter(presence)
        await asyncio.sleep(seconds)
        self.scene.leave(presence)

    async def put_up(self, rng: random.Random) -> None:
        """Hang a poster with a face on the other side of the street."""
        x = WIDTH - 14 + rng.uniform(-2, 2)
        face = self.cast.stranger(restless=PRINTED)
        poster = Presence(face, Role.POSTER, lambda _: (x, 16.0), 0.9, size=FACE * 0.8)
        self._poster = self.scene.enter(poster)

    async def take_down(self) -> None:
        """Take it down."""
        if self._poster is not None:
            self.scene.leave(self._poster)
            self._poster = None

    # Residents

    async def come(
        self,
        name: str,
        rng: random.Random,
        x: float = DOOR[0],
        behind: int = 0,
        level: float | None = None,
        phone_after: float | None = None,
    ) -> Coming:
        """Come home, wait to be let in, and go in; or take the key.

        ``behind`` others, with a ``level`` (the mean score), and with a phone that is seen so many
        seconds later where it is asked for: both are left to chance otherwise.
        """
        await asyncio.sleep(behind * rng.uniform(0.2, 1.5))
        presence = self._resident(name, Role.RESIDENT, x, rng, rng.uniform(0.6, 0.95))
        if level is not None:
            presence.level = level
        asked = self.judge.asks_phone
        began, told = presence.began, len(self.judge.events)
        frozen = self.scene.is_frozen
        if asked:
            self._phone(rng.uniform(-5.0, 55.0) if phone_after is None else phone_after)
        patience = rng.uniform(70, 110) if asked else rng.uniform(*PATIENCE)
        waited = await self._wait(presence, patience, rng)
        if waited is None and self._others_went_in(presence):
            patience = 0.0  # through the door that was opened for the others
        await self._go_in(rng, presence)
        coming = Coming(
            name,
            began,
            self.scene.dark(),
            asked,
            frozen or self.scene.is_frozen,
            waited,
            tuple(r for _, _, r, _ in self.judge.events[told:] if r is not None),
        )
        if waited is not None or not self._others_went_in(presence):
            self.comings.append(coming)
        return coming

    async def chat(
        self,
        name: str,
        seconds: float,
        rng: random.Random,
        level: float | None = None,
        looks: float = 0.5,
    ) -> None:
        """Be let in, and stay at the door with somebody from next door, turned to them or not."""
        presence = self._resident(name, Role.RESIDENT, DOOR[0], rng, 0.9)
        if level is not None:
            presence.level = level
        waited = await self._wait(presence, 40.0, rng)
        presence.looks = looks
        x = DOOR[0] + BESIDE
        await self.stay(Role.VISITOR, seconds, rng, looks=0.5, x=x)
        await self._go_in(rng, presence)
        frozen = self.scene.is_frozen
        self.comings.append(Coming(name, presence.began, False, False, frozen, waited))

    async def leave(self, names: tuple[str, ...], rng: random.Random) -> None:
        """Come out of the door, one after the other, and look back at the camera or not."""
        self._door(is_open=True)
        await asyncio.sleep(1)
        out = []
        for index, name in enumerate(names):
            looks = rng.choice((0.0, 0.1, 0.6))
            x = DOOR[0] + BESIDE * (index - (len(names) - 1) / 2)
            out.append(self._resident(name, Role.LEAVING, x, rng, looks))
            await asyncio.sleep(rng.uniform(0.5, 1.5))
        await asyncio.sleep(rng.uniform(1, 4))
        self._door(is_open=False)
        await asyncio.sleep(rng.uniform(1, 6))
        for presence in out:
            self.scene.leave(presence)
        await asyncio.sleep(1)

    def _resident(
        self, name: str, role: Role, x: float, rng: random.Random, looks: float
    ) -> Presence:
        (face,) = (f for f in self.cast.residents if f.name == name)
        level = self.cast.visit(dark=self.scene.dark())
        return self.scene.enter(Presence(face, role, _standing(x, rng), looks, level=level))

    async def _wait(self, presence: Presence, patience: float, rng: random.Random) -> float | None:
        """Wait for the lock, and step nearer now and then; return for how many seconds."""
        waited = 0.0
        while waited < patience:
            if await until(lambda: presence in self.judge.opened, min(AGAIN, patience - waited)):
                return self.judge.opened[presence][0] - presence.began
            waited += AGAIN
            # Nearer to the camera, or with the glasses off: never worse than before.
            again = self.cast.visit(dark=self.scene.dark())
            presence.level = max(presence.level, 0.5 * presence.level + 0.5 * again)
            presence.looks = min(0.95, presence.looks + rng.uniform(0, 0.2))
        return None

    def _others_went_in(self, presence: Presence) -> bool:
        """Whether the door was opened for somebody else meanwhile."""
        times = [at for times in self.judge.opened.values() for at in times]
        return any(presence.began - 5 <= at <= presence.ended for at in times)

    async def _go_in(self, rng: random.Random, presence: Presence) -> None:
        await asyncio.sleep(rng.uniform(1, 2.5))
        self._door(is_open=True)
        await asyncio.sleep(rng.uniform(1, 2.5))
        self.scene.leave(presence)
        await asyncio.sleep(rng.uniform(1, 2.5))
        self._door(is_open=False)
        self.house.hass.states.async_set(PHONE, "off")

    def _door(self, *, is_open: bool) -> None:
        if self.contact:
            self.house.contact("on" if is_open else "off")

    def _phone(self, after: float) -> None:
        """A resident's phone is seen, often long after the face."""
        if after <= 0:
            self.house.hass.states.async_set(PHONE, "on")
        else:
            states = self.house.hass.states
            self.house.loop.call_later(after, states.async_set, PHONE, "on")

    async def ask(self, *, phone: bool) -> None:
        """Ask for the phone as a second factor from now on, or not."""
        security = {"liveness": "off"}
        if phone:
            security |= {"factor_entity": PHONE, "factor_state": "on"}
        self.house.hass.states.async_set(PHONE, "off")
        self.judge.asks_phone = phone
        self.house.change(security=security)

    # The camera

    async def freeze(self, seconds: float) -> None:
        """Freeze as soon as somebody is let in, at the latest after three hours."""
        opened = sum(map(len, self.judge.opened.values()))
        await until(
            lambda: sum(map(len, self.judge.opened.values())) > opened, 3 * 3600.0, step=0.5
        )
        await asyncio.sleep(0.5)
        self.scene.freeze()
        await asyncio.sleep(seconds)
        self.scene.thaw()

    def _failures(self) -> int:
        return self.house.door.controller.lockout.failures if self.house.runs else 0


def _standing(x: float, rng: random.Random) -> Callable[[float], tuple[float, float]]:
    """Somebody who steps up to a place and does not hold quite still there."""
    y, side = DOOR[1] + rng.uniform(-2, 2), rng.choice((-1, 1))
    begins = x + side * 30

    def place(after: float) -> tuple[float, float]:
        near = min(1.0, after / 1.5)
        return begins + (x - begins) * near, min(y, HEIGHT - 1.0)

    return place
