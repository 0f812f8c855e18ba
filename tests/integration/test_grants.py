"""From a grant to its record: what must hold for it, what it uses up, and what is written down."""

import asyncio
import stat
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from homeassistant.core import Context
from homeassistant.helpers.storage import Store
from homeassistant.util import dt as dt_util

from custom_components.face_lock.access import recorder
from custom_components.face_lock.access.codes import hash_code
from custom_components.face_lock.access.memory import Memory, async_forget, async_memory
from custom_components.face_lock.access.one_time_pass import Passes
from custom_components.face_lock.access.rules import barred, objection
from custom_components.face_lock.access.second_factor import SecondFactor
from custom_components.face_lock.const import DOMAIN
from custom_components.face_lock.people import people_of
from custom_components.face_lock.settings import DoorSettings, PersonSettings
from custom_components.face_lock.storage.checked_store import NotSavedError
from custom_components.face_lock.storage.history import history_file
from custom_components.face_lock.storage.lockout import MAX_FAILURES, LockoutStore
from custom_components.face_lock.storage.visit_picture import VisitPicture
from custom_components.face_lock.vision import DecisionPolicy, Lockout, Problem

from .conftest import FRONT, LOCK, TARGET, raw
from .test_visits import decided, granted

BARACK = {"Barack": ("obama", "obama2")}
PHONE = "device_tracker.phone"
FILE = f"{DOMAIN}.{FRONT}.lockout"
PICTURE = f"{DOMAIN}.{FRONT}.visit"


# The second factor

CODE = DoorSettings(code_hash="any")
ENTITY = DoorSettings(factor_entity=PHONE, factor_state="home")


@pytest.mark.parametrize(
    ("settings", "seconds"),
    [
        (DoorSettings(), 0),
        (CODE, 30),
        (ENTITY, 120),
        (replace(ENTITY, code_hash="any"), 120),
    ],
)
async def test_how_long_a_face_waits(hass, settings, seconds) -> None:
    assert SecondFactor(hass, settings, Memory()).wait == seconds


async def test_a_code_is_good_for_half_a_minute(hass) -> None:
    factor = SecondFactor(hass, CODE, Memory())
    assert factor.missing(1000)
    factor.take_code(1000)
    found = [factor.missing(now) for now in (999, 1000, 1029.9, 1030, 2000)]
    assert found == [True, False, False, True, True]
    factor.use()
    assert factor.missing(1001)
    assert not factor.missing(1001, code_taken=True)


@pytest.mark.parametrize(
    ("state", "missing"), [("home", False), ("not_home", True), ("unavailable", True), (None, True)]
)
async def test_an_entity_must_be_in_its_state(hass, state, missing) -> None:
    if state is not None:
        hass.states.async_set(PHONE, state)
    factor = SecondFactor(hass, ENTITY, Memory())
    assert factor.missing(1000) is missing
    # A code that was given does not stand for it.
    assert factor.missing(1000, code_taken=True) is missing


async def test_an_entity_and_a_code_are_both_needed(hass) -> None:
    factor = SecondFactor(hass, replace(ENTITY, code_hash="any"), Memory())
    hass.states.async_set(PHONE, "home")
    assert factor.missing(1000)
    factor.take_code(1000)
    assert not factor.missing(1000)
    hass.states.async_set(PHONE, "not_home")
    assert factor.missing(1000)


@pytest.mark.parametrize("after_restart", [False, True])
async def test_needed_at_each_visit_or_after_a_restart(hass, after_restart) -> None:
    memory = Memory()
    factor = SecondFactor(hass, replace(CODE, factor_after_restart=after_restart), memory)
    assert factor.missing(1000)
    memory.opened = True
    assert factor.missing(1000) is not after_restart


async def test_a_door_without_a_code_takes_none(hass) -> None:
    assert not await SecondFactor(hass, DoorSettings(), Memory()).async_is_code("2468")
    factor = SecondFactor(hass, DoorSettings(code_hash=hash_code("2468")), Memory())
    assert await factor.async_is_code("2468")
    assert not await factor.async_is_code("2469")


async def test_a_door_is_remembered_until_it_is_removed(hass) -> None:
    memory = async_memory(hass, "front")
    frames = memory.frames("camera.one")
    assert not frames.known(b"picture")
    assert async_memory(hass, "front") is memory
    assert memory.frames("camera.one").known(b"picture")
    assert not memory.frames("camera.other").known(b"picture")
    assert async_memory(hass, "back") is not memory
    async_forget(hass, "front")
    assert not async_memory(hass, "front").frames("camera.one").known(b"picture")
    async_forget(hass, "none")


