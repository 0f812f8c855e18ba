"""The last visit's picture: kept only where it is wanted, and no longer than it is."""

import io
import stat
from datetime import timedelta

import numpy as np
import pytest
from homeassistant.util import dt as dt_util
from PIL import Image
from pytest_homeassistant_custom_component.common import async_fire_time_changed

from custom_components.face_lock import vision
from custom_components.face_lock.const import DOMAIN
from custom_components.face_lock.people import people_of
from custom_components.face_lock.storage.key import KEY_FILE, async_load_vault
from custom_components.face_lock.storage.visit_picture import VisitPicture

from .conftest import FRONT, raw
from .test_store import BARACK

NAME = "face_lock.abc.visit"


async def visit_picture(hass, days: float = 3) -> VisitPicture:
    return VisitPicture(hass, await async_load_vault(hass, [NAME]), "abc", days)


def decoded(jpeg: bytes) -> Image.Image:
    return Image.open(io.BytesIO(jpeg))


async def test_kept_small_private_and_unreadable(hass, disk) -> None:
    exif = Image.Exif()
    exif[0x010F] = "maker of the camera"
    large = io.BytesIO()
    noise = np.random.default_rng(1).integers(0, 255, (1200, 2000, 3), dtype=np.uint8)
    Image.fromarray(noise).save(large, "JPEG", exif=exif)
    visit = await visit_picture(hass)
    assert await visit.async_load() is None
    await visit.async_save(large.getvalue(), "1", dt_util.utcnow(), ["barack"])

    jpeg = await (await visit_picture(hass)).async_load()
    assert decoded(jpeg).format == "JPEG"
    assert decoded(jpeg).size == (1280, 768)
    assert not decoded(jpeg).getexif()
    assert {path.name for path in disk.iterdir()} == {NAME, KEY_FILE}
    assert stat.S_IMODE((disk / NAME).stat().st_mode) == 0o600
    assert b"barack" not in (disk / NAME).read_bytes()
    await visit.async_remove()
    assert not (disk / NAME).exists()
    assert await visit.async_load() is None


async def test_of_one_visit(hass, disk) -> None:
    kept = await visit_picture(hass)
    await kept.async_save(raw("obama"), "first", dt_util.utcnow())
    assert await kept.async_load("first")
    await kept.async_save(raw("biden"), "second", dt_util.utcnow())
    assert await kept.async_load("first") is None
    assert await kept.async_load("second") == await kept.async_load()


async def test_a_bad_picture_replaces_nothing(hass, disk) -> None:
    visit = await visit_picture(hass)
    await visit.async_save(raw("obama"), "1", dt_util.utcnow())
    before = (disk / NAME).read_bytes()
    for junk in (b"", b"junk", raw("obama")[:500]):
        with pytest.raises(vision.PictureError):
            await visit.async_save(junk, "1", dt_util.utcnow())
    assert (disk / NAME).read_bytes() == before


@pytest.mark.parametrize(
    ("passed", "kept"),
    [
        (timedelta(days=2, hours=23), True),
        (timedelta(days=3), False),
        (timedelta(days=400), False),
        (timedelta(hours=-23), True),
        (timedelta(days=-1, minutes=-1), False),
    ],
)
async def test_kept_for_so_many_days(hass, disk, freezer, passed, kept) -> None:
    visit = await visit_picture(hass)
    await visit.async_save(raw("obama"), "1", dt_util.utcnow())
    freezer.move_to(dt_util.utcnow() + passed)
    await visit.async_expire()
    assert (disk / NAME).exists() is kept
    assert (await visit.async_load() is not None) is kept


@pytest.mark.parametrize(("shown", "kept"), [(["joe"], True), (["joe", "ann"], False), ([], True)])
async def test_goes_with_whom_it_shows(hass, disk, shown, kept) -> None:
    visit = await visit_picture(hass)
    await visit.async_save(raw("obama"), "1", dt_util.utcnow(), shown)
    await visit.async_forget_all_but({"joe", "mia"})
    assert (disk / NAME).exists() is kept


async def test_unreadable_picture_is_deleted(hass, disk) -> None:
    visit = await visit_picture(hass)
    await visit.async_save(raw("obama"), "1", dt_util.utcnow())
    (disk / NAME).write_bytes(
        (disk / NAME).read_bytes().replace(b'"sealed": "', b'"sealed": "AAAA')
    )
    assert await visit.async_load() is None
    assert not (disk / NAME).exists()


async def keep_visit(hass, door, **privacy: object) -> None:
    door.change(privacy=privacy)
    await hass.async_block_till_done()


async def test_option(hass, set_up, hass_storage) -> None:
    door = await set_up({**BARACK, "Joe": ("biden",)})
    name = f"{DOMAIN}.{FRONT}.visit"
    assert door.door.records.picture is None
    await keep_visit(hass, door, keep_last_visit=True, days=2)
    visit = door.door.records.picture

    # Its time passes while nobody asks for it.
    await visit.async_save(raw("obama"), "1", dt_util.utcnow() - timedelta(days=2), ["barack"])
    assert name in hass_storage
    async_fire_time_changed(hass, dt_util.utcnow() + timedelta(hours=1, seconds=1))
    await door.until(lambda: name not in hass_storage)

    # Its person is removed.
    await visit.async_save(raw("obama"), "1", dt_util.utcnow(), ["barack"])
    barack = people_of(door.entry)["barack"]
    hass.config_entries.async_remove_subentry(door.entry, barack.subentry_id)
    await hass.async_block_till_done()
    assert name not in hass_storage

    # It is no longer wanted.
    await door.door.records.picture.async_save(raw("biden"), "1", dt_util.utcnow(), ["joe"])
    assert name in hass_storage
    await keep_visit(hass, door, keep_last_visit=False)
    assert name not in hass_storage
