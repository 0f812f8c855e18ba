"""What the owner says of visits, by action, and handing it over for training."""

import csv
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
from homeassistant.exceptions import ServiceValidationError
from homeassistant.util import dt as dt_util
from PIL import Image

from custom_components.face_lock.access import Access
from custom_components.face_lock.const import DOMAIN
from custom_components.face_lock.memory import MAX_VISITS, TOLERANCE, Visits
from custom_components.face_lock.vision import AccessAttempt, Problem

from .conftest import EVENT, unsealed

BARACK = {"Barack": ("obama", "obama2")}
PICTURE_KEPT = {"privacy": {"keep_last_visit": True}}


def records(hass_storage, door) -> list[dict]:
    return unsealed(hass_storage, f"{DOMAIN}.{door.entry.entry_id}.feedback")["records"]


async def visit(door, camera, name: str, number: int = 1):
    camera.show(name)
    access = await door.access(number)
    await door.leave(camera)
    await door.until(lambda: not door.entry.runtime_data.watcher._decider.in_visit)
    await door.hass.async_block_till_done()
    return access


async def test_feedback_on_the_last_visit(set_up, call, camera, hass_storage) -> None:
    door = await set_up(BARACK, settings=PICTURE_KEPT)
    gallery = door.entry.runtime_data.store.gallery()
    await visit(door, camera, "obama3")
    answer = await call("feedback", verdict="that_was_me")
    told = dt_util.parse_datetime(door.state(EVENT))
    assert abs(dt_util.parse_datetime(answer["visit"]) - told) < TOLERANCE
    del answer["visit"]
    assert answer == {
        "person": "Barack",
        "person_id": "barack",
        "verdict": "that_was_me",
        "picture": True,
    }
    (record,) = records(hass_storage, door)
    assert record["person"] == "barack"
    assert record["verdict"] == "that_was_me"
    assert record["decision"] == "access_granted"
    point = door.entry.runtime_data.bundle.thresholds.operating_point(1e-4)
    assert record["similarity"] > point.threshold + 0.1
    assert record["model"] == door.entry.runtime_data.bundle.verifier.model
    # It changes nothing in who is let in.
    after = door.entry.runtime_data.store.gallery()
    assert after.keys() == gallery.keys()
    for old, new in zip(gallery["barack"], after["barack"], strict=True):
        assert np.array_equal(old.embedding, new.embedding)


async def test_feedback_on_a_wrong_refusal(set_up, call, camera, hass_storage) -> None:
    door = await set_up(BARACK)
    await visit(door, camera, "biden")
    with pytest.raises(ServiceValidationError) as error:
        await call("feedback", verdict="that_was_me")
    assert error.value.translation_key == "visit_of_nobody"
    answer = await call("feedback", verdict="that_was_me", person="Barack")
    assert (answer["person_id"], answer["picture"]) == ("barack", False)
    answer = await call("feedback", verdict="that_was_not_me")
    assert answer["person_id"] is None
    first, second = records(hass_storage, door)
    assert (first["person"], first["verdict"]) == ("barack", "that_was_me")
    assert (second["person"], second["verdict"]) == (None, "that_was_not_me")
    for record in (first, second):
        assert record["decision"] == "unknown_face"
        assert record["similarity"] is None
        assert record["crop"] is None


async def test_feedback_on_a_visit_by_its_time(set_up, call, camera, hass_storage) -> None:
    door = await set_up(BARACK, settings=PICTURE_KEPT)
    await visit(door, camera, "obama3")
    first = door.state(EVENT)
    # The wall clock passes as in a real day, so that the visits can be told apart.
    visits = door.entry.runtime_data.memory.visits
    visits._visits[0] = replace(
        visits._visits[0], when=visits._visits[0].when - timedelta(minutes=5)
    )
    when = dt_util.parse_datetime(first) - timedelta(minutes=5)
    await visit(door, camera, "biden", 2)
    answer = await call("feedback", verdict="that_was_not_me", visit=when.isoformat())
    assert answer["person"] == "Barack"
    # Only the last visit's picture is kept.
    assert answer["picture"] is False
    # A time without a zone is Home Assistant's own.
    local = dt_util.as_local(when).replace(tzinfo=None).isoformat(sep=" ", timespec="seconds")
    assert (await call("feedback", verdict="that_was_not_me", visit=local))["person"] == "Barack"
    with pytest.raises(ServiceValidationError) as error:
        await call("feedback", verdict="that_was_me", visit="2020-01-01 12:00:00")
    assert error.value.translation_key == "visit_unknown"
    assert [r["decision"] for r in records(hass_storage, door)] == ["access_granted"] * 2


