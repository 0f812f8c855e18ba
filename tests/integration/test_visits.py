"""The whole way from the camera's pictures to the lock, with the real models."""

import asyncio
import logging
import threading
import time

import pytest
from homeassistant.config_entries import ConfigEntryState
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import entity_registry as er, issue_registry as ir
from PIL import Image, ImageDraw

from custom_components.face_lock import coordinator, vision
from custom_components.face_lock.access import controller as entrance
from custom_components.face_lock.const import DOMAIN
from custom_components.face_lock.locking import driver as door_lock
from custom_components.face_lock.people import people_of
from custom_components.face_lock.recognition import (
    executor as worker,
    feed,
    models as runtime,
    snapshot as source,
    watcher,
)
from custom_components.face_lock.recognition.host import Decided
from custom_components.face_lock.vision.pipeline import camera as camera_pipeline
from tests.harness.devices import jpeg

from .conftest import CAMERA, CONFIDENCE, EVENT, FRONT, LOCK, MOTION, TARGET, Door, unsealed

BARACK = {"Barack": ("obama", "obama2")}


async def test_enrolled_person_opens_the_target_lock(set_up, camera, target) -> None:
    door = await set_up(BARACK, lock=TARGET)
    await door.recognised(1)
    assert door.state(LOCK) == "locked"

    camera.show("obama3")
    access = await door.access()

    assert access.event_type == "access_granted"
    assert access.person == "Barack"
    assert access.reason is None
    assert access.confidence > 90
    assert access.response_time > 0
    assert access.duration > 0
    assert target.calls == [("unlock", None)]
    lock = door.hass.states.get(LOCK)
    assert lock.state == "unlocked"
    assert lock.attributes["changed_by"] == "Barack"
    assert door.state(MOTION) == "on"
    assert float(door.state(CONFIDENCE)) > 90

    # One visit, one event: who stays is not let in again and again.
    await door.recognised(5)
    assert len(door.accesses) == 1
    assert len(target.calls) == 1

    # The name goes when the door is locked again, and the confidence a while after the visit.
    target.put(is_locked=True)
    await door.hass.async_block_till_done()
    assert "changed_by" not in door.hass.states.get(LOCK).attributes
    await door.leave(camera)
    await door.until(lambda: not door.watcher._decider.in_visit)
    door.clock.jump(coordinator.SHOW_FOR)
    await door.until(lambda: door.state(CONFIDENCE) == "unknown")


async def test_the_next_visit_opens_again(set_up, camera, target) -> None:
    door = await set_up(BARACK, lock=TARGET)
    camera.show("obama3")
    await door.access(1)
    await door.leave(camera)
    target.put(is_locked=True)
    camera.show("obama3")
    access = await door.access(2)
    assert access.event_type == "access_granted"
    assert len(target.calls) == 2


async def test_portrait_that_is_moved_about_is_not_alive(set_up, camera, target) -> None:
    """Whoever it shows: face and background of a print move as one. Basic lets some pass."""
    door = await set_up(BARACK, lock=TARGET, settings={"security": {"liveness": "strict"}})
    await door.recognised(1)
    camera.show("obama3")
    access = await door.access()
    assert (access.event_type, access.reason) == ("liveness_failed", "not_live")
    assert access.person == "Barack"
    assert target.calls == []


async def test_stranger_is_refused(set_up, camera, target) -> None:
    door = await set_up(BARACK, lock=TARGET)
    camera.show("biden")
    await door.recognised(5)
    await door.leave(camera)
    access = await door.access()
    assert access.event_type == "unknown_face"
    assert access.reason == "unknown_face"
    assert access.person is None
    assert access.confidence < 50
    assert target.calls == []
    assert door.state(LOCK) == "locked"


async def test_stranger_who_stays_is_refused_in_time(set_up, camera, target) -> None:
    door = await set_up(BARACK, lock=TARGET)
    camera.show("hopper")
    await door.recognised(3)
    await door.wait(camera, 10)
    assert (await door.access()).reason == "unknown_face"
    assert target.calls == []


async def test_nobody_enrolled_opens_for_nobody(set_up, camera, target) -> None:
    door = await set_up({}, lock=TARGET)
    camera.show("obama3")
    await door.recognised(5)
    await door.leave(camera)
    assert (await door.access()).reason == "unknown_face"
    assert target.calls == []


