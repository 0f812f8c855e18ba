"""Setting up the household with its first door, adding another, and changing one."""

import asyncio
import base64
import io
from unittest.mock import patch

import numpy as np
import pytest
from homeassistant.config_entries import SOURCE_USER, ConfigEntryState, ConfigSubentry
from homeassistant.const import STATE_UNAVAILABLE
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType, InvalidData
from homeassistant.helpers import entity_registry as er
from homeassistant.setup import async_setup_component
from PIL import Image

from custom_components.face_lock import vision
from custom_components.face_lock.const import DOMAIN
from custom_components.face_lock.flows import camera_check as check, fields, set_up as set_up_steps
from custom_components.face_lock.people import doors_of
from custom_components.face_lock.recognition import models as runtime, snapshot as source
from custom_components.face_lock.settings import FALSE_POSITIVE_RATES
from tests.harness.devices import jpeg

from .conftest import CAMERA, LOCK, MOTION, TARGET, front_door

RATE = "one_in_10000"
BACK = "camera.back_door"


class Dialogue:
    """Of the household, or of a door that is added or changed."""

    def __init__(self, manager, flow: dict) -> None:
        self.manager = manager
        self.result = flow

    async def answer(self, user_input: dict) -> dict:
        """Answer a step, and wait while the camera is looked through."""
        flow_id = self.result["flow_id"]
        self.result = await self.manager.async_configure(flow_id, user_input)
        if self.result["type"] is FlowResultType.SHOW_PROGRESS:
            assert self.result["progress_action"] == "look"
            await self.manager.hass.async_block_till_done()
            self.result = await self.manager.async_configure(flow_id)
        return self.result

    async def choose(self, option: str) -> dict:
        assert option in self.result["menu_options"]
        return await self.answer({"next_step_id": option})


async def begin(hass: HomeAssistant) -> Dialogue:
    """Begin to set up the household."""
    manager = hass.config_entries.flow
    flow = await manager.async_init(DOMAIN, context={"source": SOURCE_USER})
    assert flow["type"] is FlowResultType.FORM
    assert flow["step_id"] == "user"
    assert not flow["errors"]
    return Dialogue(manager, flow)


async def look(hass: HomeAssistant, **user_input: object) -> Dialogue:
    """Fill in the first form."""
    dialogue = await begin(hass)
    await dialogue.answer({"cameras": [CAMERA], "false_positive_rate": RATE, **user_input})
    return dialogue


async def looked(hass: HomeAssistant, **user_input: object) -> dict:
    """Fill in the first form; return what comes next."""
    return (await look(hass, **user_input)).result


async def submit(hass: HomeAssistant, **user_input: object) -> dict:
    """Go the whole way, whatever the check of the camera says."""
    dialogue = await look(hass, **user_input)
    assert dialogue.result["step_id"] == "check", dialogue.result
    return await dialogue.choose("finish")


def suggested(flow: dict) -> dict[str, object]:
    return {
        str(key): key.description["suggested_value"]
        for key in flow["data_schema"].schema
        if key.description
    }


@pytest.fixture(autouse=True)
async def _unload(hass: HomeAssistant, bundle, clock, monkeypatch):
    monkeypatch.setattr(check, "INTERVAL", 0.01)
    yield
    for entry in hass.config_entries.async_entries(DOMAIN):
        await hass.config_entries.async_unload(entry.entry_id)


def only_door(entry) -> ConfigSubentry:
    (door,) = doors_of(entry).values()
    return door


async def test_first_door_with_a_lock(hass, camera, target) -> None:
    result = await submit(hass, lock=TARGET, false_positive_rate="one_in_100000")

    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert result["title"] == "Face Lock"
    registry = er.async_get(hass)
    camera_id, lock_id = (registry.async_get(entity).id for entity in (CAMERA, TARGET))
    entry = result["result"]
    assert entry.data == entry.options == {}
    door = only_door(entry)
    assert door.title == "Front door"
    assert door.data == {
        "cameras": [camera_id],
        "lock": lock_id,
        "recognition": {"false_positive_rate": "one_in_100000"},
    }
    assert entry.state is ConfigEntryState.LOADED
    assert hass.states.get(LOCK).state == "locked"
    # The first person comes next.
    kind, flow_id = result["next_flow"]
    assert kind == "config_subentries_flow"
    assert hass.config_entries.subentries.async_get(flow_id)["step_id"] == "user"


