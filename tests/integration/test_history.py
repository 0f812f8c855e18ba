"""The last visits to a door, as they are kept."""

from dataclasses import replace
from datetime import timedelta

import pytest
from homeassistant.util import dt as dt_util

from custom_components.face_lock.storage.history import MAX_VISITS, History, history_file
from custom_components.face_lock.visit import EVENT_UNKNOWN_FACE, Visit

from .conftest import VAULT, sealed, unsealed


def a_visit(number: int, *, person: str | None = None, age: timedelta = timedelta()) -> Visit:
    ended = dt_util.utcnow() - age
    return Visit(
        id=f"visit{number}",
        door="front",
        camera="camera.front_door",
        began=ended - timedelta(seconds=3),
        ended=ended,
        began_at=1.0,
        ended_at=4.0,
        outcome=EVENT_UNKNOWN_FACE,
        person=person,
        name=person,
        reason="unknown_face",
        confidence=0.25,
        response_time=None,
    )


@pytest.fixture
def history(hass):
    return lambda days=7: History(hass, VAULT, "front", days)


async def test_the_last_200_are_kept_encrypted(history, hass_storage) -> None:
    written = history()
    for number in range(MAX_VISITS + 5):
        written.add(a_visit(number))
    await written.async_save()
    assert "visit7" not in str(hass_storage[history_file("front")])
    assert len(unsealed(hass_storage, history_file("front"))["visits"]) == MAX_VISITS
    read = history()
    await read.async_load()
    assert read.visits == written.visits
    assert read.find() == written.find(f"visit{MAX_VISITS + 4}")
    assert read.find("visit5").duration == 3
    assert read.find("visit4") is None


async def test_they_go_after_so_many_days(history, hass_storage, freezer) -> None:
    kept = history(days=2)
    kept.add(a_visit(1, age=timedelta(days=1)))
    kept.add(a_visit(2))
    # From further ahead: nobody knows how old it is.
    kept.add(a_visit(3, age=timedelta(days=-3)))
    kept.expire()
    assert [visit.id for visit in kept.visits] == ["visit1", "visit2"]
    freezer.tick(timedelta(days=1, hours=1))
    kept.expire()
    assert [visit.id for visit in kept.visits] == ["visit2"]
    await kept.async_save()
    freezer.tick(timedelta(days=2))
    read = history(days=2)
    await read.async_load()
    assert read.visits == ()
    await read.async_save()
    assert history_file("front") not in hass_storage


async def test_visits_of_people_who_went_are_forgotten(history) -> None:
    kept = history()
    for number, person in enumerate(("ada", None, "bob")):
        kept.add(a_visit(number, person=person))
    kept.forget_all_but({"ada"})
    assert [visit.person for visit in kept.visits] == ["ada", None]


GOOD = {
    "id": "1",
    "door": "front",
    "camera": "camera.front_door",
    "began": "2026-11-24T08:00:00+00:00",
    "ended": "2026-11-24T08:00:03+00:00",
    "began_at": 1,
    "ended_at": 4,
    "outcome": "unknown_face",
    "person": None,
    "name": None,
    "reason": "unknown_face",
    "confidence": 0.25,
    "response_time": None,
    "picture": False,
}


@pytest.mark.parametrize(
    "content",
    [
        {},
        [],
        {"visits": 5},
        {"visits": [5]},
        {"visits": [{}]},
        {"visits": [GOOD | {"ended": "2026-11-24T08:00:03"}]},
        {"visits": [GOOD | {"ended": 5}]},
        {"visits": [GOOD | {"outcome": "party"}]},
        {"visits": [GOOD | {"person": 5}]},
        {"visits": [GOOD | {"confidence": "sure"}]},
        {"visits": [GOOD | {"id": None}]},
    ],
)
async def test_what_is_no_history_is_forgotten(
    history, hass_storage, freezer, caplog, content
) -> None:
    freezer.move_to("2026-11-24T09:00:00+00:00")
    name = history_file("front")
    hass_storage[name] = sealed({"visits": [GOOD]}, name, 1)
    read = history()
    await read.async_load()
    assert len(read.visits) == 1
    hass_storage[name] = sealed(content, name, 1)
    read = history()
    await read.async_load()
    assert read.visits == ()
    assert "cannot be read" in caplog.text
    await read.async_save()
    assert name not in hass_storage


async def test_a_plain_file_is_no_history(history, hass_storage) -> None:
    name = history_file("front")
    hass_storage[name] = {"version": 1, "minor_version": 1, "key": name, "data": {"visits": [GOOD]}}
    read = history()
    await read.async_load()
    assert read.visits == ()


async def test_a_full_disk_is_tried_again_with_the_next_visit(history, hass_storage, monkeypatch):
    kept = history()
    kept.add(a_visit(1))

    async def refuse(content: object) -> None:
        raise OSError("full")

    with monkeypatch.context() as full:
        full.setattr(kept._file, "async_save", refuse)
        await kept.async_save()
    kept.add(replace(a_visit(2), picture=True))
    await kept.async_save()
    read = history()
    await read.async_load()
    assert [(visit.id, visit.picture) for visit in read.visits] == [
        ("visit1", False),
        ("visit2", True),
    ]
