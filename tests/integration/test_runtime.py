"""What the door needs before it can watch: a runtime, its models, its pictures; and who is told."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from unittest.mock import patch

import pytest
from homeassistant.components import system_health
from homeassistant.config_entries import ConfigEntryState
from homeassistant.helpers import issue_registry as ir
from homeassistant.helpers.translation import async_get_translations
from homeassistant.requirements import RequirementsNotFound
from homeassistant.setup import async_setup_component
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.face_lock import vision
from custom_components.face_lock.const import DOMAIN
from custom_components.face_lock.recognition import models as runtime
from custom_components.face_lock.storage.key import KEY_FILE

from .conftest import LOCK, STORED_KEY, front_door, person, real_bundle, sealed, stored

BARACK = {"Barack": ("obama", "obama2")}


def issues(hass) -> set[str]:
    return {issue for domain, issue in ir.async_get(hass).issues if domain == DOMAIN}


async def text_of(hass, issue: str) -> tuple[str, str]:
    """Return an issue's title and description, as the user reads them."""
    entry = ir.async_get(hass).async_get_issue(DOMAIN, issue)
    texts = await async_get_translations(hass, "en", "issues", [DOMAIN])
    prefix = f"component.{DOMAIN}.issues.{entry.translation_key}"
    values = entry.translation_placeholders or {}
    return tuple(texts[f"{prefix}.{part}"].format(**values) for part in ("title", "description"))


# Which runtime


async def refused(hass, name, requirements, is_built_in=True) -> None:
    raise RequirementsNotFound(name, requirements)


@pytest.mark.parametrize(
    ("variables", "musl"),
    [
        ({"SOABI": "cpython-314-x86_64-linux-musl", "HOST_GNU_TYPE": "x86_64-pc-linux-musl"}, True),
        ({"SOABI": "cpython-314-aarch64-linux-musl", "HOST_GNU_TYPE": None}, True),
        ({"SOABI": "cpython-314", "HOST_GNU_TYPE": "x86_64-alpine-linux-musl"}, True),
        ({"SOABI": "cpython-314-x86_64-linux-gnu", "HOST_GNU_TYPE": "x86_64-pc-linux-gnu"}, False),
        ({"SOABI": None, "HOST_GNU_TYPE": None}, False),
    ],
)
async def test_onnxruntime_is_never_asked_for_on_musl(hass, set_up, variables, musl) -> None:
    asked: list[str] = []

    async def install(hass, name, requirements, is_built_in=True) -> None:
        asked.extend(requirements)
        raise RequirementsNotFound(name, requirements)

    with (
        patch.object(runtime.sysconfig, "get_config_var", variables.get),
        patch.object(runtime, "async_process_requirements", install),
        patch.object(runtime, "load_bundle", side_effect=vision.RuntimeUnavailableError),
    ):
        door = await set_up(BARACK)
    assert door.entry.state is ConfigEntryState.SETUP_RETRY
    assert [r.split("==")[0] for r in asked] == (["ncnn"] if musl else ["ncnn", "onnxruntime"])


async def test_without_a_runtime_the_issue_says_what_to_do(hass, set_up) -> None:
    with (
        patch.object(runtime, "async_process_requirements", refused),
        patch.object(runtime, "load_bundle", side_effect=vision.RuntimeUnavailableError),
    ):
        door = await set_up(BARACK)
    assert door.entry.state is ConfigEntryState.SETUP_RETRY
    assert issues(hass) == {"runtime_missing"}
    _, description = await text_of(hass, "runtime_missing")
    assert runtime.REQUIREMENTS[0] in description
    assert hass.states.get(LOCK) is None
    # With the door removed nobody needs a runtime any more.
    await hass.config_entries.async_remove(door.entry.entry_id)
    assert issues(hass) == set()


