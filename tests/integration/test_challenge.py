"""The level with a challenge: who is asked, how, and that nothing but the answer opens."""

import asyncio

import numpy as np
import pytest
from homeassistant.components.light import ColorMode, LightEntity
from homeassistant.config_entries import ConfigEntryState
from homeassistant.helpers import entity_registry as er
from homeassistant.setup import async_setup_component
from pytest_homeassistant_custom_component.common import async_mock_service

from custom_components.face_lock import vision
from custom_components.face_lock.challenge import (
    announcer,
    flasher as porch_light,
    prompter as asker,
)
from custom_components.face_lock.const import DOMAIN
from custom_components.face_lock.settings import DoorSettings
from custom_components.face_lock.vision.pad.view import SIDE
from custom_components.face_lock.vision.pipeline import camera as camera_pipeline
from custom_components.face_lock.vision.types import Cues, View

from .conftest import TARGET

BARACK = {"Barack": ("obama",)}
CHALLENGE = "event.front_door_challenge"
LIGHT = "light.porch"
SAY = [
    {
        "action": "notify.door",
        "data": {
            "message": "{{ message }}",
            "data": {"to": "{{ direction }}", "turn": "{{ turn }}"},
        },
    }
]
GREY = 60


class Visitor:
    """Stands before the door in place of what the networks would see."""

    def __init__(self) -> None:
        self.here = False
        self.person = "barack"
        self.similarity = 0.9
        self.yaw = 0.0
        self.stops = 1.0
        """How much brighter than the wall the face is, in powers of two."""
        self.frames = 0
        self.photographed = self.look
        self._random = np.random.default_rng(20261124)

    def __call__(self, bundle, matcher, frame, **options):
        here, yaw, stops = self.photographed
        evidence = (self._evidence(yaw, stops),) if here else ()
        self.frames += 1
        return vision.Sighting(frame.digest, frame.taken_at, evidence)

    @property
    def look(self):
        """What a picture shows that is taken now."""
        return self.here, self.yaw, self.stops

    def _evidence(self, yaw, stops):
        points = [[-20, -20], [20, -20], [40 * yaw, 3], [-15, 20], [15, 20]]
        face = vision.Face((72.0, 66.0, 120.0, 126.0), np.array(points, np.float32) + 96, 0.9)
        embedding = np.eye(64, dtype=np.float32)[0] + self._random.normal(0, 0.04, 64)
        return vision.Evidence(
            face,
            vision.FaceQuality(80, 120, 500),
            embedding=(embedding / np.linalg.norm(embedding)).astype(np.float32),
            match=vision.Match(self.person, self.similarity),
            cues=Cues(View(self._grey(stops), (0.0, 0.0), 2.0, (0, 0, SIDE, SIDE))),
        )

    def _grey(self, stops):
        grey = np.full((SIDE, SIDE), GREY, np.uint8)
        linear = (GREY / 255) ** 2.2 * 2.0 ** (stops + self._random.normal(0, 0.03))
        grey[33:63, 36:60] = round(255 * linear ** (1 / 2.2))
        return grey


class Porch(LightEntity):
    """The owner's lamp."""

    _attr_name = "Porch"
    _attr_unique_id = "porch"
    _attr_color_mode = ColorMode.BRIGHTNESS
    _attr_supported_color_modes = {ColorMode.BRIGHTNESS}  # noqa: RUF012
    _attr_is_on = True
    _attr_brightness = 77

    def __init__(self, visitor: Visitor) -> None:
        self._visitor = visitor
        self.switches: list[bool] = []
        self.error: Exception | None = None
        self.deaf = False
        self.lights_up = 0.5

    async def async_turn_on(self, **kwargs: object) -> None:
        self._attr_brightness = kwargs.get("brightness", self._attr_brightness)
        await self._switch(on=True)

    async def async_turn_off(self, **kwargs: object) -> None:
        await self._switch(on=False)

    async def _switch(self, *, on: bool) -> None:
        self.switches.append(on)
        if self.error is not None:
            raise self.error
        if self.deaf:
            return
        self._attr_is_on = on
        self._visitor.stops = 1.0 + self.lights_up * on
        self.async_write_ha_state()

    def vanish(self) -> None:
        self._attr_available = False
        self.async_write_ha_state()

    @property
    def as_it_was(self) -> bool:
        return self._attr_is_on is True and self._attr_brightness == 77


