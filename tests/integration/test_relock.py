"""Locking again: begun by a command, shared by doors, kept over a crash; and what is an answer."""

from datetime import timedelta

import pytest
from homeassistant.components.group.lock import LockGroup
from homeassistant.util import dt as dt_util
from pytest_homeassistant_custom_component.common import async_fire_time_changed

from custom_components.face_lock.const import DOMAIN
from custom_components.face_lock.locking import driver
from custom_components.face_lock.recognition.host import Decided
from custom_components.face_lock.recognition.watcher import Watcher

from .conftest import CAMERA, FRONT, LOCK, TARGET, front_door
from .test_visits import decided, granted

BARACK = {"Barack": ("obama", "obama2")}
DUTIES = f"{DOMAIN}.household1.duties"


def relocks(seconds: int = 7, **options: object) -> dict:
    return {"door": {"relock_after": seconds, "hold": False, **options}}


async def let_in(hass, door, which: str = FRONT) -> None:
    """Have the lock commanded, as after a visit."""
    before = len(door.household.doors[which].records.history.visits)
    door.household.doors[which].controller.conclude(decided(granted(door, "barack")))
    await door.until(lambda: len(door.household.doors[which].records.history.visits) > before)
    await hass.async_block_till_done()


async def wait(hass, seconds: float) -> None:
    async_fire_time_changed(hass, dt_util.utcnow() + timedelta(seconds=seconds))
    await hass.async_block_till_done()


def names(target) -> list[str]:
    return [name for name, _ in target.calls]


# What is an answer


@pytest.mark.parametrize("late", [False, True])
async def test_a_jam_of_the_last_locking_is_no_answer(
    hass, set_up, target, monkeypatch, late
) -> None:
    target.put(is_jammed=True, is_locked=False)
    door = await set_up(BARACK, lock=TARGET)
    if late:

        async def unlock(lock) -> None:
            lock.calls.append(("unlock", None))
            hass.loop.call_later(0.1, lambda: lock.put(is_locked=False))

        monkeypatch.setattr(type(target), "async_unlock", unlock)
    await let_in(hass, door)
    assert door.door.records.history.find().reason is None
    assert names(target) == ["unlock"]


async def test_a_lock_that_stays_jammed_is_said_to_be(hass, set_up, target, monkeypatch) -> None:
    monkeypatch.setattr(driver, "CALL_TIMEOUT", 0.1)
    target.put(is_jammed=True, is_locked=False)
    target.answer = lambda: None
    door = await set_up(BARACK, lock=TARGET)
    await let_in(hass, door)
    assert door.door.records.history.find().reason == "lock_jammed"


async def test_a_jam_of_before_does_not_fail_a_command_by_hand(hass, set_up, target) -> None:
    target.put(is_jammed=True, is_locked=False)
    target.answer = lambda: None  # moves, and says so later
    await set_up({}, lock=TARGET)
    for service in ("lock", "unlock"):
        await hass.services.async_call("lock", service, {"entity_id": LOCK}, blocking=True)
    assert names(target) == ["lock", "unlock"]


async def test_a_group_of_which_one_lock_is_lost_is_not_open(
    hass, set_up, target, monkeypatch
) -> None:
    """It reads as unlocked before anything was commanded."""
    monkeypatch.setattr(driver, "CALL_TIMEOUT", 0.3)
    hass.states.async_set("lock.lost", "unavailable")
    await hass.data["lock"].async_add_entities([LockGroup("both", "Both", [TARGET, "lock.lost"])])
    await hass.async_block_till_done()
    assert hass.states.get("lock.both").state == "unlocked"
    door = await set_up(BARACK, lock="lock.both", settings=relocks())
    target.answer = lambda: None
    await let_in(hass, door)
    assert door.door.records.history.find().reason == "lock_timeout"
    target.answer = None
    await let_in(hass, door)
    assert door.door.records.history.find().reason is None
    # It did not stand open before, so it is locked again.
    await wait(hass, 8)
    assert names(target) == ["unlock", "unlock", "lock"]