# Who may come in

NOW = datetime(2026, 11, 24, 8, tzinfo=UTC)


@pytest.mark.parametrize(
    ("rules", "problem"),
    [
        ({}, None),
        ({"allowed": False}, Problem.SUSPENDED),
        ({"doors": frozenset({"front"})}, None),
        ({"doors": frozenset({"back"})}, Problem.OTHER_DOOR),
        ({"expires": NOW + timedelta(seconds=1)}, None),
        ({"expires": NOW}, Problem.EXPIRED),
        ({"schedule": "schedule.on"}, None),
        ({"schedule": "schedule.off"}, Problem.OUTSIDE_SCHEDULE),
        ({"schedule": "schedule.none"}, Problem.OUTSIDE_SCHEDULE),
    ],
)
async def test_rules(hass, freezer, rules, problem) -> None:
    freezer.move_to(NOW)
    hass.states.async_set("schedule.on", "on")
    hass.states.async_set("schedule.off", "off")
    person = PersonSettings(name="Ada", **rules)
    assert objection(hass, person, "front") is problem
    found = barred(hass, [("ada", person)], "front")
    assert found == ({} if problem is None else {"ada": problem})


def test_a_pass_is_for_a_day_at_most() -> None:
    passes = Passes()
    passes.give("ada", "rules", 86_400, 0)
    assert passes.holds("ada", "rules", 86_399)
    with pytest.raises(ValueError, match="up to a day"):
        passes.give("ada", "rules", 86_401, 0)


async def test_whom_a_pass_lets_in_is_barred_no_more(set_up) -> None:
    door = await set_up(BARACK)
    controller, residents = door.door.controller, door.household.residents
    assert controller.circumstances().barred == {}
    residents.async_set_allowed("barack", allowed=False)
    assert controller.circumstances().barred == {"barack": Problem.SUSPENDED}
    controller.passes.give("barack", residents.rules["barack"], 60, door.clock())
    assert controller.circumstances().barred == {}
    door.clock.jump(61)
    assert controller.circumstances().barred == {"barack": Problem.SUSPENDED}


async def test_a_pass_that_nobody_needs_is_not_used(hass, set_up, target) -> None:
    door = await set_up(BARACK, lock=TARGET)
    passes, rules = door.door.controller.passes, door.household.residents.rules["barack"]
    passes.give("barack", rules, 600, door.clock())
    door.door.controller.conclude(decided(granted(door, "barack")))
    assert (await door.access()).event_type == "access_granted"
    assert passes.holds("barack", rules, door.clock())


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda door: door.door.async_enable(enabled=False), "stopped"),
        (lambda door: [door.door.controller.lockout.fail(door.clock())] * 5, None),
        (
            lambda door: [door.door.controller.lockout.fail(door.clock()) for _ in range(5)],
            "locked_out",
        ),
        (
            lambda door: door.household.residents.async_set_allowed("barack", allowed=False),
            "suspended",
        ),
        (
            lambda door: door.hass.config_entries.async_remove_subentry(
                door.entry, people_of(door.entry)["barack"].subentry_id
            ),
            "unknown_face",
        ),
        (lambda door: door.hass.states.async_set(PHONE, "not_home"), "second_factor_missing"),
        (lambda door: door.door.controller.async_close(), "stopped"),
    ],
)
async def test_a_grant_must_still_hold_when_the_lock_is_told(
    hass, set_up, target, change, reason
) -> None:
    hass.states.async_set(PHONE, "home")
    security = {"factor_entity": PHONE, "factor_state": "home"}
    door = await set_up(BARACK, lock=TARGET, settings={"security": security})
    change(door)
    door.door.controller.conclude(decided(granted(door, "barack")))
    assert (await door.access()).reason == reason
    assert len(target.calls) == (reason is None)


# Whom the lock was opened for


async def test_the_name_goes_with_a_lock_that_did_not_open(hass, set_up, target) -> None:
    door = await set_up(BARACK, lock=TARGET)
    target.error = RuntimeError("bluetooth")
    seen = []
    target._on_command = lambda: seen.append(door.door.controller.opened_for)
    door.door.controller.conclude(decided(granted(door, "barack")))
    await door.access()
    # Known from the command on, as the lock's change may come while it is told.
    assert set(seen) == {"Barack"}
    assert door.door.controller.opened_for is None
    assert not door.door.memory.opened