async def test_a_rate_that_refuses_nearly_everybody_must_be_meant(hass, camera) -> None:
    dialogue = await look(hass, false_positive_rate="one_in_1000000")
    result = dialogue.result
    assert (result["type"], result["step_id"]) == (FlowResultType.MENU, "strict")
    assert result["menu_options"] == ["anyway", "user"]
    assert int(result["description_placeholders"]["day"]) >= 80
    form = await dialogue.choose("user")
    assert suggested(form)["false_positive_rate"] == "one_in_1000000"
    await dialogue.answer({"cameras": [CAMERA], "false_positive_rate": "one_in_1000000"})
    await dialogue.choose("anyway")
    assert dialogue.result["step_id"] == "check"
    result = await dialogue.choose("finish")
    assert result["type"] is FlowResultType.CREATE_ENTRY


async def test_first_door_without_a_lock(hass, camera) -> None:
    result = await submit(hass, name="  Garden gate ")
    await hass.async_block_till_done()

    assert result["type"] is FlowResultType.CREATE_ENTRY
    door = only_door(result["result"])
    assert door.title == "Garden gate"
    assert "lock" not in door.data
    assert hass.states.get("lock.garden_gate").state == "locked"


async def test_there_is_one_household(hass, camera, set_up) -> None:
    await set_up({})
    flow = await hass.config_entries.flow.async_init(DOMAIN, context={"source": SOURCE_USER})
    assert (flow["type"], flow["reason"]) == (FlowResultType.ABORT, "single_instance_allowed")


async def test_camera_without_a_registry_entry(hass, camera) -> None:
    er.async_get(hass).async_remove(CAMERA)
    await hass.async_block_till_done()
    camera = type(camera)()
    camera._attr_unique_id = None
    await hass.data["camera"].async_add_entities([camera])

    result = await submit(hass)

    assert only_door(result["result"]).data["cameras"] == [CAMERA]


async def test_rate_is_a_choice_of_known_rates(hass, camera) -> None:
    flow = (await begin(hass)).result
    shown = {str(key): (key, value) for key, value in flow["data_schema"].schema.items()}
    assert shown["false_positive_rate"][1].config["options"] == list(FALSE_POSITIVE_RATES)
    assert shown["false_positive_rate"][0].default() == RATE
    assert FALSE_POSITIVE_RATES[RATE] == 0.0001
    assert max(FALSE_POSITIVE_RATES.values()) == 0.001
    assert min(FALSE_POSITIVE_RATES.values()) == 0.000001


def broken(camera, how: str) -> None:
    """Make the camera fail in one way."""
    if how == "raises":
        camera.fail()
    elif how == "hangs":
        camera.hang()
    elif how == "off":
        camera._attr_is_on = False
    elif how == "unavailable":
        camera.set_available(False)
    else:
        png = vision.encode_png(vision.decode_rgb(camera.scene.picture()))
        camera.freeze(
            {
                "nothing": None,
                "truncated": png[:3000],
                "text": b"<html>401 Unauthorized</html>",
                "huge": b"\xff\xd8" + bytes(vision.imaging.decode.MAX_BYTES),
            }[how]
        )


