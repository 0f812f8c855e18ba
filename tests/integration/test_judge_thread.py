"""The liveness judge is heard beside the event loop, and nothing is decided on what held before."""

import threading

import pytest

from custom_components.face_lock import coordinator, vision
from custom_components.face_lock.people import people_of

from .conftest import TARGET

LIVE = {"security": {"liveness": "basic"}}


class Judge:
    """Takes its time: it answers once it is let go."""

    def __init__(self) -> None:
        self.threads: set[str] = set()
        self.asked = 0
        self.go = threading.Event()
        self.answer: vision.Problem | None = None

    def __call__(self, _evidence: object) -> vision.Problem | None:
        self.asked += 1
        self.threads.add(threading.current_thread().name)
        assert self.go.wait(20)
        return self.answer


@pytest.fixture
def judge(monkeypatch):
    judge = Judge()
    monkeypatch.setattr(coordinator, "judge", lambda *_: judge)
    yield judge
    judge.go.set()


@pytest.fixture
async def waiting(set_up, camera, target, judge):
    """A door at which a complete quorum waits for the judge."""
    door = await set_up({"Barack": ("obama", "obama2")}, lock=TARGET, settings=LIVE)
    camera.show("obama3")
    await door.until(lambda: judge.asked)
    return door


async def test_the_judge_is_heard_in_the_cameras_thread(hass, waiting, target, judge) -> None:
    # The event loop goes on while the judge thinks.
    assert waiting.watcher.in_visit
    assert not target.calls
    judge.go.set()
    access = await waiting.access()
    assert (access.event_type, access.person) == ("access_granted", "Barack")
    assert len(target.calls) == 1
    assert all(name.startswith("face_lock") for name in judge.threads)


async def test_what_it_refuses_opens_nothing(waiting, target, judge) -> None:
    judge.answer = vision.Problem.NOT_LIVE
    judge.go.set()
    assert (await waiting.access()).event_type == "liveness_failed"
    assert not target.calls


async def test_who_is_suspended_while_the_judge_thinks_is_not_let_in(
    hass, waiting, target, judge
) -> None:
    waiting.household.residents.async_set_allowed("barack", allowed=False)
    judge.go.set()
    access = await waiting.access()
    assert (access.event_type, access.reason) == ("access_denied", "suspended")
    assert not target.calls


async def test_what_is_switched_off_while_the_judge_thinks_stays_shut(
    hass, waiting, camera, target, judge
) -> None:
    waiting.door.async_enable(enabled=False)
    judge.go.set()
    assert (await waiting.access()).reason == "stopped"
    await waiting.idle()
    await hass.async_block_till_done()
    assert not target.calls
    assert len(waiting.accesses) == 1


async def test_a_lockout_that_begins_while_the_judge_thinks_holds(
    hass, waiting, target, judge
) -> None:
    for _ in range(waiting.door.settings.attempts):
        await waiting.door.controller.async_offer_code("wrong")
    assert waiting.door.controller.is_locked_out
    judge.go.set()
    await waiting.recognised(4)
    await hass.async_block_till_done()
    assert not target.calls


async def test_a_judge_that_thinks_for_too_long_is_asked_again(
    hass, waiting, camera, target, judge
) -> None:
    """Nobody is let in on frames that were fresh when it began."""
    camera.show()
    waiting.clock.jump(5)
    judge.go.set()
    assert (await waiting.access()).event_type == "access_denied"
    await waiting.frames(camera, 5)
    await hass.async_block_till_done()
    assert not target.calls


async def test_a_door_that_stops_while_the_judge_thinks(hass, waiting, target, judge) -> None:
    unload = hass.async_create_task(hass.config_entries.async_unload(waiting.entry.entry_id))
    await waiting.until(lambda: waiting.accesses or unload.done())
    judge.go.set()
    await unload
    await hass.async_block_till_done()
    assert not target.calls


async def test_a_person_removed_while_the_judge_thinks_is_not_let_in(
    hass, waiting, target, judge
) -> None:
    (subentry,) = people_of(waiting.entry).values()
    hass.config_entries.async_remove_subentry(waiting.entry, subentry.subentry_id)
    judge.go.set()
    await waiting.recognised(4)
    await hass.async_block_till_done()
    assert not target.calls
