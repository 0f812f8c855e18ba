"""The actions: who may call them, which door is meant, and which files they read."""

import os

import pytest
from homeassistant.core import Context
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError, Unauthorized
from homeassistant.helpers import device_registry as dr
from homeassistant.setup import async_setup_component

from custom_components.face_lock.const import DOMAIN
from custom_components.face_lock.services import ACTIONS
from custom_components.face_lock.vision.imaging.decode import MAX_BYTES
from tests.harness.devices import DoorCamera

from .conftest import CAMERA, FRONT, LOCK, TARGET, front_door, raw

PEOPLE = {"Barack": ("obama", "obama2"), "Grace": ("hopper",)}
EVERYTHING = {
    "present_code": {"code": "2468"},
    "clear_lockout": {},
    "verify": {},
    "enroll": {"name": "Joe", "from_camera": True},
    "forget": {"person": "Barack"},
    "unlock_for": {"person": "Barack", "minutes": 5},
    "feedback": {"verdict": "that_was_me"},
    "export_feedback": {"folder": "/media/feedback"},
}


def refused(error: pytest.ExceptionInfo) -> tuple[str, str]:
    return error.value.translation_domain, error.value.translation_key


async def test_actions_exist_without_a_door(hass, call) -> None:
    assert await async_setup_component(hass, DOMAIN, {})
    assert set(hass.services.async_services_for_domain(DOMAIN)) == set(EVERYTHING)
    assert {action.name for action in ACTIONS} == set(EVERYTHING)
    for name, data in EVERYTHING.items():
        with pytest.raises(ServiceValidationError) as error:
            await call(name, **data)
        assert refused(error) == ("homeassistant", "service_found_no_config_entry_for_domain")


@pytest.mark.parametrize("name", sorted(set(EVERYTHING) - {"feedback", "present_code"}))
async def test_others_than_administrators_are_refused(
    hass, set_up, call, hass_read_only_user, hass_admin_user, name
) -> None:
    door = await set_up(PEOPLE)
    people, passes = dict(door.entry.subentries), door.door.controller.passes
    context = Context(user_id=hass_read_only_user.id)
    with pytest.raises(Unauthorized):
        await call(name, context=context, **EVERYTHING[name])
    assert door.entry.subentries == people
    assert not passes.take_back("barack")
    # It is the user and not the call that is refused.
    if name == "unlock_for":
        await call(name, context=Context(user_id=hass_admin_user.id), **EVERYTHING[name])
        assert passes.take_back("barack")


async def test_feedback_may_come_from_everybody(set_up, call, hass_read_only_user) -> None:
    await set_up(PEOPLE)
    with pytest.raises(ServiceValidationError) as error:
        await call(
            "feedback", context=Context(user_id=hass_read_only_user.id), verdict="that_was_me"
        )
    assert refused(error) == (DOMAIN, "visit_unknown")


async def test_the_door_that_is_meant(hass, set_up, call) -> None:
    door = await set_up(PEOPLE)
    assert await call("unlock_for", person="Grace", minutes=5)
    (device,) = (
        device.id
        for device in dr.async_entries_for_config_entry(dr.async_get(hass), door.entry.entry_id)
        if device.model == "Door"
    )
    for named in (device, "front door", FRONT):
        answer = await call("unlock_for", door=named, person="Grace", minutes=5)
        assert answer["door"] == "Front door"
    with pytest.raises(ServiceValidationError) as error:
        await call("unlock_for", door="another", person="Grace", minutes=5)
    assert refused(error) == (DOMAIN, "door_unknown")
    # With another one it must be said which.
    garage = front_door(hass, title="Garage", door="garage")
    hass.config_entries.async_add_subentry(door.entry, garage)
    await hass.async_block_till_done()
    with pytest.raises(ServiceValidationError) as error:
        await call("unlock_for", person="Grace", minutes=5)
    assert refused(error) == (DOMAIN, "door_not_given")
    assert (await call("unlock_for", door="Garage", person="Grace", minutes=5))["door"] == "Garage"
    passes = {name: d.controller.passes for name, d in door.household.doors.items()}
    assert passes["garage"].take_back("grace")
    assert passes[FRONT].take_back("grace")
    await hass.config_entries.async_unload(door.entry.entry_id)
    with pytest.raises(ServiceValidationError) as error:
        await call("unlock_for", person="Grace", minutes=5)
    assert refused(error) == ("homeassistant", "service_config_entry_not_loaded")


# Verify


async def test_verify_says_who_stands_at_the_door_and_opens_nothing(
    set_up, call, camera, target
) -> None:
    door = await set_up(PEOPLE, lock=TARGET)
    door.door.async_enable(enabled=False)
    camera.show("obama3")
    for _ in range(5):
        answer = await call("verify")
        assert answer["person"] == "Barack"
        assert answer["person_id"] == "barack"
        assert 90 < answer["confidence"] < 100
        assert answer["reason"] is None
        assert answer["faces"] == 1
    assert set(answer) == {"person", "person_id", "confidence", "reason", "faces"}
    assert target.calls == []
    assert door.state(LOCK) == "locked"
    assert door.accesses == []