async def test_a_grant_is_concluded_once_with_what_became_of_it(hass, set_up, target) -> None:
    door = await set_up(BARACK, lock=TARGET)
    told = []
    for error in (None, RuntimeError("bluetooth")):
        target.error = error
        made = decided(granted(door, "barack"))
        door.door.controller.conclude(replace(made, conclude=told.append))
        await door.until(lambda error=error: len(told) == (1 if error is None else 2))
    assert [(attempt.granted, attempt.problem) for attempt in told] == [
        (True, None),
        (False, Problem.LOCK_FAILED),
    ]
    assert door.door.memory.opened


async def test_a_refusal_commands_nothing_and_is_recorded(hass, set_up, target) -> None:
    door = await set_up(BARACK, lock=TARGET)
    told = []
    refused = replace(granted(door, "barack"), granted=False, problem=Problem.EXPIRED)
    door.door.controller.conclude(replace(decided(refused), conclude=told.append))
    access = await door.access()
    assert (access.event_type, access.reason) == ("access_denied", "expired")
    assert target.calls == []
    assert told == []
    assert not door.door.memory.opened


async def test_a_stop_waits_until_what_was_opened_is_recorded(
    hass, set_up, target, monkeypatch
) -> None:
    door = await set_up(BARACK, lock=TARGET, settings={"privacy": {"keep_last_visit": True}})
    running, going = asyncio.Event(), asyncio.Event()

    async def slow(self, *_: object) -> None:
        running.set()
        await going.wait()

    monkeypatch.setattr(VisitPicture, "async_save", slow)
    made = replace(decided(granted(door, "barack")), picture=raw("obama"))
    controller, history = door.door.controller, door.door.records.history
    controller.conclude(made)
    await running.wait()
    stopping = hass.async_create_task(controller.async_stop())
    await asyncio.sleep(0.05)
    assert not stopping.done()
    going.set()
    await stopping
    assert history.find().reason is None
    assert target.calls == [("unlock", None)]


# The lockout


async def test_the_owner_is_told_how_many_failures_there_were(hass, set_up) -> None:
    door = await set_up(BARACK)
    controller = door.door.controller
    assert await controller.async_end_lockout() == 0
    for _ in range(7):
        controller.lockout.fail(door.clock())
    assert controller.is_locked_out
    assert await controller.async_end_lockout() == 7
    assert not controller.is_locked_out


async def test_the_end_of_a_lockout_is_shown_at_once(hass, set_up) -> None:
    door = await set_up(BARACK)
    controller, told = door.door.controller, []
    door.door.async_add_listener(lambda: told.append(controller.is_locked_out))
    for _ in range(5):
        controller.lockout.fail(door.clock())
    await door.until(lambda: door.door.data.locked_out)
    told.clear()
    ending = controller.async_end_lockout()
    await ending
    assert told == [False]


@pytest.mark.parametrize("attempts", [0, 1])
async def test_the_first_failure_may_lock_out(hass, set_up, attempts) -> None:
    security = {"attempts": attempts, "code": hash_code("2468")}
    door = await set_up(BARACK, settings={"security": security})
    assert not door.door.controller.is_locked_out
    await door.door.controller.async_offer_code("1111")
    assert door.door.controller.is_locked_out


@pytest.mark.parametrize("trusted", [False, True])
async def test_who_is_listened_to_in_a_lockout(hass, set_up, trusted) -> None:
    door = await set_up(BARACK, settings={"security": {"code": hash_code("2468")}})
    controller = door.door.controller
    for _ in range(5):
        await controller.async_offer_code("1111")
    assert controller.is_locked_out
    assert not await controller.async_offer_code("1111", trusted=trusted)
    assert controller.lockout.failures == (6 if trusted else 5)
    assert await controller.async_offer_code("2468", trusted=trusted) is trusted
    assert controller.is_locked_out is not trusted
    assert controller.circumstances().factor_missing is not trusted


