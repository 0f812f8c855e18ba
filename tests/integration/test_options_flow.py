"""Changing how a door works."""

from unittest.mock import patch

import pytest
from homeassistant.const import STATE_UNAVAILABLE
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType, InvalidData
from homeassistant.helpers import entity_registry as er

from custom_components.face_lock import vision
from custom_components.face_lock.access.codes import is_code
from custom_components.face_lock.flows import fields
from custom_components.face_lock.settings import SECTIONS, DoorSettings, Sensitivity

from .conftest import LOCK, TARGET

PORCH = "binary_sensor.porch"
LAMP = "light.porch"
MODE = "input_select.mode"
CONTACT = "binary_sensor.contact"


@pytest.fixture(autouse=True)
def _house(hass: HomeAssistant) -> None:
    hass.states.async_set(PORCH, "off")
    hass.states.async_set(LAMP, "off")
    hass.states.async_set(MODE, "home", {"options": ["home", "away"]})
    hass.states.async_set("sensor.alarm", "disarmed")


async def begin(hass: HomeAssistant, door, section: str) -> dict:
    """Open the step of a section."""
    flows = hass.config_entries.subentries
    context = {"source": "reconfigure", "subentry_id": door.subentry.subentry_id}
    flow = await flows.async_init((door.entry.entry_id, "door"), context=context)
    assert flow["menu_options"] == ["devices", *SECTIONS]
    flow = await flows.async_configure(flow["flow_id"], {"next_step_id": section})
    assert flow["type"] is FlowResultType.FORM
    assert flow["step_id"] == section
    return flow


def schema(flow: dict) -> dict[str, object]:
    return {str(key): value for key, value in flow["data_schema"].schema.items()}


def suggested(flow: dict) -> dict[str, object]:
    return {
        str(key): key.description["suggested_value"]
        for key in flow["data_schema"].schema
        if key.description
    }


async def submit(hass: HomeAssistant, flow: dict, **values: object) -> dict:
    """Fill in the form as it stands, but for the given fields."""
    result = await hass.config_entries.subentries.async_configure(flow["flow_id"], values)
    await hass.async_block_till_done()
    return result


async def change(hass: HomeAssistant, door, section: str, **values: object) -> dict:
    result = await submit(hass, await begin(hass, door, section), **values)
    if result["type"] is FlowResultType.ABORT:
        assert result["reason"] == "reconfigure_successful"
    return result


async def test_every_option_takes_effect(hass, camera, target, set_up) -> None:
    door = await set_up({"Barack": ("obama",)}, lock=TARGET)
    before, household = door.door, door.household
    await change(hass, door, "recognition", false_positive_rate="one_in_1000000")
    await change(hass, door, "gate", triggers=[PORCH], sensitivity="high")
    hass.states.async_set(CONTACT, "off")
    await change(
        hass,
        door,
        "door",
        relock_after=0,
        hold=False,
        hold_longest=60,
        contact=CONTACT,
        open_latch=True,
    )
    await change(
        hass,
        door,
        "security",
        liveness="strict",
        factor_entity=MODE,
        factor_state=" home ",
        code="2468",
        factor_after_restart=True,
        attempts=3,
    )
    await change(hass, door, "privacy", keep_last_visit=True, days=30)

    data = door.subentry.data
    settings = DoorSettings.of(data)
    assert is_code("2468", settings.code_hash)
    assert settings == DoorSettings(
        cameras=tuple(data["cameras"]),
        lock=data["lock"],
        false_positive_rate=1e-6,
        sensitivity=Sensitivity.HIGH,
        triggers=(PORCH,),
        relock_after=None,
        hold=False,
        hold_longest=60,
        contact=CONTACT,
        open_latch=True,
        liveness="strict",
        factor_entity=MODE,
        factor_state="home",
        code_hash=settings.code_hash,
        factor_after_restart=True,
        attempts=3,
        keep_last_visit=True,
        days=30,
    )
    # Whole numbers stay whole, and the code is nowhere in the clear.
    assert isinstance(data["privacy"]["days"], int)
    assert "2468" not in str(data)
    assert door.household is household
    assert door.door is not before
    assert door.door.settings == settings

    # The forms show it all again, but for the code.
    shown = {name: suggested(await begin(hass, door, name)) for name in SECTIONS}
    assert shown["recognition"] == {"false_positive_rate": "one_in_1000000"}
    assert shown["gate"] == {"triggers": [PORCH], "sensitivity": "high"}
    assert shown["door"] == {
        "relock_after": 0,
        "hold": False,
        "hold_longest": 60,
        "contact": CONTACT,
        "open_latch": True,
        "leave_open": True,
    }
    assert shown["privacy"] == {"keep_last_visit": True, "days": 30}
    assert shown["security"] == {
        "liveness": "strict",
        "factor_entity": MODE,
        "factor_state": "home",
        "factor_after_restart": True,
        "attempts": 3,
    }


