"""The encrypted reference pictures on a real disk: what is written, and what may go wrong."""

import asyncio
import base64
import errno
import json
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import patch

import numpy as np
import pytest
from homeassistant.config_entries import ConfigEntryState
from homeassistant.exceptions import UnsupportedStorageVersionError
from homeassistant.helpers import issue_registry as ir
from homeassistant.util import dt as dt_util
from homeassistant.util.file import AtomicWriter, WriteError
from pytest_homeassistant_custom_component.common import MockConfigEntry, async_fire_time_changed

from custom_components.face_lock import vision
from custom_components.face_lock.const import DOMAIN
from custom_components.face_lock.maintenance import SAVE_AGAIN
from custom_components.face_lock.settings import DoorSettings
from custom_components.face_lock.storage import templates as store_module
from custom_components.face_lock.storage.checked_store import NotSavedError
from custom_components.face_lock.storage.feedback import FeedbackStore, feedback_file
from custom_components.face_lock.storage.history import History, history_file
from custom_components.face_lock.storage.key import (
    KEY_FILE,
    DamagedError,
    KeyMissingError,
    KeyNotSavedError,
    TamperedError,
    VaultError,
    WrongKeyError,
    async_load_vault,
)
from custom_components.face_lock.storage.records import async_open_records, async_remove_records
from custom_components.face_lock.storage.templates import PictureStore, embed_anew, pictures_file
from custom_components.face_lock.storage.visit_picture import VisitPicture, visit_file

from .conftest import LOCK, person, raw, sealed, unsealed
from .test_texts import TEXTS

BARACK = {"Barack": ("obama", "obama2")}
NAME = "face_lock.abc"
MODEL = "a model of many letters"
REFUSED = DamagedError, TamperedError, UnsupportedStorageVersionError


def picture(seed: int, model: str = MODEL) -> vision.Portrait:
    """A picture of nobody."""
    rng = np.random.default_rng(seed)
    embedding = rng.normal(size=128).astype(np.float32)
    crop = rng.integers(0, 255, (112, 112, 3), dtype=np.uint8)
    return vision.Portrait(crop, vision.Template(embedding / np.linalg.norm(embedding), model))


def plain(portrait: vision.Portrait) -> dict[str, str]:
    """A picture as version 1 stored it."""
    return {
        "crop": base64.b64encode(vision.encode_png(portrait.crop)).decode(),
        "embedding": base64.b64encode(portrait.template.embedding.tobytes()).decode(),
        "model": portrait.template.model,
    }


def same(one: vision.Portrait, other: vision.Portrait) -> bool:
    return (
        np.array_equal(one.crop, other.crop)
        and np.array_equal(one.template.embedding, other.template.embedding)
        and one.template.model == other.template.model
    )


async def opened(hass, *, keep_pictures: bool = True, door: str = "abc") -> PictureStore:
    vault = await async_load_vault(hass, [f"face_lock.{door}"])
    store = PictureStore(hass, vault, door, keep_pictures=keep_pictures)
    await store.async_load()
    return store


async def filled(hass, *portraits: vision.Portrait, **options: bool) -> PictureStore:
    store = await opened(hass, **options)
    store.put("barack", portraits)
    await store.async_commit({"barack"})
    return store


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def replace(path: Path, **changes: object) -> bytes:
    """Change fields of a file's data; return the file."""
    stored = json.loads(path.read_bytes())
    stored["data"] |= changes
    path.write_text(json.dumps(stored))
    return path.read_bytes()


async def settle(store: PictureStore, people: set[str], model: str = MODEL, shift: int = 0) -> int:
    """Settle with a made-up model that embeds a crop as ``picture(shift)`` is embedded."""

    async def run(job, *args):
        return job(*args)

    def embed(crops):
        return np.stack([picture(shift).template.embedding for _ in crops])

    return await store.async_settle(people, bundle_of(model, embed), SimpleNamespace(async_run=run))