async def test_a_wrong_code_is_on_the_disk_before_it_is_answered(
    hass, set_up, hass_storage
) -> None:
    door = await set_up(BARACK, settings={"security": {"code": hash_code("2468")}})
    assert not await door.door.controller.async_offer_code("1111")
    assert hass_storage[FILE]["data"]["failures"] == 1
    assert await door.door.controller.async_offer_code("2468")
    assert hass_storage[FILE]["data"] == {"failures": 0, "remaining": 0}


@pytest.fixture
def store(hass):
    return LockoutStore(hass, FRONT)


def failed(times: int, now: float = 1000.0) -> Lockout:
    lockout = Lockout(DecisionPolicy())
    for _ in range(times):
        lockout.fail(now)
    return lockout


async def test_a_lockout_file_is_private(hass, disk, store) -> None:
    await store.async_save(failed(2), 1000)
    assert stat.S_IMODE((disk / FILE).stat().st_mode) == 0o600


async def test_a_lockout_is_what_it_was(hass, store, hass_storage) -> None:
    await store.async_load()
    lockout = failed(5)
    assert not store.is_saved(lockout)
    await store.async_save(lockout, 1010)
    assert store.is_saved(lockout)
    assert not store.is_saved(failed(4))
    assert hass_storage[FILE]["data"] == {"failures": 5, "remaining": 20}
    again = LockoutStore(hass, FRONT)
    await again.async_load()
    assert again.is_saved(lockout)
    restored = again.restore(DecisionPolicy(), 5000)
    assert restored.failures == 5
    assert restored.locked(5019.9)
    assert not restored.locked(5020)


async def test_without_a_file_there_is_no_lockout(store) -> None:
    await store.async_load()
    restored = store.restore(DecisionPolicy(), 5000)
    assert restored.failures == 0
    assert not restored.locked(5000)
    assert store.is_saved(restored)


async def test_an_unreadable_lockout_is_the_first_one(store, hass_storage) -> None:
    hass_storage[FILE] = {"version": 1, "minor_version": 1, "key": FILE, "data": {}}
    await store.async_load()
    policy = DecisionPolicy(attempts=3, lockout_base=40)
    restored = store.restore(policy, 5000)
    assert restored.failures == 3
    assert restored.locked(5039)
    assert not restored.locked(5041)
    assert not store.is_saved(restored)
    await store.async_save(restored, 5001)
    assert hass_storage[FILE]["data"] == {"failures": 3, "remaining": 39}


async def test_a_lockout_is_written_when_it_changes(store, monkeypatch) -> None:
    written = []

    async def save(self, data) -> None:
        written.append(data["failures"])

    monkeypatch.setattr(Store, "async_save", save)
    for times in (0, 1, 1, 2):
        await store.async_save(failed(times), 1000)
    assert written == [1, 2]


async def test_a_lockout_that_the_disk_refuses_is_written_later(store, monkeypatch, caplog) -> None:
    async def full(*_: object) -> None:
        raise NotSavedError

    lockout = failed(2)
    with monkeypatch.context() as patch:
        patch.setattr(Store, "async_save", full)
        await store.async_save(lockout, 1000)
    assert "cannot be stored" in caplog.text
    assert not store.is_saved(lockout)
    await store.async_save(lockout, 1000)
    assert store.is_saved(lockout)


async def test_a_number_of_failures_that_json_cannot_hold(store, hass_storage) -> None:
    data = {"failures": 10**30, "remaining": 0}
    hass_storage[FILE] = {"version": 1, "minor_version": 1, "key": FILE, "data": data}
    await store.async_load()
    assert store.restore(DecisionPolicy(), 5000).failures == MAX_FAILURES


# The record


async def record(door, attempt, *, picture: bytes | None = None):
    door.door.controller.conclude(replace(decided(attempt), picture=picture))
    await door.access()
    return door.door.records.history.find()


async def test_the_times_of_a_record(hass, set_up, target) -> None:
    door = await set_up(BARACK, lock=TARGET)
    door.clock.stop()
    now, before = door.clock(), dt_util.utcnow()
    attempt = replace(
        granted(door, "barack"),
        started_at=now - 9,
        first_usable_at=now - 6,
        decided_at=now - 1.5,
        evidence_at=now - 1.6,
    )
    # It takes the lock two seconds to open.
    target._on_command = lambda: door.clock.jump(2)
    visit = await record(door, attempt)
    assert visit.reason is None
    assert visit.response_time == pytest.approx(8)
    assert (visit.began_at, visit.ended_at) == (now - 9, now - 1.5)
    assert before <= visit.ended + timedelta(seconds=3.5) <= dt_util.utcnow()
    assert visit.ended - visit.began == timedelta(seconds=7.5)
    assert (visit.person, visit.name, visit.door) == ("barack", "Barack", FRONT)
    assert visit.confidence == 0.99
    assert not visit.picture


