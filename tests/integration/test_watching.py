"""From the camera to the decision: how old a picture is, if it counts, and which one is kept."""

import asyncio
import threading

import pytest

from custom_components.face_lock import vision
from custom_components.face_lock.access import controller
from custom_components.face_lock.recognition import feed
from custom_components.face_lock.recognition.host import Decided
from custom_components.face_lock.recognition.snapshot import CameraError, async_take_picture
from custom_components.face_lock.vision.pipeline import camera as camera_pipeline

from .conftest import CAMERA, CONFIDENCE, MOTION, TARGET

BARACK = {"Barack": ("obama", "obama2")}


def one_by_one(door, camera, pictures) -> list[bytes]:
    """Have ``pictures(number)`` served, each once the one before was looked at; return them.

    They are a fifth of a second apart, however long looking at them takes.
    """
    served: list[bytes] = []
    door.clock.stop()

    async def source() -> bytes:
        await door.until(lambda: door.watcher.feed.is_idle)
        door.clock.jump(0.2)
        served.append(pictures(len(served)))
        return served[-1]

    camera.source = source
    return served


# How old a picture is


async def test_a_picture_is_as_old_as_the_request_for_it(hass, camera, clock) -> None:
    def late() -> bytes:
        clock.jump(5)
        return camera.scene.picture()

    camera.source = late
    before = clock()
    picture = await async_take_picture(hass, CAMERA)
    assert before <= picture.asked_at < before + 5


async def test_what_was_seen_is_as_old_as_its_picture(set_up, camera, monkeypatch) -> None:
    """However long the camera takes for it, and the processor for looking at it."""
    door = await set_up(BARACK)
    shown = []

    async def note(*seen: object) -> None:
        shown.append(seen)

    monkeypatch.setattr(door.watcher, "see", note)
    look = camera_pipeline.recognise

    def slow(*args, **options):
        door.clock.jump(3)
        return look(*args, **options)

    monkeypatch.setattr(camera_pipeline, "recognise", slow)
    asked = []

    def late(number: int) -> bytes:
        asked.append(door.clock())
        door.clock.jump(5)
        return camera.scene.picture("obama3")

    one_by_one(door, camera, late)
    count = len(shown)
    await door.until(lambda: len(shown) > count + 2)
    _, picture, now = shown[-1]
    assert all(
        seen.sighting.taken_at == picture.asked_at for seen, picture, _ in shown[count + 1 :]
    )
    assert now - picture.asked_at >= 8


async def test_a_late_picture_does_not_help_to_open(set_up, camera, target) -> None:
    """Of three pictures that would open, the first came when it was too old already."""
    door = await set_up(BARACK, lock=TARGET)
    await door.recognised(1)

    def pictures(number: int) -> bytes:
        if number == 0:
            door.clock.jump(controller.POLICY.max_age)
        return camera.scene.picture(*(["obama3"] if number < controller.POLICY.quorum else []))

    served = one_by_one(door, camera, pictures)
    await door.until(lambda: len(served) > controller.POLICY.quorum + 1)
    assert target.calls == []
    await door.leave(camera)
    access = await door.access()
    assert (access.reason, access.person) == ("too_few_frames", "Barack")
    assert target.calls == []


@pytest.mark.parametrize("reload", ["door", "household"])
async def test_pictures_from_before_a_reload_are_not_new(
    hass, set_up, camera, target, reload
) -> None:
    """A camera that goes on with its last pictures shows nobody who is there now."""
    door = await set_up(BARACK, lock=TARGET)
    served = one_by_one(door, camera, lambda number: camera.scene.picture("obama3"))
    await door.access(1)
    camera.show()
    # The last one may not have been looked at.
    served.pop()
    before = door.door
    if reload == "door":
        door.change(gate={"sensitivity": "high"})
        await hass.async_block_till_done()
    else:
        await hass.config_entries.async_reload(door.entry.entry_id)
    assert door.door is not before
    await door.recognised(1)
    door.accesses.clear()
    replayed = one_by_one(door, camera, lambda number: served[number % len(served)])
    await door.until(lambda: len(replayed) > len(served) + 1)
    await door.leave(camera)
    assert (await door.access()).reason == "static_picture"
    assert len(target.calls) == 1


# Switched off meanwhile


