"""HEIC, the pictures of phones: what reads them is installed once somebody has one."""

import io
import sys

import pillow_heif
import pytest
from homeassistant.requirements import RequirementsNotFound

from custom_components.face_lock import localize
from custom_components.face_lock.recognition import heic, models
from custom_components.face_lock.vision.imaging.heic import REQUIREMENT
from tests.harness.devices import portrait

from .test_person_flow import Flow, shown, upload  # noqa: F401 - a fixture

PACKAGE = "pillow_heif"


def photo(name: str) -> bytes:
    """A portrait as a phone keeps it."""
    buffer = io.BytesIO()
    pillow_heif.from_pillow(portrait(name)).save(buffer, quality=90)
    return buffer.getvalue()


@pytest.fixture
def asked(monkeypatch) -> list[str]:
    """What was to be installed, on a machine that has no package for HEIC yet."""
    asked: list[str] = []
    monkeypatch.setitem(sys.modules, PACKAGE, None)

    async def install(hass, name, requirements, is_built_in=True) -> None:
        asked.extend(requirements)
        monkeypatch.setitem(sys.modules, PACKAGE, pillow_heif)

    monkeypatch.setattr(models, "async_process_requirements", install)
    return asked


@pytest.fixture
def offline(asked, monkeypatch) -> list[str]:
    """The same without a network."""

    async def refuse(hass, name, requirements, is_built_in=True) -> None:
        asked.extend(requirements)
        raise RequirementsNotFound(name, requirements)

    monkeypatch.setattr(models, "async_process_requirements", refuse)
    return asked


async def test_a_phones_picture_enrols(hass, set_up, upload, asked) -> None:  # noqa: F811
    door = await set_up({})
    flow = Flow(hass, door.entry, upload)
    await flow.start("Barack")
    assert shown(await flow.add(photo("obama"))) == (1, "")
    assert shown(await flow.add(photo("obama2"))) == (2, "")
    assert asked == [REQUIREMENT]


async def test_nothing_is_installed_for_other_pictures(hass, set_up, upload, asked) -> None:  # noqa: F811
    door = await set_up({})
    flow = Flow(hass, door.entry, upload)
    await flow.start("Barack")
    await flow.add(b"no picture")
    assert asked == []


async def test_without_a_network_the_dialogue_says_what_to_do(
    hass,
    set_up,
    upload,  # noqa: F811
    offline,
) -> None:
    door = await set_up({})
    flow = Flow(hass, door.entry, upload)
    await flow.start("Barack")
    count, said = shown(await flow.add(photo("obama")))
    (why,) = await localize.async_sentences(
        hass, "config_subentries.person.error", ["picture_heic"]
    )
    assert (count, said) == (0, f"Not kept:\n\n- file-1.jpg: {why}")
    assert offline == [REQUIREMENT]


async def test_an_installation_that_takes_long_is_not_waited_for(
    hass,
    set_up,
    upload,  # noqa: F811
    asked,
    monkeypatch,
) -> None:
    monkeypatch.setattr(heic, "TIME", 0.0)
    door = await set_up({})
    flow = Flow(hass, door.entry, upload)
    await flow.start("Barack")
    hold = hass.loop.create_future()
    install = models.async_process_requirements

    async def slow(*args, **options) -> None:
        await hold
        await install(*args, **options)

    monkeypatch.setattr(models, "async_process_requirements", slow)
    assert shown(await flow.add(photo("obama")))[0] == 0
    hold.set_result(None)
    await door.until(lambda: asked)
    assert shown(await flow.add(photo("obama"))) == (1, "")


async def test_an_action_reads_a_phones_picture(hass, set_up, call, folder, asked) -> None:
    await set_up({"Barack": ("obama", "obama2")})
    (folder / "me.heic").write_bytes(photo("obama3"))
    assert (await call("verify", file=str(folder / "me.heic")))["person"] == "Barack"
    assert asked == [REQUIREMENT]


async def test_what_only_claims_to_be_heic_is_said_to_be_damaged(
    hass, set_up, call, folder, asked
) -> None:
    await set_up({})
    path = folder / "odd.heic"
    path.write_bytes(photo("obama")[:900])
    answer = await call("enroll", name="Barack", files=[str(path)])
    assert answer["refused"] == [{"picture": "odd.heic", "reason": "picture_corrupt"}]