async def test_the_response_time_of_a_refusal_ends_with_the_decision(hass, set_up) -> None:
    door = await set_up(BARACK)
    now = door.clock()
    attempt = replace(
        granted(door, "barack"),
        granted=False,
        problem=Problem.SUSPENDED,
        first_usable_at=now - 6,
        decided_at=now - 1,
    )
    assert (await record(door, attempt)).response_time == pytest.approx(5)


async def test_nothing_is_kept_of_somebody_who_is_not_enrolled(hass, set_up) -> None:
    door = await set_up(BARACK)
    attempt = replace(granted(door, "eve"), granted=False, problem=Problem.SUSPENDED)
    visit = await record(door, attempt)
    assert (visit.person, visit.name) == (None, None)


@pytest.mark.parametrize("wanted", [True, False])
async def test_a_visit_says_whether_its_picture_is_kept(hass, set_up, hass_storage, wanted) -> None:
    door = await set_up(BARACK, settings={"privacy": {"keep_last_visit": wanted}})
    visit = await record(door, granted(door, "barack"), picture=raw("obama"))
    assert visit.picture is wanted
    if wanted:
        picture = door.door.records.picture
        assert await picture.async_load(visit.id) is not None
        # It goes with whom it shows.
        await picture.async_forget_all_but({"barack"})
        assert await picture.async_load(visit.id) is not None
        await picture.async_forget_all_but(set())
        assert PICTURE not in hass_storage


async def test_the_picture_of_an_unknown_visitor_shows_nobody_enrolled(hass, set_up) -> None:
    door = await set_up(BARACK, settings={"privacy": {"keep_last_visit": True}})
    attempt = replace(
        granted(door, "barack"), person=None, granted=False, problem=Problem.UNKNOWN_FACE
    )
    visit = await record(door, attempt, picture=raw("biden"))
    await door.door.records.picture.async_forget_all_but(set())
    assert await door.door.records.picture.async_load(visit.id) is not None


@pytest.mark.parametrize("fault", ["no picture", "full"])
async def test_a_picture_that_cannot_be_kept_ends_no_record(
    hass, set_up, monkeypatch, fault
) -> None:
    door = await set_up(BARACK, settings={"privacy": {"keep_last_visit": True}})

    async def full(*_: object) -> None:
        raise NotSavedError

    if fault == "full":
        monkeypatch.setattr(VisitPicture, "async_save", full)
    picture = raw("obama") if fault == "full" else b"<html>"
    visit = await record(door, granted(door, "barack"), picture=picture)
    assert visit.reason is None
    assert not visit.picture


async def test_a_picture_that_takes_long_is_not_waited_for(hass, set_up, monkeypatch) -> None:
    monkeypatch.setattr(recorder, "PICTURE_TIMEOUT", 0.01)
    door = await set_up(BARACK, settings={"privacy": {"keep_last_visit": True}})
    saving = asyncio.Event()

    async def slow(*_: object) -> None:
        await saving.wait()

    monkeypatch.setattr(VisitPicture, "async_save", slow)
    visit = await record(door, granted(door, "barack"), picture=raw("obama"))
    assert not visit.picture
    saving.set()


async def test_a_visit_is_told_when_it_is_recorded_and_then_written(
    hass, set_up, hass_storage
) -> None:
    door = await set_up(BARACK)
    told = []
    door.door.async_subscribe_visits(
        lambda visit: told.append((visit, door.door.records.history.find()))
    )
    visit = await record(door, granted(door, "barack"))
    assert told == [(visit, visit)]
    await door.until(lambda: history_file(FRONT) in hass_storage)


async def test_a_hand_takes_the_name_away(hass, set_up, target) -> None:
    door = await set_up(BARACK, lock=TARGET)
    door.door.controller.conclude(decided(granted(door, "barack")))
    await door.access()
    assert door.door.controller.opened_for == "Barack"
    await hass.services.async_call(
        "lock", "unlock", {"entity_id": LOCK}, blocking=True, context=Context()
    )
    assert door.door.controller.opened_for is None
