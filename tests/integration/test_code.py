"""The second factor's code, and the end of a lockout, by action."""

import asyncio
import time

import probatio
import pytest
from homeassistant.auth.const import GROUP_ID_USER
from homeassistant.core import Context
from homeassistant.exceptions import ServiceValidationError, Unauthorized, UnknownUser

from custom_components.face_lock.access import second_factor
from custom_components.face_lock.access.codes import hash_code, is_code
from custom_components.face_lock.const import DOMAIN

from .conftest import TARGET

BARACK = {"Barack": ("obama", "obama2")}
LOCKED_OUT = "binary_sensor.front_door_locked_out"


@pytest.fixture
def call(hass):
    async def call(action: str, context: Context | None = None, **data: object) -> dict:
        return await hass.services.async_call(
            DOMAIN, action, data, blocking=True, return_response=True, context=context
        )

    return call


def security(**options: object) -> dict:
    return {"security": {"code": hash_code("2468"), **options}}


def test_hash() -> None:
    assert is_code("2468", hash_code("2468"))
    assert not is_code("2469", hash_code("2468"))
    assert hash_code("2468") != hash_code("2468")
    for damaged in ("", "$", "a$b$c", "2468", "####$####"):
        assert not is_code("2468", damaged)


async def test_a_face_waits_for_its_code(set_up, camera, target, call) -> None:
    door = await set_up(BARACK, lock=TARGET, settings=security())
    camera.show("obama3")
    await door.recognised(6)
    assert target.calls == []
    assert await call("present_code", code="2468") == {"accepted": True, "locked_out": False}
    assert (await door.access()).event_type == "access_granted"
    assert target.calls == [("unlock", None)]


async def test_a_code_is_good_for_one_visit(set_up, camera, target, call) -> None:
    door = await set_up(BARACK, lock=TARGET, settings=security())
    await call("present_code", code="2468")
    camera.show("obama3")
    assert (await door.access()).event_type == "access_granted"
    await door.leave(camera)
    door.clock.jump(15)
    camera.show("obama3")
    await door.recognised(6)
    await door.leave(camera)
    assert (await door.access(2)).reason == "second_factor_missing"
    assert len(target.calls) == 1


async def test_only_after_a_restart(set_up, camera, target, call) -> None:
    door = await set_up(BARACK, lock=TARGET, settings=security(factor_after_restart=True))
    await call("present_code", code="2468")
    camera.show("obama3")
    await door.access()
    await door.leave(camera)
    door.clock.jump(15)
    camera.show("obama3")
    assert (await door.access(2)).event_type == "access_granted"


async def test_wrong_codes_lock_out_and_a_keypad_is_not_listened_to_then(
    set_up, camera, target, call, hass_admin_user
) -> None:
    door = await set_up(BARACK, lock=TARGET, settings=security(attempts=3))
    for _ in range(2):
        assert not (await call("present_code", code="1111"))["locked_out"]
    assert (await call("present_code", code="1111"))["locked_out"]
    await door.until(lambda: door.state(LOCKED_OUT) == "on")
    # The right code from a keypad changes nothing now, and cannot be told from a wrong one.
    assert not (await call("present_code", code="2468"))["accepted"]
    assert not (await call("present_code", code="1111"))["accepted"]
    camera.show("obama3")
    assert (await door.access()).event_type == "locked_out"
    assert target.calls == []

    owner = Context(user_id=hass_admin_user.id)
    assert (await call("present_code", context=owner, code="2468"))["accepted"]
    await door.until(lambda: door.state(LOCKED_OUT) == "off")


async def test_codes_are_checked_one_at_a_time(set_up, call, monkeypatch) -> None:
    """Many at once neither fill the memory nor are all tried before the first one counts."""
    door = await set_up(BARACK, settings=security(attempts=3))
    running, most, checked = 0, 0, []

    def slow(code: str, hashed: str) -> bool:
        nonlocal running, most
        running += 1
        most = max(most, running)
        time.sleep(0.01)
        checked.append(code)
        running -= 1
        return code == "2468"

    monkeypatch.setattr(second_factor, "is_code", slow)
    codes = [f"{number:04}" for number in range(198)] + ["2468"] * 2
    answers = await asyncio.gather(*(call("present_code", code=code) for code in codes))
    assert most == 1
    # The third wrong one locked out; none of those that waited behind it was tried.
    assert checked == ["0000", "0001", "0002"]
    assert not any(answer["accepted"] for answer in answers)
    assert door.door.controller.is_locked_out
    assert door.door.controller.lockout.failures == 3