@pytest.fixture
def visitor(monkeypatch):
    visitor = Visitor()
    monkeypatch.setattr(camera_pipeline, "recognise", visitor)
    return visitor


@pytest.fixture
async def porch(hass, visitor):
    assert await async_setup_component(hass, "light", {})
    porch = Porch(visitor)
    await hass.data["light"].async_add_entities([porch])
    assert porch.entity_id == LIGHT
    return porch


@pytest.fixture(autouse=True)
def paced(monkeypatch, visitor, clock):
    """Let time pass with the pictures alone, and a phase of the light last for some of them."""
    monkeypatch.setattr(clock, "_real", lambda: 1000.0)

    async def sleep(_: float) -> None:
        clock.jump(0.35)
        wanted = visitor.frames + 4
        while visitor.frames < wanted:  # noqa: ASYNC110 - what is waited for sets no event
            await asyncio.sleep(0.01)

    monkeypatch.setattr(porch_light, "sleep", sleep)
    monkeypatch.setattr(porch_light, "ANSWER_TIMEOUT", 1.0)


@pytest.fixture
def said(hass):
    return async_mock_service(hass, "notify", "door")


@pytest.fixture
def asks(hass, set_up, camera, target, visitor, clock):
    """Set up a door that asks, with somebody moving before it."""

    def busy() -> bool:
        watchers = [
            watcher
            for entry in hass.config_entries.async_loaded_entries(DOMAIN)
            for door in entry.runtime_data.doors.values()
            for watcher in door.watchers
        ]
        return not all(w.feed is None or w.feed.is_idle for w in watchers)

    async def source() -> bytes:
        """Give a picture a tenth of a second, of when it was asked for, on any machine."""
        look = visitor.look
        while busy():  # noqa: ASYNC110 - what is waited for sets no event
            await asyncio.sleep(0.005)
        clock.jump(0.1)
        visitor.photographed = look
        return camera.scene.picture("obama3")

    camera.source = source

    async def asks(**security):
        settings = {"security": {"liveness": "challenge", **security}}
        return await set_up(BARACK, lock=TARGET, settings=settings)

    return asks


async def seen(door, visitor, number=4):
    """Let so many more frames be looked at."""
    wanted = visitor.frames + number
    await door.until(lambda: visitor.frames >= wanted)


async def put(door):
    """Wait until the question was put."""
    decider = door.watcher._decider
    await door.until(lambda: decider.asking is not None and decider.asking._put_at is not None)
    return decider.asking


async def turn(door, visitor, direction, *, back=True):
    """Turn the head, once the question can have been heard."""
    await seen(door, visitor, 6)
    visitor.yaw = 0.3 if direction == "left" else -0.3
    await seen(door, visitor)
    if back:
        visitor.yaw = 0.0


async def wait(door, visitor, seconds):
    for _ in range(round(seconds * 2)):
        door.clock.jump(0.5)
        await seen(door, visitor, 2)


# The turn