@pytest.mark.parametrize("moves", [False, True])
async def test_a_latch_that_does_not_move_has_not_opened(
    hass, set_up, target, monkeypatch, moves
) -> None:
    monkeypatch.setattr(driver, "CALL_TIMEOUT", 0.2)
    target.put(is_locked=False)
    if not moves:
        target.answer = lambda: target.put(is_locked=False)
    door = await set_up(BARACK, lock=TARGET, settings=relocks(open_latch=True))
    await let_in(hass, door)
    assert names(target) == ["open"]
    assert door.door.records.history.find().reason == (None if moves else "lock_timeout")


# When it is locked again


async def test_nothing_is_locked_where_nothing_was_commanded(hass, set_up, target) -> None:
    door = await set_up(BARACK, lock=TARGET, settings=relocks())
    target.set_available(False)
    await let_in(hass, door)
    assert door.door.records.history.find().reason == "lock_unavailable"
    target.set_available(True)
    await wait(hass, 8)
    assert names(target) == []


@pytest.mark.parametrize("leave_open", [True, False])
async def test_a_door_that_stood_unlocked_before_the_visit(
    hass, set_up, target, leave_open
) -> None:
    target.put(is_locked=False)
    door = await set_up(BARACK, lock=TARGET, settings=relocks(leave_open=leave_open))
    await let_in(hass, door)
    assert door.door.records.history.find().reason is None
    await wait(hass, 8)
    assert names(target) == ["unlock"] if leave_open else ["unlock", "lock"]


async def test_a_door_that_a_face_unlocked_did_not_stand_open(hass, set_up, target) -> None:
    door = await set_up(BARACK, lock=TARGET, settings=relocks())
    await let_in(hass, door)
    await let_in(hass, door)
    await wait(hass, 8)
    assert names(target) == ["unlock", "unlock", "lock"]


async def test_a_lock_that_opens_after_its_time_is_locked_again(
    hass, set_up, target, monkeypatch
) -> None:
    """What it said before it moved does not tell that it is locked."""
    monkeypatch.setattr(driver, "CALL_TIMEOUT", 0.1)
    target.answer = lambda: None
    door = await set_up(BARACK, lock=TARGET, settings=relocks())
    await let_in(hass, door)
    assert door.door.records.history.find().reason == "lock_timeout"
    await wait(hass, 8)
    assert names(target) == ["unlock", "lock"]


async def test_whoever_locks_it_ends_the_duty(hass, set_up, target, hass_storage) -> None:
    door = await set_up(BARACK, lock=TARGET, settings=relocks())
    await let_in(hass, door)
    assert hass_storage[DUTIES]["data"]["locks"]
    target.put(is_locked=True)
    await hass.async_block_till_done()
    assert hass_storage[DUTIES]["data"]["locks"] == []
    target.put(is_locked=False)  # by hand, from inside
    await wait(hass, 8)
    assert names(target) == ["unlock"]


async def test_no_timer_is_left_after_the_stop(hass, set_up, target) -> None:
    door = await set_up(BARACK, lock=TARGET, settings=relocks())
    await let_in(hass, door)
    target.error = RuntimeError("stuck")
    await hass.config_entries.async_unload(door.entry.entry_id)
    assert names(target) == ["unlock", "lock"]
    await wait(hass, 100)
    assert names(target) == ["unlock", "lock"]


# Two doors on one lock


@pytest.fixture
async def both(hass, set_up, camera, target):
    """A front door that locks soon, and a back door that locks late, with the same lock."""
    front = front_door(hass, lock=TARGET, settings=relocks(5))
    back = front_door(hass, lock=TARGET, title="Back", door="back", settings=relocks(60, hold=True))
    return await set_up(BARACK, doors=(front, back))


async def test_the_door_that_opened_for_longer_decides(hass, both, target) -> None:
    await let_in(hass, both, FRONT)
    await let_in(hass, both, "back")
    await wait(hass, 6)
    assert names(target) == ["unlock", "unlock"]
    await wait(hass, 61)
    assert names(target) == ["unlock", "unlock", "lock"]
    await wait(hass, 200)
    assert names(target) == ["unlock", "unlock", "lock"]


async def test_somebody_at_the_other_door_holds_the_lock(hass, both, target, monkeypatch) -> None:
    held = True
    back = both.household.doors["back"]
    (watcher,) = back.watchers
    monkeypatch.setattr(Watcher, "is_hosting", property(lambda w: w is watcher and held))
    await let_in(hass, both, FRONT)
    await wait(hass, 6)
    assert names(target) == ["unlock"]
    held = False
    await wait(hass, 8)
    assert names(target) == ["unlock", "lock"]