def bundle_of(model: str, embed: object = None) -> SimpleNamespace:
    """As much of a bundle as the store asks for."""
    size = picture(1).template.embedding.size
    return SimpleNamespace(verifier=SimpleNamespace(model=model, embed=embed, embedding_size=size))


# What is written


async def test_pictures_come_back(hass, disk) -> None:
    first, second = picture(1), picture(2)
    store = await opened(hass)
    store.put("barack", [first, second])
    store.put("joe", [first])
    await store.async_commit({"barack"})
    assert list(store.people) == ["barack"]

    again = await opened(hass)
    assert list(again.people) == ["barack"]
    assert all(map(same, again.album("barack"), (first, second)))
    assert again.album("joe") == ()
    assert again.damaged == 0


async def test_nothing_can_be_read_without_the_key(hass, disk) -> None:
    portrait = picture(1)
    await filled(hass, portrait)
    files = content(disk)
    assert set(files) == {NAME, KEY_FILE}
    for name, data in files.items():
        assert stat.S_IMODE((disk / name).stat().st_mode) == 0o600
        embedding = portrait.template.embedding.tobytes()
        png = vision.encode_png(portrait.crop)
        for secret in (embedding, png[40:], b"barack", MODEL.encode(), b"pictures", b"people"):
            for text in (secret, base64.b64encode(secret), secret.hex().encode()):
                assert text[:60] not in data
        # Nor one base64 below the other.
        sealed_bytes = base64.b64decode(json.loads(data)["data"].get("sealed", ""))
        assert base64.b64encode(embedding)[:20] not in sealed_bytes
        assert b"barack" not in sealed_bytes


async def test_each_write_looks_different(hass, disk) -> None:
    store = await filled(hass, picture(1))
    before = (disk / NAME).read_bytes()
    await store.async_commit({"barack"})
    after = (disk / NAME).read_bytes()
    nonces = [base64.b64decode(json.loads(d)["data"]["sealed"])[:12] for d in (before, after)]
    assert nonces[0] != nonces[1]


async def test_the_later_commit_is_the_one_that_stays(hass, disk, monkeypatch) -> None:
    store = await opened(hass)
    serialise = store_module.serialise_picture

    def slow_at_first(portrait):
        time.sleep(0.3)
        monkeypatch.setattr(store_module, "serialise_picture", serialise)
        return serialise(portrait)

    monkeypatch.setattr(store_module, "serialise_picture", slow_at_first)
    store.put("barack", [picture(1), picture(2)])
    first = hass.async_create_task(store.async_commit({"barack"}))
    await asyncio.sleep(0)
    store.put("barack", [picture(1)])
    await asyncio.gather(first, store.async_commit({"barack"}))
    assert len((await opened(hass)).album("barack")) == 1


async def test_unread_file_is_not_overwritten(hass, disk) -> None:
    await filled(hass, picture(1))
    store = PictureStore(hass, await async_load_vault(hass, [NAME]), "abc")
    store.put("joe", [picture(2)])
    before = content(disk)
    with pytest.raises(RuntimeError):
        await store.async_commit({"joe"})
    assert content(disk) == before


# The key


@pytest.mark.parametrize(
    "key",
    [
        None,
        "",
        '{"version": 1, "minor_version": 1',
        '{"version": 1, "minor_version": 1, "data": {}}',
        '{"version": 1, "minor_version": 1, "data": {"id": "1", "key": "AAAA"}}',
        '{"version": 1, "minor_version": 1, "data": {"id": "1", "key": "no base64"}}',
    ],
)
async def test_missing_or_damaged_key(hass, disk, key) -> None:
    await filled(hass, picture(1))
    pictures = (disk / NAME).read_bytes()
    good = (disk / KEY_FILE).read_bytes()
    (disk / KEY_FILE).unlink()
    if key is not None:
        (disk / KEY_FILE).write_text(key)
    for _ in range(2):
        with pytest.raises(KeyMissingError):
            await opened(hass)
        # Nor is a key made for another door while there is something that it could not open.
        with pytest.raises(KeyMissingError):
            await async_load_vault(hass, ["face_lock.other", NAME])
    assert (disk / NAME).read_bytes() == pictures

    (disk / KEY_FILE).write_bytes(good)
    assert same((await opened(hass)).album("barack")[0], picture(1))