async def test_frozen_picture_is_refused(set_up, camera, target) -> None:
    door = await set_up(BARACK, lock=TARGET)
    camera.freeze(camera.scene.picture("obama3"))
    await door.recognised(6)
    await door.leave(camera)
    access = await door.access()
    assert access.event_type == "liveness_failed"
    assert access.reason == "static_picture"
    assert access.person == "Barack"
    assert target.calls == []


async def test_frozen_picture_under_a_running_clock_is_refused(set_up, camera, target) -> None:
    door = await set_up(BARACK, lock=TARGET)
    frozen = vision.decode_rgb(camera.scene.picture("obama3"))
    numbers = iter(range(10**6))

    def stamped() -> bytes:
        image = Image.fromarray(frozen)
        ImageDraw.Draw(image).text((8, 8), f"12:00:{next(numbers):05}", fill=(255, 255, 255))
        return jpeg(image)

    camera.source = stamped
    await door.recognised(6)
    await door.leave(camera)
    access = await door.access()
    assert access.event_type == "liveness_failed"
    assert access.reason == "static_picture"
    assert target.calls == []


async def test_late_pictures_are_refused(set_up, camera, target) -> None:
    door = await set_up(BARACK, lock=TARGET)

    def slow() -> bytes:
        door.clock.jump(entrance.POLICY.max_age)
        return camera.scene.picture("obama3")

    camera.source = slow
    assert (await door.access()).reason == "stale_frames"
    assert target.calls == []


async def test_two_enrolled_people_side_by_side(set_up, camera, target) -> None:
    door = await set_up({**BARACK, "Joe": ("biden",)}, lock=TARGET)
    camera.show("obama3", "biden", height=350)
    access = await door.access()
    assert access.event_type == "access_granted"
    assert access.person in ("Barack", "Joe")


async def test_nobody_means_no_event_and_a_closed_gate(set_up, camera) -> None:
    door = await set_up(BARACK)
    wall = camera.scene.picture()
    camera.freeze(wall)
    await door.frames(camera)
    await door.wait(camera, 6)
    await door.until(lambda: door.state(MOTION) == "off")
    await door.idle()
    counters = door.watcher.counters
    recognised = counters.recognised
    await door.frames(camera, 5)
    # Behind the closed gate the networks rest.
    assert counters.recognised == recognised
    assert door.accesses == []
    assert door.state(CONFIDENCE) == "unknown"


# Faults of the camera

FAULTS = {
    "raises": (lambda camera: camera.fail(), "camera_failed"),
    "raises core's error": (lambda camera: camera.fail(HomeAssistantError()), "camera_failed"),
    "hangs": (lambda camera: camera.hang(), "camera_timeout"),
    "unavailable": (lambda camera: camera.set_available(False), "camera_unavailable"),
    "no picture": (lambda camera: camera.freeze(None), "camera_failed"),
    "text": (lambda camera: camera.freeze(b"<html>"), "picture_unsupported"),
    "no bytes": (lambda camera: camera.freeze("text"), "camera_failed"),
    "truncated": (lambda camera: camera.freeze(camera.scene.picture()[:2000]), "picture_corrupt"),
}


@pytest.mark.parametrize("fault", FAULTS)
async def test_camera_lost_in_mid_visit(set_up, camera, target, caplog, monkeypatch, fault) -> None:
    monkeypatch.setattr(source.async_take_picture, "__defaults__", (0.3,))
    act, why = FAULTS[fault]
    door = await set_up(BARACK, lock=TARGET)
    watching = door.watcher
    # A visit of somebody who would be let in, if only there were more pictures.
    one = camera.scene.picture("obama3")
    camera.freeze(one)
    await door.until(lambda: watching._decider.in_visit)
    act(camera)
    await door.until(lambda: watching.counters.failed_pictures >= 2)
    await door.idle()
    door.clock.jump(watcher.PATIENCE)
    access = await door.access()
    assert access.event_type == "access_denied"
    assert access.reason == "camera_lost"

    # After a while it is an outage, said once.
    door.clock.jump(watcher.OUTAGE_AFTER)
    await door.until(lambda: door.state(MOTION) == "unavailable")
    assert door.state(CONFIDENCE) == "unavailable"
    assert door.state(EVENT) not in ("unavailable", "unknown")
    assert door.state(LOCK) == "locked"
    assert watching.state.outage == why
    failed = watching.counters.failed_pictures
    await door.until(lambda: watching.counters.failed_pictures >= failed + 3)
    said = [r for r in caplog.records if "not watched" in r.getMessage()]
    assert len(said) == 1
    assert not [r for r in caplog.records if r.levelno >= logging.ERROR and DOMAIN in r.name]

    # When it is back, so is the door.
    camera.set_available(True)
    camera.show("obama3")
    assert (await door.access(2)).event_type == "access_granted"
    assert door.state(MOTION) == "on"
    assert "is watched again" in caplog.text


