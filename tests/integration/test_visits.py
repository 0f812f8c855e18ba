"""The whole way from the camera's pictures to the lock, with the real models."""

from .conftest import CONFIDENCE, LOCK, MOTION, TARGET

BARACK = {"Barack": ("obama", "obama2")}


async def test_enrolled_person_opens_the_target_lock(set_up, camera, target) -> None:
    door = await set_up(BARACK, lock=TARGET)
    await door.recognised(1)
    assert door.state(LOCK) == "locked"

    camera.show("obama3")
    access = await door.access()

    assert access.event_type == "access_granted"
    assert access.person == "Barack"
    assert access.reason is None
    assert access.confidence > 90
    assert 0 < access.response_time <= access.duration + 1
    assert target.calls == [("unlock", None)]
    lock = door.hass.states.get(LOCK)
    assert lock.state == "unlocked"
    assert lock.attributes["changed_by"] == "Barack"
    assert door.state(MOTION) == "on"
    assert float(door.state(CONFIDENCE)) > 90
