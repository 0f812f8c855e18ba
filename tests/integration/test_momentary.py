"""Locks that open for a moment: relays, strikes, and locks that did not open at all."""

import re
from datetime import timedelta

import pytest
import yaml
from homeassistant.const import EVENT_CALL_SERVICE
from homeassistant.core import Context, Event, callback
from homeassistant.setup import async_setup_component
from homeassistant.util import dt as dt_util
from pytest_homeassistant_custom_component.common import async_fire_time_changed

from custom_components.face_lock.access import controller
from custom_components.face_lock.locking import driver, moment, unlock

from .conftest import LOCK, ROOT, TARGET
from .test_hold import let_in, names, stay

TWO = {"Barack": ("obama", "obama2"), "Eileen": ("collins",)}
COOL_DOWN = controller.POLICY.cool_down


async def locks_again(hass, seconds: float = 6) -> None:
    async_fire_time_changed(hass, dt_util.utcnow() + timedelta(seconds=seconds))
    await hass.async_block_till_done()


# A relay that follows a lock of the door's own


@pytest.fixture
async def pulses(hass) -> list[str]:
    """What the relay of the example in the documentation was told."""
    text = (ROOT / "docs/examples.md").read_text()
    blocks = [yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)]
    (example,) = [block for block in blocks if "relay" in str(block)]
    example["triggers"][0]["entity_id"] = LOCK
    for step in example["actions"]:
        if "delay" in step:
            step["delay"] = 0
    pulses: list[str] = []

    @callback
    def called(event: Event) -> None:
        if event.data["service_data"].get("entity_id") == ["switch.gate_relay"]:
            pulses.append(event.data["service"])

    hass.bus.async_listen(EVENT_CALL_SERVICE, called)
    assert await async_setup_component(hass, "automation", {"automation": [example]})
    return pulses


async def pulsed(hass, pulses: list[str]) -> int:
    await hass.async_block_till_done()
    return pulses.count("turn_on")


async def test_whoever_missed_the_pulse_gets_another_one(hass, set_up, camera, pulses) -> None:
    door = await set_up(TWO)
    await let_in(door, camera)
    await stay(door, 4)
    await locks_again(hass)
    assert door.state(LOCK) == "locked"
    # Not for standing there, but after the cool-down.
    await stay(door, COOL_DOWN - 6)
    assert await pulsed(hass, pulses) == 1
    await stay(door, 4)
    assert (await door.access(2)).event_type == "access_granted"
    assert await pulsed(hass, pulses) == 2


async def test_a_second_person_gets_a_pulse_before_the_lock_has_locked(
    hass, set_up, camera, pulses
) -> None:
    door = await set_up(TWO)
    await let_in(door, camera)
    assert await pulsed(hass, pulses) == 1
    camera.show("collins")
    access = await door.access(2)
    assert (access.event_type, access.person) == ("access_granted", "Eileen")
    assert await pulsed(hass, pulses) == 2
    assert hass.states.get(LOCK).state == "unlocked"
    assert hass.states.get(LOCK).attributes["changed_by"] == "Eileen"


async def test_a_lock_of_its_own_may_stay_open_for_who_is_in_view(
    hass, set_up, camera, pulses
) -> None:
    door = await set_up(TWO, settings={"door": {"hold": True}})
    await let_in(door, camera)
    await stay(door, COOL_DOWN + 4)
    await locks_again(hass)
    assert door.state(LOCK) == "unlocked"
    assert len(door.accesses) == 1
    assert await pulsed(hass, pulses) == 1


async def test_a_lock_of_its_own_that_somebody_locks_is_not_opened_again(
    hass, set_up, camera
) -> None:
    door = await set_up(TWO)
    await let_in(door, camera)
    await hass.services.async_call("lock", "lock", {"entity_id": LOCK}, blocking=True)
    await locks_again(hass)
    await stay(door, COOL_DOWN + 4)
    assert len(door.accesses) == 1
    assert door.state(LOCK) == "locked"


# A strike: a lock of the owner's that locks by itself


@pytest.mark.parametrize("within_the_call", [True, False])
async def test_a_strike_that_pulses_has_opened_and_opens_again(
    hass, set_up, camera, target, within_the_call
) -> None:
    def pulse() -> None:
        target.put(is_locked=False)
        if within_the_call:
            target.put(is_locked=True)

    target.answer = pulse
    door = await set_up(TWO, lock=TARGET)
    await let_in(door, camera)
    await door.recognised(2)
    target.put(is_locked=True)
    await stay(door, COOL_DOWN - 4)
    assert names(target) == ["unlock"]
    await stay(door, 6)
    assert (await door.access(2)).event_type == "access_granted"
    assert names(target) == ["unlock", "unlock"]


async def by_user(hass, target) -> None:
    target.async_set_context(Context(user_id="owner"))
    target.put(is_locked=True)


async def by_automation(hass, target) -> None:
    target.async_set_context(Context(parent_id="trigger"))
    target.put(is_locked=True)


async def by_the_door(hass, target) -> None:
    await hass.services.async_call("lock", "lock", {"entity_id": LOCK}, blocking=True)


async def later(hass, target) -> None:
    hass.loop.call_later(0.2, lambda: target.put(is_locked=True))


@pytest.mark.parametrize("how", [by_user, by_automation, by_the_door, later])
async def test_a_door_that_somebody_locks_is_not_opened_again(
    hass, set_up, camera, target, monkeypatch, how
) -> None:
    if how is later:
        monkeypatch.setattr(moment, "MOMENT", 0.1)
    door = await set_up(TWO, lock=TARGET)
    await let_in(door, camera)
    await door.recognised(1)
    await how(hass, target)
    await door.until(lambda: hass.states.get(TARGET).state == "locked")
    await stay(door, COOL_DOWN + 4)
    assert names(target).count("unlock") == 1
    assert len(door.accesses) == 1


async def test_who_was_let_in_before_is_looked_at_again_as_well(
    hass, set_up, camera, target
) -> None:
    door = await set_up(TWO, lock=TARGET)
    await let_in(door, camera)
    camera.show("obama3", "collins")
    assert (await door.access(2)).person == "Eileen"
    target.put(is_locked=True)
    await door.until(lambda: not door.watcher.is_hosting)


# A lock that did not open


@pytest.mark.parametrize("fault", ["fails", "is silent"])
async def test_a_lock_that_did_not_open_is_tried_again_after_the_cool_down(
    hass, set_up, camera, target, monkeypatch, fault
) -> None:
    monkeypatch.setattr(unlock, "RETRY_AFTER", 0.01)
    monkeypatch.setattr(driver, "CALL_TIMEOUT", 0.1)
    door = await set_up(TWO, lock=TARGET)
    if fault == "fails":
        target.error = RuntimeError("bluetooth")
    else:
        target.answer = lambda: None
    camera.show("obama3")
    assert (await door.access()).event_type == "access_denied"
    tried = len(target.calls)
    await stay(door, COOL_DOWN - 4)
    assert len(target.calls) == tried
    target.error = target.answer = None
    await stay(door, 6)
    assert (await door.access(2)).event_type == "access_granted"