@pytest.mark.parametrize(
    ("how", "error"),
    [
        ("raises", "camera_failed"),
        ("nothing", "camera_failed"),
        ("hangs", "camera_timeout"),
        ("off", "camera_off"),
        ("unavailable", "camera_unavailable"),
        ("truncated", "picture_corrupt"),
        ("text", "picture_unsupported"),
        ("huge", "picture_too_large"),
    ],
)
async def test_picture_problem_is_told_and_can_be_mended(hass, camera, target, how, error) -> None:
    broken(camera, how)
    with patch.object(source.async_take_picture, "__defaults__", (0.2,)):
        dialogue = await look(hass, lock=TARGET, false_positive_rate="one_in_1000")

    result = dialogue.result
    assert result["type"] is FlowResultType.FORM
    assert result["step_id"] == "user"
    assert result["errors"] == {"cameras": error}
    # Nothing that was entered is lost.
    assert suggested(result) == {
        "cameras": [CAMERA],
        "lock": TARGET,
        "false_positive_rate": "one_in_1000",
    }
    assert camera.hanging == 0

    camera.show()
    camera._attr_is_on = True
    camera.set_available(True)
    assert (await dialogue.answer(suggested(result)))["step_id"] == "check"
    assert (await dialogue.choose("finish"))["type"] is FlowResultType.CREATE_ENTRY


async def test_empty_picture(hass, camera) -> None:
    with patch.object(check, "async_take_picture", return_value=source.Picture(b"", 0.0)):
        result = await looked(hass)
    assert result["errors"] == {"cameras": "picture_empty"}


async def test_camera_and_lock_that_do_not_exist(hass, camera) -> None:
    result = await looked(hass, lock="lock.nowhere", triggers=["binary_sensor.nowhere"])
    assert result["errors"] == {"lock": "lock_not_found", "triggers": "trigger_not_found"}
    result = await looked(hass, cameras=["camera.nowhere"])
    assert result["errors"] == {"cameras": "camera_not_found"}


async def test_camera_known_from_before_the_restart_only(hass, camera) -> None:
    hass.states.async_set("camera.old", STATE_UNAVAILABLE)
    result = await looked(hass, cameras=["camera.old"])
    assert result["errors"] == {"cameras": "camera_unavailable"}


async def test_cancelling_is_not_mistaken_for_a_failed_picture(hass, camera) -> None:
    camera.hang()
    task = hass.async_create_task(source.async_take_picture(hass, CAMERA))
    while not camera.hanging:  # noqa: ASYNC110 - it sets no event
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.mark.parametrize(
    ("error", "key"),
    [
        (vision.BundleFormatError("models.json"), "models_damaged"),
        (None, "rate_unavailable"),
    ],
)
async def test_rate_that_the_models_do_not_know(hass, camera, error, key) -> None:
    loose = vision.Thresholds(
        [vision.OperatingPoint(1e-2, 0.4, 0.0, 1e-2, True, 1.0)], slope=1, offset=0
    )
    with patch.object(fields, "load_thresholds", side_effect=error, return_value=loose):
        result = await looked(hass)
    assert result["errors"] == {"false_positive_rate": key}
    assert result["description_placeholders"]["one_in_10000_day"] == "?"


async def test_a_door_has_a_camera(hass, camera) -> None:
    result = await looked(hass, cameras=[])
    assert result["errors"] == {"cameras": "camera_none"}


async def test_no_person_is_asked_for_where_the_household_does_not_run(hass, camera) -> None:
    with patch.object(
        runtime, "load_bundle", side_effect=vision.BundleIntegrityError("verifier.bin")
    ):
        dialogue = await look(hass)
        # The camera was looked through as far as that goes without models.
        shown = dialogue.result["description_placeholders"]
        assert "Faces could not be looked for" in shown["problems"]
        result = await dialogue.choose("finish")
    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert result["result"].state is ConfigEntryState.SETUP_ERROR
    assert "next_flow" not in result


# Several cameras


async def second_camera(hass, camera):
    other = type(camera)()
    other._attr_unique_id, other._attr_name = "back_door", "Back door"
    await hass.data["camera"].async_add_entities([other])
    assert other.entity_id == BACK
    return other