async def test_verify_with_another_camera(hass, set_up, call, camera) -> None:
    door = await set_up(PEOPLE)
    other = DoorCamera()
    other._attr_name, other._attr_unique_id = "Garden", "garden"
    other.show("hopper")
    await hass.data["camera"].async_add_entities([other])
    assert (await call("verify", camera="camera.garden"))["person"] == "Grace"
    other.fail()
    with pytest.raises(HomeAssistantError) as error:
        await call("verify", camera="camera.garden")
    assert refused(error) == (DOMAIN, "camera_failed")
    with pytest.raises(HomeAssistantError) as error:
        await call("verify", camera="camera.nowhere")
    assert refused(error) == (DOMAIN, "camera_not_found")
    assert door.accesses == []


@pytest.mark.parametrize(
    ("picture", "person", "reason", "faces"),
    [
        ("obama3", "Barack", None, 1),
        ("hopper", "Grace", None, 1),
        ("biden", None, "unknown_face", 1),
        ("collins", None, "unknown_face", 1),
    ],
)
async def test_verify_a_file(set_up, call, folder, picture, person, reason, faces) -> None:
    await set_up(PEOPLE)
    (folder / "visitor.jpg").write_bytes(raw(picture))
    answer = await call("verify", file=str(folder / "visitor.jpg"))
    assert (answer["person"], answer["reason"], answer["faces"]) == (person, reason, faces)
    if person is None:
        assert answer["person_id"] is None
        assert answer["confidence"] < 90


async def test_verify_several_faces_none_and_nobody_enrolled(set_up, call, camera) -> None:
    await set_up({})
    camera.show()
    assert await call("verify") == {
        "person": None,
        "person_id": None,
        "confidence": 0.0,
        "reason": "no_face",
        "faces": 0,
    }
    camera.show("obama", "biden", height=300)
    answer = await call("verify")
    assert (answer["person"], answer["reason"], answer["faces"]) == (None, "unknown_face", 2)
    camera.show("obama", height=60)
    assert (await call("verify"))["reason"] in ("face_too_small", "no_face")


async def test_verify_says_that_a_known_person_may_not_come_in(set_up, call, camera) -> None:
    door = await set_up(PEOPLE)
    door.household.residents.async_set_allowed("barack", allowed=False)
    camera.show("obama3")
    answer = await call("verify")
    assert (answer["person"], answer["reason"]) == ("Barack", "suspended")


async def test_verify_two_people_enrolled_alike(set_up, call, camera) -> None:
    await set_up({"Barack": ("obama",), "Twin": ("obama2",)})
    camera.show("obama3")
    answer = await call("verify")
    assert (answer["person"], answer["person_id"]) == (None, None)
    assert answer["reason"] == "ambiguous"


# Files


@pytest.mark.parametrize(
    ("content", "key"),
    [
        (b"", "picture_empty"),
        (b"not a picture", "picture_unsupported"),
        (raw("obama")[:5000], "picture_corrupt"),
    ],
)
async def test_a_file_that_is_no_picture(set_up, call, folder, content, key) -> None:
    await set_up(PEOPLE)
    (folder / "visitor.jpg").write_bytes(content)
    with pytest.raises(ServiceValidationError) as error:
        await call("verify", file=str(folder / "visitor.jpg"))
    assert refused(error) == (DOMAIN, key)


async def test_a_huge_file_is_not_read(set_up, call, folder) -> None:
    await set_up(PEOPLE)
    huge = folder / "huge.jpg"
    with huge.open("wb") as file:
        file.truncate(MAX_BYTES + 1)
    with pytest.raises(ServiceValidationError) as error:
        await call("verify", file=str(huge))
    assert refused(error) == (DOMAIN, "file_too_large")


async def test_files_lie_where_home_assistant_may_look(
    set_up, call, folder, tmp_path, monkeypatch
) -> None:
    await set_up(PEOPLE)
    (tmp_path / "secret.jpg").write_bytes(raw("obama"))
    (folder / "link.jpg").symlink_to(tmp_path / "secret.jpg")
    (folder / "out").symlink_to(tmp_path)
    (folder / "visitor.jpg").write_bytes(raw("obama"))
    monkeypatch.chdir(folder)
    for path in (
        str(tmp_path / "secret.jpg"),
        str(tmp_path / "missing.jpg"),
        str(folder / "link.jpg"),
        str(folder / "out" / "secret.jpg"),
        str(folder / ".." / "secret.jpg"),
        "visitor.jpg",
        "https://example.com/visitor.jpg",
        f"file://{folder}/visitor.jpg",
        f"{folder}/visitor.jpg\0",
        "",
    ):
        with pytest.raises(ServiceValidationError) as error:
            await call("verify", file=path)
        assert refused(error) == (DOMAIN, "path_not_allowed"), path


async def test_only_a_file_is_read(set_up, call, folder) -> None:
    await set_up(PEOPLE)
    os.mkfifo(folder / "pipe.jpg")
    (folder / "private.jpg").write_bytes(raw("obama"))
    (folder / "inside.jpg").symlink_to(folder / "private.jpg")
    for name in ("missing.jpg", "pipe.jpg", "."):
        with pytest.raises(ServiceValidationError) as error:
            await call("verify", file=str(folder / name))
        assert refused(error) == (DOMAIN, "file_unreadable"), name
    # A link within the allowed folder does no harm.
    assert (await call("verify", file=str(folder / "inside.jpg")))["person"] == "Barack"


async def test_one_picture_at_a_time(set_up, call, folder) -> None:
    await set_up(PEOPLE)
    with pytest.raises(Exception, match="picture"):
        await call("verify", camera=CAMERA, file=str(folder / "visitor.jpg"))