async def test_another_key(hass, disk) -> None:
    await filled(hass, picture(1))
    before = (disk / NAME).read_bytes()
    other = base64.b64encode(bytes(32)).decode()
    # Of another installation, with another id; or changed, with the same.
    for changes, error in (({"key": other}, TamperedError), ({"id": "other"}, WrongKeyError)):
        replace(disk / KEY_FILE, **changes)
        with pytest.raises(error):
            await opened(hass)
        assert (disk / NAME).read_bytes() == before


async def test_doors_share_one_key(hass, disk) -> None:
    vaults = await asyncio.gather(*(async_load_vault(hass, [NAME]) for _ in range(5)))
    assert len({vault.key for vault in vaults}) == 1
    assert len(vaults[0].key) == 32
    assert vaults[0].key.hex() not in repr(vaults[0])
    assert await async_load_vault(hass, [NAME]) == vaults[0]


async def test_key_that_cannot_be_written_seals_nothing(hass, disk) -> None:
    with (
        patch("homeassistant.helpers.storage.write_utf8_file_atomic", side_effect=WriteError),
        pytest.raises(KeyNotSavedError),
    ):
        await opened(hass)
    assert not disk.exists() or not content(disk)


# Tampering


@pytest.mark.parametrize("position", [0, 5, 15, 16, 100, 1000, -30, -20, -5])
async def test_changed_byte(hass, disk, position) -> None:
    await filled(hass, picture(1))
    stored = json.loads((disk / NAME).read_bytes())
    data = bytearray(base64.b64decode(stored["data"]["sealed"]))
    data[position] ^= 1
    before = replace(disk / NAME, sealed=base64.b64encode(data).decode())
    with pytest.raises(TamperedError):
        await opened(hass)
    assert (disk / NAME).read_bytes() == before


@pytest.mark.parametrize("changes", [{"sealed": "%"}, {"sealed": ""}, {"sealed": 1}, {"more": 1}])
async def test_changed_form(hass, disk, changes) -> None:
    await filled(hass, picture(1))
    before = replace(disk / NAME, **changes)
    with pytest.raises(TamperedError):
        await opened(hass)
    assert (disk / NAME).read_bytes() == before


async def test_file_of_another_door(hass, disk) -> None:
    await filled(hass, picture(1))
    before = (disk / NAME).read_bytes()
    (disk / "face_lock.other").write_bytes(before)
    with pytest.raises(TamperedError):
        await opened(hass, door="other")
    assert (disk / "face_lock.other").read_bytes() == before


def test_every_error_has_a_text() -> None:
    for error in VaultError.__subclasses__():
        assert TEXTS["exceptions"][error().translation_key]["message"]


# Versions


def write_plain(disk: Path, data: object, version: int = 1) -> bytes:
    disk.mkdir(exist_ok=True)
    (disk / NAME).write_text(json.dumps({"version": version, "key": NAME, "data": data}))
    return (disk / NAME).read_bytes()


@pytest.mark.parametrize(
    "data",
    [[], {}, 5, {"people": {}}, {"people": {"barack": {"pictures": [plain(picture(1))]}}}],
)
async def test_what_is_not_encrypted_is_never_read(hass, disk, data) -> None:
    """Version 1 was not: anybody who can write a file could have enrolled somebody."""
    await async_load_vault(hass, [NAME])
    before = write_plain(disk, data)
    with pytest.raises(DamagedError):
        await opened(hass)
    assert (disk / NAME).read_bytes() == before