async def test_what_one_door_locks_is_no_moment_for_the_other(hass, both, target) -> None:
    """Whichever of them locks for both: the lock did not lock by itself."""
    for which in (FRONT, "back"):
        told: list[bool] = []

        def conclude(_outcome, *, momentary: bool = False, told: list[bool] = told) -> None:
            told.append(momentary)

        door = both.household.doors[which]
        door.controller.conclude(Decided(granted(both, "barack"), CAMERA, None, conclude))
        await both.until(lambda told=told: told)
        await hass.async_block_till_done()
        await wait(hass, 62)
        assert hass.states.get(TARGET).state == "locked"
        assert told == [False]


async def test_a_door_that_goes_leaves_its_lock_to_the_other_one(hass, both, target) -> None:
    await let_in(hass, both, FRONT)
    subentry = next(s for s in both.entry.subentries.values() if s.unique_id == FRONT)
    hass.config_entries.async_remove_subentry(both.entry, subentry.subentry_id)
    await hass.async_block_till_done()
    assert list(both.household.doors) == ["back"]
    assert names(target) == ["unlock"]
    await wait(hass, 6)
    assert names(target) == ["unlock", "lock"]


# After a crash


async def crash(hass, door, hass_storage) -> None:
    """Load the household again with what was on the disk while it ran."""
    left = {key: value for key, value in hass_storage.items() if key.startswith(DOMAIN)}
    await hass.config_entries.async_unload(door.entry.entry_id)
    hass_storage.update(left)


async def test_what_was_to_be_locked_is_locked_after_a_crash(
    hass, set_up, target, hass_storage
) -> None:
    door = await set_up(BARACK, lock=TARGET, settings=relocks(600))
    await let_in(hass, door)
    await crash(hass, door, hass_storage)
    target.put(is_locked=False)
    target.calls.clear()
    target.set_available(False)  # as locks are while Home Assistant starts
    await hass.config_entries.async_setup(door.entry.entry_id)
    for seconds in (6, 40, 80, 120, 160, 200):
        await wait(hass, seconds)
    assert target.calls == []
    target.set_available(True)
    await wait(hass, 240)
    assert names(target) == ["lock"]
    assert hass_storage[DUTIES]["data"]["locks"] == []
    await wait(hass, 900)
    assert names(target) == ["lock"]


async def test_a_locked_door_is_not_locked_after_a_restart(hass, set_up, target) -> None:
    door = await set_up(BARACK, lock=TARGET, settings=relocks())
    await let_in(hass, door)
    await wait(hass, 8)
    await hass.config_entries.async_reload(door.entry.entry_id)
    await wait(hass, 60)
    assert names(target) == ["unlock", "lock"]


async def test_what_could_not_be_locked_at_the_end_is_locked_at_the_start(
    hass, set_up, target
) -> None:
    door = await set_up(BARACK, lock=TARGET, settings=relocks())
    await let_in(hass, door)
    target.error = RuntimeError("stuck")
    await hass.config_entries.async_unload(door.entry.entry_id)
    target.error = None
    await hass.config_entries.async_setup(door.entry.entry_id)
    await wait(hass, 6)
    assert names(target) == ["unlock", "lock", "lock"]


@pytest.mark.parametrize("content", [{"locks": 5}, {"locks": [5]}, [], {}])
async def test_duties_that_cannot_be_read_may_be_any(
    hass, set_up, target, hass_storage, content
) -> None:
    door = await set_up(BARACK, lock=TARGET, settings=relocks())
    await hass.config_entries.async_unload(door.entry.entry_id)
    hass_storage[DUTIES] = {"version": 1, "minor_version": 1, "key": DUTIES, "data": content}
    target.put(is_locked=False)
    await hass.config_entries.async_setup(door.entry.entry_id)
    await wait(hass, 6)
    assert names(target) == ["lock"]


async def test_a_removed_household_leaves_no_duty(hass, set_up, target, hass_storage) -> None:
    door = await set_up(BARACK, lock=TARGET, settings=relocks())
    await let_in(hass, door)
    assert DUTIES in hass_storage
    await hass.config_entries.async_remove(door.entry.entry_id)
    assert DUTIES not in hass_storage
