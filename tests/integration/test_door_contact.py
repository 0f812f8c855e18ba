"""The door's contact: it ends holds, begins locking, and tells who came out."""

from datetime import timedelta

import pytest
from homeassistant.helpers import entity_registry as er, issue_registry as ir
from homeassistant.util import dt as dt_util
from pytest_homeassistant_custom_component.common import async_fire_time_changed

from custom_components.face_lock.access import controller
from custom_components.face_lock.const import DOMAIN

from .conftest import CAMERA, FRONT, LOCK, TARGET, front_door
from .test_hold import BARACK, let_in, names, stay

CONTACT = "binary_sensor.door"


def contact(hass, state: str | None) -> None:
    if state is None:
        hass.states.async_remove(CONTACT)
    else:
        hass.states.async_set(CONTACT, state)


def watched(**door: object) -> dict:
    return {"door": {"relock_after": 5, "hold": True, "contact": CONTACT, **door}}


async def until(hass, seconds: float) -> None:
    """Let timers go off that are due in so many seconds."""
    async_fire_time_changed(hass, dt_util.utcnow() + timedelta(seconds=seconds))
    await hass.async_block_till_done()


@pytest.fixture
async def held(hass, set_up, camera, target):
    """A door that stands open for somebody who is still in view, later than it is to be locked."""
    contact(hass, "off")
    door = await set_up(BARACK, lock=TARGET, settings=watched())
    await let_in(door, camera)
    contact(hass, "on")
    await stay(door, 3)
    await until(hass, 6)
    assert door.watcher.is_hosting
    assert names(target) == ["unlock"]
    return door


async def test_a_door_that_closes_ends_the_hold_and_is_locked(hass, held, target) -> None:
    contact(hass, "off")
    await hass.async_block_till_done()
    assert not held.watcher.is_hosting
    # The time begins with the closing, not with the second after it.
    await until(hass, 3)
    assert names(target) == ["unlock"]
    await until(hass, 12)
    assert names(target) == ["unlock", "lock"]
    # Who stays outside a closed door came too late, or did not want to go in.
    await stay(held, controller.POLICY.cool_down + 2)
    assert names(target) == ["unlock", "lock"]


@pytest.mark.parametrize("state", ["unavailable", "unknown", None])
async def test_a_contact_that_is_lost_says_nothing(hass, held, target, state) -> None:
    contact(hass, state)
    await hass.async_block_till_done()
    assert held.watcher.is_hosting
    contact(hass, "on")
    await hass.async_block_till_done()
    assert held.watcher.is_hosting


async def test_a_contact_that_comes_back_closed_ends_the_hold(hass, held, target) -> None:
    contact(hass, "unavailable")
    contact(hass, "off")
    await hass.async_block_till_done()
    assert not held.watcher.is_hosting
    await until(hass, 12)
    assert names(target) == ["unlock", "lock"]


async def test_a_running_time_is_not_made_longer_by_the_door(hass, set_up, camera, target) -> None:
    contact(hass, "off")
    door = await set_up(BARACK, lock=TARGET, settings=watched())
    await let_in(door, camera)
    await door.leave(camera)
    for _ in range(3):
        await until(hass, 2)
        contact(hass, "on")
        contact(hass, "off")
    await until(hass, 5.5)
    assert names(target) == ["unlock", "lock"]


async def test_a_lock_that_cannot_lock_an_open_door_is_asked_again_when_it_closes(
    hass, set_up, camera, target
) -> None:
    contact(hass, "off")
    door = await set_up(BARACK, lock=TARGET, settings=watched())
    await let_in(door, camera)
    contact(hass, "on")
    await door.leave(camera)
    target.error = RuntimeError("the bolt is blocked")
    await until(hass, 6)
    assert names(target) == ["unlock", "lock"]
    target.error = None
    contact(hass, "off")
    # Not half a minute later, as without a contact.
    await until(hass, 12)
    assert names(target) == ["unlock", "lock", "lock"]
    assert hass.states.get(TARGET).state == "locked"


