"""Who holds a door open that was opened, and for how long: through camera, networks and lock."""

from datetime import timedelta

from homeassistant.util import dt as dt_util
from pytest_homeassistant_custom_component.common import async_fire_time_changed

from custom_components.face_lock.access import controller

from .conftest import TARGET

BARACK = {"Barack": ("obama", "obama2")}
HOLDS = {"door": {"relock_after": 5, "hold": True}}


def names(target) -> list[str]:
    return [name for name, _ in target.calls]


async def timer(hass, seconds: float = 6) -> None:
    """Let the timer of locking again go off; the decision's clock is another one."""
    async_fire_time_changed(hass, dt_util.utcnow() + timedelta(seconds=seconds))
    await hass.async_block_till_done()


async def stay(door, seconds: float) -> None:
    """Let time pass, no faster than the networks look at pictures."""
    for _ in range(round(seconds)):
        door.clock.jump(1)
        await door.recognised(2)


async def let_in(door, camera, *others: str, name: str = "obama3"):
    camera.show(name, *others)
    access = await door.access()
    assert access.event_type == "access_granted"
    return access


async def test_whoever_was_let_in_holds_the_door_while_in_view(
    hass, set_up, camera, target
) -> None:
    door = await set_up(BARACK, lock=TARGET, settings=HOLDS)
    await let_in(door, camera)
    await stay(door, 8)
    await timer(hass)
    assert names(target) == ["unlock"]
    await door.leave(camera)
    await timer(hass, 12)
    assert names(target) == ["unlock", "lock"]


async def test_a_stranger_in_the_same_place_does_not_hold_the_door(
    hass, set_up, camera, target
) -> None:
    door = await set_up(BARACK, lock=TARGET, settings=HOLDS)
    await let_in(door, camera)
    await door.recognised(2)
    camera.show("biden")
    await door.recognised(2)
    await stay(door, 5)
    await door.until(lambda: not door.watcher.is_hosting)
    await timer(hass)
    assert names(target) == ["unlock", "lock"]
    # The stranger's visit is their own.
    await stay(door, 10)
    access = await door.access(2)
    assert (access.event_type, access.person) == ("unknown_face", None)


async def test_a_stranger_beside_whoever_holds_the_door_is_told_of(
    hass, set_up, camera, target
) -> None:
    door = await set_up(BARACK, lock=TARGET, settings=HOLDS)
    await let_in(door, camera)
    camera.show("obama3", "biden")
    await stay(door, 12)
    access = await door.access(2)
    assert (access.event_type, access.person) == ("unknown_face", None)
    # The owner is still there, and still holds the door.
    assert door.watcher.is_hosting
    await timer(hass)
    assert names(target) == ["unlock"]


async def test_somebody_else_enrolled_is_let_in_beside_whoever_holds_the_door(
    hass, set_up, camera, target
) -> None:
    people = {**BARACK, "Eileen": ("collins",)}
    door = await set_up(people, lock=TARGET, settings=HOLDS)
    await let_in(door, camera)
    camera.show("obama3", "collins")
    access = await door.access(2)
    assert (access.event_type, access.person) == ("access_granted", "Eileen")


async def test_a_camera_that_freezes_does_not_hold_the_door(hass, set_up, camera, target) -> None:
    door = await set_up(BARACK, lock=TARGET, settings=HOLDS)
    await let_in(door, camera)
    camera.freeze(camera.scene.picture("obama3"))
    await door.recognised(2)
    await stay(door, 5)
    await door.until(lambda: not door.watcher.is_hosting)
    await timer(hass)
    assert names(target) == ["unlock", "lock"]


async def test_a_hold_ends_after_the_longest_time(hass, set_up, camera, target) -> None:
    settings = {"door": {**HOLDS["door"], "hold_longest": 20}}
    door = await set_up(BARACK, lock=TARGET, settings=settings)
    await let_in(door, camera)
    await stay(door, 15)
    assert door.watcher.is_hosting
    await stay(door, 6)
    await door.until(lambda: not door.watcher.is_hosting)
    await timer(hass)
    assert names(target) == ["unlock", "lock"]
    # Who stays must leave before the door opens for them again.
    await stay(door, controller.POLICY.cool_down + 2)
    assert names(target) == ["unlock", "lock"]
    await door.leave(camera)
    camera.show("obama3")
    assert (await door.access(2)).event_type == "access_granted"