async def test_each_camera_is_looked_through(hass, camera) -> None:
    other = await second_camera(hass, camera)
    camera.show("obama")
    dialogue = await look(hass, cameras=[CAMERA, BACK])
    result = dialogue.result
    assert result["menu_options"] == ["next_camera", "look", "user"]
    assert result["description_placeholders"]["camera"] == "Front door"
    asked = other.requests
    result = await dialogue.choose("next_camera")
    assert result["menu_options"] == ["finish", "look", "user"]
    assert result["description_placeholders"]["camera"] == "Back door"
    assert other.requests > asked
    # One that fails leads back to the form.
    other.fail()
    result = await dialogue.choose("look")
    assert (result["step_id"], result["errors"]) == ("user", {"cameras": "camera_failed"})
    other.show()
    assert (await dialogue.answer(suggested(result)))["menu_options"][0] == "next_camera"
    await dialogue.choose("next_camera")
    result = await dialogue.choose("finish")
    cameras = only_door(result["result"]).data["cameras"]
    assert cameras == [er.async_get(hass).async_get(c).id for c in (CAMERA, BACK)]
    household = result["result"].runtime_data
    (door,) = household.doors.values()
    assert [watcher.camera for watcher in door.watchers] == cameras


# Another door


async def add_door(hass, entry, **user_input: object) -> Dialogue:
    manager = hass.config_entries.subentries
    flow = await manager.async_init((entry.entry_id, "door"), context={"source": SOURCE_USER})
    assert flow["step_id"] == "user"
    dialogue = Dialogue(manager, flow)
    await dialogue.answer({"cameras": [CAMERA], "false_positive_rate": RATE, **user_input})
    return dialogue


async def test_another_door_with_the_same_camera(hass, camera, set_up, target) -> None:
    door = await set_up({"Barack": ("obama", "obama2")})
    running = door.door
    dialogue = await add_door(hass, door.entry)
    assert dialogue.result["errors"] == {"name": "door_name_taken"}
    await dialogue.answer(suggested(dialogue.result) | {"name": "Garage", "lock": TARGET})
    assert dialogue.result["step_id"] == "check"
    result = await dialogue.choose("finish")
    assert result["type"] is FlowResultType.CREATE_ENTRY
    await hass.async_block_till_done()
    assert [subentry.title for subentry in doors_of(door.entry).values()] == [
        "Front door",
        "Garage",
    ]
    # The scene's portraits are flat pictures, which the new door's liveness check refuses.
    garage = list(doors_of(door.entry).values())[1]
    data = {**garage.data, "security": {"liveness": "off"}}
    hass.config_entries.async_update_subentry(door.entry, garage, data=data)
    await hass.async_block_till_done()
    # The first one goes on, and whoever is enrolled is let in at both.
    assert door.door is running
    assert hass.states.get("lock.garage").state == "locked"
    camera.show("obama3")
    await door.until(lambda: target.calls)
    await door.until(lambda: len(door.accesses) == 1)
    await door.until(lambda: hass.states.get("event.garage_access").state != "unknown")
    assert door.accesses[0].attributes["event_type"] == "access_granted"
    assert hass.states.get("event.garage_access").attributes["person"] == "Barack"


async def test_another_door_with_a_rate_that_refuses_nearly_everybody_must_be_meant(
    hass, camera, set_up
) -> None:
    door = await set_up({"Barack": ("obama",)})
    dialogue = await add_door(hass, door.entry, name="Garage", false_positive_rate="one_in_1000000")
    assert dialogue.result["step_id"] == "strict"
    await dialogue.choose("anyway")
    assert dialogue.result["step_id"] == "check"
    assert (await dialogue.choose("finish"))["type"] is FlowResultType.CREATE_ENTRY
    await hass.async_block_till_done()
    rates = [one.settings.false_positive_rate for one in door.household.doors.values()]
    assert rates == [1e-4, 1e-6]


async def test_a_name_that_was_taken_meanwhile(hass, camera, set_up) -> None:
    door = await set_up({})
    first = await add_door(hass, door.entry, name="Garage")
    second = await add_door(hass, door.entry, name="garage")
    assert (await first.choose("finish"))["type"] is FlowResultType.CREATE_ENTRY
    result = await second.choose("finish")
    assert (result["step_id"], result["errors"]) == ("user", {"name": "door_name_taken"})
    await second.answer(suggested(result) | {"name": "Gate"})
    assert (await second.choose("finish"))["type"] is FlowResultType.CREATE_ENTRY


