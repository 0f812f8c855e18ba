"""A day at a front door: who comes, in which light, and what else happens."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine
from typing import Any, Final

import numpy as np
from homeassistant.util import dt as dt_util

from custom_components.face_lock.const import DOMAIN

from .devices import PICTURES
from .fake_home import FakeHome
from .visitors import CASTS, FRESH_FOR, Visitors

ENROLLED: Final = {"Obama": ("obama2", "obama3"), "Collins": ("collins",)}
GUEST: Final = {"Hopper": ("hopper",)}


class Scenario:
    """The events of a day, dealt like cards: in any order, each as often as it is in the deck."""

    def __init__(self, house: FakeHome, visitors: Visitors, seed: int) -> None:
        self._house = house
        self._visitors = visitors
        self._rng = np.random.default_rng(seed)
        self._deck: list[Callable[[], Coroutine[Any, Any, None]]] = []
        self.happened: Counter[str] = Counter()
        self.opened: Counter[str] = Counter()
        self.wrong: list[str] = []
        """Openings while no enrolled person was in view."""
        self._enrolled = {name.lower() for name in ENROLLED}
        house.on_command = self._opened

    def _opened(self) -> None:
        cast = self._visitors.visible
        self.opened[" and ".join(cast) or "nobody"] += 1
        if not self._enrolled.intersection(cast):
            self.wrong.append(f"opened for {cast or 'nobody'}")

    async def async_move_in(self) -> None:
        """Enrol the household with the action, and connect the camera to the scene."""
        house = self._house
        house.camera.source = self._visitors.picture
        house.hass.config.allowlist_external_dirs = {str(PICTURES.resolve())}
        await house.async_move_in(
            {},
            settings={
                "door": {"relock_after": 10},
                "privacy": {"keep_last_visit": True},
            },
        )
        for name, pictures in ENROLLED.items():
            await self._async_enrol(name, pictures)

    async def _async_enrol(self, name: str, pictures: tuple[str, ...]) -> None:
        files = [str(PICTURES.resolve() / f"{picture}.jpg") for picture in pictures]
        answer = await self._async_call("enroll", name=name, files=files)
        assert answer["kept"] == len(files), answer

    async def _async_call(self, action: str, **data: Any) -> Any:
        return await self._house.hass.services.async_call(
            DOMAIN, action, data, blocking=True, return_response=True
        )

    async def async_go_on(self, mean_pause: float) -> None:
        """Let some time pass, and then one thing happen."""
        await asyncio.sleep(self._rng.uniform(0.5, 1.5) * mean_pause)
        if not self._deck:
            cards = [
                *[self.async_resident] * 7,
                *[self.async_stranger] * 3,
                *[self.async_two] * 3,
                *[self.async_passer_by] * 4,
                *[self.async_light] * 3,
                *[self.async_outage] * 2,
                self.async_reload,
                self.async_guest,
                self.async_other_options,
                self.async_switch_off,
            ]
            self._deck = [cards[i] for i in self._rng.permutation(len(cards))]
        card = self._deck.pop()
        self.happened[card.__name__.removeprefix("async_")] += 1
        await card()

    async def _async_stand(self, *cast: str) -> None:
        self._visitors.show(*cast)
        await asyncio.sleep(self._rng.uniform(5, 11))
        self._visitors.show()
        await asyncio.sleep(3)

    def _one_of(self, *choices: Any) -> Any:
        return choices[int(self._rng.integers(len(choices)))]

    async def async_resident(self) -> None:
        """A member of the household comes home; now and then the owner gives feedback."""
        await self._async_stand(self._one_of("obama", "obama", "collins"))
        if self._rng.random() < 0.2 and self._house.door.records.history.visits:
            await self._async_call("feedback", verdict="that_was_not_me")

    async def async_stranger(self) -> None:
        """A stranger rings."""
        await self._async_stand(self._one_of("biden", "hopper"))
        await self._async_call("clear_lockout")

    async def async_two(self) -> None:
        """Two people stand there at once."""
        await self._async_stand(*self._one_of(("obama", "collins"), ("obama", "biden")))

    async def async_passer_by(self) -> None:
        """A person walks by without showing a face."""
        self._visitors.show(passing=True)
        await asyncio.sleep(3)
        self._visitors.show()

    async def async_light(self) -> None:
        """The sun comes out, or goes."""
        for light in self._one_of((10, 20, 30, 20, 10), (-12, -25, -12)):
            self._visitors.show(light=light)
            await asyncio.sleep(4)
        self._visitors.show()

    async def async_outage(self) -> None:
        """The camera is away, fails, hangs, or sends no picture."""
        camera, away = self._house.camera, self._rng.uniform(5, 60)

        def failing() -> bytes:
            raise OSError("camera broken")

        async def hanging() -> bytes:
            await asyncio.sleep(away)
            return b""

        sources = (None, failing, hanging, lambda: b"\xff\xd8 no picture", lambda: None)
        source = self._one_of(*sources)
        if source is None:
            camera.set_available(False)
        else:
            camera.source = source
        await asyncio.sleep(away)
        camera.set_available(True)
        camera.source = self._visitors.picture

    async def async_settle(self, seconds: float) -> None:
        """Give the networks the same work before each measurement, and then let nothing happen."""
        self._visitors.at_noon = True
        for cast in CASTS[1:]:
            self._visitors.show(*cast)
            await asyncio.sleep(1)
        self._visitors.show()
        await asyncio.sleep(FRESH_FOR)
        self._visitors.at_noon = False
        await self._async_call("clear_lockout")
        await asyncio.sleep(seconds)
        await self._house.hass.async_block_till_done()

    async def async_reload(self) -> None:
        """The door is reloaded."""
        await self._house.hass.config_entries.async_reload(self._house.entry.entry_id)
        await self._house.hass.async_block_till_done()

    async def async_guest(self) -> None:
        """A guest is enrolled, comes, and is forgotten."""
        (name, pictures), *_ = GUEST.items()
        await self._async_enrol(name, pictures)
        self._enrolled.add(name.lower())
        await self._async_stand(name.lower())
        self._enrolled.remove(name.lower())
        await self._async_call("forget", person=name)

    async def async_other_options(self) -> None:
        """The owner turns the liveness check on, somebody comes, and it is turned off again."""
        for level in ("basic", "off"):
            self._house.change(security={"liveness": level})
            await self._house.hass.async_block_till_done()
            await self._async_stand("obama")
        await self._async_call("clear_lockout")

    async def async_switch_off(self) -> None:
        """Recognition is switched off for a while, with a person at the door."""
        for service in ("turn_off", "turn_on"):
            await self._house.hass.services.async_call(
                "switch", service, {"entity_id": "switch.front_door_recognition"}, blocking=True
            )
            if service == "turn_off":
                before = sum(self.opened.values())
                await self._async_stand("obama")
                if sum(self.opened.values()) > before:
                    self.wrong.append("opened while recognition was off")


def hour_of(house: FakeHome) -> int:
    """The hour of the day."""
    return dt_util.as_utc(house.utcnow()).hour
