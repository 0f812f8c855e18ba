"""Setting a door up, and changing it."""

import asyncio
from unittest.mock import patch

import pytest
from homeassistant.config_entries import SOURCE_USER, ConfigEntryState
from homeassistant.const import STATE_UNAVAILABLE
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType
from homeassistant.helpers import entity_registry as er

from custom_components.face_lock import config_flow, source, vision
from custom_components.face_lock.const import DOMAIN
from custom_components.face_lock.settings import FALSE_POSITIVE_RATES

from .conftest import CAMERA, LOCK, TARGET

RATE = "one_in_10000"


async def submit(hass: HomeAssistant, **user_input: str) -> dict:
    flow = await hass.config_entries.flow.async_init(DOMAIN, context={"source": SOURCE_USER})
    assert flow["type"] is FlowResultType.FORM
    assert flow["step_id"] == "user"
    assert not flow["errors"]
    return await hass.config_entries.flow.async_configure(
        flow["flow_id"], {"camera": CAMERA, "false_positive_rate": RATE, **user_input}
    )


@pytest.fixture(autouse=True)
async def _unload(hass: HomeAssistant, bundle, clock):
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
    fields = {str(key): (key, value) for key, value in flow["data_schema"].schema.items()}
    assert fields["false_positive_rate"][1].config["options"] == list(FALSE_POSITIVE_RATES)
    assert fields["false_positive_rate"][0].default() == RATE
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
                "huge": b"\xff\xd8" + bytes(vision.decode.MAX_BYTES),
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
async def test_picture_problem_is_told_and_can_be_mended(hass, camera, how, error) -> None:
    broken(camera, how)
    with patch.object(source.async_take_picture, "__defaults__", (0.2,)):
        result = await submit(hass)

    assert result["type"] is FlowResultType.FORM
    assert result["errors"] == {"camera": error}
    assert camera.hanging == 0

    camera.show()
    camera._attr_is_on = True
    camera.set_available(True)
    result = await hass.config_entries.flow.async_configure(
        result["flow_id"], {"camera": CAMERA, "false_positive_rate": RATE}
    )
    assert result["type"] is FlowResultType.CREATE_ENTRY


async def test_empty_picture(hass, camera) -> None:
    with patch.object(config_flow, "async_take_picture", return_value=source.Picture(b"", 0.0)):
        result = await submit(hass)
    assert result["errors"] == {"camera": "picture_empty"}


async def test_camera_and_lock_that_do_not_exist(hass, camera) -> None:
    result = await submit(hass, camera="camera.nowhere", lock="lock.nowhere")
    assert result["errors"] == {"camera": "camera_not_found", "lock": "lock_not_found"}


async def test_camera_known_from_before_the_restart_only(hass, camera) -> None:
    hass.states.async_set("camera.old", STATE_UNAVAILABLE)
    result = await submit(hass, camera="camera.old")
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
    with patch.object(config_flow, "load_thresholds", side_effect=error, return_value=loose):
        result = await submit(hass)
    assert result["errors"] == {"false_positive_rate": key}


async def test_a_camera_watches_one_door(hass, camera, set_up) -> None:
    await set_up({})
    result = await submit(hass)
    assert result["type"] is FlowResultType.ABORT
    assert result["reason"] == "already_configured"


async def test_own_locks_are_not_offered(hass, camera, set_up) -> None:
    await set_up({})
    flow = await hass.config_entries.flow.async_init(DOMAIN, context={"source": SOURCE_USER})
    assert flow["data_schema"].schema["lock"].config["exclude_entities"] == [LOCK]


async def test_no_person_is_asked_for_where_the_door_does_not_run(hass, camera) -> None:
    from custom_components.face_lock import runtime

    with patch.object(
        runtime, "load_bundle", side_effect=vision.BundleIntegrityError("verifier.bin")
    ):
        result = await submit(hass)
    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert result["result"].state is ConfigEntryState.SETUP_ERROR
    assert "next_flow" not in result


# Reconfigure


async def reconfigure(hass, entry, **user_input: str) -> dict:
    flow = await entry.start_reconfigure_flow(hass)
    assert flow["step_id"] == "reconfigure"
    suggested = {
        str(k): k.description["suggested_value"]
        for k in flow["data_schema"].schema
        if k.description
    }
    assert suggested["camera"] == CAMERA
    return await hass.config_entries.flow.async_configure(flow["flow_id"], user_input)


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
    result = await reconfigure(hass, door.entry, camera="camera.nowhere")
    assert result["type"] is FlowResultType.FORM
    assert result["errors"] == {"camera": "camera_not_found"}


async def test_another_doors_camera_is_refused(hass, camera, set_up) -> None:
    door = await set_up({})
    back = await second_camera(hass, camera)
    assert (await submit(hass, camera=back))["type"] is FlowResultType.CREATE_ENTRY
    result = await reconfigure(hass, door.entry, camera=back)
    assert result["type"] is FlowResultType.ABORT
    assert result["reason"] == "already_configured"


# Options


async def options(hass, entry) -> dict:
    flow = await hass.config_entries.options.async_init(entry.entry_id)
    assert flow["type"] is FlowResultType.FORM
    assert flow["step_id"] == "init"
    return flow


async def test_options_take_effect(hass, camera, set_up) -> None:
    door = await set_up({"Barack": ("obama",)})
    before = door.entry.runtime_data
    flow = await options(hass, door.entry)
    result = await hass.config_entries.options.async_configure(
        flow["flow_id"], {"false_positive_rate": "one_in_1000000", "relock_after": 30}
    )
    await hass.async_block_till_done()

    assert result["type"] is FlowResultType.CREATE_ENTRY
    wanted = {
        "recognition": {"false_positive_rate": "one_in_1000000"},
        "door": {"relock_after": 30},
    }
    assert door.entry.options == wanted
    after = door.entry.runtime_data
    assert after is not before
    assert after.settings.relock_after == 30
    strictest = after.bundle.thresholds.operating_point(1e-6).threshold
    assert after.watcher._decider._threshold == strictest


async def test_relock_time_is_only_asked_for_an_own_lock(hass, camera, target, set_up) -> None:
    door = await set_up({}, lock=TARGET)
    flow = await options(hass, door.entry)
    assert [str(key) for key in flow["data_schema"].schema] == ["false_positive_rate"]


async def test_options_refuse_an_unknown_rate(hass, camera, set_up) -> None:
    door = await set_up({})
    flow = await options(hass, door.entry)
    error = vision.BundleFormatError("models.json")
    with patch.object(config_flow, "load_thresholds", side_effect=error):
        result = await hass.config_entries.options.async_configure(
            flow["flow_id"], {"false_positive_rate": RATE, "relock_after": 5}
        )
    assert result["errors"] == {"false_positive_rate": "models_damaged"}


def test_a_camera_that_vanished_has_its_id_as_name(hass) -> None:
    assert config_flow._camera_name(hass, "camera.gone") == "camera.gone"