async def test_own_entities_are_not_offered(hass, camera, set_up) -> None:
    door = await set_up({})
    manager = hass.config_entries.subentries
    flow = await manager.async_init((door.entry.entry_id, "door"), context={"source": SOURCE_USER})
    schema = flow["data_schema"].schema
    assert LOCK in schema["lock"].config["exclude_entities"]
    assert MOTION in schema["triggers"].config["exclude_entities"]
    # Nor taken from somebody who names them all the same.
    for field, value in (("lock", LOCK), ("triggers", [MOTION])):
        with pytest.raises(InvalidData):
            await add_door(hass, door.entry, **{field: value})


# Changing a door


async def change(hass, door) -> Dialogue:
    """Begin to change the name, the cameras or the lock."""
    manager = hass.config_entries.subentries
    context = {"source": "reconfigure", "subentry_id": door.subentry.subentry_id}
    flow = await manager.async_init((door.entry.entry_id, "door"), context=context)
    dialogue = Dialogue(manager, flow)
    result = await dialogue.choose("devices")
    assert suggested(result)["cameras"] == [CAMERA]
    assert suggested(result)["name"] == "Front door"
    return dialogue


async def test_another_camera_and_a_lock(hass, camera, target, set_up) -> None:
    door = await set_up({"Barack": ("obama",)})
    await second_camera(hass, camera)
    dialogue = await change(hass, door)
    await dialogue.answer({"name": "Front door", "cameras": [BACK], "lock": TARGET})
    assert dialogue.result["menu_options"] == ["finish", "look", "devices"]
    result = await dialogue.choose("finish")
    await hass.async_block_till_done()

    assert result["type"] is FlowResultType.ABORT
    assert result["reason"] == "reconfigure_successful"
    registry = er.async_get(hass)
    assert door.subentry.data["cameras"] == [registry.async_get(BACK).id]
    assert door.subentry.data["lock"] == registry.async_get(TARGET).id
    # What else was chosen stays, and so do the people; the lock now mirrors the target.
    assert door.subentry.data["security"] == {"liveness": "off"}
    assert len(door.household.store.album("barack")) == 1
    target.put(is_jammed=True)
    await hass.async_block_till_done()
    assert hass.states.get(LOCK).state == "jammed"


async def test_the_lock_can_be_taken_away_and_the_door_renamed(
    hass, camera, target, set_up
) -> None:
    door = await set_up({}, lock=TARGET)
    dialogue = await change(hass, door)
    # The camera is the same, and is not looked through again.
    result = await dialogue.answer({"name": "Gate", "cameras": [CAMERA]})
    await hass.async_block_till_done()
    assert result["reason"] == "reconfigure_successful"
    assert "lock" not in door.subentry.data
    assert door.subentry.title == "Gate"
    assert hass.states.get(LOCK).state == "locked"
    assert hass.states.get(LOCK).name == "Gate"


async def test_a_change_checks_what_is_entered_too(hass, camera, set_up) -> None:
    door = await set_up({})
    garage = front_door(hass, title="Garage", door="garage")
    hass.config_entries.async_add_subentry(door.entry, garage)
    dialogue = await change(hass, door)
    known = {"name": "Front door", "cameras": [CAMERA]}
    result = await dialogue.answer(known | {"cameras": ["camera.nowhere"]})
    assert result["type"] is FlowResultType.FORM
    assert result["step_id"] == "devices"
    assert result["errors"] == {"cameras": "camera_not_found"}
    result = await dialogue.answer(known | {"lock": "lock.nowhere"})
    assert result["errors"] == {"lock": "lock_not_found"}
    assert suggested(result)["lock"] == "lock.nowhere"
    result = await dialogue.answer(known | {"name": "GARAGE"})
    assert result["errors"] == {"name": "door_name_taken"}