async def test_renamed_camera(hass, set_up, camera, target) -> None:
    door = await set_up(BARACK, lock=TARGET)
    er.async_get(hass).async_update_entity(CAMERA, new_entity_id="camera.porch")
    await hass.async_block_till_done()
    camera.show("obama3")
    assert (await door.access()).event_type == "access_granted"


async def test_removed_camera(hass, set_up, camera) -> None:
    door = await set_up(BARACK)
    await door.frames(camera)
    er.async_get(hass).async_remove(CAMERA)
    await hass.async_block_till_done()
    watching = door.watcher
    await door.until(lambda: watching.counters.failed_pictures)
    await door.idle()
    door.clock.jump(watcher.OUTAGE_AFTER)
    await door.until(lambda: door.state(MOTION) == "unavailable")
    issue = f"camera_missing_{FRONT}"
    assert ir.async_get(hass).async_get_issue(DOMAIN, issue).translation_placeholders == {
        "door": "Front door"
    }
    # A reload alone does not mend it; another camera does.
    await hass.config_entries.async_reload(door.entry.entry_id)
    assert ir.async_get(hass).async_get_issue(DOMAIN, issue)
    camera = type(camera)()
    camera._attr_unique_id = "new"
    await hass.data["camera"].async_add_entities([camera])
    data = {**door.subentry.data, "cameras": [er.async_get(hass).async_get(CAMERA).id]}
    hass.config_entries.async_update_subentry(door.entry, door.subentry, data=data)
    await hass.async_block_till_done()
    assert ir.async_get(hass).async_get_issue(DOMAIN, issue) is None


async def test_camera_removed_and_added_again(hass, set_up, camera) -> None:
    door = await set_up(BARACK)
    await door.frames(camera)
    er.async_get(hass).async_remove(CAMERA)
    await hass.async_block_till_done()
    watching = door.watcher
    await door.until(lambda: watching.counters.failed_pictures)
    await door.idle()
    door.clock.jump(watcher.OUTAGE_AFTER)
    issue = f"camera_missing_{FRONT}"
    issues = ir.async_get(hass)
    await door.until(lambda: issues.async_get_issue(DOMAIN, issue))
    # Core gives it its old registry id again.
    await hass.data["camera"].async_add_entities([type(camera)()])
    await door.until(lambda: issues.async_get_issue(DOMAIN, issue) is None)
    assert door.state(MOTION) != "unavailable"


async def test_camera_that_never_came_is_no_outage_while_starting(hass, set_up, camera) -> None:
    from homeassistant.core import CoreState

    hass.set_state(CoreState.starting)
    camera.set_available(False)
    door = await set_up(BARACK)
    door.clock.jump(watcher.OUTAGE_AFTER)
    watching = door.watcher
    await door.until(lambda: watching.counters.failed_pictures >= 3)
    assert door.state(MOTION) == "off"
    hass.set_state(CoreState.running)
    await door.until(lambda: door.state(MOTION) == "unavailable")


# Faults of recognition


async def test_recognition_that_raises_is_no_evidence(
    set_up, camera, target, caplog, monkeypatch
) -> None:
    door = await set_up(BARACK, lock=TARGET)
    watching = door.watcher

    def broken(*_: object) -> None:
        raise RuntimeError("no embedding")

    real = camera_pipeline.recognise
    monkeypatch.setattr(camera_pipeline, "recognise", broken)
    camera.show("obama3")
    await door.until(lambda: watching.counters.failed_recognitions >= 5)
    assert target.calls == []
    assert caplog.text.count("Recognition fails") == 1
    monkeypatch.setattr(camera_pipeline, "recognise", real)
    assert (await door.access()).event_type == "access_granted"


async def test_recognition_that_hangs(set_up, camera, target, caplog, monkeypatch) -> None:
    monkeypatch.setattr(worker, "STOP_TIMEOUT", 0.05)
    door = await set_up(BARACK, lock=TARGET)
    release = threading.Event()
    monkeypatch.setattr(camera_pipeline, "recognise", lambda *_, **__: release.wait())
    watching = door.watcher
    await door.until(lambda: watching.feed.busy_since is not None)
    camera.show("obama3")
    # The newest frame wins: pictures still come, and none queues.
    await door.frames(camera, 5)
    door.clock.jump(watcher.OUTAGE_AFTER)
    await door.until(lambda: watching.state.outage == "recognition_hangs")
    assert door.state(MOTION) == "unavailable"
    assert await door.hass.config_entries.async_unload(door.entry.entry_id)
    assert "does not end" in caplog.text
    release.set()
    await door.until(
        lambda: not [t for t in threading.enumerate() if t.name.startswith("face_lock")]
    )
    assert target.calls == []