async def test_a_lockout_that_begins_while_a_code_is_checked_counts(
    set_up, call, monkeypatch
) -> None:
    door = await set_up(BARACK, settings=security(attempts=3))
    controller = door.door.controller

    def meanwhile(*_: str) -> bool:
        for _ in range(3):
            controller.lockout.fail(door.clock())
        return True

    monkeypatch.setattr(second_factor, "is_code", meanwhile)
    assert await call("present_code", code="2468") == {"accepted": False, "locked_out": True}
    assert controller.is_locked_out
    assert controller.circumstances().factor_missing


@pytest.mark.parametrize("code", ["2468", "1111"])
async def test_who_may_not_work_the_lock_may_try_no_code(
    set_up, call, hass_read_only_user, code
) -> None:
    door = await set_up(BARACK, settings=security(attempts=3))
    for _ in range(5):
        with pytest.raises(Unauthorized):
            await call("present_code", context=Context(user_id=hass_read_only_user.id), code=code)
    assert door.door.controller.lockout.failures == 0
    assert door.door.controller.circumstances().factor_missing


async def test_a_user_who_is_gone_tries_no_code(set_up, call) -> None:
    door = await set_up(BARACK, settings=security(attempts=3))
    with pytest.raises(UnknownUser):
        await call("present_code", context=Context(user_id="nobody"), code="1111")
    assert door.door.controller.lockout.failures == 0


async def test_users_who_are_no_administrators_are_limited_as_keypads_are(
    hass, set_up, call
) -> None:
    door = await set_up(BARACK, settings=security(attempts=3))
    await hass.auth.async_create_user("Owner")
    user = await hass.auth.async_create_user("Panel", group_ids=[GROUP_ID_USER])
    assert not user.is_admin
    panel = Context(user_id=user.id)
    for _ in range(3):
        assert not (await call("present_code", context=panel, code="1111"))["accepted"]
    # In the lockout neither the right code nor a wrong one is listened to, nor told apart.
    for code in ("2468", "1111"):
        answer = await call("present_code", context=panel, code=code)
        assert answer == {"accepted": False, "locked_out": True}
    assert door.door.controller.lockout.failures == 3
    door.clock.jump(31)
    assert (await call("present_code", context=panel, code="2468"))["accepted"]


async def test_a_code_of_any_length_is_no_burden(set_up, call) -> None:
    door = await set_up(BARACK, settings=security(attempts=3))
    with pytest.raises(probatio.Invalid):
        await call("present_code", code="1" * 1000)
    assert door.door.controller.lockout.failures == 0


async def test_the_owner_ends_a_lockout(set_up, call) -> None:
    door = await set_up(BARACK, settings=security(attempts=3))
    for _ in range(4):
        door.door.controller.lockout.fail(door.clock())
    await door.until(lambda: door.state(LOCKED_OUT) == "on")
    assert await call("clear_lockout") == {"failures": 4}
    await door.until(lambda: door.state(LOCKED_OUT) == "off")


async def test_a_lockout_ends_by_itself(set_up, call) -> None:
    door = await set_up(BARACK, settings=security(attempts=3))
    for _ in range(3):
        await call("present_code", code="1111")
    await door.until(lambda: door.state(LOCKED_OUT) == "on")
    door.clock.jump(31)
    await door.until(lambda: door.state(LOCKED_OUT) == "off")


async def test_a_door_without_a_code(set_up, call) -> None:
    await set_up(BARACK)
    with pytest.raises(ServiceValidationError) as refused:
        await call("present_code", code="1")
    assert refused.value.translation_key == "no_code"