@pytest.mark.parametrize("version", [0, 1, 2])
@pytest.mark.parametrize("key_exists", [True, False])
async def test_no_store_accepts_a_plain_file(hass, disk, version, key_exists) -> None:
    """Whatever version it claims to be of, and whether or not the key was made before it."""
    now = dt_util.utcnow().isoformat()
    visit = {
        "id": "1", "door": "abc", "camera": "camera.x", "began": now, "ended": now,
        "began_at": 0.0, "ended_at": 1.0, "outcome": "access_granted", "person": "eve",
        "name": "Eve", "reason": None, "confidence": 1.0, "response_time": 1.0, "picture": True,
    }  # fmt: skip
    said = {
        "visit": "1", "door": "abc", "when": now, "person": "eve", "verdict": "that_was_me",
        "decision": "access_granted", "similarity": 1.0, "model": "m", "crop": None,
    }  # fmt: skip
    jpeg = base64.b64encode(raw("obama")).decode()
    planted = {
        pictures_file("abc"): {"people": {"eve": {"pictures": [plain(picture(1))]}}},
        feedback_file("abc"): {"records": [said]},
        history_file("abc"): {"visits": [visit]},
        visit_file("abc"): {"visit": "1", "at": now, "people": ["eve"], "jpeg": jpeg},
    }
    if key_exists:
        await async_load_vault(hass, planted)
    disk.mkdir(exist_ok=True)
    for name, data in planted.items():
        (disk / name).write_text(json.dumps({"version": version, "key": name, "data": data}))
    vault = await async_load_vault(hass, planted)
    pictures = PictureStore(hass, vault, "abc")
    with pytest.raises(REFUSED):
        await pictures.async_load()
    assert pictures.gallery() == {}
    with pytest.raises(REFUSED):
        await FeedbackStore(hass, vault, "abc").async_count()
    history = History(hass, vault, "abc", 7)
    await history.async_load()
    assert history.visits == ()
    assert await VisitPicture(hass, vault, "abc", 7).async_load() is None


async def test_newer_minor_version_is_read(hass, disk) -> None:
    await filled(hass, picture(1))
    stored = json.loads((disk / NAME).read_bytes()) | {"minor_version": 7}
    (disk / NAME).write_text(json.dumps(stored))
    assert same((await opened(hass)).album("barack")[0], picture(1))


async def test_newer_version_is_left_as_it_is(hass, disk) -> None:
    before = write_plain(disk, {"whatever": 1}, version=3)
    with pytest.raises(UnsupportedStorageVersionError):
        await opened(hass)
    assert (disk / NAME).read_bytes() == before


# Pictures that are of no use now


async def damaged_store(hass, disk: Path) -> PictureStore:
    damaged = plain(picture(3)) | {"embedding": "%%%"}
    people = {"barack": {"pictures": [plain(picture(1)), damaged]}}
    vault = await async_load_vault(hass, [NAME])
    content = vault.seal(json.dumps({"people": people}).encode(), NAME)
    write_plain(disk, content, version=2)
    return await opened(hass)


async def test_damaged_picture_is_written_back(hass, disk, caplog) -> None:
    store = await damaged_store(hass, disk)
    assert "1 stored reference pictures are damaged" in caplog.text
    assert "barack" not in caplog.text
    store.put("joe", [picture(4)])
    store.put("barack", [*store.album("barack"), picture(5)])
    await store.async_commit({"barack", "joe"})
    again = await opened(hass)
    assert [len(again.album(p)) for p in ("barack", "joe")] == [2, 1]
    assert again.damaged == 1
    # It goes with its person.
    await again.async_commit({"joe"})
    assert (await opened(hass)).damaged == 0


async def test_enrolling_anew_replaces_damaged_pictures_too(hass, disk) -> None:
    store = await damaged_store(hass, disk)
    store.put("barack", [picture(6)])
    await store.async_commit({"barack"})
    again = await opened(hass)
    assert same(again.album("barack")[0], picture(6))
    assert again.damaged == 0


# Without crops


async def stored_pictures(hass, disk: Path) -> list[dict[str, str]]:
    vault = await async_load_vault(hass, [NAME])
    stored = json.loads((disk / NAME).read_bytes())["data"]
    return json.loads(vault.open(stored, NAME))["people"]["barack"]["pictures"]