async def test_a_door_that_was_removed_meanwhile(hass, camera, set_up) -> None:
    door = await set_up({})
    dialogue = await change(hass, door)
    hass.config_entries.async_remove_subentry(door.entry, door.subentry.subentry_id)
    result = await dialogue.answer({"name": "Gate", "cameras": [CAMERA]})
    assert (result["type"], result["reason"]) == (FlowResultType.ABORT, "door_removed")


def test_a_camera_that_vanished_has_its_id_as_name(hass) -> None:
    assert set_up_steps.door_name(hass, {"cameras": ["camera.gone"]}) == "camera.gone"


# The look through the camera


async def test_a_good_camera_with_somebody_before_it(hass, camera) -> None:
    camera.show("obama")
    result = await looked(hass)
    assert result["menu_options"] == ["finish", "look", "user"]
    shown = result["description_placeholders"]
    assert shown["resolution"] == "640 x 480"
    assert float(shown["rate"]) > 1
    assert shown["brightness"].endswith(" %")
    assert 60 < int(shown["face"].removesuffix(" px")) < 160
    assert shown["least"] == "40 px"
    assert shown["verdict"] == "Good: whoever stands like this can be recognised."
    assert shown["problems"] == ""
    preview = base64.b64decode(shown["picture"].removesuffix(")").partition("base64,")[2])
    assert vision.decode_rgb(preview).shape == (360, 480, 3)


async def test_what_is_not_good_enough_is_said_and_can_be_looked_at_again(hass, camera) -> None:
    camera.freeze(vision.encode_jpeg(np.full((240, 320, 3), 12, np.uint8)))
    dialogue = await look(hass)
    shown = dialogue.result["description_placeholders"]
    lines = shown["problems"].splitlines()
    assert [line.partition(":")[0] for line in lines[:2]] == [
        "- The picture is small",
        "- The picture is dark",
    ]
    assert "same picture again and again" in lines[2]
    assert "No face was found" in lines[3]
    assert (shown["rate"], shown["face"]) == ("0.0", "-")
    assert shown["verdict"] == "What to change:"

    camera.show("obama")
    result = await dialogue.choose("look")
    assert result["step_id"] == "check"
    assert result["description_placeholders"]["problems"] == ""

    # A camera that fails meanwhile leads back to the form, with everything that was entered.
    camera.fail()
    result = await dialogue.choose("look")
    assert result["step_id"] == "user"
    assert result["errors"] == {"cameras": "camera_failed"}
    assert suggested(result) == {"cameras": [CAMERA], "false_positive_rate": RATE}


async def test_a_face_is_measured_in_the_cameras_own_pixels(hass, camera) -> None:
    """However large the picture: at the door it is not shrunk either."""
    scene = Image.open(io.BytesIO(camera.scene.picture("obama", height=200)))

    def far(scale: float) -> bytes:
        canvas = Image.new("RGB", (3840, 2160), (120, 120, 120))
        canvas.paste(scene.resize((round(640 * scale), round(480 * scale))), (1600, 800))
        return jpeg(canvas)

    camera.freeze(far(1.2))
    dialogue = await look(hass)
    shown = dialogue.result["description_placeholders"]
    assert shown["resolution"] == "3840 x 2160"
    assert 40 <= int(shown["face"].removesuffix(" px")) < 80
    assert "too small" not in shown["problems"]
    camera.freeze(far(0.6))
    shown = (await dialogue.choose("look"))["description_placeholders"]
    assert int(shown["face"].removesuffix(" px")) < 40
    assert "The face is too small" in shown["problems"]
    assert shown["verdict"] == "What to change:"


async def test_without_anybody_there_is_no_verdict(hass, camera) -> None:
    shown = (await looked(hass))["description_placeholders"]
    assert shown["verdict"] == "No verdict yet:"
    assert shown["problems"].startswith("- No face was found.")


