"""Setting a door up, and changing it."""

import asyncio
import base64
from unittest.mock import patch

import numpy as np
import pytest
from homeassistant.config_entries import SOURCE_USER, ConfigEntryState
from homeassistant.const import STATE_UNAVAILABLE
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType, InvalidData
from homeassistant.helpers import entity_registry as er
from homeassistant.setup import async_setup_component

from custom_components.face_lock import config_flow, runtime, source, vision
from custom_components.face_lock.const import DOMAIN
from custom_components.face_lock.flows import check, fields
from custom_components.face_lock.settings import FALSE_POSITIVE_RATES

from .conftest import CAMERA, LOCK, MOTION, TARGET

RATE = "one_in_10000"


async def answer(hass: HomeAssistant, flow: dict, user_input: dict) -> dict:
    """Answer a step, and wait while the camera is looked through."""
    result = await hass.config_entries.flow.async_configure(flow["flow_id"], user_input)
    if result["type"] is FlowResultType.SHOW_PROGRESS:
        assert result["progress_action"] == "look"
        await hass.async_block_till_done()
        result = await hass.config_entries.flow.async_configure(flow["flow_id"])
    return result


async def choose(hass: HomeAssistant, flow: dict, option: str) -> dict:
    assert option in flow["menu_options"]
    return await answer(hass, flow, {"next_step_id": option})


async def look(hass: HomeAssistant, **user_input: object) -> dict:
    """Fill in the first form; return what comes next."""
    flow = await hass.config_entries.flow.async_init(DOMAIN, context={"source": SOURCE_USER})
    assert flow["type"] is FlowResultType.FORM
    assert flow["step_id"] == "user"
    assert not flow["errors"]
    return await answer(hass, flow, {"camera": CAMERA, "false_positive_rate": RATE, **user_input})


async def submit(hass: HomeAssistant, **user_input: object) -> dict:
    """Go the whole way, whatever the check of the camera says."""
    result = await look(hass, **user_input)
    assert result["step_id"] == "check", result
    return await choose(hass, result, "finish")


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


async def test_door_with_a_lock(hass, camera, target) -> None:
    result = await submit(hass, lock=TARGET, false_positive_rate="one_in_100000")

    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert result["title"] == "Front door"
    registry = er.async_get(hass)
    camera_id, lock_id = (registry.async_get(entity).id for entity in (CAMERA, TARGET))
    assert result["data"] == {"camera": camera_id, "lock": lock_id}
    assert result["options"] == {"recognition": {"false_positive_rate": "one_in_100000"}}
    entry = result["result"]
    assert entry.unique_id == camera_id
    assert entry.state is ConfigEntryState.LOADED
    # The first person comes next.
    kind, flow_id = result["next_flow"]
    assert kind == "config_subentries_flow"
    assert hass.config_entries.subentries.async_get(flow_id)["step_id"] == "user"


async def test_door_without_a_lock(hass, camera) -> None:
    result = await submit(hass)
    await hass.async_block_till_done()

    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert "lock" not in result["data"]
    assert hass.states.get(LOCK).state == "locked"


async def test_camera_without_a_registry_entry(hass, camera) -> None:
    er.async_get(hass).async_remove(CAMERA)
    await hass.async_block_till_done()
    camera = type(camera)()
    camera._attr_unique_id = None
    await hass.data["camera"].async_add_entities([camera])

    result = await submit(hass)

    assert result["data"] == {"camera": CAMERA}
    assert result["result"].unique_id == CAMERA


async def test_rate_is_a_choice_of_known_rates(hass, camera) -> None:
    flow = await hass.config_entries.flow.async_init(DOMAIN, context={"source": SOURCE_USER})
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
        result = await look(hass, lock=TARGET, false_positive_rate="one_in_1000")

    assert result["type"] is FlowResultType.FORM
    assert result["step_id"] == "user"
    assert result["errors"] == {"camera": error}
    # Nothing that was entered is lost.
    assert suggested(result) == {
        "camera": CAMERA,
        "lock": TARGET,
        "false_positive_rate": "one_in_1000",
    }
    assert camera.hanging == 0

    camera.show()
    camera._attr_is_on = True
    camera.set_available(True)
    result = await answer(hass, result, suggested(result))
    assert result["step_id"] == "check"
    result = await choose(hass, result, "finish")
    assert result["type"] is FlowResultType.CREATE_ENTRY