async def test_untouched_forms_change_nothing(hass, camera, target, set_up) -> None:
    door = await set_up({}, lock=TARGET)
    before = DoorSettings.of(door.subentry.data)
    for section in SECTIONS:
        values = {"liveness": "off"} if section == "security" else {}
        await change(hass, door, section, **values)
    assert DoorSettings.of(door.subentry.data) == before


async def test_costs_are_those_of_the_people_enrolled(hass, camera, set_up) -> None:
    door = await set_up({"Barack": ("obama",), "Joe": ("biden",)})
    flow = await begin(hass, door, "recognition")
    thresholds = vision.load_thresholds()
    assert flow["description_placeholders"] == fields.rate_costs(thresholds, 2)


async def test_code_is_kept_replaced_and_removed(hass, camera, set_up) -> None:
    door = await set_up({})
    flow = await begin(hass, door, "security")
    assert "remove_code" not in schema(flow)
    assert schema(flow)["code"].config["type"] == "password"
    await submit(hass, flow, code="2468")
    first = door.subentry.data["security"]["code"]

    await change(hass, door, "security")
    assert door.subentry.data["security"]["code"] == first
    await change(hass, door, "security", code="open sesame")
    second = door.subentry.data["security"]["code"]
    assert is_code("open sesame", second)

    flow = await begin(hass, door, "security")
    assert "remove_code" in schema(flow)
    await submit(hass, flow, remove_code=True)
    assert set(door.subentry.data["security"]) & {"code", "remove_code"} == set()


@pytest.mark.parametrize(
    ("security", "field", "error"),
    [
        ({"code": "123"}, "code", "code_length"),
        ({"code": "1" * 13}, "code", "code_length"),
        ({"factor_entity": "binary_sensor.gone"}, "factor_entity", "factor_not_found"),
        ({"factor_entity": PORCH, "factor_state": "home"}, "factor_state", "factor_state"),
        ({"factor_entity": MODE, "factor_state": "on"}, "factor_state", "factor_state"),
        ({"factor_entity": "sensor.alarm", "factor_state": " "}, "factor_state", "factor_state"),
        (
            {"factor_entity": "sensor.alarm", "factor_state": "unavailable"},
            "factor_state",
            "factor_state",
        ),
        ({"factor_after_restart": True}, "factor_after_restart", "factor_missing"),
        ({"liveness": "challenge"}, "liveness", "challenge_missing"),
        ({"liveness": "challenge", "announce": []}, "liveness", "challenge_missing"),
        (
            {"liveness": "challenge", "flash_light": "light.gone"},
            "flash_light",
            "flash_light_not_found",
        ),
        ({"announce": [{"action": "no service"}]}, "announce", "announce_invalid"),
        ({"announce": [{"nonsense": 1}]}, "announce", "announce_invalid"),
        ({"announce": [{"device_id": "gone", "domain": "light"}]}, "announce", "announce_invalid"),
    ],
)
async def test_security_that_would_let_nobody_in_or_everybody(
    hass, camera, set_up, security, field, error
) -> None:
    door = await set_up({})
    before = door.subentry.data
    result = await change(hass, door, "security", attempts=7, **security)
    assert result["type"] is FlowResultType.FORM
    # The error stands at its field, and nothing that was typed is lost.
    assert result["errors"] == {field: error}
    assert suggested(result).items() >= {**security, "attempts": 7}.items()
    assert door.subentry.data == before
    # And it can be mended.
    mended = {"factor_entity": "sensor.alarm", "factor_state": "disarmed", "code": "1234"}
    assert (await submit(hass, result, **mended))["type"] is FlowResultType.ABORT