async def test_going_back_keeps_what_was_entered(hass, camera, target) -> None:
    hass.states.async_set("binary_sensor.porch", "off")
    dialogue = await look(hass, lock=TARGET, triggers=["binary_sensor.porch"])
    result = await dialogue.choose("user")
    assert result["step_id"] == "user"
    assert not result["errors"]
    assert suggested(result) == {
        "cameras": [CAMERA],
        "lock": TARGET,
        "triggers": ["binary_sensor.porch"],
        "false_positive_rate": RATE,
    }
    await dialogue.answer(suggested(result))
    result = await dialogue.choose("finish")
    door = only_door(result["result"])
    assert door.data["gate"] == {"triggers": ["binary_sensor.porch"]}


async def test_the_live_view_is_cores_own_and_needs_the_cameras_token(
    hass, camera, hass_client_no_auth
) -> None:
    # Before the client starts the server: no address can be added afterwards.
    assert await async_setup_component(hass, "file_upload", {})
    stranger = await hass_client_no_auth()
    live = (await looked(hass))["description_placeholders"]["live"]
    token = camera.access_tokens[-1]
    assert live == f"![](/api/camera_proxy_stream/{CAMERA}?token={token})"
    path = live[4:-1]
    assert (await stranger.get(path.partition("?")[0])).status in (401, 403)
    assert (await stranger.get(path.replace(token, "0" * 64))).status in (401, 403)
    async with stranger.get(path) as response:
        assert response.status == 200
        assert response.content_type == "multipart/x-mixed-replace"
        assert b"image/jpeg" in await response.content.readuntil(b"image/jpeg")


async def test_a_camera_without_cores_view_has_no_live_picture(hass, camera) -> None:
    camera._attr_entity_picture = "https://example.org/camera.jpg"
    camera.async_write_ha_state()
    assert (await looked(hass))["description_placeholders"]["live"] == ""


async def test_a_camera_that_answers_once_is_called_slow(hass, camera, monkeypatch) -> None:
    first = iter([camera.scene.picture("obama")])

    def source() -> bytes:
        return next(first)

    camera.source = source
    shown = (await looked(hass))["description_placeholders"]
    assert shown["rate"] == "0.0"
    assert "less than one new picture a second" in shown["problems"]


async def test_all_pictures_together_have_a_limit(hass, camera, monkeypatch) -> None:
    monkeypatch.setattr(check, "TIME", 0.0)
    camera.show("obama")
    shown = (await looked(hass))["description_placeholders"]
    assert shown["rate"] == "-"
    assert camera.requests < check.PICTURES


async def test_models_that_take_too_long_are_not_waited_for(hass, camera, monkeypatch) -> None:
    monkeypatch.setattr(check, "MODELS_TIME", 0.01)

    async def download(*_: object) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(check, "async_load_bundle", download)
    shown = (await looked(hass))["description_placeholders"]
    assert "Faces could not be looked for" in shown["problems"]
    assert (shown["least"], shown["verdict"]) == ("-", "What to change:")


async def test_a_look_that_breaks_is_an_error_of_the_form(hass, camera, monkeypatch) -> None:
    monkeypatch.setattr(check, "survey", lambda *_: 1 / 0)
    assert (await looked(hass))["errors"] == {"cameras": "check_failed"}


async def test_closing_the_dialogue_ends_the_look(hass, camera) -> None:
    camera.hang()
    flow = await hass.config_entries.flow.async_init(DOMAIN, context={"source": SOURCE_USER})
    flow = await hass.config_entries.flow.async_configure(
        flow["flow_id"], {"cameras": [CAMERA], "false_positive_rate": RATE}
    )
    while not camera.hanging:  # noqa: ASYNC110 - it sets no event
        await asyncio.sleep(0)
    again = await hass.config_entries.flow.async_configure(flow["flow_id"])
    assert again["type"] is FlowResultType.SHOW_PROGRESS
    hass.config_entries.flow.async_abort(flow["flow_id"])
    await hass.async_block_till_done()
    assert camera.hanging == 0


async def test_what_each_rate_costs_is_said(hass, camera) -> None:
    flow = (await begin(hass)).result
    times = ("day", "night", "aged_day", "aged_night")
    costs = {f"{rate}_{time}" for rate in FALSE_POSITIVE_RATES for time in times}
    assert set(flow["description_placeholders"]) == costs