async def test_empty_picture(hass, camera) -> None:
    with patch.object(check, "async_take_picture", return_value=source.Picture(b"", 0.0)):
        result = await look(hass)
    assert result["errors"] == {"camera": "picture_empty"}


async def test_camera_and_lock_that_do_not_exist(hass, camera) -> None:
    result = await look(hass, lock="lock.nowhere", triggers=["binary_sensor.nowhere"])
    assert result["errors"] == {"lock": "lock_not_found", "triggers": "trigger_not_found"}
    result = await look(hass, camera="camera.nowhere")
    assert result["errors"] == {"camera": "camera_not_found"}


async def test_camera_known_from_before_the_restart_only(hass, camera) -> None:
    hass.states.async_set("camera.old", STATE_UNAVAILABLE)
    result = await look(hass, camera="camera.old")
    assert result["errors"] == {"camera": "camera_unavailable"}


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
        result = await look(hass)
    assert result["errors"] == {"false_positive_rate": key}
    assert result["description_placeholders"]["one_in_10000_day"] == "?"


async def test_a_camera_watches_one_door(hass, camera, set_up) -> None:
    await set_up({})
    result = await look(hass)
    assert result["type"] is FlowResultType.FORM
    assert result["errors"] == {"camera": "camera_taken"}


async def test_of_two_dialogues_the_first_to_finish_gets_the_camera(hass, camera) -> None:
    first, second = await look(hass), await look(hass)
    assert (await choose(hass, first, "finish"))["type"] is FlowResultType.CREATE_ENTRY
    result = await choose(hass, second, "finish")
    assert result["type"] is FlowResultType.ABORT
    assert result["reason"] == "already_configured"


async def test_own_locks_are_not_offered(hass, camera, set_up) -> None:
    await set_up({})
    flow = await hass.config_entries.flow.async_init(DOMAIN, context={"source": SOURCE_USER})
    schema = flow["data_schema"].schema
    assert LOCK in schema["lock"].config["exclude_entities"]
    assert MOTION in schema["triggers"].config["exclude_entities"]
    # Nor taken from somebody who names them all the same.
    back = await second_camera(hass, camera)
    for field, value in (("lock", LOCK), ("triggers", [MOTION])):
        with pytest.raises(InvalidData):
            await look(hass, camera=back, **{field: value})


async def test_no_person_is_asked_for_where_the_door_does_not_run(hass, camera) -> None:
    with patch.object(
        runtime, "load_bundle", side_effect=vision.BundleIntegrityError("verifier.bin")
    ):
        result = await look(hass)
        # The camera was looked through as far as that goes without models.
        assert "Faces could not be looked for" in result["description_placeholders"]["problems"]
        result = await choose(hass, result, "finish")
    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert result["result"].state is ConfigEntryState.SETUP_ERROR
    assert "next_flow" not in result


# Reconfigure


async def begin(hass, entry) -> dict:
    flow = await entry.start_reconfigure_flow(hass)
    assert flow["step_id"] == "reconfigure"
    assert suggested(flow)["camera"] == CAMERA
    return flow


async def reconfigure(hass, entry, **user_input: str) -> dict:
    result = await answer(hass, await begin(hass, entry), user_input)
    assert result["menu_options"] == ["finish", "look", "reconfigure"]
    return await choose(hass, result, "finish")


async def second_camera(hass, camera) -> str:
    other = type(camera)()
    other._attr_unique_id, other._attr_name = "back_door", "Back door"
    await hass.data["camera"].async_add_entities([other])
    return "camera.back_door"


