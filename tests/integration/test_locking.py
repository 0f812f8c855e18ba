"""The parts of locking, each by itself: the timer, what a lock says, the duties, the commands."""

import asyncio
from datetime import timedelta

import pytest
from homeassistant.components.lock.const import LockState
from homeassistant.helpers import issue_registry as ir
from homeassistant.helpers.storage import Store
from homeassistant.util import dt as dt_util
from pytest_homeassistant_custom_component.common import async_fire_time_changed

from custom_components.face_lock.const import DOMAIN
from custom_components.face_lock.locking import unlock
from custom_components.face_lock.locking.answer import Answer, async_bolts, async_lock_state
from custom_components.face_lock.locking.auto_lock import AutoLock, OutOfReachError
from custom_components.face_lock.locking.driver import LockFailedError
from custom_components.face_lock.locking.unlock import async_carry_out
from custom_components.face_lock.storage.duties import Duties, duties_file
from custom_components.face_lock.vision import AccessAttempt, Opening, Problem

from .conftest import FRONT, TARGET
from .test_relock import let_in, names, relocks, wait

BARACK = {"Barack": ("obama", "obama2")}
FILE = duties_file("household")


class Bolt:
    """What a timer locks, and everything that it tells."""

    def __init__(self, hass) -> None:
        self.hass = hass
        self.held = False
        self.errors: list[Exception] = []
        """Raised in turn."""
        self.meanwhile = lambda: None
        self.locked = 0
        self.done: list[Exception | None] = []
        self.pending: list[bool] = []
        self.timer = AutoLock(
            hass,
            lambda: self.held,
            self.lock,
            on_done=self.done.append,
            on_pending=self.pending.append,
        )
        self.now = dt_util.utcnow()

    async def lock(self) -> None:
        self.locked += 1
        self.meanwhile()
        if self.errors:
            raise self.errors.pop(0)

    async def at(self, seconds: float) -> int:
        """Let it be so many seconds after the beginning; return how often it was locked."""
        async_fire_time_changed(self.hass, self.now + timedelta(seconds=seconds))
        await self.hass.async_block_till_done()
        return self.locked


@pytest.fixture
def bolt(hass):
    bolt = Bolt(hass)
    yield bolt
    bolt.timer.async_cancel()


# The timer


@pytest.mark.parametrize("seconds", [0, -1])
async def test_without_a_time_it_is_never_locked(bolt, seconds) -> None:
    bolt.timer.async_start(seconds)
    assert not bolt.timer.is_pending
    assert await bolt.at(100_000) == 0
    assert bolt.pending == []


async def test_locked_once_and_no_duty_is_left(bolt) -> None:
    bolt.timer.async_start(10)
    assert bolt.timer.is_pending
    assert await bolt.at(9) == 0
    assert await bolt.at(11) == 1
    assert not bolt.timer.is_pending
    assert await bolt.at(1000) == 1
    assert bolt.pending == [True, False]
    assert bolt.done == [None]


@pytest.mark.parametrize("times", [(60, 5), (5, 60)])
async def test_of_several_times_the_latest_counts(bolt, times) -> None:
    for seconds in times:
        bolt.timer.async_start(seconds)
    assert await bolt.at(50) == 0
    assert await bolt.at(61) == 1
    assert await bolt.at(1000) == 1
    assert bolt.pending == [True, False]


async def test_a_time_after_the_last_one_was_over_counts(bolt) -> None:
    bolt.timer.async_start(60)
    await bolt.at(61)
    bolt.timer.async_start(5)
    assert await bolt.at(10) == 2


async def test_while_it_is_held_it_is_looked_at_each_second(bolt) -> None:
    bolt.held = True
    bolt.timer.async_start(10)
    assert await bolt.at(11) == 0
    assert bolt.timer.is_pending
    bolt.held = False
    assert await bolt.at(12.5) == 1


async def test_whoever_locks_it_ends_the_timer(bolt) -> None:
    bolt.timer.async_start(10)
    bolt.timer.async_cancel()
    assert await bolt.at(1000) == 0
    assert bolt.pending == [True, False]
    bolt.timer.async_cancel()
    assert bolt.pending == [True, False]


