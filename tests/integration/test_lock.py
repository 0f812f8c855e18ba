"""The door's lock entity, with a target and without."""

from datetime import timedelta

import pytest
from homeassistant.components.lock import LockState
from homeassistant.const import EVENT_HOMEASSISTANT_STOP, STATE_UNAVAILABLE
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import entity_registry as er
from homeassistant.util import dt as dt_util
from pytest_homeassistant_custom_component.common import async_fire_time_changed

from tests.harness.devices import Deadbolt

from .conftest import LOCK, TARGET

BARACK = {"Barack": ("obama", "obama2")}


async def call(hass, service: str, **data: str) -> None:
    await hass.services.async_call("lock", service, {"entity_id": LOCK, **data}, blocking=True)
    await hass.async_block_till_done()


def attribute(hass, name: str) -> object:
    return hass.states.get(LOCK).attributes.get(name)


# A lock of our own


async def test_own_lock_opens_and_locks_again(hass, set_up, camera) -> None:
    door = await set_up(BARACK, settings={"door": {"relock_after": 7, "hold": False}})
    assert door.state(LOCK) == "locked"
    camera.show("obama3")
    access = await door.access()
    assert access.event_type == "access_granted"
    assert door.state(LOCK) == "unlocked"
    assert attribute(hass, "changed_by") == "Barack"

    async_fire_time_changed(hass, dt_util.utcnow() + timedelta(seconds=6))
    await hass.async_block_till_done()
    assert door.state(LOCK) == "unlocked"
    async_fire_time_changed(hass, dt_util.utcnow() + timedelta(seconds=8))
    await hass.async_block_till_done()
    assert door.state(LOCK) == "locked"
    assert attribute(hass, "changed_by") is None


async def test_own_lock_by_hand(hass, set_up) -> None:
    door = await set_up({})
    await call(hass, "unlock")
    assert door.state(LOCK) == "unlocked"
    assert attribute(hass, "changed_by") is None
    await call(hass, "lock")
    assert door.state(LOCK) == "locked"
    await call(hass, "unlock")
    async_fire_time_changed(hass, dt_util.utcnow() + timedelta(seconds=6))
    await hass.async_block_till_done()
    assert door.state(LOCK) == "locked"


async def test_unlocking_twice_waits_anew(hass, set_up, freezer) -> None:
    door = await set_up({}, settings={"door": {"relock_after": 5}})
    await call(hass, "unlock")
    first = door.door.lock._relocker._cancel
    await call(hass, "unlock")
    assert door.door.lock._relocker._cancel is not first


async def test_own_lock_is_locked_after_a_reload(hass, set_up) -> None:
    door = await set_up({})
    await call(hass, "unlock")
    states = []
    hass.bus.async_listen("state_changed", lambda event: states.append(event.data))
    assert await hass.config_entries.async_reload(door.entry.entry_id)
    await hass.async_block_till_done()
    assert door.state(LOCK) == "locked"
    # What follows the state must see it locked before it goes.
    seen = [data["new_state"].state for data in states if data["entity_id"] == LOCK]
    assert seen == ["locked", "unavailable", "locked"]


async def test_own_lock_locks_when_home_assistant_stops(hass, set_up) -> None:
    door = await set_up({})
    await call(hass, "unlock")
    hass.bus.async_fire(EVENT_HOMEASSISTANT_STOP)
    await hass.async_block_till_done()
    assert door.state(LOCK) == "locked"


async def test_own_lock_works_while_the_camera_is_lost(hass, set_up, camera) -> None:
    camera.fail()
    door = await set_up({})
    door.clock.jump(100)
    await door.until(lambda: door.state("binary_sensor.front_door_motion") == STATE_UNAVAILABLE)
    await call(hass, "unlock")
    assert door.state(LOCK) == "unlocked"


# The owner's lock


@pytest.mark.parametrize(
    ("attributes", "state"),
    [
        ({"is_locked": True}, "locked"),
        ({"is_locked": False}, "unlocked"),
        ({"is_locking": True, "is_locked": False}, "locking"),
        ({"is_unlocking": True, "is_locked": True}, "unlocking"),
        ({"is_opening": True}, "opening"),
        ({"is_open": True, "is_locked": False}, "open"),
        ({"is_jammed": True, "is_locked": True}, "jammed"),
        ({"is_locked": None}, "unknown"),
    ],
)
async def test_states_of_the_target(hass, set_up, target, attributes, state) -> None:
    door = await set_up({}, lock=TARGET)
    target.put(is_locked=None)
    target.put(**attributes)
    await hass.async_block_till_done()
    assert hass.states.get(TARGET).state == state
    assert door.state(LOCK) == state


async def test_unavailable_target(hass, set_up, target) -> None:
    door = await set_up({}, lock=TARGET)
    target._attr_available = False
    target.async_write_ha_state()
    await hass.async_block_till_done()
    assert door.state(LOCK) == STATE_UNAVAILABLE
    target._attr_available = True
    target.async_write_ha_state()
    await hass.async_block_till_done()
    assert door.state(LOCK) == "locked"