@pytest.mark.parametrize("number", range(2))
async def test_a_turn_as_asked_for_opens(
    hass, asks, said, visitor, target, monkeypatch, number
) -> None:
    direction = ("left", "right")[number]
    monkeypatch.setattr(asker.secrets, "choice", lambda turns: turns[number])
    door = await asks(announce=SAY)
    hass.config.language = "de"
    visitor.here = True
    await put(door)
    assert len(said) == 1
    to = ("links", "rechts")[number]
    assert said[0].data["data"] == {"to": to, "turn": direction}
    assert f"nach {to}" in said[0].data["message"]
    state = hass.states.get(CHALLENGE)
    assert state.attributes["event_type"] == f"turn_{direction}"
    assert state.attributes["direction"] == to
    assert state.attributes["message"] == said[0].data["message"]
    await seen(door, visitor, 6)
    assert target.calls == []

    await turn(door, visitor, direction)
    access = await door.access()
    assert (access.event_type, access.person) == ("access_granted", "Barack")
    assert len(target.calls) == 1
    assert len(said) == 1


async def test_both_directions_are_drawn(hass, asks, said, visitor) -> None:
    door = await asks(announce=SAY)
    drawn = {door.door.prompter.draw().turn for _ in range(100)}
    assert drawn == set(vision.Turn)


async def test_the_other_direction_is_denied(asks, said, visitor, target) -> None:
    door = await asks(announce=SAY)
    visitor.here = True
    asking = await put(door)
    await turn(door, visitor, {"left": "right", "right": "left"}[asking.ask.turn])
    access = await door.access()
    assert (access.event_type, access.reason) == ("liveness_failed", "challenge_failed")
    assert access.person == "Barack"
    assert target.calls == []
    assert door.door.controller.lockout.failures == 1


async def test_no_answer_is_denied(asks, said, visitor, target) -> None:
    door = await asks(announce=SAY)
    visitor.here = True
    await put(door)
    await wait(door, visitor, 7)
    assert (await door.access()).reason == "challenge_failed"
    assert target.calls == []


async def test_a_turn_that_does_not_come_back_is_no_answer(asks, said, visitor, target) -> None:
    door = await asks(announce=SAY)
    visitor.here = True
    asking = await put(door)
    await turn(door, visitor, asking.ask.turn, back=False)
    await wait(door, visitor, 7)
    assert (await door.access()).reason == "challenge_failed"
    assert target.calls == []


async def test_a_stranger_is_asked_just_so_and_never_let_in(asks, said, visitor, target) -> None:
    door = await asks(announce=SAY)
    visitor.similarity = -0.4
    visitor.here = True
    asking = await put(door)
    await turn(door, visitor, asking.ask.turn)
    await seen(door, visitor)
    visitor.here = False
    await wait(door, visitor, 3)
    assert (await door.access()).reason == "unknown_face"
    assert target.calls == []
    assert len(said) == 1


async def test_who_is_suspended_is_asked_all_the_same(asks, said, visitor, target) -> None:
    door = await asks(announce=SAY)
    door.household.residents.async_set_allowed("barack", allowed=False)
    visitor.here = True
    asking = await put(door)
    await seen(door, visitor, 6)
    assert door.accesses == []
    await turn(door, visitor, asking.ask.turn)
    assert (await door.access()).reason == "suspended"
    assert target.calls == []


async def test_nobody_is_asked_in_a_lockout(hass, asks, said, visitor, target) -> None:
    door = await asks(announce=SAY, attempts=3)
    for _ in range(3):
        door.door.controller.lockout.fail(door.clock())
    visitor.here = True
    await seen(door, visitor, 8)
    assert said == []
    assert hass.states.get(CHALLENGE).state == "unknown"
    visitor.here = False
    await wait(door, visitor, 3)
    assert (await door.access()).reason == "locked_out"


# What can go wrong with the announcement


@pytest.mark.parametrize(
    "actions",
    [
        [{"action": "notify.nobody"}],
        [{"action": "notify.broken"}],
        [{"action": "notify.nobody", "data": {"message": "{{ nonsense( }}"}}],
        [{"nonsense": 1}],
    ],
)
async def test_an_announcement_that_fails_denies(
    hass, asks, visitor, target, caplog, actions
) -> None:
    async def fail(_) -> None:
        raise RuntimeError("speaker broken")

    hass.services.async_register("notify", "broken", fail)
    door = await asks(announce=actions)
    visitor.here = True
    access = await door.access()
    assert (access.event_type, access.reason) == ("access_denied", "challenge_unavailable")
    assert "could not ask its visitor" in caplog.text
    assert target.calls == []
    assert door.door.controller.lockout.failures == 1