async def test_a_lock_that_fails_is_asked_three_times_more(bolt) -> None:
    bolt.errors = [OSError("motor")] * 10
    bolt.timer.async_start(10)
    found = [await bolt.at(seconds) for seconds in (11, 29, 45, 80, 115, 150, 1000, 2000)]
    assert found == [1, 1, 2, 3, 4, 4, 4, 4]
    assert bolt.timer.is_pending
    assert len(bolt.done) == 4
    # Opened once more, it has as many tries again.
    bolt.timer.async_start(10)
    for _ in range(10):
        bolt.now += timedelta(seconds=100)
        await bolt.at(2000)
    assert bolt.locked == 8


async def test_a_lock_out_of_reach_is_asked_until_it_is_there(bolt) -> None:
    bolt.errors = [OutOfReachError()] * 20
    bolt.timer.async_start(10)
    for number in range(21):
        assert await bolt.at(11 + 31 * number) == number + 1
    assert not bolt.timer.is_pending
    assert [isinstance(error, OutOfReachError) for error in bolt.done] == [True] * 20 + [False]


@pytest.mark.parametrize("error", [None, OSError("motor"), OutOfReachError()])
async def test_opened_again_while_it_is_being_locked(bolt, error) -> None:
    """Then it is locked once more when the new time is over, and not before."""
    bolt.timer.async_start(10)
    bolt.meanwhile = lambda: bolt.timer.async_start(600)
    bolt.errors = [] if error is None else [error]
    assert await bolt.at(11) == 1
    assert bolt.timer.is_pending
    assert bolt.done == [error]
    bolt.meanwhile = lambda: None
    assert await bolt.at(500) == 1
    assert await bolt.at(620) == 2
    assert bolt.pending == [True, False]


@pytest.mark.parametrize("error", [None, OSError("motor"), OutOfReachError()])
async def test_at_the_end_it_is_locked_at_once_and_no_timer_is_left(bolt, error) -> None:
    bolt.timer.async_start(600)
    bolt.errors = [] if error is None else [error]
    await bolt.timer.async_finish()
    assert bolt.locked == 1
    assert bolt.done == [error]
    # What could not be locked is still to be, by the next start.
    assert bolt.timer.is_pending is (error is not None)
    assert await bolt.at(10_000) == 1


async def test_at_the_end_nothing_is_locked_that_was_not_opened(bolt) -> None:
    await bolt.timer.async_finish()
    assert bolt.locked == 0


async def test_a_lock_that_jams_is_not_locked(hass, set_up, target) -> None:
    door = await set_up(BARACK, lock=TARGET, settings=relocks())
    await let_in(hass, door)
    target.answer = lambda: target.put(is_jammed=True)
    await wait(hass, 8)
    assert ir.async_get(hass).async_get_issue(DOMAIN, f"not_relocked_{FRONT}")
    target.answer = None
    await wait(hass, 60)
    assert names(target) == ["unlock", "lock", "lock"]
    assert not ir.async_get(hass).async_get_issue(DOMAIN, f"not_relocked_{FRONT}")


async def test_what_was_left_undone_is_not_done_before_the_locks_are_there(
    hass, set_up, target
) -> None:
    """Home Assistant restores them in the first seconds."""
    door = await set_up(BARACK, lock=TARGET, settings=relocks())
    await let_in(hass, door)
    target.error = RuntimeError("stuck")
    await hass.config_entries.async_unload(door.entry.entry_id)
    target.error = None
    target.calls.clear()
    target.set_available(False)
    await hass.config_entries.async_setup(door.entry.entry_id)
    # What it is restored as is not what it is.
    target.put(is_locked=True)
    target.set_available(True)
    await wait(hass, 4)
    assert names(target) == []
    await wait(hass, 6)
    assert names(target) == ["lock"]


# What a lock says