@pytest.fixture
def looking(monkeypatch):
    """Hold each look at a picture until it is told to go on; count them."""

    class Looking:
        def __init__(self) -> None:
            self.count = 0
            self.go_on = threading.Event()

    looking, look = Looking(), camera_pipeline.recognise

    def held(*args, **options):
        looking.count += 1
        looking.go_on.wait(30)
        return look(*args, **options)

    monkeypatch.setattr(camera_pipeline, "recognise", held)
    yield looking
    looking.go_on.set()


async def test_what_was_being_looked_at_when_it_was_switched_off_is_no_visit(
    set_up, camera, target, looking
) -> None:
    camera.show("obama3")
    door = await set_up(BARACK, lock=TARGET)
    await door.until(lambda: looking.count)
    await door.frames(camera, 3)
    door.door.async_enable(enabled=False)
    looking.go_on.set()
    await door.idle()
    await asyncio.sleep(0.1)
    assert looking.count == 1  # nor was what waited in the mailbox looked at
    assert not door.watcher.in_visit
    door.clock.jump(20)
    await asyncio.sleep(0.1)
    assert door.accesses == []
    assert target.calls == []


async def test_what_was_asked_for_before_it_was_switched_off_is_not_looked_at(
    set_up, camera
) -> None:
    door = await set_up(BARACK)
    await door.recognised(1)
    counters, answer = door.watcher.counters, asyncio.Event()
    asked = asyncio.Event()

    async def late() -> bytes:
        asked.set()
        await answer.wait()
        return camera.scene.picture("obama3")

    camera.source = late
    await asked.wait()
    await door.idle()
    pictures, recognised = counters.pictures, counters.recognised
    door.door.async_enable(enabled=False)
    answer.set()
    await door.until(lambda: counters.pictures > pictures)
    await asyncio.sleep(0.1)
    assert door.watcher.feed.is_idle
    assert counters.recognised == recognised
    door.door.async_enable(enabled=True)
    await door.until(lambda: counters.recognised > recognised)


async def test_a_camera_that_was_not_asked_for_long_is_not_lost(set_up, camera) -> None:
    door = await set_up(BARACK)
    await door.recognised(1)
    door.door.async_enable(enabled=False)
    await door.idle()
    camera.hang()
    door.clock.jump(3600)
    await asyncio.sleep(0.1)
    assert door.watcher.state.outage is None
    door.door.async_enable(enabled=True)
    assert door.watcher.state.outage is None
    assert door.door.data.outage is None


# Which picture is kept


@pytest.fixture
async def kept(set_up, camera, monkeypatch):
    """A door that keeps pictures, whom each served one showed, and what was decided."""
    door = await set_up(BARACK, settings={"privacy": {"keep_last_visit": True}})
    showed: dict[bytes, tuple[str, ...]] = {}
    found: list[Decided] = []
    conclude = door.door.controller.conclude

    def note(decided: Decided) -> None:
        found.append(decided)
        conclude(decided)

    monkeypatch.setattr(door.door.controller, "conclude", note)

    def show(*names: str, height: float = 400) -> None:
        def source() -> bytes:
            data = camera.scene.picture(*names, height=height)
            showed[data] = (*names, str(height))
            return data

        camera.source = source

    return door, show, found, lambda: showed[found[-1].picture]


async def test_the_picture_of_a_stranger_is_not_that_of_who_was_let_in_before(kept, camera) -> None:
    door, show, found, shown = kept
    show("obama3")
    await door.until(lambda: len(found) == 1)
    assert shown()[0] == "obama3"
    await door.recognised(2)
    assert door.watcher.is_hosting
    # Both are smaller than the one who holds the door was before.
    show("obama3", "biden", height=300)
    await door.recognised(4)
    await door.leave(camera)
    await door.until(lambda: len(found) == 2)
    assert found[-1].attempt.problem is vision.Problem.UNKNOWN_FACE
    assert "biden" in shown()


async def test_the_picture_of_a_visit_is_not_that_of_the_one_before(kept, camera) -> None:
    door, show, found, shown = kept
    show("biden")
    await door.recognised(3)
    await door.leave(camera)
    await door.until(lambda: len(found) == 1)
    assert shown()[0] == "biden"
    show("hopper", height=300)
    await door.recognised(3)
    await door.leave(camera)
    await door.until(lambda: len(found) == 2)
    assert shown()[0] == "hopper"


async def test_the_picture_that_shows_the_visitor_largest_is_kept(kept, camera) -> None:
    door, show, found, shown = kept
    for height in (250, 400, 250):
        show("biden", height=height)
        await door.recognised(3)
    await door.leave(camera)
    await door.until(lambda: len(found) == 1)
    assert shown() == ("biden", "400")


