"""Enrolling, forgetting, and letting in once, by action."""

import asyncio
import base64
from dataclasses import replace

import pytest
from homeassistant.config_entries import ConfigEntryState
from homeassistant.exceptions import ServiceValidationError
from homeassistant.helpers import device_registry as dr, entity_registry as er
from homeassistant.util import dt as dt_util

from custom_components.face_lock import vision
from custom_components.face_lock.const import DOMAIN
from custom_components.face_lock.enrollment import album
from custom_components.face_lock.people import people_of
from custom_components.face_lock.services import enroll, people
from custom_components.face_lock.storage.feedback import Feedback, Verdict
from custom_components.face_lock.vision.matching.thresholds import Thresholds

from .conftest import FRONT, LOCK, TARGET, front_door, raw, unsealed

BARACK = {"Barack": ("obama", "obama2")}


@pytest.fixture(autouse=True)
def _quick_capture(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(enroll, "CAPTURE_INTERVAL", 0.01)


@pytest.fixture(autouse=True)
def _same_clock(clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(people, "monotonic", clock)


@pytest.fixture
def pictures(folder):
    """Put pictures into the allowed folder; return their paths."""

    def pictures(*names: str) -> list[str]:
        for name in names:
            (folder / f"{name}.jpg").write_bytes(raw(name))
        return [str(folder / f"{name}.jpg") for name in names]

    return pictures


def names(door) -> set[str]:
    return {subentry.title for subentry in people_of(door.entry).values()}


def in_store(hass_storage, door, person: str) -> int:
    content = unsealed(hass_storage, f"{DOMAIN}.{door.entry.entry_id}")
    return len(content["people"].get(person, {"pictures": []})["pictures"])


# Enroll


async def test_enroll_from_files_and_be_let_in(
    hass, set_up, call, camera, target, pictures, hass_storage
) -> None:
    door = await set_up({}, lock=TARGET)
    answer = await call("enroll", name=" Barack ", files=pictures("obama", "obama2"))
    person = answer.pop("person_id")
    assert answer == {
        "person": "Barack",
        "created": True,
        "kept": 2,
        "pictures": 2,
        "refused": [],
    }
    # The answer comes when the door runs with the new person, and everything is written.
    assert door.entry.state is ConfigEntryState.LOADED
    assert in_store(hass_storage, door, person) == 2
    assert people_of(door.entry)[person].title == "Barack"
    await hass.async_block_till_done()
    assert er.async_get(hass).async_get_entity_id("switch", DOMAIN, f"{person}_allowed")
    camera.show("obama3")
    access = await door.access()
    assert (access.event_type, access.person) == ("access_granted", "Barack")


async def test_enroll_adds_to_whom_it_knows(set_up, call, pictures, folder, hass_storage) -> None:
    door = await set_up({"Barack": ("obama",)})
    door.household.residents.async_set_allowed("barack", allowed=False)
    (folder / "text.jpg").write_bytes(b"text")
    files = [*pictures("obama", "obama2", "hopper"), str(folder / "text.jpg"), "/etc/passwd"]
    answer = await call("enroll", name="BARACK", files=files)
    assert answer == {
        "person": "Barack",
        "person_id": "barack",
        "created": False,
        "kept": 1,
        "pictures": 2,
        "refused": [
            {"picture": "obama.jpg", "reason": "same_picture"},
            {"picture": "hopper.jpg", "reason": "other_person"},
            {"picture": "text.jpg", "reason": "picture_unsupported"},
            {"picture": "passwd", "reason": "path_not_allowed"},
        ],
    }
    assert in_store(hass_storage, door, "barack") == 2
    assert names(door) == {"Barack"}
    # Who is suspended remains so.
    assert not door.household.residents.rules["barack"].allowed


@pytest.fixture
def in_turn(camera, monkeypatch):
    """Show people one after the other, the next ones for each picture that a capture takes."""
    take = enroll.async_take_picture

    def in_turn(*scenes: str) -> None:
        left = list(scenes)

        async def next_one(*args: object) -> object:
            camera.show(*(left.pop(0) if len(left) > 1 else left[0]).split())
            return await take(*args)

        monkeypatch.setattr(enroll, "async_take_picture", next_one)

    return in_turn


def shows(bundle, shown: dict[str, str], name: str) -> bool:
    """Whether what the answer shows is a crop of somebody's face."""
    head, _, data = shown["image"].partition(",")
    assert head == "data:image/jpeg;base64"
    crop = vision.decode_rgb(base64.b64decode(data))
    known = vision.examine(bundle, vision.decode_rgb(raw(name))).template
    return vision.is_same_person(bundle, vision.embed_crop(bundle, crop).embedding, [known])


async def test_enroll_from_the_camera(
    set_up, call, camera, in_turn, hass_storage, monkeypatch
) -> None:
    monkeypatch.setattr(enroll, "CAPTURE_TIMEOUT", 3.0)
    door = await set_up({})
    in_turn("obama", "obama2", "obama2", "obama3")
    answer = await call("enroll", name="Barack", from_camera=True)
    # What is taken within a moment counts once.
    assert (answer["created"], answer["kept"]) == (True, 3)
    assert in_store(hass_storage, door, answer["person_id"]) == 3
    assert {refusal["reason"] for refusal in answer["refused"]} == {"same_picture"}
    # It shows what it took.
    assert len(answer["taken"]) == 3
    assert all(shows(door.household.bundle, shown, "obama2") for shown in answer["taken"])


async def test_enroll_from_the_camera_takes_nobody_who_is_beside(
    set_up, call, camera, in_turn, monkeypatch
) -> None:
    monkeypatch.setattr(enroll, "CAPTURE_TIMEOUT", 3.0)
    door = await set_up({})
    # Somebody walks past first, alone; then others stand beside the person.
    in_turn("biden", "obama biden", "obama", "obama2", "hopper obama3", "obama3")
    answer = await call("enroll", name="Barack", from_camera=True)
    assert answer["kept"] == len(answer["taken"]) >= 2
    assert all(shows(door.household.bundle, shown, "obama3") for shown in answer["taken"])
    assert {"several_faces", "other_person"} <= {one["reason"] for one in answer["refused"]}


async def test_enroll_waits_until_somebody_came(hass, set_up, call, camera, clock, monkeypatch):
    monkeypatch.setattr(enroll, "monotonic", clock)
    door = await set_up({})
    camera.show()
    task = hass.async_create_task(call("enroll", name="Barack", from_camera=True))
    await door.frames(camera, 5)
    clock.jump(enroll.CAPTURE_WALK - 10)
    await door.frames(camera, 5)
    assert not task.done()
    camera.show("obama")
    await door.frames(camera, 10)
    clock.jump(enroll.CAPTURE_TIMEOUT)
    answer = await task
    assert answer["kept"] == 1
    assert answer["refused"][0]["reason"] == "no_face"
    # That nobody was there yet is said once.
    assert [one["reason"] for one in answer["refused"]].count("no_face") == 1


async def test_nothing_happens_at_the_door_while_its_camera_enrols(
    hass, set_up, call, camera, in_turn, target, monkeypatch, clock
) -> None:
    """Neither events nor failures, and nothing opens by it, at any door with that camera."""
    monkeypatch.setattr(enroll, "CAPTURE_TIMEOUT", 3.0)
    garage = front_door(hass, title="Garage", door="garage", lock=TARGET)
    door = await set_up({"Grace": ("hopper",)}, doors=(front_door(hass), garage))
    await door.recognised(1)
    in_turn("obama", "obama2", *["obama3", "hopper", "biden"] * 400)
    recognised = door.watcher.counters.recognised
    await call("enroll", name="Barack", from_camera=True, door="Front door")
    assert door.watcher.counters.recognised > recognised + 3
    assert door.accesses == []
    assert door.watcher.visits == 0
    assert door.door.controller.lockout.failures == 0
    assert hass.states.get("event.garage_access").state == "unknown"
    assert target.calls == []
    # A while later everything is as before.
    camera.show("hopper")
    clock.jump(20)
    access = await door.access()
    assert (access.event_type, access.person) == ("access_granted", "Grace")


async def test_enroll_with_nobody_at_the_camera(set_up, call, camera, monkeypatch) -> None:
    monkeypatch.setattr(enroll, "CAPTURE_WALK", 1.0)
    door = await set_up(BARACK)
    answer = await call("enroll", name="Eileen", from_camera=True)
    assert (answer["person_id"], answer["created"], answer["kept"]) == (None, False, 0)
    assert {refusal["reason"] for refusal in answer["refused"]} == {"no_face"}
    camera.fail()
    answer = await call("enroll", name="Eileen", from_camera=True)
    assert {refusal["reason"] for refusal in answer["refused"]} == {"camera_failed"}
    assert names(door) == {"Barack"}


async def test_the_first_file_is_not_the_judge(set_up, call, pictures) -> None:
    await set_up({})
    files = pictures("biden", "obama", "obama2", "obama3")
    answer = await call("enroll", name="Barack", files=files)
    assert answer["kept"] == 3
    assert answer["refused"] == [{"picture": "biden.jpg", "reason": "other_person"}]
    answer = await call("enroll", name="Nobody", files=pictures("hopper", "collins"))
    assert (answer["created"], answer["kept"]) == (False, 0)
    assert {one["reason"] for one in answer["refused"]} == {"pictures_disagree"}


async def test_enroll_nobody_twice(set_up, call, pictures) -> None:
    door = await set_up(BARACK)
    answer = await call("enroll", name="Impostor", files=pictures("obama3"))
    assert answer["refused"] == [{"picture": "obama3.jpg", "reason": "enrolled_already"}]
    assert names(door) == {"Barack"}


async def test_enroll_fails_loudly_where_no_answer_is_wanted(hass, set_up, pictures) -> None:
    door = await set_up(BARACK)
    data = {"name": "Impostor", "files": pictures("obama3")}
    with pytest.raises(ServiceValidationError) as error:
        await hass.services.async_call(DOMAIN, "enroll", data, blocking=True)
    assert error.value.translation_key == "no_picture_kept"
    assert "obama3.jpg: enrolled_already" in str(error.value)
    with pytest.raises(ServiceValidationError) as error:
        await hass.services.async_call(DOMAIN, "enroll", {"name": "Joe"}, blocking=True)
    assert error.value.translation_key == "no_picture_given"
    assert names(door) == {"Barack"}


async def test_enroll_only_as_many_as_the_rate_was_measured_for(
    set_up, call, pictures, bundle
) -> None:
    door = await set_up(BARACK, settings={"recognition": {"false_positive_rate": "one_in_1000000"}})
    # As if nothing below one in a million had been measured.
    known = bundle.thresholds
    measured = Thresholds(
        [row for row in known if row.fpr >= 1e-6], slope=known._slope, offset=known._offset
    )
    door.household.bundle = replace(bundle, thresholds=measured)
    with pytest.raises(ServiceValidationError) as error:
        await call("enroll", name="Grace", files=pictures("hopper"))
    assert error.value.translation_key == "rate_unavailable"
    assert names(door) == {"Barack"}
    assert door.entry.state is ConfigEntryState.LOADED
    # More pictures of the same person need no stricter threshold.
    assert (await call("enroll", name="Barack", files=pictures("obama3")))["kept"] == 1


async def test_enroll_keeps_as_many_pictures_as_there_is_room(
    set_up, call, pictures, monkeypatch
) -> None:
    monkeypatch.setattr(album, "MAX_PICTURES", 2)
    await set_up({"Barack": ("obama",)})
    answer = await call("enroll", name="Barack", files=pictures("obama2", "obama3"))
    assert (answer["kept"], answer["pictures"]) == (1, 2)
    assert answer["refused"] == [{"picture": "obama3.jpg", "reason": "too_many_pictures"}]


async def test_enroll_two_at_once(set_up, call, pictures) -> None:
    door = await set_up({})
    grace, joe, twin = await asyncio.gather(
        call("enroll", name="Grace", files=pictures("hopper")),
        call("enroll", name="Joe", files=pictures("biden")),
        call("enroll", name="Twin", files=pictures("hopper")),
    )
    # Which of the two with one face comes first is the threads' affair.
    first, late = ("Grace", twin) if grace["created"] else ("Twin", grace)
    assert joe["created"]
    assert not late["created"]
    assert late["refused"][0]["reason"] == "enrolled_already"
    assert names(door) == {first, "Joe"}
    assert door.entry.state is ConfigEntryState.LOADED


# Forget


async def test_forget_leaves_nothing(hass, set_up, call, camera, hass_storage) -> None:
    door = await set_up(BARACK | {"Grace": ("hopper",)})
    for who in ("barack", "barack", "grace"):
        await door.household.records.feedback.async_add(_feedback(who))
    await call("unlock_for", person="Barack", minutes=5)
    answer = await call("forget", person="barack")
    assert answer == {"person": "Barack", "person_id": "barack", "pictures": 2, "feedback": 2}
    await hass.async_block_till_done()
    assert names(door) == {"Grace"}
    assert in_store(hass_storage, door, "barack") == 0
    assert in_store(hass_storage, door, "grace") == 1
    file = f"{DOMAIN}.{door.entry.entry_id}.feedback"
    assert {r["person"] for r in unsealed(hass_storage, file)["records"]} == {"grace"}
    assert not [
        device
        for device in dr.async_entries_for_config_entry(dr.async_get(hass), door.entry.entry_id)
        if (DOMAIN, "barack") in device.identifiers
    ]
    assert not [
        entity
        for entity in er.async_entries_for_config_entry(er.async_get(hass), door.entry.entry_id)
        if entity.unique_id.startswith("barack")
    ]
    assert not door.door.controller.passes.take_back("barack")
    camera.show("obama3")
    assert (await door.access()).event_type == "unknown_face"
    with pytest.raises(ServiceValidationError) as error:
        await call("forget", person="Barack")
    assert error.value.translation_key == "person_not_enrolled"


def _feedback(who: str) -> Feedback:
    return Feedback(
        "1", FRONT, dt_util.utcnow(), who, Verdict.THAT_WAS_ME, "access_granted", None, "m"
    )


# Unlock for


async def visit(door, camera, number: int):
    """Come, be judged, and go."""
    camera.show("obama3")
    access = await door.access(number)
    await door.leave(camera)
    await door.until(lambda: not door.watcher._decider.in_visit)
    return access


async def test_unlock_for_lets_in_once(set_up, call, camera, target) -> None:
    door = await set_up(BARACK, lock=TARGET)
    door.household.residents.async_set_allowed("barack", allowed=False)
    assert (await visit(door, camera, 1)).reason == "suspended"
    answer = await call("unlock_for", person="barack", minutes=10)
    assert (answer["person"], answer["barred"]) == ("Barack", "suspended")
    assert answer["until"] is not None
    access = await visit(door, camera, 2)
    assert (access.event_type, access.person) == ("access_granted", "Barack")
    assert (await visit(door, camera, 3)).reason == "suspended"
    assert target.calls == [("unlock", None)]


async def test_unlock_for_is_for_one_person_only(set_up, call, camera, target) -> None:
    door = await set_up(BARACK | {"Grace": ("hopper",)}, lock=TARGET)
    for who in ("barack", "grace"):
        door.household.residents.async_set_allowed(who, allowed=False)
    await call("unlock_for", person="Grace", minutes=10)
    assert (await visit(door, camera, 1)).reason == "suspended"
    camera.show("biden")
    assert (await door.access(2)).event_type == "unknown_face"
    assert target.calls == []
    assert door.door.controller.passes.take_back("grace")


async def test_unlock_for_ends(set_up, call, camera, target, clock) -> None:
    door = await set_up(BARACK, lock=TARGET)
    door.household.residents.async_set_allowed("barack", allowed=False)
    await call("unlock_for", person="Barack", minutes=10)
    clock.jump(600)
    assert (await visit(door, camera, 1)).reason == "suspended"
    await call("unlock_for", person="Barack", minutes=10)
    answer = await call("unlock_for", person="Barack", minutes=0)
    assert answer["until"] is None
    assert (await visit(door, camera, 2)).reason == "suspended"
    assert target.calls == []


async def test_suspending_ends_what_was_given_before(set_up, call, camera, target) -> None:
    door = await set_up(BARACK, lock=TARGET)
    answer = await call("unlock_for", person="Barack", minutes=10)
    assert answer["barred"] is None
    door.household.residents.async_set_allowed("barack", allowed=False)
    assert (await visit(door, camera, 1)).reason == "suspended"
    assert target.calls == []


async def test_who_may_come_in_uses_nothing_up(set_up, call, camera, target) -> None:
    door = await set_up(BARACK, lock=TARGET)
    await call("unlock_for", person="Barack", minutes=10)
    assert (await visit(door, camera, 1)).event_type == "access_granted"
    assert door.door.controller.passes.take_back("barack")


async def test_it_outlives_a_reload_and_no_restart(hass, set_up, call, camera, target) -> None:
    door = await set_up(BARACK, lock=TARGET)
    await call("unlock_for", person="Barack", minutes=10)
    await hass.config_entries.async_reload(door.entry.entry_id)
    assert door.door.controller.passes.take_back("barack")
    await call("unlock_for", person="Barack", minutes=10)
    # All that a restart leaves is what lies on the disk.
    hass.data.pop(f"{DOMAIN}_memories")
    await hass.config_entries.async_reload(door.entry.entry_id)
    assert not door.door.controller.passes.take_back("barack")


@pytest.mark.parametrize("minutes", [-1, 1441, "soon"])
async def test_for_at_most_a_day(set_up, call, minutes) -> None:
    door = await set_up(BARACK)
    with pytest.raises(Exception, match="minutes"):
        await call("unlock_for", person="Barack", minutes=minutes)
    assert not door.door.controller.passes.take_back("barack")
    with pytest.raises(ServiceValidationError) as error:
        await call("unlock_for", person="Somebody", minutes=5)
    assert error.value.translation_key == "person_not_enrolled"
    assert door.state(LOCK) == "locked"
