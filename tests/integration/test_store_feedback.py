"""Feedback: kept encrypted, capped, deleted with its person, exported for training."""

import asyncio
import csv
import importlib
import stat
import sys
from datetime import UTC, datetime, timedelta, timezone
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from custom_components.face_lock import vision
from custom_components.face_lock.people import people_of
from custom_components.face_lock.storage import feedback as module
from custom_components.face_lock.storage.feedback import Feedback, FeedbackStore, Verdict
from custom_components.face_lock.storage.key import TamperedError, async_load_vault

from .conftest import ROOT
from .test_store import BARACK, picture

NAME = "face_lock.abc.feedback"
ME, NOT_ME = Verdict.THAT_WAS_ME, Verdict.THAT_WAS_NOT_ME
WHEN = datetime(2026, 11, 24, 7, 30, tzinfo=timezone(timedelta(hours=1)))


def record(person: str | None, verdict: Verdict = ME, seed: int = 1, **changes: object) -> Feedback:
    values = {
        "visit": "1",
        "door": "front",
        "when": WHEN,
        "decision": "below_threshold",
        "similarity": 0.61,
        "model": "m1",
        "crop": picture(seed).crop,
    }
    return Feedback(person=person, verdict=verdict, **values | changes)


async def opened(hass, *, keep_pictures: bool = True) -> FeedbackStore:
    vault = await async_load_vault(hass, [NAME])
    return FeedbackStore(hass, vault, "abc", keep_pictures=keep_pictures)


def table(folder) -> list[dict[str, str]]:
    with (folder / "feedback.csv").open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def folders(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """``training``'s reader, without its neighbours, which need packages of another environment."""
    package = ModuleType("training.verifier.sources")
    package.__path__ = [str(ROOT / "training" / "verifier" / "sources")]
    monkeypatch.setitem(sys.modules, package.__name__, package)
    return importlib.import_module("training.verifier.sources.folders")


async def test_export_is_what_training_reads(hass, disk, tmp_path, folders) -> None:
    store = await opened(hass)
    await store.async_add(record("barack", seed=1))
    await store.async_add(record("barack", NOT_ME, seed=2, decision="access_granted"))
    await store.async_add(record(None, NOT_ME, seed=3, similarity=None))
    await store.async_add(record("joe", seed=4, crop=None))
    await store.async_add(record("barack", seed=5))
    folder = tmp_path / "export" / "door"
    assert await (await opened(hass)).async_export(folder) == 5

    found = list(folders.read(SimpleNamespace(path=folder, name="door")))
    people = [item.person for item in found]
    assert people == ["door/barack", "door/barack", "door/unknown-0001", "door/unknown-0002"]
    for item, seed in zip(found, (1, 5, 2, 3), strict=True):
        assert np.array_equal(vision.decode_rgb(item.image), picture(seed).crop)

    rows = table(folder)
    assert rows[0] == {
        "file": "barack/20261124T063000-0000.png",
        "when": "2026-11-24T06:30:00+00:00",
        "person": "barack",
        "verdict": "that_was_me",
        "decision": "below_threshold",
        "similarity": "0.61",
        "model": "m1",
        "door": "front",
        "visit": "1",
    }
    assert [row["person"] for row in rows] == ["barack", "barack", "", "joe", "barack"]
    assert [bool(row["file"]) for row in rows] == [True, True, True, False, True]
    assert rows[2]["similarity"] == ""
    for path in folder.rglob("*"):
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600)

    # Never among what is there already.
    with pytest.raises(FileExistsError):
        await store.async_export(folder)


@pytest.mark.parametrize("person", ["../../etc", "/etc", "..", ".", "a/b", "", "x" * 300, "ä\0"])
async def test_export_stays_in_its_folder(hass, disk, tmp_path, person) -> None:
    store = await opened(hass)
    await store.async_add(record(person))
    before = set(tmp_path.rglob("*"))
    folder = tmp_path / "export"
    await store.async_export(folder)
    made = set(tmp_path.rglob("*")) - before
    assert len(made) == 4
    assert all(path == folder or folder in path.parents for path in made)
    (file,) = folder.glob("*/*.png")
    assert folder.resolve() in file.resolve().parents


async def test_private_and_unreadable(hass, disk) -> None:
    await (await opened(hass)).async_add(record("barack"))
    data = (disk / NAME).read_bytes()
    assert stat.S_IMODE((disk / NAME).stat().st_mode) == 0o600
    for word in (b"barack", b"that_was", b"2026-11-24", b"records"):
        assert word not in data


async def test_only_the_newest_are_kept(hass, disk, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(module, "MAX_RECORDS", 3)
    store = await opened(hass)
    for number in range(5):
        moment = datetime(2026, 1, 1 + number, tzinfo=UTC)
        await store.async_add(record("barack", when=moment, crop=None))
    await store.async_export(tmp_path / "export")
    assert [row["when"][:10] for row in table(tmp_path / "export")] == [
        "2026-01-03",
        "2026-01-04",
        "2026-01-05",
    ]


async def test_no_record_is_lost_to_another(hass, disk) -> None:
    store = await opened(hass)
    await asyncio.gather(*(store.async_add(record("barack", crop=None)) for _ in range(10)))
    assert await store.async_count() == 10


async def test_settling_forgets_people_and_crops(hass, disk, tmp_path) -> None:
    store = await opened(hass)
    for person in ("barack", "joe", None):
        await store.async_add(record(person))
    before = (disk / NAME).read_bytes()
    await store.async_settle({"barack", "joe"})
    assert (disk / NAME).read_bytes() == before
    await store.async_settle({"joe"})
    assert await store.async_count() == 2

    store = await opened(hass, keep_pictures=False)
    await store.async_add(record("joe"))
    await store.async_settle({"joe"})
    await store.async_export(tmp_path / "export")
    assert [row["file"] for row in table(tmp_path / "export")] == ["", "", ""]
    assert not list((tmp_path / "export").rglob("*.png"))


async def test_nothing_left_leaves_no_file(hass, disk) -> None:
    store = await opened(hass)
    await store.async_add(record("barack"))
    await store.async_settle(set())
    assert not (disk / NAME).exists()
    assert await store.async_count() == 0


async def test_unreadable_feedback_is_left_as_it_is(hass, disk) -> None:
    store = await opened(hass)
    await store.async_add(record("barack"))
    changed = (disk / NAME).read_bytes().replace(b'"sealed": "', b'"sealed": "AAAA')
    (disk / NAME).write_bytes(changed)
    for doing in (store.async_add(record("joe")), store.async_settle(set()), store.async_count()):
        with pytest.raises(TamperedError):
            await doing
    assert (disk / NAME).read_bytes() == changed


async def test_removing_a_person_removes_the_feedback(hass, set_up) -> None:
    door = await set_up({**BARACK, "Joe": ("biden",)})
    store = door.household.records.feedback
    await store.async_add(record("barack"))
    await store.async_add(record("joe"))
    barack = people_of(door.entry)["barack"]
    hass.config_entries.async_remove_subentry(door.entry, barack.subentry_id)
    await hass.async_block_till_done()
    assert await door.household.records.feedback.async_count() == 1
