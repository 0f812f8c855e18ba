"""Cameras that answer and show nothing: an outage, and an issue that says where to mend it."""

import io

import numpy as np
from homeassistant.helpers import issue_registry as ir
from PIL import Image, ImageDraw

from custom_components.face_lock import vision
from custom_components.face_lock.const import DOMAIN
from custom_components.face_lock.recognition import feed

from .conftest import MOTION, front_door

BELL = "binary_sensor.bell"
TRIGGER = {"gate": {"triggers": [BELL]}}


def issues(hass) -> dict[str, dict[str, str] | None]:
    """Key -> placeholders of our issues."""
    found = ir.async_get(hass).issues
    return {
        issue.translation_key: issue.translation_placeholders
        for (domain, _), issue in found.items()
        if domain == DOMAIN and issue.active
    }


def porch() -> bytes:
    rng = np.random.default_rng(3)
    rough = Image.fromarray(rng.integers(40, 200, (12, 16, 3)).astype(np.uint8))
    return vision.encode_jpeg(np.asarray(rough.resize((640, 480), Image.Resampling.BICUBIC)))


async def passes(hass, door, camera) -> None:
    """Somebody passes: a motion sensor says so."""
    hass.states.async_set(BELL, "on")
    await door.frames(camera, 2)
    hass.states.async_set(BELL, "off")
    door.clock.jump(15)
    await door.frames(camera, 3)


async def test_a_picture_that_stays_while_people_pass(hass, set_up, camera) -> None:
    hass.states.async_set(BELL, "off")
    door = await set_up({}, settings=TRIGGER)
    camera.freeze(porch())
    await door.frames(camera, 3)
    # A camera that repeats its picture while nothing happens is none.
    for _ in range(20):
        door.clock.jump(10)
        await door.frames(camera, 2)
    assert (issues(hass), door.state(MOTION)) == ({}, "off")
    for _ in range(4):
        await passes(hass, door, camera)
    await door.until(lambda: door.door.data.outage == "camera_frozen")
    assert issues(hass) == {"camera_frozen": {"camera": "Front door"}}
    assert door.state(MOTION) == "unavailable"
    # It goes by itself with the next picture that differs.
    camera.show()
    await door.until(lambda: door.door.data.outage is None)
    assert issues(hass) == {}
    assert door.state(MOTION) != "unavailable"


async def test_a_picture_whose_clock_alone_goes_on(hass, set_up, camera) -> None:
    door = await set_up({})
    with Image.open(io.BytesIO(porch())) as image:
        scene = image.convert("RGB")
    ticks = iter(range(10_000))

    def picture() -> bytes:
        image = scene.copy()
        ImageDraw.Draw(image).text((8, 4), f"03:00:{next(ticks):04}", (255, 255, 255))
        return vision.encode_jpeg(np.asarray(image))

    camera.source = picture
    await door.frames(camera, 3)
    for _ in range(14):
        door.clock.jump(10)
        await door.frames(camera, 2)
    await door.until(lambda: door.door.data.outage == "camera_frozen")
    assert "camera_frozen" in issues(hass)


async def test_a_quiet_scene_is_none(hass, set_up, camera) -> None:
    hass.states.async_set(BELL, "off")
    door = await set_up({}, settings=TRIGGER)
    for _ in range(5):
        await passes(hass, door, camera)
    door.clock.jump(1)
    for _ in range(15):
        door.clock.jump(10)
        await door.frames(camera, 2)
    assert (issues(hass), door.door.data.outage) == ({}, None)


async def test_a_drawn_picture(hass, set_up, camera) -> None:
    door = await set_up({})
    image = Image.new("RGB", (640, 480), (0, 0, 160))
    ImageDraw.Draw(image).text((200, 200), "NO SIGNAL", (255, 255, 255), font_size=40)
    camera.freeze(vision.encode_jpeg(np.asarray(image)))
    await door.frames(camera, 3)
    for _ in range(7):
        door.clock.jump(10)
        await door.frames(camera, 2)
    await door.until(lambda: door.door.data.outage == "camera_placeholder")
    assert issues(hass) == {"camera_placeholder": {"camera": "Front door"}}
    # Whoever removes the camera from the door is not told of it any more.
    await hass.config_entries.async_unload(door.entry.entry_id)
    assert issues(hass) == {}


async def test_recognition_that_fails_on_every_picture(hass, set_up, camera, monkeypatch) -> None:
    door = await set_up({"Barack": ("obama",)})
    await door.recognised(1)
    broken = [True]
    look = vision.Pipeline.look

    def fail(self, picture, asked_at, *, in_visit):
        seen = look(self, picture, asked_at, in_visit=in_visit)
        if broken[0] and seen.sighting is not None:
            raise RuntimeError("the network is broken")
        return seen

    monkeypatch.setattr(vision.Pipeline, "look", fail)
    camera.show("obama2")
    counters = door.watcher.counters
    await door.until(lambda: counters.failed_recognitions > feed.FAILURES)
    # One that fails now and then is none.
    assert (issues(hass), door.door.data.outage) == ({}, None)
    for _ in range(4):
        door.clock.jump(feed.OUTAGE_AFTER / 3)
        before = counters.failed_recognitions
        await door.until(lambda: counters.failed_recognitions > before)  # noqa: B023
    await door.until(lambda: door.door.data.outage == "recognition_fails")
    assert issues(hass) == {"recognition_fails": {"camera": "Front door"}}
    # A scene that needs no recognition does not end it.
    camera.show()
    door.clock.jump(30)
    await door.frames(camera, 5)
    assert door.door.data.outage == "recognition_fails"
    broken[0] = False
    await door.until(lambda: door.door.data.outage is None)
    assert issues(hass) == {}


async def test_a_camera_of_two_doors_is_told_of_once(hass, set_up, camera) -> None:
    garage = front_door(hass, title="Garage", door="garage")
    door = await set_up({}, doors=(front_door(hass), garage))
    camera.freeze(vision.encode_jpeg(np.zeros((480, 640, 3), np.uint8)))
    await door.frames(camera, 3)
    for _ in range(7):
        door.clock.jump(10)
        await door.frames(camera, 2)
    await door.until(lambda: door.door.data.outage == "camera_placeholder")
    found = [i for d, i in ir.async_get(hass).issues if d == DOMAIN]
    assert len(found) == 1