@pytest.mark.parametrize(
    ("members", "says"),
    [
        (("locked", "locked"), LockState.LOCKED),
        (("locked", "unlocked"), LockState.LOCKED),
        (("unlocked", "unlocked"), LockState.UNLOCKED),
        (("open", "unlocked"), LockState.OPEN),
        (("unlocking", "locked"), LockState.UNLOCKING),
        (("locking", "unlocking"), LockState.LOCKING),
        (("opening", "locking"), LockState.OPENING),
        (("jammed", "opening"), LockState.JAMMED),
        (("unavailable", "unlocked"), LockState.UNLOCKED),
        (("unavailable", "unknown"), None),
    ],
)
async def test_a_group_is_locked_as_long_as_one_of_its_locks_is(hass, members, says) -> None:
    for name, state in zip(("lock.one", "lock.other"), members, strict=True):
        hass.states.async_set(name, state)
    names = ["lock.one", "lock.other", "switch.light"]
    hass.states.async_set("lock.both", "unlocked", {"entity_id": names})
    assert async_lock_state(hass, "lock.both") is says
    assert set(async_bolts(hass, "lock.both")) == {"lock.one", "lock.other"}


async def test_groups_of_groups_that_hold_one_another(hass) -> None:
    hass.states.async_set("lock.one", "locked")
    hass.states.async_set("lock.in", "unlocked", {"entity_id": ("lock.one", "lock.out")})
    hass.states.async_set("lock.out", "unlocked", {"entity_id": ["lock.in"]})
    assert async_bolts(hass, "lock.out") == ["lock.one"]
    assert async_lock_state(hass, "lock.out") is LockState.LOCKED


@pytest.mark.parametrize("members", [None, [], "lock.one"])
async def test_a_lock_without_members_is_one_by_itself(hass, members) -> None:
    hass.states.async_set("lock.one", "locked", {"entity_id": members})
    assert async_bolts(hass, "lock.one") == ["lock.one"]
    assert async_lock_state(hass, "lock.one") is LockState.LOCKED


async def test_a_lock_that_is_not_there_says_nothing(hass) -> None:
    assert async_lock_state(hass, "lock.none") is None


@pytest.mark.parametrize(
    ("states", "moves", "opened"),
    [
        (["unlocked"], False, True),
        (["unlocked"], True, None),
        (["unlocked", "locked", "unlocked"], True, True),
        (["unlocked", "unavailable", "unlocked"], True, None),
        (["locked", "open"], True, True),
        (["locked", "jammed"], False, False),
        (["jammed"], False, None),
        (["jammed", "locked"], False, None),
        (["jammed", "locked", "jammed"], False, False),
        (["jammed", "unlocked"], False, True),
    ],
)
async def test_what_a_lock_says_after_a_command(hass, states, moves, opened) -> None:
    """The first state is that before the command; an answer of None is still waited for."""
    hass.states.async_set("lock.one", states[0])
    with Answer(hass, "lock.one") as answer:
        assert answer.before == states[0]
        waiting = asyncio.ensure_future(answer.async_open(moves=moves))
        for state in states[1:]:
            hass.states.async_set("lock.one", state)
            await hass.async_block_till_done()
        await asyncio.sleep(0)
        assert (waiting.result() if waiting.done() else None) is opened
        waiting.cancel()


async def test_after_its_end_an_answer_listens_no_more(hass) -> None:
    hass.states.async_set("lock.one", "locked")
    with Answer(hass, "lock.one") as answer:
        pass
    hass.states.async_set("lock.one", "jammed")
    await hass.async_block_till_done()
    assert not answer.jammed


# The duties


@pytest.fixture
def duties(hass):
    return Duties(hass, "household")


async def test_duties_are_kept(hass, duties, hass_storage) -> None:
    await duties.async_load()
    assert not duties.includes("lock.one")
    duties.async_set("lock.two", pending=True)
    duties.async_set("lock.one", pending=True)
    await hass.async_block_till_done()
    assert hass_storage[FILE]["data"] == {"locks": ["lock.one", "lock.two"]}
    duties.async_set("lock.one", pending=False)
    await hass.async_block_till_done()
    again = Duties(hass, "household")
    await again.async_load()
    assert again.includes("lock.two")
    assert not again.includes("lock.one")


async def test_duties_of_locks_that_no_door_opens_are_forgotten(hass, duties, hass_storage) -> None:
    for lock in ("lock.one", "lock.two"):
        duties.async_set(lock, pending=True)
    duties.async_forget_all_but({"lock.two", "lock.three"})
    await duties.async_write()
    assert hass_storage[FILE]["data"] == {"locks": ["lock.two"]}
    assert not duties.includes("lock.one")
    await hass.async_block_till_done()