async def test_no_crop_is_kept(hass, disk) -> None:
    store = await filled(hass, picture(1), keep_pictures=False)
    assert [p.crop for p in store.album("barack")] == [None]
    (stored,) = await stored_pictures(hass, disk)
    assert stored.keys() == {"embedding", "model"}
    (kept,) = (await opened(hass, keep_pictures=False)).album("barack")
    assert kept.crop is None
    assert np.array_equal(kept.template.embedding, picture(1).template.embedding)


async def test_crops_go_when_they_are_no_longer_wanted(hass, disk) -> None:
    await damaged_store(hass, disk)
    assert all("crop" in p for p in await stored_pictures(hass, disk))
    store = await opened(hass, keep_pictures=False)
    assert await settle(store, {"barack"}) == 0
    pictures = await stored_pictures(hass, disk)
    assert len(pictures) == 2
    assert not any("crop" in p for p in pictures)
    # And nothing is written where nothing changes.
    before = content(disk)
    assert await settle(await opened(hass, keep_pictures=False), {"barack"}) == 0
    assert content(disk) == before


async def test_new_model_and_no_crop(hass, disk) -> None:
    """The person must be enrolled anew; the old model would still find its templates."""
    await filled(hass, picture(1), keep_pictures=False)
    before = content(disk)
    store = await opened(hass, keep_pictures=False)
    assert await settle(store, {"barack"}, "m2") == 0
    assert store.album("barack") == ()
    assert content(disk) == before
    store.put("joe", [picture(2, "m2")])
    await store.async_commit({"barack", "joe"})

    back = await opened(hass, keep_pictures=False)
    assert np.array_equal(back.album("barack")[0].template.embedding, picture(1).template.embedding)
    await settle(back, {"barack", "joe"}, "m2")
    back.put("barack", [picture(3, "m2")])
    await back.async_commit({"barack", "joe"})
    assert len(await stored_pictures(hass, disk)) == 1


async def test_new_model_embeds_what_has_a_crop(hass, disk) -> None:
    store = await filled(hass, picture(1), vision.Portrait(None, picture(2).template))
    assert await settle(store, {"barack"}, "m2", shift=9) == 1
    (made,) = store.album("barack")
    assert made.template.model == "m2"
    assert np.array_equal(made.template.embedding, picture(9).template.embedding)
    again = await opened(hass)
    assert again.outdated(bundle_of("m2")) == ["barack"]
    # It is asked of no later start again.
    before = content(disk)
    assert await settle(again, {"barack"}, "m2", shift=9) == 0
    assert len(again.album("barack")) == 1
    assert content(disk) == before


def test_embedding_anew_leaves_what_has_no_crop(bundle) -> None:
    kept = vision.Portrait(None, picture(1).template)
    portrait = vision.examine(bundle, vision.decode_rgb(raw("obama")))
    assert embed_anew(bundle, (kept, portrait))[0] is kept


# Deleting


async def test_removing_a_household_deletes_all_files_and_at_last_the_key(hass, disk) -> None:
    await filled(hass, picture(1))
    kept = (".feedback", ".visit", ".visits", ".lockout", ".corrupt.2026-11-24T00:00:00")
    for name in (NAME, "face_lock.front"):
        for kind in kept:
            (disk / f"{name}{kind}").write_text("{}")
    (disk / "face_lock.front.corrupt.2026-11-24T00:00:00").unlink()
    (disk / "face_lock.front.feedback").unlink()
    (disk / f"{NAME}.visit.corrupt.2026-11-24T00:00:00").write_text("{}")
    (disk / "face_lock.abcd").write_text("{}")
    other = MockConfigEntry(domain=DOMAIN)
    other.add_to_hass(hass)
    await async_remove_records(hass, "abc", ["front"])
    assert set(content(disk)) == {KEY_FILE, "face_lock.abcd"}

    (disk / f"{KEY_FILE}.corrupt.2026-11-24T00:00:00").write_text("{}")
    del hass.config_entries._entries[other.entry_id]
    await async_remove_records(hass, other.entry_id, [])
    assert set(content(disk)) == {"face_lock.abcd"}