async def test_an_announcement_that_hangs_denies(
    hass, asks, visitor, target, monkeypatch, caplog
) -> None:
    monkeypatch.setattr(announcer, "TIMEOUT", 0.3)
    ended = []

    async def hang(_) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(True)

    hass.services.async_register("notify", "door", hang)
    door = await asks(announce=SAY)
    visitor.here = True
    assert (await door.access()).reason == "challenge_unavailable"
    assert "TimeoutError" in caplog.text
    assert ended
    assert target.calls == []


async def test_a_reload_while_it_is_announced(hass, asks, visitor, target) -> None:
    running = asyncio.Event()

    async def hang(_) -> None:
        running.set()
        await asyncio.Event().wait()

    hass.services.async_register("notify", "door", hang)
    door = await asks(announce=SAY)
    visitor.here = True
    await running.wait()
    visitor.here = False
    assert await hass.config_entries.async_reload(door.entry.entry_id)
    assert door.entry.state is ConfigEntryState.LOADED
    assert (await door.access()).reason == "stopped"
    assert target.calls == []


# The light


async def test_a_face_that_answers_the_light_opens(hass, asks, porch, visitor, target) -> None:
    door = await asks(flash_light=LIGHT)
    visitor.here = True
    await put(door)
    assert porch.is_on is False
    assert hass.states.get(CHALLENGE).attributes["event_type"] == "flash"
    assert (await door.access()).event_type == "access_granted"
    assert len(target.calls) == 1
    # Off, then two flashes; and as it was, once the door is open.
    assert porch.switches[:4] == [False, True, False, True]
    await door.until(lambda: porch.as_it_was)


@pytest.mark.parametrize("on", [True, False])
async def test_a_face_that_does_not_answer_the_light_is_denied(
    asks, porch, visitor, target, on
) -> None:
    porch.lights_up = 0.0
    if not on:
        await porch.async_turn_off()
        porch.switches.clear()
    door = await asks(flash_light=LIGHT)
    visitor.here = True
    await put(door)
    await door.until(lambda: len(porch.switches) == 5 if on else len(porch.switches) == 4)
    await door.until(door.door.prompter._task.done)
    assert porch.is_on is on
    assert not on or porch.as_it_was
    assert door.accesses == []
    await wait(door, visitor, 8)
    assert (await door.access()).reason == "challenge_failed"
    assert target.calls == []


async def test_a_light_that_flashes_for_a_known_face_flashes_on_when_it_is_refused(
    asks, porch, visitor, target
) -> None:
    """It must not tell that the face was known."""
    door = await asks(flash_light=LIGHT)
    visitor.here = True
    asking = await put(door)
    asking.lose()
    assert (await door.access()).reason == "challenge_unavailable"
    await door.until(lambda: porch.switches == [False, True, False, True, False, True])
    await door.until(lambda: porch.as_it_was)
    assert target.calls == []


@pytest.mark.parametrize("reference", [LIGHT, "light.gone"])
async def test_a_light_that_is_not_there_denies(
    asks, porch, visitor, target, caplog, reference
) -> None:
    porch.vanish()
    door = await asks(flash_light=reference)
    visitor.here = True
    assert (await door.access()).reason == "challenge_unavailable"
    assert "missing or unavailable" in caplog.text
    assert target.calls == []