async def test_duties_are_written_when_they_change(hass, duties, monkeypatch) -> None:
    written = []

    async def save(self, data) -> None:
        written.append(data["locks"])

    monkeypatch.setattr(Store, "async_save", save)
    await duties.async_load()
    await duties.async_write()
    for _ in range(3):
        duties.async_set("lock.one", pending=True)
        await hass.async_block_till_done()
    assert written == [["lock.one"]]


async def test_a_duty_that_the_disk_refuses_holds_and_is_written_later(
    hass, duties, hass_storage, monkeypatch, caplog
) -> None:
    async def full(*_: object) -> None:
        raise OSError("no space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Store, "async_save", full)
        duties.async_set("lock.one", pending=True)
        await hass.async_block_till_done()
    assert "cannot be stored" in caplog.text
    assert duties.includes("lock.one")
    await duties.async_write()
    assert hass_storage[FILE]["data"] == {"locks": ["lock.one"]}


async def test_a_file_that_cannot_be_read_is_written_anew(hass, duties, hass_storage) -> None:
    hass_storage[FILE] = {"version": 1, "minor_version": 1, "key": FILE, "data": {"locks": 5}}
    await duties.async_load()
    assert duties.includes("lock.any")
    await duties.async_write()
    assert hass_storage[FILE]["data"] == {"locks": []}


# Carrying out a grant


def opening(now: float = 100.0) -> Opening:
    attempt = AccessAttempt(
        granted=True,
        person="ada",
        problem=None,
        confidence=0.99,
        started_at=now,
        decided_at=now,
        first_usable_at=now,
        frames=3,
        agreeing=3,
    )
    return Opening(attempt, max_age=2.0)


@pytest.mark.parametrize(
    ("errors", "problem", "commands"),
    [
        ([], None, 1),
        ([OSError("motor")], None, 2),
        ([OSError("motor")] * 5, Problem.LOCK_FAILED, 2),
        ([LockFailedError(Problem.LOCK_UNAVAILABLE)], None, 2),
        ([LockFailedError(Problem.LOCK_JAMMED)], Problem.LOCK_JAMMED, 1),
        ([LockFailedError(Problem.LOCK_TIMEOUT)], Problem.LOCK_TIMEOUT, 1),
    ],
)
async def test_a_failed_command_is_given_once_more_after_a_moment(
    monkeypatch, errors, problem, commands
) -> None:
    slept = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    monkeypatch.setattr(unlock.asyncio, "sleep", sleep)
    asked, errors = [], list(errors)

    async def command() -> None:
        asked.append("command")
        if errors:
            raise errors.pop(0)

    outcome = await async_carry_out(
        opening(), command, lambda: asked.append("objection"), lambda: 100.0
    )
    assert (outcome.granted, outcome.problem) == (problem is None, problem)
    # Each command is asked about right before.
    assert asked == ["objection", "command"] * commands
    assert slept == [unlock.RETRY_AFTER] * (commands - 1)


async def test_an_objection_is_the_end(monkeypatch) -> None:
    commanded = []

    async def command() -> None:
        commanded.append(True)

    outcome = await async_carry_out(opening(), command, lambda: Problem.SUSPENDED, lambda: 100.0)
    assert (outcome.granted, outcome.problem) == (False, Problem.SUSPENDED)
    assert commanded == []


async def test_a_grant_with_old_frames_commands_nothing() -> None:
    commanded = []

    async def command() -> None:
        commanded.append(True)

    outcome = await async_carry_out(opening(), command, lambda: None, lambda: 102.1)
    assert (outcome.granted, outcome.problem) == (False, Problem.STALE_FRAMES)
    assert commanded == []


async def test_a_command_that_is_cancelled_has_an_outcome() -> None:
    grant, waiting = opening(), asyncio.Event()
    carrying = asyncio.ensure_future(
        async_carry_out(grant, waiting.wait, lambda: None, lambda: 100.0)
    )
    await asyncio.sleep(0)
    carrying.cancel()
    with pytest.raises(asyncio.CancelledError):
        await carrying
    assert grant.outcome.problem is Problem.STOPPED