async def test_a_code_is_not_both_replaced_and_removed(hass, camera, set_up) -> None:
    door = await set_up({})
    await change(hass, door, "security", code="2468")
    result = await change(hass, door, "security", code="1357", remove_code=True)
    assert result["errors"] == {"code": "code_removed"}
    # Nor may the only second factor go while one is asked for.
    result = await submit(hass, result, remove_code=True, factor_after_restart=True)
    assert result["errors"] == {"factor_after_restart": "factor_missing"}
    result = await submit(hass, result, factor_after_restart=True)
    assert result["type"] is FlowResultType.ABORT


async def test_several_fields_can_be_wrong_at_once(hass, camera, set_up) -> None:
    door = await set_up({})
    result = await change(hass, door, "security", code="1", factor_entity="sensor.gone")
    assert result["errors"] == {"code": "code_length", "factor_entity": "factor_not_found"}


async def test_a_trigger_must_exist(hass, camera, set_up) -> None:
    door = await set_up({})
    result = await change(hass, door, "gate", triggers=["event.gone"])
    assert result["errors"] == {"triggers": "trigger_not_found"}


async def test_models_that_are_damaged(hass, camera, set_up) -> None:
    door = await set_up({})
    with patch.object(fields, "load_thresholds", side_effect=vision.BundleFormatError("x")):
        result = await change(hass, door, "recognition", false_positive_rate="one_in_1000")
    assert result["errors"] == {"false_positive_rate": "models_damaged"}


async def test_a_rate_too_strict_for_so_many_people(hass, camera, set_up) -> None:
    door = await set_up({"Barack": ("obama",), "Joe": ("biden",)})
    rows = [vision.OperatingPoint(1e-3, 0.4, 0.0, 1e-3, True, 1.0)]
    short = vision.Thresholds(rows, slope=1, offset=0)
    with patch.object(fields, "load_thresholds", return_value=short):
        result = await change(hass, door, "recognition", false_positive_rate="one_in_1000")
    assert result["errors"] == {"false_positive_rate": "rate_unavailable"}


async def test_the_latch_is_only_offered_where_the_lock_has_one(
    hass, camera, target, set_up
) -> None:
    door = await set_up({}, lock=TARGET, settings={"door": {"open_latch": True}})
    assert "open_latch" in schema(await begin(hass, door, "door"))
    # A lock that is away for a while does not lose the choice.
    hass.states.async_set(TARGET, STATE_UNAVAILABLE)
    flow = await begin(hass, door, "door")
    assert "open_latch" not in schema(flow)
    await submit(hass, flow)
    assert door.subentry.data["door"]["open_latch"] is True


async def test_an_own_lock_locks_again(hass, camera, set_up) -> None:
    door = await set_up({})
    flow = await begin(hass, door, "door")
    assert set(schema(flow)) == {"relock_after", "hold", "hold_longest", "contact"}
    assert schema(flow)["relock_after"].config["min"] == 1
    for seconds in (0, 601):
        with pytest.raises(InvalidData):
            await submit(hass, flow, relock_after=seconds)
    await submit(hass, flow, relock_after=30)
    assert door.door.settings.relock_after == 30
    # A relay may follow it, which opens for a moment, whoever is in view.
    assert not door.door.settings.hold
    await change(hass, door, "door", hold=True)
    assert door.door.settings.hold


@pytest.mark.parametrize("seconds", [9, 601])
async def test_the_longest_hold_has_bounds(hass, camera, target, set_up, seconds) -> None:
    door = await set_up({}, lock=TARGET)
    with pytest.raises(InvalidData):
        await change(hass, door, "door", hold_longest=seconds)


async def test_a_door_contact_is_offered_by_class_and_must_exist(
    hass, camera, target, set_up
) -> None:
    registry = er.async_get(hass)
    known = registry.async_get_or_create("binary_sensor", "test", "porch", original_name="Porch")
    hass.states.async_set(known.entity_id, "off")
    door = await set_up({}, lock=TARGET)
    offered = schema(await begin(hass, door, "door"))["contact"].config
    assert set(offered["device_class"]) == {"door", "garage_door", "opening", "window"}
    assert "binary_sensor.front_door_motion" in offered["exclude_entities"]
    result = await change(hass, door, "door", contact="binary_sensor.none")
    assert result["errors"] == {"contact": "contact_not_found"}
    # It is kept by a name that survives renaming, shown as it is called now, and can be taken out.
    await change(hass, door, "door", contact=known.entity_id)
    assert door.subentry.data["door"]["contact"] == known.id
    registry.async_update_entity(known.entity_id, new_entity_id="binary_sensor.gate")
    hass.states.async_set("binary_sensor.gate", "off")
    await hass.async_block_till_done()
    assert suggested(await begin(hass, door, "door"))["contact"] == "binary_sensor.gate"
    await change(hass, door, "door")
    assert door.door.settings.contact is None