async def test_target_is_driven_by_hand(hass, set_up, target) -> None:
    await set_up({}, lock=TARGET)
    for service in ("unlock", "lock", "open"):
        await call(hass, service)
    assert [name for name, _ in target.calls] == ["unlock", "lock", "open"]
    assert hass.states.get(LOCK).state == "open"
    assert attribute(hass, "supported_features") == 1


async def test_target_without_a_latch(hass, set_up, target) -> None:
    target._attr_supported_features = 0
    target.async_write_ha_state()
    await set_up({}, lock=TARGET)
    assert attribute(hass, "supported_features") == 0
    with pytest.raises(HomeAssistantError):
        await call(hass, "open")


async def test_code_goes_to_the_target(hass, set_up, target) -> None:
    target._attr_code_format = r"^\d{4}$"
    target.async_write_ha_state()
    await set_up({}, lock=TARGET)
    assert attribute(hass, "code_format") == r"^\d{4}$"
    with pytest.raises(HomeAssistantError):
        await call(hass, "unlock")
    await call(hass, "unlock", code="1234")
    assert target.calls == [("unlock", "1234")]


async def test_a_default_code_of_the_target_is_good_for_our_entity_too(
    hass, set_up, target
) -> None:
    target._attr_code_format = r"^\d{4}$"
    target.async_write_ha_state()
    await set_up({}, lock=TARGET)
    registry = er.async_get(hass)
    registry.async_update_entity_options(TARGET, "lock", {"default_code": "2468"})
    await hass.async_block_till_done()
    for service in ("unlock", "lock", "open"):
        await call(hass, service)
    await call(hass, "unlock", code="1357")
    assert target.calls == [
        ("unlock", "2468"),
        ("lock", "2468"),
        ("open", "2468"),
        ("unlock", "1357"),
    ]
    assert attribute(hass, "code_format") is None
    registry.async_update_entity_options(TARGET, "lock", None)
    await hass.async_block_till_done()
    with pytest.raises(HomeAssistantError):
        await call(hass, "unlock")


async def test_targets_error_reaches_the_user(hass, set_up, target) -> None:
    await set_up({}, lock=TARGET)
    target.error = HomeAssistantError("battery empty")
    with pytest.raises(HomeAssistantError, match="battery empty"):
        await call(hass, "unlock")


async def test_target_that_becomes_unavailable_is_no_success(hass, set_up, target) -> None:
    door = await set_up({}, lock=TARGET)
    hass.states.async_remove(TARGET)
    lock = door.door.lock
    with pytest.raises(HomeAssistantError) as caught:
        await lock.async_unlock()
    assert caught.value.translation_key == "lock_unavailable"


async def test_targets_own_changed_by(hass, set_up, target) -> None:
    await set_up({}, lock=TARGET)
    target._attr_changed_by = "Key"
    target.put(is_locked=False)
    await hass.async_block_till_done()
    assert attribute(hass, "changed_by") == "Key"


async def test_hand_after_face_takes_the_name_away(hass, set_up, camera, target) -> None:
    door = await set_up(BARACK, lock=TARGET)
    camera.show("obama3")
    await door.access()
    assert attribute(hass, "changed_by") == "Barack"
    await call(hass, "unlock")
    assert attribute(hass, "changed_by") is None


async def test_renamed_target(hass, set_up, camera, target) -> None:
    door = await set_up(BARACK, lock=TARGET)
    er.async_get(hass).async_update_entity(TARGET, new_entity_id="lock.renamed")
    await hass.async_block_till_done()
    target.put(is_locked=False)
    await hass.async_block_till_done()
    assert door.state(LOCK) == "unlocked"
    target.put(is_locked=True)
    camera.show("obama3")
    assert (await door.access()).event_type == "access_granted"
    assert target.calls == [("unlock", None)]


async def test_other_registry_changes_do_not_reload(hass, set_up, target) -> None:
    door = await set_up({}, lock=TARGET)
    before = door.entry.runtime_data
    er.async_get(hass).async_update_entity(TARGET, name="Bolt")
    await hass.async_block_till_done()
    assert door.entry.runtime_data is before


async def test_removed_target_is_never_replaced_by_an_own_lock(hass, set_up, target) -> None:
    door = await set_up({}, lock=TARGET)
    er.async_get(hass).async_remove(TARGET)
    await hass.async_block_till_done()
    assert door.state(LOCK) == STATE_UNAVAILABLE
    assert door.subentry.data["lock"]


async def test_target_that_comes_back_is_followed_again(hass, set_up, target) -> None:
    door = await set_up({}, lock=TARGET)
    er.async_get(hass).async_remove(TARGET)
    await hass.async_block_till_done()
    again = Deadbolt()
    await hass.data["lock"].async_add_entities([again])
    await hass.async_block_till_done()
    assert door.state(LOCK) == LockState.LOCKED
    again.put(is_locked=False)
    await hass.async_block_till_done()
    assert door.state(LOCK) == LockState.UNLOCKED
