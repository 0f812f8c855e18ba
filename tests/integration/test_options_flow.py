"""Changing how a door works."""

from unittest.mock import patch

import pytest
from homeassistant.const import STATE_UNAVAILABLE
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType, InvalidData
from homeassistant.helpers import entity_registry as er

from custom_components.face_lock import vision
from custom_components.face_lock.codes import is_code
from custom_components.face_lock.flows import fields
from custom_components.face_lock.settings import SECTIONS, DoorSettings, Sensitivity

from .conftest import LOCK, TARGET

PORCH = "binary_sensor.porch"
LAMP = "light.porch"
MODE = "input_select.mode"


@pytest.fixture(autouse=True)
def _house(hass: HomeAssistant) -> None:
    hass.states.async_set(PORCH, "off")
    hass.states.async_set(LAMP, "off")
    hass.states.async_set(MODE, "home", {"options": ["home", "away"]})
    hass.states.async_set("sensor.alarm", "disarmed")


async def begin(hass: HomeAssistant, entry) -> dict:
    flow = await hass.config_entries.options.async_init(entry.entry_id)
    assert flow["type"] is FlowResultType.FORM
    assert flow["step_id"] == "init"
    return flow


def schema(flow: dict, name: str) -> dict[str, object]:
    return {
        str(key): value for key, value in flow["data_schema"].schema[name].schema.schema.items()
    }


def suggested(flow: dict) -> dict[str, dict[str, object]]:
    return {
        str(name): {
            str(key): key.description["suggested_value"]
            for key in of_section.schema.schema
            if key.description
        }
        for name, of_section in flow["data_schema"].schema.items()
    }


def unfolded(flow: dict) -> list[str]:
    sections = flow["data_schema"].schema.items()
    return [str(name) for name, of_section in sections if not of_section.options["collapsed"]]


async def submit(hass: HomeAssistant, flow: dict, **sections: dict[str, object]) -> dict:
    """Fill in the form as it stands, but for the given fields."""
    user_input = {name: dict(sections.get(name, {})) for name in SECTIONS}
    result = await hass.config_entries.options.async_configure(flow["flow_id"], user_input)
    await hass.async_block_till_done()
    return result


async def test_every_option_takes_effect(hass, camera, target, set_up) -> None:
    door = await set_up({"Barack": ("obama",)}, lock=TARGET)
    before = door.entry.runtime_data
    flow = await begin(hass, door.entry)
    assert list(map(str, flow["data_schema"].schema)) == list(SECTIONS)
    assert unfolded(flow) == ["recognition"]

    result = await submit(
        hass,
        flow,
        recognition={"false_positive_rate": "one_in_1000000"},
        gate={"triggers": [PORCH], "sensitivity": "high"},
        door={"relock_after": 0, "hold": False, "open_latch": True},
        security={
            "liveness": "strict",
            "factor_entity": MODE,
            "factor_state": " home ",
            "code": "2468",
            "factor_after_restart": True,
            "attempts": 3,
        },
        privacy={"keep_pictures": False, "keep_last_visit": True, "days": 30},
    )

    assert result["type"] is FlowResultType.CREATE_ENTRY
    settings = DoorSettings.of(door.entry.options)
    assert is_code("2468", settings.code_hash)
    assert settings == DoorSettings(
        false_positive_rate=1e-6,
        sensitivity=Sensitivity.HIGH,
        triggers=(PORCH,),
        relock_after=None,
        hold=False,
        open_latch=True,
        liveness="strict",
        factor_entity=MODE,
        factor_state="home",
        code_hash=settings.code_hash,
        factor_after_restart=True,
        attempts=3,
        keep_pictures=False,
        keep_last_visit=True,
        days=30,
    )
    # Whole numbers stay whole, and the code is nowhere in the clear.
    assert isinstance(door.entry.options["privacy"]["days"], int)
    assert "2468" not in str(door.entry.options)
    after = door.entry.runtime_data
    assert after is not before
    assert after.settings == settings

    # The form shows it all again, but for the code.
    shown = suggested(await begin(hass, door.entry))
    assert shown["gate"] == {"triggers": [PORCH], "sensitivity": "high"}
    assert shown["door"] == {"relock_after": 0, "hold": False, "open_latch": True}
    assert shown["privacy"] == {"keep_pictures": False, "keep_last_visit": True, "days": 30}
    assert shown["security"] == {
        "liveness": "strict",
        "factor_entity": MODE,
        "factor_state": "home",
        "factor_after_restart": True,
        "attempts": 3,
    }


async def test_an_untouched_form_changes_nothing(hass, camera, target, set_up) -> None:
    door = await set_up({}, lock=TARGET)
    await submit(hass, await begin(hass, door.entry))
    assert DoorSettings.of(door.entry.options) == DoorSettings()