async def test_a_lock_that_was_removed_leaves_the_other_options(
    hass, camera, target, set_up
) -> None:
    door = await set_up({}, lock=TARGET)
    er.async_get(hass).async_remove(TARGET)
    await hass.async_block_till_done()
    assert "open_latch" not in schema(await begin(hass, door, "door"))


@pytest.mark.parametrize("attempts", [2, 11])
async def test_attempts_have_bounds(hass, camera, set_up, attempts) -> None:
    door = await set_up({})
    with pytest.raises(InvalidData):
        await change(hass, door, "security", attempts=attempts)


async def test_entities_are_kept_by_registry_id(hass, camera, set_up) -> None:
    registry = er.async_get(hass)
    porch = registry.async_get_or_create("binary_sensor", "test", "porch").entity_id
    mode = registry.async_get_or_create("input_boolean", "test", "mode").entity_id
    lamp = registry.async_get_or_create("light", "test", "lamp").entity_id
    for entity_id in (porch, mode, lamp):
        hass.states.async_set(entity_id, "off")
    door = await set_up({})
    await change(hass, door, "gate", triggers=[porch])
    await change(hass, door, "security", factor_entity=mode, flash_light=lamp)
    security = door.subentry.data["security"]
    assert security["flash_light"] == registry.async_get(lamp).id
    assert door.subentry.data["gate"]["triggers"] == [registry.async_get(porch).id]
    assert security["factor_entity"] == registry.async_get(mode).id

    registry.async_update_entity(porch, new_entity_id="binary_sensor.renamed")
    registry.async_remove(mode)
    await hass.async_block_till_done()
    shown = suggested(await begin(hass, door, "gate"))
    assert shown["triggers"] == ["binary_sensor.renamed"]
    assert "factor_entity" not in suggested(await begin(hass, door, "security"))


@pytest.mark.parametrize(
    "way",
    [
        {"announce": [{"action": "notify.door", "data": {"message": "{{ message }}"}}]},
        {"flash_light": LAMP},
    ],
)
async def test_a_challenge_can_be_put_in_either_way(hass, camera, set_up, way) -> None:
    door = await set_up({})
    security = {"liveness": "challenge", **way}
    await change(hass, door, "security", **security)
    assert door.subentry.data["security"].items() >= security.items()
    assert door.door.prompter is not None
    assert suggested(await begin(hass, door, "security")).items() >= security.items()
    # And emptied again, together with the level.
    await change(hass, door, "security", liveness="basic")
    assert not {"announce", "flash_light"} & set(door.subentry.data["security"])
    assert door.door.prompter is None


async def test_own_entities_do_not_lead_back_into_the_door(hass, camera, set_up) -> None:
    door = await set_up({})
    for name, field in (("gate", "triggers"), ("security", "factor_entity")):
        flow = await begin(hass, door, name)
        assert LOCK in schema(flow)[field].config["exclude_entities"]


async def test_options_that_this_form_does_not_know_stay(hass, camera, set_up) -> None:
    door = await set_up({}, settings={"door": {"extra": 1}, "later": {"x": 2}})
    await change(hass, door, "door")
    assert door.subentry.data["door"]["extra"] == 1
    assert door.subentry.data["later"] == {"x": 2}


# What holds for all doors


async def test_the_households_options(hass, camera, set_up) -> None:
    door = await set_up({})
    household = door.household
    flow = await hass.config_entries.options.async_init(door.entry.entry_id)
    assert set(schema(flow)) == {"keep_pictures"}
    await hass.config_entries.options.async_configure(flow["flow_id"], {"keep_pictures": False})
    await hass.async_block_till_done()
    assert door.household is not household
    assert not door.household.settings.keep_pictures
    flow = await hass.config_entries.options.async_init(door.entry.entry_id)
    assert suggested(flow) == {"keep_pictures": False}
