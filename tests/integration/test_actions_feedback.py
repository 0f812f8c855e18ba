"""What the owner says of visits, by action, and handing it over for training."""

import csv
from datetime import timedelta

import numpy as np
import pytest
from homeassistant.exceptions import ServiceValidationError
from homeassistant.util import dt as dt_util
from PIL import Image

from custom_components.face_lock.const import DOMAIN

from .conftest import FRONT, unsealed

BARACK = {"Barack": ("obama", "obama2")}
PICTURE_KEPT = {"privacy": {"keep_last_visit": True}}


def records(hass_storage, door) -> list[dict]:
    return unsealed(hass_storage, f"{DOMAIN}.{door.entry.entry_id}.feedback")["records"]


async def visit(door, camera, name: str, number: int = 1):
    camera.show(name)
    access = await door.access(number)
    await door.leave(camera)
    await door.until(lambda: not door.watcher._decider.in_visit)
    await door.hass.async_block_till_done()
    return access


async def test_feedback_on_the_last_visit(set_up, call, camera, hass_storage) -> None:
    door = await set_up(BARACK, settings=PICTURE_KEPT)
    gallery = door.household.store.gallery()
    access = await visit(door, camera, "obama3")
    answer = await call("feedback", verdict="that_was_me")
    (remembered,) = door.door.records.history.visits
    assert dt_util.parse_datetime(answer.pop("ended")) - remembered.ended < timedelta(seconds=1)
    assert answer == {
        "visit": access.visit,
        "door": "Front door",
        "person": "Barack",
        "person_id": "barack",
        "verdict": "that_was_me",
        "picture": True,
    }
    (record,) = records(hass_storage, door)
    assert record["person"] == "barack"
    assert record["verdict"] == "that_was_me"
    assert record["decision"] == "access_granted"
    point = door.household.bundle.thresholds.operating_point(1e-4)
    assert record["similarity"] > point.threshold + 0.1
    assert record["model"] == door.household.bundle.verifier.model
    # It changes nothing in who is let in.
    after = door.household.store.gallery()
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


async def test_feedback_on_a_visit_by_its_id(set_up, call, camera, hass_storage) -> None:
    door = await set_up(BARACK, settings=PICTURE_KEPT)
    first = await visit(door, camera, "obama3")
    second = await visit(door, camera, "biden", 2)
    assert first.visit != second.visit
    answer = await call("feedback", verdict="that_was_not_me", visit=first.visit)
    assert (answer["visit"], answer["person"]) == (first.visit, "Barack")
    # Only the last visit's picture is kept.
    assert answer["picture"] is False
    last = door.door.records.history.visits[-1].id
    assert (await call("feedback", verdict="that_was_not_me"))["visit"] == last
    with pytest.raises(ServiceValidationError) as error:
        await call("feedback", verdict="that_was_me", visit="another")
    assert error.value.translation_key == "visit_unknown"
    told = records(hass_storage, door)
    assert [r["decision"] for r in told] == ["access_granted", "unknown_face"]
    assert [r["visit"] for r in told] == [first.visit, last]
    assert {r["door"] for r in told} == {FRONT}


async def test_feedback_after_a_restart(hass, set_up, call, camera) -> None:
    door = await set_up(BARACK)
    access = await visit(door, camera, "obama3")
    await hass.config_entries.async_reload(door.entry.entry_id)
    answer = await call("feedback", verdict="that_was_me", visit=access.visit)
    assert answer["person"] == "Barack"


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