# What is said of the camera


async def test_a_camera_that_is_off_is_not_asked(hass, camera) -> None:
    camera._attr_is_on = False
    camera.async_write_ha_state()
    with pytest.raises(CameraError) as caught:
        await async_take_picture(hass, CAMERA)
    assert caught.value.key == "camera_off"
    assert camera.requests == 0


@pytest.mark.parametrize("entity_id", ["camera.none", "camera.stale"])
async def test_a_camera_that_is_not_there(hass, camera, entity_id) -> None:
    hass.states.async_set("camera.stale", "idle")
    with pytest.raises(CameraError) as caught:
        await async_take_picture(hass, entity_id)
    assert caught.value.key == ("camera_not_found", "camera_unavailable")["stale" in entity_id]


async def test_a_camera_that_fails_is_asked_less_and_less_often(
    set_up, camera, clock, monkeypatch
) -> None:
    rests = []
    door = await set_up(BARACK)
    monkeypatch.setattr(feed, "MAX_BACKOFF", 10.0)
    rest = door.watcher.feed._rest

    async def note(seconds: float) -> None:
        rests.append(seconds)
        await rest(0.01)

    monkeypatch.setattr(door.watcher.feed, "_rest", note)
    camera.fail()
    await door.until(lambda: door.watcher.counters.failed_pictures > 2)
    await door.idle()
    clock.stop()
    camera.show()
    count = door.watcher.counters.recognised
    await door.until(lambda: door.watcher.counters.recognised > count)
    camera.fail()
    await door.idle()
    found = []
    for _ in range(6):
        clock.jump(4)
        rests.clear()
        await door.until(lambda: len(rests) > 2)
        found.append(rests[-1])
    # Half as long as the camera has been failing, up to a limit.
    assert found == pytest.approx([2, 4, 6, 8, 10, 10])


async def test_what_a_camera_shows_is_not_said_while_it_is_lost(set_up, camera) -> None:
    door = await set_up(BARACK)
    camera.show("obama3")
    await door.until(lambda: door.state(MOTION) == "on")
    camera.fail()
    await door.idle()
    door.clock.jump(feed.OUTAGE_AFTER)
    await door.until(lambda: door.watcher.state.outage == "camera_failed")
    assert not door.watcher.state.motion
    assert door.state(CONFIDENCE) == "unavailable"
    camera.show()
    await door.until(lambda: door.watcher.state.outage is None)


async def test_the_bell_ends_one_pause(set_up, camera, monkeypatch) -> None:
    door = await set_up(BARACK)
    for interval in ("IDLE_INTERVAL", "OPEN_INTERVAL"):
        monkeypatch.setattr(feed, interval, 1000)
    await door.frames(camera, 1)
    await door.idle()
    asked = camera.requests
    door.watcher.async_open_gate()
    await door.until(lambda: camera.requests > asked)
    await asyncio.sleep(0.1)
    assert camera.requests == asked + 1


async def test_a_defect_of_each_turn_leaves_others_their_turns(monkeypatch) -> None:
    monkeypatch.setattr(feed, "IDLE_INTERVAL", 1000)
    turns = []

    async def defect() -> None:
        turns.append(True)
        if len(turns) > 100:
            raise asyncio.CancelledError
        raise ZeroDivisionError

    watching = asyncio.ensure_future(feed.async_forever(defect))
    await asyncio.sleep(0.01)
    assert len(turns) == 1
    watching.cancel()


async def test_somebody_who_stands_still_is_looked_at_all_the_time(set_up, camera) -> None:
    door = await set_up({})
    camera.freeze(camera.scene.picture("obama3"))
    await door.recognised(1)
    for _ in range(4):
        await door.wait(camera, 5)
        await door.recognised(1)
    assert door.watcher.feed.gate_open(door.clock())


async def test_what_became_of_the_pictures_is_counted(set_up, camera) -> None:
    door = await set_up(BARACK)
    counters = door.watcher.counters
    camera.show("obama3")
    await door.access()
    assert (counters.failed_pictures, counters.failed_recognitions, counters.spared) == (0, 0, 0)
    assert 0 < counters.recognised <= counters.pictures <= camera.requests
    assert door.watcher.visits == 1
    camera.fail()
    await door.idle()
    asked, failed = camera.requests, counters.failed_pictures
    await door.frames(camera, 3)
    assert counters.failed_pictures - failed in (camera.requests - asked, 2, 3)