async def test_the_household_takes_the_key_along(hass, set_up, hass_storage) -> None:
    door = await set_up(BARACK)
    assert KEY_FILE in hass_storage
    await hass.config_entries.async_remove(door.entry.entry_id)
    await hass.async_block_till_done()
    assert not [name for name in hass_storage if name.startswith(DOMAIN)]


async def test_removing_a_locked_out_door(hass, set_up, hass_storage) -> None:
    door = await set_up(BARACK)
    await hass.config_entries.async_unload(door.entry.entry_id)
    del hass_storage[KEY_FILE]
    await hass.config_entries.async_setup(door.entry.entry_id)
    await hass.config_entries.async_remove(door.entry.entry_id)
    await hass.async_block_till_done()
    assert not [name for name in hass_storage if name.startswith(DOMAIN)]
    issue = f"storage_locked_{door.entry.entry_id}"
    assert ir.async_get(hass).async_get_issue(DOMAIN, issue) is None


# At the door


@pytest.mark.parametrize(
    ("key", "reason"),
    [
        (None, "key_missing"),
        ({"id": "another", "key": base64.b64encode(bytes(32)).decode()}, "key_wrong"),
    ],
)
async def test_door_stays_shut_without_its_key(
    hass, set_up, hass_storage, camera, key, reason
) -> None:
    door = await set_up(BARACK)
    entry = door.entry
    issue = f"storage_locked_{entry.entry_id}"
    await hass.config_entries.async_unload(entry.entry_id)
    good = hass_storage.pop(KEY_FILE)
    if key is not None:
        hass_storage[KEY_FILE] = good | {"data": key}
    before = json.dumps(hass_storage[f"{DOMAIN}.{entry.entry_id}"])
    await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done()
    assert entry.state is ConfigEntryState.SETUP_ERROR
    assert entry.error_reason_translation_key == reason
    assert ir.async_get(hass).async_get_issue(DOMAIN, issue)
    assert hass.states.get(LOCK).state == "unavailable"
    assert json.dumps(hass_storage[f"{DOMAIN}.{entry.entry_id}"]) == before
    assert (KEY_FILE in hass_storage) is (key is not None)

    hass_storage[KEY_FILE] = good
    await hass.config_entries.async_reload(entry.entry_id)
    assert entry.state is ConfigEntryState.LOADED
    assert ir.async_get(hass).async_get_issue(DOMAIN, issue) is None
    camera.show("obama3")
    assert (await door.access()).event_type == "access_granted"


async def test_full_disk_is_tried_again(hass, set_up) -> None:
    with patch(
        "custom_components.face_lock.storage.records.async_load_vault", side_effect=KeyNotSavedError
    ):
        door = await set_up(BARACK)
    assert door.entry.state is ConfigEntryState.SETUP_RETRY
    await hass.config_entries.async_reload(door.entry.entry_id)
    assert door.entry.state is ConfigEntryState.LOADED


@pytest.fixture
def full() -> Iterator[list[bool]]:
    """A disk that is full while the list holds something."""
    refuse = [True]

    class Writer(AtomicWriter):
        def open(self) -> object:
            if refuse:
                raise OSError(errno.ENOSPC, "No space left on device")
            return super().open()

    with patch("homeassistant.util.file.AtomicWriter", Writer):
        yield refuse
        refuse.clear()


async def test_what_a_full_disk_refuses_is_said_and_kept(hass, disk, full) -> None:
    full.clear()
    store = await filled(hass, picture(1))
    before = content(disk)
    full.append(True)
    store.put("barack", [picture(2)])
    with pytest.raises(NotSavedError):
        await store.async_commit({"barack"})
    assert not store.is_saved
    assert content(disk) == before, "nothing is lost, and nothing half written"

    again = await opened(hass)
    assert not again.is_saved
    assert same(*again.album("barack"), picture(2)), "a door loaded anew knows what was enrolled"
    await settle(again, {"barack"})
    assert same(*again.album("barack"), picture(2))
    full.clear()
    await settle(again, {"barack"})
    assert again.is_saved
    assert content(disk) != before
    assert same(*(await opened(hass)).album("barack"), picture(2))