async def test_another_camera_and_a_lock(hass, camera, target, set_up) -> None:
    door = await set_up({"Barack": ("obama",)})
    back = await second_camera(hass, camera)

    result = await reconfigure(hass, door.entry, camera=back, lock=TARGET)
    await hass.async_block_till_done()

    assert result["type"] is FlowResultType.ABORT
    assert result["reason"] == "reconfigure_successful"
    registry = er.async_get(hass)
    ids = {"camera": registry.async_get(back).id, "lock": registry.async_get(TARGET).id}
    assert door.entry.data == ids
    assert door.entry.unique_id == ids["camera"]
    assert door.entry.state is ConfigEntryState.LOADED
    # The people stay, and the lock now mirrors the target.
    assert len(door.entry.runtime_data.store.album("barack")) == 1
    target.put(is_jammed=True)
    await hass.async_block_till_done()
    assert hass.states.get(LOCK).state == "jammed"


async def test_the_lock_can_be_taken_away(hass, camera, target, set_up) -> None:
    door = await set_up({}, lock=TARGET)
    result = await reconfigure(hass, door.entry, camera=CAMERA)
    await hass.async_block_till_done()
    assert result["reason"] == "reconfigure_successful"
    assert "lock" not in door.entry.data
    assert hass.states.get(LOCK).state == "locked"


async def test_reconfigure_checks_the_camera_too(hass, camera, set_up) -> None:
    door = await set_up({})
    flow = await begin(hass, door.entry)
    result = await answer(hass, flow, {"camera": "camera.nowhere"})
    assert result["type"] is FlowResultType.FORM
    assert result["step_id"] == "reconfigure"
    assert result["errors"] == {"camera": "camera_not_found"}
    result = await answer(hass, flow, {"camera": CAMERA, "lock": "lock.nowhere"})
    assert result["errors"] == {"lock": "lock_not_found"}
    assert suggested(result)["lock"] == "lock.nowhere"


async def test_another_doors_camera_is_refused(hass, camera, set_up) -> None:
    door = await set_up({})
    back = await second_camera(hass, camera)
    assert (await submit(hass, camera=back))["type"] is FlowResultType.CREATE_ENTRY
    flow = await begin(hass, door.entry)
    result = await answer(hass, flow, {"camera": back})
    assert result["errors"] == {"camera": "camera_taken"}


async def test_a_camera_that_another_door_took_meanwhile_is_refused(hass, camera, set_up) -> None:
    door = await set_up({})
    back = await second_camera(hass, camera)
    flow = await begin(hass, door.entry)
    result = await answer(hass, flow, {"camera": back})
    assert (await submit(hass, camera=back))["type"] is FlowResultType.CREATE_ENTRY
    result = await choose(hass, result, "finish")
    assert result["type"] is FlowResultType.ABORT
    assert result["reason"] == "already_configured"


def test_a_camera_that_vanished_has_its_id_as_name(hass) -> None:
    assert config_flow._camera_name(hass, "camera.gone") == "camera.gone"


# The look through the camera


async def test_a_good_camera_with_somebody_before_it(hass, camera) -> None:
    camera.show("obama")
    result = await look(hass)
    assert result["menu_options"] == ["finish", "look", "user"]
    shown = result["description_placeholders"]
    assert shown["resolution"] == "640 x 480"
    assert float(shown["rate"]) > 1
    assert shown["brightness"].endswith(" %")
    assert 60 < int(shown["face"].removesuffix(" px")) < 160
    assert shown["problems"] == ""
    preview = base64.b64decode(shown["picture"].removesuffix(")").partition("base64,")[2])
    assert vision.decode_rgb(preview).shape == (360, 480, 3)


async def test_what_is_not_good_enough_is_said_and_can_be_looked_at_again(hass, camera) -> None:
    camera.freeze(vision.encode_jpeg(np.full((240, 320, 3), 12, np.uint8)))
    result = await look(hass)
    shown = result["description_placeholders"]
    lines = shown["problems"].splitlines()
    assert [line.partition(":")[0] for line in lines[:2]] == [
        "- The picture is small",
        "- The picture is dark",
    ]
    assert "same picture again and again" in lines[2]
    assert "No face was found" in lines[3]
    assert (shown["rate"], shown["face"]) == ("0.0", "-")

    camera.show("obama")
    result = await choose(hass, result, "look")
    assert result["step_id"] == "check"
    assert result["description_placeholders"]["problems"] == ""

    # A camera that fails meanwhile leads back to the form, with everything that was entered.
    camera.fail()
    result = await choose(hass, result, "look")
    assert result["step_id"] == "user"
    assert result["errors"] == {"camera": "camera_failed"}
    assert suggested(result) == {"camera": CAMERA, "false_positive_rate": RATE}