async def test_real_models_are_loaded_by_what_is_installed(hass, set_up) -> None:
    with (
        patch.object(vision.networks.fastest, "_chosen", {}),
        patch.object(vision.networks.fastest, "_kept", {}),
        patch.object(runtime, "load_bundle", vision.load_fastest_bundle),
        patch.object(runtime, "async_process_requirements", refused),
    ):
        door = await set_up(BARACK)
    assert door.entry.state is ConfigEntryState.LOADED
    assert door.household.bundle.info.runtime in vision.networks.runtime.available()


# Which models


@pytest.fixture
def models(tmp_path, monkeypatch, set_up) -> Path:
    """A copy of the bundle that a test may damage, loaded as the integration does."""
    folder = shutil.copytree(vision.networks.bundle.BUNDLED, tmp_path / "models")
    monkeypatch.setattr(vision.networks.bundle, "BUNDLED", folder)
    # set_up's fixture put the cached bundle there first.
    monkeypatch.setattr(runtime, "load_bundle", lambda: vision.load_bundle(runtime="ncnn"))
    return folder


def another_format(folder: Path) -> None:
    description = json.loads((folder / "models.json").read_text())
    (folder / "models.json").write_text(json.dumps(description | {"format": 2}))


def another_network(folder: Path) -> None:
    (folder / "verifier.onnx").write_bytes((folder / "detector.onnx").read_bytes())


DAMAGE: dict[str, tuple[Callable[[Path], object], str]] = {
    "another network": (another_network, "models_damaged"),
    "no network": (lambda folder: (folder / "detector.bin").unlink(), "models_damaged"),
    "another format": (another_format, "models_unknown"),
    "no description": (lambda folder: (folder / "models.json").unlink(), "models_unknown"),
    "half a description": (
        lambda folder: (folder / "models.json").write_text('{"format": 1, "models"'),
        "models_unknown",
    ),
}


@pytest.mark.parametrize("damage", DAMAGE)
async def test_models_that_cannot_be_trusted(
    hass, set_up, models, hass_storage, camera, damage
) -> None:
    whole = {p: p.read_bytes() for p in models.iterdir()}
    change, expected = DAMAGE[damage]
    change(models)
    door = await set_up(BARACK)
    key = f"{DOMAIN}.{door.entry.entry_id}"
    stored = json.dumps(hass_storage[key])
    assert door.entry.state is ConfigEntryState.SETUP_ERROR
    assert door.entry.error_reason_translation_key == expected
    assert issues(hass) == {expected}
    title, description = await text_of(hass, expected)
    assert title
    assert "stays locked" in description
    assert hass.states.get(LOCK) is None
    assert camera.requests == 0
    # Mended, the door opens for whom it knew, and the issue is gone.
    for path, content in whole.items():
        path.write_bytes(content)
    await hass.config_entries.async_reload(door.entry.entry_id)
    assert door.entry.state is ConfigEntryState.LOADED
    assert issues(hass) == set()
    assert json.dumps(hass_storage[key]) == stored
    camera.show("obama3")
    assert (await door.access()).event_type == "access_granted"


async def test_one_issue_gives_way_to_another(hass, set_up, models) -> None:
    whole = (models / "models.json").read_bytes()
    another_format(models)
    door = await set_up(BARACK)
    assert issues(hass) == {"models_unknown"}
    (models / "models.json").write_bytes(whole)
    another_network(models)
    await hass.config_entries.async_reload(door.entry.entry_id)
    assert issues(hass) == {"models_damaged"}
    await hass.config_entries.async_remove(door.entry.entry_id)
    assert issues(hass) == set()


# Which pictures