async def test_owner_hears_of_a_full_disk_until_it_took_the_pictures(
    hass, disk, set_up, bundle, full
) -> None:
    full.clear()
    door = await set_up(BARACK)
    issue = f"pictures_not_saved_{door.entry.entry_id}"
    store = door.household.store
    full.append(True)
    store.put("joe", [vision.examine(bundle, vision.decode_rgb(raw("biden")))])
    hass.config_entries.async_add_subentry(door.entry, person("Joe"))
    await hass.async_block_till_done()
    assert ir.async_get(hass).async_get_issue(DOMAIN, issue)
    assert door.entry.state is ConfigEntryState.LOADED
    assert door.household.store.album("joe")

    full.clear()
    async_fire_time_changed(hass, dt_util.utcnow() + SAVE_AGAIN * 1.1)
    await door.until(lambda: ir.async_get(hass).async_get_issue(DOMAIN, issue) is None)
    await hass.config_entries.async_reload(door.entry.entry_id)
    assert door.household.store.album("joe")


async def test_option_drops_the_crops_and_the_door_still_opens(
    hass, set_up, hass_storage, camera
) -> None:
    door = await set_up(BARACK)
    key = f"{DOMAIN}.{door.entry.entry_id}"
    assert all("crop" in p for p in unsealed(hass_storage, key)["people"]["barack"]["pictures"])
    hass.config_entries.async_update_entry(door.entry, options={"keep_pictures": False})
    await hass.async_block_till_done()
    pictures = unsealed(hass_storage, key)["people"]["barack"]["pictures"]
    assert [p.keys() for p in pictures] == [{"embedding", "model"}] * 2
    camera.show("obama3")
    assert (await door.access()).event_type == "access_granted"


async def test_new_model_without_crops_asks_for_enrolment(hass, set_up, hass_storage) -> None:
    door = await set_up(BARACK, options={"keep_pictures": False})
    key = f"{DOMAIN}.{door.entry.entry_id}"
    await hass.config_entries.async_unload(door.entry.entry_id)
    stored = unsealed(hass_storage, key)
    for item in stored["people"]["barack"]["pictures"]:
        item["model"] = "old"
    hass_storage[key] = sealed(stored, key)
    await hass.config_entries.async_setup(door.entry.entry_id)
    await hass.async_block_till_done()
    issue = ir.async_get(hass).async_get_issue(DOMAIN, f"pictures_missing_{door.entry.entry_id}")
    assert issue.translation_placeholders["people"] == "Barack"
    assert hass.states.get("sensor.barack_pictures").state == "0"
    assert unsealed(hass_storage, key) == stored


async def test_feedback_that_cannot_be_read_keeps_no_door_shut(
    hass, set_up, hass_storage, caplog
) -> None:
    door = await set_up(BARACK)
    name = f"{DOMAIN}.{door.entry.entry_id}.feedback"
    await hass.config_entries.async_unload(door.entry.entry_id)
    broken = sealed({"records": []}, "another name", version=1)
    hass_storage[name] = json.loads(json.dumps(broken))
    await hass.config_entries.async_setup(door.entry.entry_id)
    assert door.entry.state is ConfigEntryState.LOADED
    assert "cannot be read" in caplog.text
    assert hass_storage[name] == broken


async def test_records_open_for_the_first_door(hass, disk) -> None:
    records = await async_open_records(hass, "abc", ["front"], keep_pictures=True)
    assert records.pictures.people == {}
    door = await records.async_open_door("front", DoorSettings())
    assert door.history.visits == ()
    assert door.picture is None
    assert set(content(disk)) == {KEY_FILE}