async def test_costs_are_those_of_the_people_enrolled(hass, camera, set_up) -> None:
    door = await set_up({"Barack": ("obama",), "Joe": ("biden",)})
    flow = await begin(hass, door.entry)
    thresholds = vision.load_thresholds()
    assert flow["description_placeholders"] == fields.rate_costs(thresholds, 2)


async def test_code_is_kept_replaced_and_removed(hass, camera, set_up) -> None:
    door = await set_up({})
    flow = await begin(hass, door.entry)
    assert "remove_code" not in schema(flow, "security")
    assert schema(flow, "security")["code"].config["type"] == "password"
    await submit(hass, flow, security={"code": "2468"})
    first = door.entry.options["security"]["code"]

    await submit(hass, await begin(hass, door.entry))
    assert door.entry.options["security"]["code"] == first
    await submit(hass, await begin(hass, door.entry), security={"code": "open sesame"})
    second = door.entry.options["security"]["code"]
    assert is_code("open sesame", second)

    flow = await begin(hass, door.entry)
    assert "remove_code" in schema(flow, "security")
    await submit(hass, flow, security={"remove_code": True})
    assert set(door.entry.options["security"]) & {"code", "remove_code"} == set()


@pytest.mark.parametrize(
    ("security", "error"),
    [
        ({"code": "123"}, "code_length"),
        ({"code": "1" * 13}, "code_length"),
        ({"factor_entity": "binary_sensor.gone"}, "factor_not_found"),
        ({"factor_entity": PORCH, "factor_state": "home"}, "factor_state"),
        ({"factor_entity": MODE, "factor_state": "on"}, "factor_state"),
        ({"factor_entity": "sensor.alarm", "factor_state": " "}, "factor_state"),
        ({"factor_entity": "sensor.alarm", "factor_state": "unavailable"}, "factor_state"),
        ({"factor_after_restart": True}, "factor_missing"),
        ({"liveness": "challenge"}, "challenge_missing"),
        ({"liveness": "challenge", "announce": []}, "challenge_missing"),
        ({"liveness": "challenge", "flash_light": "light.gone"}, "flash_light_not_found"),
        ({"announce": [{"action": "no service"}]}, "announce_invalid"),
        ({"announce": [{"nonsense": 1}]}, "announce_invalid"),
        ({"announce": [{"device_id": "gone", "domain": "light"}]}, "announce_invalid"),
    ],
)
async def test_security_that_would_let_nobody_in_or_everybody(
    hass, camera, set_up, security, error
) -> None:
    door = await set_up({})
    before = door.entry.options
    result = await submit(
        hass, await begin(hass, door.entry), security=security, privacy={"days": 3}
    )
    assert result["type"] is FlowResultType.FORM
    assert result["errors"] == {"security": error}
    # The frontend shows the error above the section, which must be open; nothing typed is lost.
    assert unfolded(result) == ["security"]
    assert suggested(result)["security"].items() >= security.items()
    assert suggested(result)["privacy"]["days"] == 3
    assert door.entry.options == before
    # And it can be mended.
    mended = {"factor_entity": "sensor.alarm", "factor_state": "disarmed", "code": "1234"}
    result = await submit(hass, result, security=mended)
    assert result["type"] is FlowResultType.CREATE_ENTRY


async def test_a_code_is_not_both_replaced_and_removed(hass, camera, set_up) -> None:
    door = await set_up({})
    await submit(hass, await begin(hass, door.entry), security={"code": "2468"})
    result = await submit(
        hass, await begin(hass, door.entry), security={"code": "1357", "remove_code": True}
    )
    assert result["errors"] == {"security": "code_removed"}
    # Nor may the only second factor go while one is asked for.
    result = await submit(
        hass, result, security={"remove_code": True, "factor_after_restart": True}
    )
    assert result["errors"] == {"security": "factor_missing"}
    result = await submit(hass, result, security={"factor_after_restart": True})
    assert result["type"] is FlowResultType.CREATE_ENTRY


async def test_several_sections_can_be_wrong_at_once(hass, camera, set_up) -> None:
    door = await set_up({})
    with patch.object(fields, "load_thresholds", side_effect=vision.BundleFormatError("x")):
        result = await submit(
            hass,
            await begin(hass, door.entry),
            gate={"triggers": ["event.gone"]},
            security={"code": "1"},
        )
    assert result["errors"] == {
        "recognition": "models_damaged",
        "gate": "trigger_not_found",
        "security": "code_length",
    }
    assert unfolded(result) == ["recognition", "gate", "security"]