async def test_a_lock_of_its_own_is_locked_when_the_door_closes(hass, set_up, camera) -> None:
    contact(hass, "off")
    door = await set_up(BARACK, settings=watched())
    await let_in(door, camera)
    contact(hass, "on")
    await stay(door, 3)
    await until(hass, 6)
    assert door.state(LOCK) == "unlocked"
    contact(hass, "off")
    await until(hass, 12)
    assert door.state(LOCK) == "locked"


@pytest.mark.parametrize(
    ("before", "let_in_again"), [("off", False), ("unavailable", True), ("unknown", True)]
)
async def test_whoever_opens_from_inside_is_not_let_in_for_looking_back(
    hass, set_up, camera, target, before, let_in_again
) -> None:
    """A contact that comes back open does not say that somebody came out."""
    contact(hass, before)
    door = await set_up(BARACK, lock=TARGET, settings=watched())
    contact(hass, "on")
    await hass.async_block_till_done()
    camera.show("obama3")
    await door.recognised(4)
    if let_in_again:
        assert (await door.access()).event_type == "access_granted"
        return
    contact(hass, "off")
    await stay(door, controller.POLICY.cool_down + 3)
    assert door.accesses == []
    # Once they have left and come back, they are let in as ever.
    await door.leave(camera)
    camera.show("obama3")
    assert (await door.access()).event_type == "access_granted"


async def test_a_door_opened_for_somebody_at_one_camera_was_not_opened_from_inside(
    hass, set_up, camera, target
) -> None:
    """Whoever the other camera sees next is a visitor."""
    side = type(camera)()
    side._attr_unique_id, side._attr_name = "side", "Side"
    await hass.data["camera"].async_add_entities([side])
    contact(hass, "off")
    subentry = front_door(hass, lock=TARGET, settings=watched(), cameras=(CAMERA, "camera.side"))
    people = {**BARACK, "Eileen": ("collins",)}
    door = await set_up(people, doors=(subentry,))
    await let_in(door, camera)
    contact(hass, "on")
    await hass.async_block_till_done()
    side.show("collins")
    assert (await door.access(2)).person == "Eileen"


# The entity itself


@pytest.fixture
def known(hass) -> er.RegistryEntry:
    entry = er.async_get(hass).async_get_or_create("binary_sensor", "test", "door")
    hass.states.async_set(entry.entity_id, "off")
    return entry


async def test_a_renamed_contact_is_followed(hass, set_up, camera, target, known) -> None:
    door = await set_up(BARACK, lock=TARGET, settings=watched(contact=known.id))
    assert known.entity_id in door.door.listens_to
    er.async_get(hass).async_update_entity(known.entity_id, new_entity_id="binary_sensor.porch")
    hass.states.async_set("binary_sensor.porch", "off")
    await hass.async_block_till_done()
    assert "binary_sensor.porch" in door.door.listens_to
    await let_in(door, camera)
    hass.states.async_set("binary_sensor.porch", "on")
    await door.recognised(1)
    assert door.watcher.is_hosting
    hass.states.async_set("binary_sensor.porch", "off")
    await hass.async_block_till_done()
    assert not door.watcher.is_hosting


async def test_a_removed_contact_is_told_and_keeps_the_door_running(
    hass, set_up, camera, target, known
) -> None:
    door = await set_up(BARACK, lock=TARGET, settings=watched(contact=known.id))
    er.async_get(hass).async_remove(known.entity_id)
    await hass.async_block_till_done()
    issue = ir.async_get(hass).async_get_issue(DOMAIN, f"contact_missing_{FRONT}")
    assert issue.translation_placeholders == {"door": "Front door"}
    await let_in(door, camera)
    door.change(door={"contact": None})
    await hass.async_block_till_done()
    assert ir.async_get(hass).async_get_issue(DOMAIN, f"contact_missing_{FRONT}") is None