CONTENT = {
    "newer": (lambda data: json.dumps(json.loads(data) | {"version": 99}).encode(), "too_new"),
    "no JSON": (lambda data: data[: len(data) // 2], "unreadable"),
    "empty": (lambda data: b"", "unreadable"),
    "no text": (lambda data: b"\x00\xff" * 100, "unreadable"),
    "a list": (lambda data: b"[1, 2]", "unreadable"),
    "no version": (lambda data: json.dumps({"data": {}}).encode(), "unreadable"),
}


@pytest.mark.usefixtures("clock")
@pytest.mark.parametrize("kind", CONTENT)
async def test_file_that_cannot_be_used_is_left_as_it_is(hass, bundle, camera, disk, kind) -> None:
    entry = MockConfigEntry(
        domain=DOMAIN,
        version=2,
        subentries_data=[front_door(hass).as_dict(), person("Barack").as_dict()],
    )
    name = f"{DOMAIN}.{entry.entry_id}"
    path = disk / name
    disk.mkdir()
    good = json.dumps(sealed(stored(bundle, BARACK), name)).encode()
    (disk / KEY_FILE).write_text(json.dumps(STORED_KEY))
    change, reason = CONTENT[kind]
    path.write_bytes(change(good))

    entry.add_to_hass(hass)
    for _ in range(2):  # a second start changes nothing either
        await hass.config_entries.async_setup(entry.entry_id)
        await hass.async_block_till_done()
        assert entry.state is ConfigEntryState.SETUP_ERROR
        assert entry.error_reason_translation_key == f"storage_{reason}"
        assert path.read_bytes() == change(good)
        assert {p.name for p in disk.glob(f"{DOMAIN}*")} == {path.name, KEY_FILE}
        await hass.config_entries.async_unload(entry.entry_id)
    issue = f"storage_{reason}_{entry.entry_id}"
    assert issues(hass) == {issue}
    assert (await text_of(hass, issue))[0]
    assert f".storage/{name}" in (await text_of(hass, issue))[1]
    assert hass.states.get(LOCK) is None
    assert camera.requests == 0

    path.write_bytes(good)
    await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done()
    assert entry.state is ConfigEntryState.LOADED
    assert issues(hass) == set()
    assert len(entry.runtime_data.store.album("barack")) == 2
    await hass.config_entries.async_remove(entry.entry_id)


async def test_issue_of_a_file_goes_with_its_door(hass, set_up, hass_storage) -> None:
    door = await set_up(BARACK)
    key = f"{DOMAIN}.{door.entry.entry_id}"
    await hass.config_entries.async_unload(door.entry.entry_id)
    hass_storage[key] |= {"version": 99}
    await hass.config_entries.async_setup(door.entry.entry_id)
    assert issues(hass) == {f"storage_too_new_{door.entry.entry_id}"}
    await hass.config_entries.async_remove(door.entry.entry_id)
    assert issues(hass) == set()


# System health


@pytest.fixture
async def health(hass) -> Callable[[], object]:
    assert await async_setup_component(hass, "system_health", {})

    async def health() -> dict[str, object]:
        return (await system_health.get_info(hass))[DOMAIN]

    return health


async def test_system_health(hass, set_up, camera, health) -> None:
    door = await set_up(BARACK)
    await door.frames(camera)
    info = real_bundle().info
    assert await health() == {
        "bundle": info.version,
        "models_verified": True,
        "runtime": f"{info.runtime} {info.runtime_version}",
        "doors": 1,
        "doors_watched": 1,
    }
    camera.set_available(False)
    await door.until(lambda: door.door.data.outage)
    assert (await health())["doors_watched"] == 0
    await hass.config_entries.async_unload(door.entry.entry_id)
    found = await health()
    assert found["doors"] == 1
    assert found["doors_watched"] == 0
    assert found["runtime"] is None


async def test_system_health_looks_at_the_files_themselves(hass, set_up, models, health) -> None:
    await set_up(BARACK)
    assert (await health())["models_verified"] is True
    another_network(models)
    found = await health()
    assert found["models_verified"] is False
    assert found["bundle"] is None
    assert found["doors_watched"] == 1


async def test_every_line_of_system_health_has_a_text(hass, set_up, health) -> None:
    door = await set_up(BARACK)
    texts = await async_get_translations(hass, "en", "system_health", [DOMAIN])
    assert {f"component.{DOMAIN}.system_health.info.{key}" for key in await health()} == set(texts)
    shown = json.dumps(await health())
    assert "arack" not in shown
    assert door.door.title not in shown