async def test_no_visit_no_feedback_and_no_other_word(set_up, call) -> None:
    await set_up(BARACK)
    with pytest.raises(ServiceValidationError) as error:
        await call("feedback", verdict="that_was_me")
    assert error.value.translation_key == "visit_unknown"
    with pytest.raises(Exception, match="verdict"):
        await call("feedback", verdict="perhaps")


# Export


async def test_export(hass, set_up, call, camera, folder) -> None:
    door = await set_up(BARACK, settings=PICTURE_KEPT)
    await visit(door, camera, "obama3")
    await call("feedback", verdict="that_was_me")
    await call("feedback", verdict="that_was_not_me")
    target = folder / "training" / "november"
    answer = await call("export_feedback", folder=str(target))
    assert answer == {"folder": str(target), "number": 2}
    with (target / "feedback.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["verdict"] for row in rows] == ["that_was_me", "that_was_not_me"]
    assert rows[0]["file"].startswith("barack/")
    for row in rows:
        with Image.open(target / row["file"]) as image:
            assert image.size == (112, 112)
    with pytest.raises(ServiceValidationError) as error:
        await call("export_feedback", folder=str(target))
    assert error.value.translation_key == "folder_not_empty"


async def test_export_only_where_it_may_be_written(hass, set_up, call, folder, tmp_path) -> None:
    await set_up(BARACK)
    (folder / "out").symlink_to(tmp_path)
    (folder / "file").write_text("")
    public = tmp_path / "config"
    (public / "www").mkdir(parents=True)
    hass.config.config_dir = str(public)
    hass.config.allowlist_external_dirs |= {str(public / "www")}
    for path, key in (
        (tmp_path / "elsewhere", "path_not_allowed"),
        (folder / "out" / "elsewhere", "path_not_allowed"),
        (folder / ".." / "elsewhere", "path_not_allowed"),
        ("relative", "path_not_allowed"),
        (public / "www" / "faces", "folder_public"),
        (folder / "file", "folder_not_empty"),
        (folder / "file" / "below", "folder_unwritable"),
    ):
        with pytest.raises(ServiceValidationError) as error:
            await call("export_feedback", folder=str(path))
        assert error.value.translation_key == key, path
    assert not (tmp_path / "elsewhere").exists()
    assert not list((public / "www").iterdir())


# The visits that are remembered


def access(person: str | None = None, picture: bytes | None = None) -> Access:
    attempt = AccessAttempt(False, person, Problem.UNKNOWN_FACE, 0.1, 0.0, 1.0, 0.5, 3, 0)
    return Access(attempt, person, None, picture)


def test_visits_are_found_by_their_time() -> None:
    visits, start = Visits(), dt_util.utcnow()
    assert visits.at() is None
    assert visits.at(start) is None
    for minute in range(MAX_VISITS + 5):
        visits.add(access(str(minute), b"picture"), start + timedelta(minutes=minute))
    assert visits.at().access.name == str(MAX_VISITS + 4)
    assert visits.at(start + timedelta(minutes=7, seconds=1)).access.name == "7"
    assert visits.at(start + timedelta(minutes=7, seconds=30)) is None
    assert visits.at(start) is None
    assert visits.at().access.picture is None
    assert visits.at(start + timedelta(minutes=7)).access.picture is None


def test_visits_of_people_who_went_are_forgotten() -> None:
    visits, start = Visits(), dt_util.utcnow()
    for minute, person in enumerate(("ada", None, "bob")):
        visits.add(access(person, b"picture"), start + timedelta(minutes=minute))
    visits.forget_all_but({"ada"})
    assert visits.at().access.name is None
    assert visits.at(start).access.name == "ada"
    assert visits.at(start + timedelta(minutes=2)) is None