async def test_a_rate_too_strict_for_so_many_people(hass, camera, set_up) -> None:
    door = await set_up({"Barack": ("obama",), "Joe": ("biden",)})
    rows = [vision.OperatingPoint(1e-3, 0.4, 0.0, 1e-3, True, 1.0)]
    with patch.object(
        fields, "load_thresholds", return_value=vision.Thresholds(rows, slope=1, offset=0)
    ):
        result = await submit(
            hass,
            await begin(hass, door.entry),
            recognition={"false_positive_rate": "one_in_1000"},
        )
    assert result["errors"] == {"recognition": "rate_unavailable"}


async def test_the_latch_is_only_offered_where_the_lock_has_one(
    hass, camera, target, set_up
) -> None:
    door = await set_up({}, lock=TARGET, settings={"door": {"open_latch": True}})
    assert "open_latch" in schema(await begin(hass, door.entry), "door")
    # A lock that is away for a while does not lose the choice.
    hass.states.async_set(TARGET, STATE_UNAVAILABLE)
    flow = await begin(hass, door.entry)
    assert "open_latch" not in schema(flow, "door")
    await submit(hass, flow)
    assert door.entry.options["door"]["open_latch"] is True


async def test_an_own_lock_locks_again(hass, camera, set_up) -> None:
    door = await set_up({})
    flow = await begin(hass, door.entry)
    assert set(schema(flow, "door")) == {"relock_after", "hold"}
    assert schema(flow, "door")["relock_after"].config["min"] == 1
    for seconds in (0, 601):
        with pytest.raises(InvalidData):
            await submit(hass, flow, door={"relock_after": seconds})
    await submit(hass, flow, door={"relock_after": 30})
    assert door.entry.runtime_data.settings.relock_after == 30


async def test_a_lock_that_was_removed_leaves_the_other_options(
    hass, camera, target, set_up
) -> None:
    door = await set_up({}, lock=TARGET)
    er.async_get(hass).async_remove(TARGET)
    await hass.async_block_till_done()
    assert "open_latch" not in schema(await begin(hass, door.entry), "door")


@pytest.mark.parametrize("attempts", [2, 11])
async def test_attempts_have_bounds(hass, camera, set_up, attempts) -> None:
    door = await set_up({})
    with pytest.raises(InvalidData):
        await submit(hass, await begin(hass, door.entry), security={"attempts": attempts})


async def test_entities_are_kept_by_registry_id(hass, camera, set_up) -> None:
    registry = er.async_get(hass)
    porch = registry.async_get_or_create("binary_sensor", "test", "porch").entity_id
    mode = registry.async_get_or_create("input_boolean", "test", "mode").entity_id
    lamp = registry.async_get_or_create("light", "test", "lamp").entity_id
    for entity_id in (porch, mode, lamp):
        hass.states.async_set(entity_id, "off")
    door = await set_up({})
    await submit(
        hass,
        await begin(hass, door.entry),
        gate={"triggers": [porch]},
        security={"factor_entity": mode, "flash_light": lamp},
    )
    assert door.entry.options["security"]["flash_light"] == registry.async_get(lamp).id
    assert door.entry.options["gate"]["triggers"] == [registry.async_get(porch).id]
    assert door.entry.options["security"]["factor_entity"] == registry.async_get(mode).id

    registry.async_update_entity(porch, new_entity_id="binary_sensor.renamed")
    registry.async_remove(mode)
    await hass.async_block_till_done()
    shown = suggested(await begin(hass, door.entry))
    assert shown["gate"]["triggers"] == ["binary_sensor.renamed"]
    assert "factor_entity" not in shown["security"]


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
    result = await submit(hass, await begin(hass, door.entry), security=security)
    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert door.entry.options["security"].items() >= security.items()
    assert door.entry.runtime_data.asker is not None
    assert suggested(await begin(hass, door.entry))["security"].items() >= security.items()
    # And emptied again, together with the level.
    await submit(hass, await begin(hass, door.entry), security={"liveness": "basic"})
    assert not {"announce", "flash_light"} & set(door.entry.options["security"])
    assert door.entry.runtime_data.asker is None


async def test_own_entities_do_not_lead_back_into_the_door(hass, camera, set_up) -> None:
    door = await set_up({})
    flow = await begin(hass, door.entry)
    for name, field in (("gate", "triggers"), ("security", "factor_entity")):
        assert LOCK in schema(flow, name)[field].config["exclude_entities"]


async def test_options_that_this_form_does_not_know_stay(hass, camera, set_up) -> None:
    door = await set_up({}, settings={"door": {"extra": 1}, "later": {"x": 2}})
    await submit(hass, await begin(hass, door.entry))
    assert door.entry.options["door"]["extra"] == 1
    assert door.entry.options["later"] == {"x": 2}