async def test_going_back_keeps_what_was_entered(hass, camera, target) -> None:
    hass.states.async_set("binary_sensor.porch", "off")
    result = await look(hass, lock=TARGET, triggers=["binary_sensor.porch"])
    result = await choose(hass, result, "user")
    assert result["step_id"] == "user"
    assert not result["errors"]
    assert suggested(result) == {
        "camera": CAMERA,
        "lock": TARGET,
        "triggers": ["binary_sensor.porch"],
        "false_positive_rate": RATE,
    }
    result = await choose(hass, await answer(hass, result, suggested(result)), "finish")
    assert result["options"]["gate"] == {"triggers": ["binary_sensor.porch"]}


async def test_the_live_view_is_cores_own_and_needs_the_cameras_token(
    hass, camera, hass_client_no_auth
) -> None:
    # Before the client starts the server: no address can be added afterwards.
    assert await async_setup_component(hass, "file_upload", {})
    stranger = await hass_client_no_auth()
    live = (await look(hass))["description_placeholders"]["live"]
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
    assert (await look(hass))["description_placeholders"]["live"] == ""


async def test_a_camera_that_answers_once_is_called_slow(hass, camera, monkeypatch) -> None:
    first = iter([camera.scene.picture("obama")])

    def source() -> bytes:
        return next(first)

    camera.source = source
    shown = (await look(hass))["description_placeholders"]
    assert shown["rate"] == "0.0"
    assert "less than one new picture a second" in shown["problems"]


async def test_all_pictures_together_have_a_limit(hass, camera, monkeypatch) -> None:
    monkeypatch.setattr(check, "TIME", 0.0)
    camera.show("obama")
    shown = (await look(hass))["description_placeholders"]
    assert shown["rate"] == "-"
    assert camera.requests < check.PICTURES


async def test_models_that_take_too_long_are_not_waited_for(hass, camera, monkeypatch) -> None:
    monkeypatch.setattr(check, "MODELS_TIME", 0.01)

    async def download(*_: object) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(check, "async_load_bundle", download)
    shown = (await look(hass))["description_placeholders"]
    assert "Faces could not be looked for" in shown["problems"]


async def test_a_look_that_breaks_is_an_error_of_the_form(hass, camera, monkeypatch) -> None:
    monkeypatch.setattr(check, "survey", lambda *_: 1 / 0)
    assert (await look(hass))["errors"] == {"camera": "check_failed"}


async def test_closing_the_dialogue_ends_the_look(hass, camera) -> None:
    camera.hang()
    flow = await hass.config_entries.flow.async_init(DOMAIN, context={"source": SOURCE_USER})
    flow = await hass.config_entries.flow.async_configure(
        flow["flow_id"], {"camera": CAMERA, "false_positive_rate": RATE}
    )
    while not camera.hanging:  # noqa: ASYNC110 - it sets no event
        await asyncio.sleep(0)
    again = await hass.config_entries.flow.async_configure(flow["flow_id"])
    assert again["type"] is FlowResultType.SHOW_PROGRESS
    hass.config_entries.flow.async_abort(flow["flow_id"])
    await hass.async_block_till_done()
    assert camera.hanging == 0


async def test_what_each_rate_costs_is_said(hass, camera) -> None:
    flow = await hass.config_entries.flow.async_init(DOMAIN, context={"source": SOURCE_USER})
    times = ("day", "night", "aged_day", "aged_night")
    costs = {f"{rate}_{time}" for rate in FALSE_POSITIVE_RATES for time in times}
    assert set(flow["description_placeholders"]) == costs