async def test_newest_frame_wins(set_up, camera, monkeypatch) -> None:
    door = await set_up(BARACK)
    worker_of_the_camera = door.watcher.feed._worker
    taken: list[float] = []
    newest: list[bool] = []
    take, look, run = (
        feed.async_take_picture,
        camera_pipeline.recognise,
        worker_of_the_camera.async_run,
    )

    async def recording(*args):
        picture = await take(*args)
        taken.append(picture.asked_at)
        return picture

    async def checking(job, picture, *args):
        newest.append(picture.asked_at == taken[-1])
        return await run(job, picture, *args)

    def slow(*args, **kwargs):
        time.sleep(0.3)
        return look(*args, **kwargs)

    monkeypatch.setattr(feed, "async_take_picture", recording)
    await door.until(lambda: taken)
    monkeypatch.setattr(worker_of_the_camera, "async_run", checking)
    monkeypatch.setattr(camera_pipeline, "recognise", slow)
    await door.until(lambda: len(newest) >= 5)
    # While one picture was looked at several came, of which all but the last were let go.
    assert len(taken) > len(newest) + 2
    assert all(newest)


async def test_a_defect_does_not_end_the_watching(set_up, camera, monkeypatch, caplog) -> None:
    door = await set_up(BARACK)
    decider = door.watcher._decider
    real = decider.tick
    calls = []

    def defect(now: float) -> None:
        calls.append(now)
        if len(calls) < 3:
            raise ZeroDivisionError
        return real(now)

    monkeypatch.setattr(decider, "tick", defect)
    await door.until(lambda: len(calls) >= 3)
    assert "Unexpected error" in caplog.text
    camera.show("obama3")
    assert (await door.access()).event_type == "access_granted"


# Faults of the lock


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("raises", "lock_failed"),
        ("hangs", "lock_timeout"),
        ("says nothing", "lock_timeout"),
        ("unavailable", "lock_unavailable"),
        ("removed", "lock_unavailable"),
        ("jams", "lock_jammed"),
    ],
)
async def test_target_that_does_not_open(
    hass, set_up, camera, target, monkeypatch, fault, reason
) -> None:
    monkeypatch.setattr(door_lock, "CALL_TIMEOUT", 0.1)
    door = await set_up(BARACK, lock=TARGET)
    if fault == "raises":
        target.error = RuntimeError("no answer")
    elif fault == "hangs":
        target.wait = asyncio.Event()
    elif fault == "says nothing":
        monkeypatch.setattr(type(target), "async_unlock", do_nothing)
    elif fault == "unavailable":
        target._attr_available = False
        target.async_write_ha_state()
    elif fault == "removed":
        er.async_get(hass).async_remove(TARGET)
        await hass.async_block_till_done()
        issue = f"lock_missing_{FRONT}"
        assert ir.async_get(hass).async_get_issue(DOMAIN, issue)
    else:
        monkeypatch.setattr(type(target), "async_unlock", jam)
    camera.show("obama3")
    access = await door.access()
    assert access.event_type == "access_denied"
    assert access.reason == reason
    assert access.person == "Barack"
    assert "changed_by" not in door.hass.states.get(LOCK).attributes
    assert len(door.accesses) == 1


async def do_nothing(_lock) -> None:
    pass


async def jam(lock) -> None:
    lock.put(is_jammed=True, is_locked=True)


# Things that change in mid-visit


async def almost(door: Door, camera) -> None:
    """Bring a visit to one frame before the grant."""
    decider = door.watcher._decider
    count = iter(range(10**6))
    held: list[bytes] = []

    def source() -> bytes:
        if len(getattr(decider._visit, "votes", ())) >= entrance.POLICY.quorum - 1:
            return held[-1]
        next(count)
        held.append(camera.scene.picture("obama3"))
        return held[-1]

    camera.source = source
    await door.until(lambda: len(getattr(decider._visit, "votes", ())) == 2)