@pytest.mark.parametrize("fault", ["deaf", "raises", "vanishes"])
async def test_a_light_that_does_not_obey_denies(
    asks, porch, visitor, target, caplog, fault
) -> None:
    door = await asks(flash_light=LIGHT)
    visitor.here = True
    await put(door)
    if fault == "deaf":
        porch.deaf = True
    elif fault == "raises":
        porch.error = RuntimeError("zigbee")
    else:
        porch.vanish()
    assert (await door.access()).reason == "challenge_unavailable"
    assert "could not ask its visitor" in caplog.text
    assert target.calls == []
    assert door.door.controller.lockout.failures == 1


async def test_a_reload_in_mid_challenge_opens_nothing_and_leaves_the_light(
    hass, asks, porch, visitor, target
) -> None:
    door = await asks(flash_light=LIGHT)
    visitor.here = True
    await put(door)
    await door.until(lambda: len(porch.switches) == 2)
    visitor.here = False
    assert await hass.config_entries.async_reload(door.entry.entry_id)
    assert porch.as_it_was
    assert (await door.access()).reason == "stopped"
    assert target.calls == []


async def test_switching_off_in_mid_challenge_leaves_the_light(
    hass, asks, porch, visitor, target
) -> None:
    door = await asks(flash_light=LIGHT)
    visitor.here = True
    await put(door)
    await hass.services.async_call(
        "switch", "turn_off", {"entity_id": "switch.front_door_recognition"}, blocking=True
    )
    await door.until(lambda: porch.as_it_was)
    assert (await door.access()).reason == "stopped"
    assert target.calls == []


async def test_who_comes_back_at_once_is_asked_anew_with_the_light_as_it_was(
    asks, porch, visitor, target
) -> None:
    door = await asks(flash_light=LIGHT)
    visitor.here = True
    first = await put(door)
    await door.until(lambda: len(porch.switches) == 2)
    visitor.here = False
    await wait(door, visitor, 3)
    visitor.here = True
    await door.until(lambda: door.watcher._decider.asking is not first)
    await put(door)
    assert (await door.access(2)).event_type == "access_granted"
    await door.until(lambda: porch.as_it_was)


# Both


@pytest.mark.parametrize("day", [True, False])
async def test_where_both_can_be_asked_the_light_is_left_to_the_dark(
    asks, porch, said, visitor, target, monkeypatch, day
) -> None:
    monkeypatch.setattr(asker.sun, "is_up", lambda _: day)
    door = await asks(announce=SAY, flash_light=LIGHT)
    visitor.here = True
    asking = await put(door)
    assert asking.ask.flash is not day
    await turn(door, visitor, asking.ask.turn)
    assert (await door.access()).event_type == "access_granted"
    assert bool(porch.switches) is not day
    await door.until(lambda: porch.as_it_was)


async def test_a_light_alone_flashes_by_day_too(asks, porch, visitor, monkeypatch) -> None:
    monkeypatch.setattr(asker.sun, "is_up", lambda _: True)
    door = await asks(flash_light=LIGHT)
    assert door.door.prompter.draw().flash


# Around it


async def test_other_levels_ask_nobody(hass, asks, said, visitor, target) -> None:
    door = await asks(liveness="basic", announce=SAY)
    visitor.here = True
    assert (await door.access()).event_type == "access_granted"
    assert said == []
    assert hass.states.get(CHALLENGE) is None


async def test_the_event_goes_with_the_level(hass, asks, said, visitor) -> None:
    door = await asks(announce=SAY)
    registry = er.async_get(hass)
    assert registry.async_get(CHALLENGE) is not None
    door.change(security={"liveness": "basic"})
    await hass.async_block_till_done()
    assert registry.async_get(CHALLENGE) is None


async def test_a_challenge_that_could_not_be_put_is_no_setting(hass, set_up, camera) -> None:
    door = await set_up(BARACK, settings={"security": {"liveness": "challenge"}})
    assert door.household.doors == {}
    with pytest.raises(ValueError, match="announcement or a light"):
        DoorSettings.of({"security": {"liveness": "challenge", "announce": []}})