async def test_person_removed_in_mid_visit(hass, set_up, camera, target, hass_storage) -> None:
    door = await set_up(BARACK, lock=TARGET)
    await almost(door, camera)
    (subentry,) = people_of(door.entry).values()
    camera.show("obama3")
    assert hass.config_entries.async_remove_subentry(door.entry, subentry.subentry_id)
    await hass.async_block_till_done()

    # The person's data is gone at once, and so is the device.
    assert unsealed(hass_storage, f"{DOMAIN}.{door.entry.entry_id}") == {"people": {}}
    assert hass.states.get("sensor.barack_pictures") is None
    await door.recognised(5)
    await door.leave(camera)
    await door.until(lambda: door.accesses)
    assert {a.attributes["event_type"] for a in door.accesses} <= {
        "access_denied",
        "unknown_face",
    }
    assert target.calls == []


async def test_grant_for_somebody_removed_meanwhile(hass, set_up, camera, target) -> None:
    """The decision is checked again at the moment of unlocking."""
    door = await set_up(BARACK, lock=TARGET)
    attempt = granted(door, "eve")
    door.door.controller.conclude(decided(attempt))
    await hass.async_block_till_done()
    assert (await door.access()).reason == "unknown_face"
    assert target.calls == []


async def test_grant_that_is_too_old(hass, set_up, camera, target) -> None:
    door = await set_up(BARACK, lock=TARGET)
    attempt = granted(door, "barack")
    door.clock.jump(entrance.POLICY.max_age + 0.1)
    door.door.controller.conclude(decided(attempt))
    assert (await door.access()).reason == "stale_frames"
    assert target.calls == []


def decided(attempt: vision.AccessAttempt) -> Decided:
    return Decided(attempt, CAMERA, None, lambda outcome, **_: None)


def granted(door: Door, who: str) -> vision.AccessAttempt:
    now = door.clock()
    return vision.AccessAttempt(
        granted=True,
        person=who,
        problem=None,
        confidence=0.99,
        started_at=now,
        decided_at=now,
        first_usable_at=now,
        frames=3,
        agreeing=3,
    )


async def test_unload_in_mid_visit(hass, set_up, camera, target) -> None:
    door = await set_up(BARACK, lock=TARGET)
    await almost(door, camera)
    camera.show("obama3")
    assert await hass.config_entries.async_unload(door.entry.entry_id)
    assert (await door.access()).reason == "stopped"
    assert target.calls == []
    # Nothing is left: no thread, no task, no further request.
    assert not [t for t in threading.enumerate() if t.name.startswith("face_lock")]
    assert not [t for t in asyncio.all_tasks() if "face_lock" in t.get_name()]
    asked = camera.requests
    await asyncio.sleep(0.2)
    assert camera.requests == asked


async def test_unload_while_the_target_is_unlocking(hass, set_up, camera, target) -> None:
    door = await set_up(BARACK, lock=TARGET)
    target.wait = asyncio.Event()
    camera.show("obama3")
    await door.until(lambda: target.calls)
    assert await hass.config_entries.async_unload(door.entry.entry_id)
    assert (await door.access()).reason == "stopped"
    target.wait.set()
    await hass.async_block_till_done()
    assert target.is_locked


async def test_nothing_opens_while_unloading(hass, set_up, camera, target) -> None:
    door = await set_up(BARACK, lock=TARGET)
    attempt = granted(door, "barack")
    running = door.door
    await running.async_stop()
    running.controller.conclude(decided(attempt))
    assert (await door.access()).reason == "stopped"
    assert target.calls == []


async def test_reload_in_mid_visit_starts_from_nothing(hass, set_up, camera, target) -> None:
    door = await set_up(BARACK, lock=TARGET)
    await almost(door, camera)
    assert await hass.config_entries.async_reload(door.entry.entry_id)
    assert (await door.access()).reason == "stopped"
    assert target.calls == []
    assert door.entry.state is ConfigEntryState.LOADED
    camera.show("obama3")
    await door.until(lambda: target.calls)


# The presence network


async def test_presence_network_spares_the_others_an_empty_scene(
    set_up, camera, target, monkeypatch
) -> None:
    monkeypatch.setattr(runtime, "load_bundle", vision.load_bundle)
    door = await set_up(BARACK, lock=TARGET)
    assert door.household.bundle.presence is not None
    counters = door.watcher.counters
    await door.until(lambda: counters.spared >= 10)
    assert counters.recognised < counters.spared

    # Whom it does not see is found all the same, a moment later.
    nobody = vision.PresenceScore(score=0.0, present=False)
    monkeypatch.setattr(vision.Presence, "look", lambda *_: nobody)
    camera.show("obama3")
    assert (await door.access()).event_type == "access_granted"
