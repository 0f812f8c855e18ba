"""A picture of a face hangs in view: no visitor, told to the owner, remembered over restarts."""

import json

import numpy as np
import pytest
from homeassistant.helpers import issue_registry as ir
from PIL import Image

from custom_components.face_lock import vision
from custom_components.face_lock.const import DOMAIN, ISSUE_FACE_IN_VIEW
from custom_components.face_lock.flows import camera_check
from custom_components.face_lock.recognition import feed
from custom_components.face_lock.storage.key import Vault
from custom_components.face_lock.storage.scenes import Scenes, scenes_file
from custom_components.face_lock.vision.tracking import place
from tests.harness.devices import HEIGHT, WIDTH, portrait

from .conftest import CAMERA, MOTION, TARGET, sealed
from .test_config_flow import Dialogue

BARACK = {"Barack": ("obama", "obama2")}
FILE = f"{DOMAIN}.household1.scenes"


class Wall:
    """A wall with a portrait on it, and whoever else is there."""

    def __init__(self) -> None:
        self.rng = np.random.default_rng(20261126)
        shade = np.linspace(90, 150, WIDTH)[None, :, None] + np.zeros((HEIGHT, 1, 3))
        shade *= (1.1, 1.0, 0.9)
        self.wall = Image.fromarray(shade.astype(np.uint8))
        self.bare = self.wall.copy()

    def hang(self, name: str) -> None:
        image = portrait(name)
        size = (round(image.width * 200 / image.height), 200)
        self.wall.paste(image.resize(size), (40, 30))

    def take_down(self) -> None:
        self.wall = self.bare.copy()

    def picture(self, *, passing: bool = False, visitor: str | None = None) -> bytes:
        canvas = self.wall.copy()
        if passing:
            left = int(self.rng.integers(260, WIDTH - 120))
            canvas.paste((40, 45, 50), (left, 60, left + 110, HEIGHT))
        if visitor is not None:
            image = portrait(visitor)
            height = self.rng.uniform(370, 400)
            size = (round(image.width * height / image.height), round(height))
            x, y = self.rng.uniform(-8, 8, 2)
            canvas.paste(image.resize(size), (round(300 + x), round(50 + y)))
        noise = self.rng.normal(0, 1, (HEIGHT, WIDTH, 3))
        pixels = (np.asarray(canvas) + noise).clip(0, 255).astype(np.uint8)
        return vision.encode_jpeg(pixels)


@pytest.fixture
def wall(camera) -> Wall:
    wall = Wall()
    wall.hang("obama3")
    camera.source = wall.picture
    return wall


@pytest.fixture
def quick(monkeypatch) -> None:
    """Learn from two looks: the times are those of ``tests/vision/test_scene.py``."""
    monkeypatch.setattr(place, "LEARNT_AFTER", 2)


async def learn(door, camera) -> None:
    """Let time pass until something is learnt."""
    scenes = door.household.records.scenes
    for _ in range(6):
        if scenes.cameras:
            break
        looked = door.watcher.counters.recognised
        door.clock.jump(61)
        await door.until(lambda looked=looked: door.watcher.counters.recognised > looked)
        await door.frames(camera, 2)
    assert scenes.cameras
    await door.hass.async_block_till_done()


def issues(hass) -> list[ir.IssueEntry]:
    found = ir.async_get(hass).issues.values()
    return [issue for issue in found if issue.translation_key == ISSUE_FACE_IN_VIEW]


async def passes_by(door, camera, wall) -> None:
    camera.source = lambda: wall.picture(passing=True)
    await door.recognised(4)
    camera.source = wall.picture
    await door.recognised(4)


async def test_the_owners_portrait_opens_for_nobody_who_walks_past(
    set_up, camera, target, wall
) -> None:
    door = await set_up(BARACK, lock=TARGET)
    await door.recognised(2)
    await passes_by(door, camera, wall)
    assert not door.watcher.in_visit
    await door.wait(camera, 8)
    assert door.accesses == []
    assert target.calls == []
    assert door.state(MOTION) == "off"
    assert door.door.controller.lockout.failures == 0

    camera.source = lambda: wall.picture(visitor="obama")
    access = await door.access()
    assert (access.event_type, access.person) == ("access_granted", "Barack")


async def test_it_is_told_and_remembered_over_a_restart_and_goes_with_the_picture(
    hass, hass_storage, set_up, camera, target, wall, quick, monkeypatch
) -> None:
    door = await set_up(BARACK, lock=TARGET)
    await door.recognised(1)
    assert not issues(hass)
    await learn(door, camera)
    (issue,) = issues(hass)
    assert issue.translation_placeholders == {"camera": "Front door"}
    assert issue.severity is ir.IssueSeverity.WARNING
    assert FILE in hass_storage
    assert "box" not in str(hass_storage[FILE])

    hass.data.pop("face_lock_scenes")
    monkeypatch.setattr(feed, "IDLE_INTERVAL", 0.03)
    camera.source = lambda: wall.picture(passing=True)
    await hass.config_entries.async_reload(door.entry.entry_id)
    await door.recognised(5)
    assert len(issues(hass)) == 1
    assert not door.watcher.in_visit

    wall.take_down()
    camera.source = wall.picture
    await door.wait(camera, 8)
    for _ in range(12):
        looked = door.watcher.counters.recognised
        door.clock.jump(61)
        await door.until(lambda looked=looked: door.watcher.counters.recognised > looked)
    await door.until(lambda: not issues(hass))
    assert door.accesses == []
    assert target.calls == []


async def test_the_cameras_check_names_it_and_looks_past_it(
    hass, set_up, camera, wall, quick, monkeypatch
) -> None:
    monkeypatch.setattr(camera_check, "INTERVAL", 0.01)
    door = await set_up(BARACK)
    await door.recognised(1)
    await learn(door, camera)
    manager = hass.config_entries.subentries
    flow = await manager.async_init((door.entry.entry_id, "door"), context={"source": "user"})
    dialogue = Dialogue(manager, flow)
    chosen = {"name": "Gate", "cameras": [CAMERA], "false_positive_rate": "one_in_10000"}
    shown = (await dialogue.answer(chosen))["description_placeholders"]
    assert "A picture of a face hangs in view" in shown["problems"]
    assert shown["face"].startswith("-")


async def test_what_is_known_goes_with_its_camera(
    hass, hass_storage, set_up, camera, wall, quick
) -> None:
    door = await set_up(BARACK)
    await door.recognised(1)
    await learn(door, camera)
    assert len(issues(hass)) == 1
    door.household.records.scenes.async_forget_all_but(())
    await hass.async_block_till_done()
    assert not issues(hass)
    assert FILE not in hass_storage


async def test_nothing_is_left_of_a_removed_household(
    hass, hass_storage, set_up, camera, wall, quick
) -> None:
    door = await set_up(BARACK)
    await door.recognised(1)
    await learn(door, camera)
    await hass.config_entries.async_remove(door.entry.entry_id)
    await hass.async_block_till_done()
    assert not issues(hass)
    assert FILE not in hass_storage


async def test_a_file_that_cannot_be_read_is_learnt_anew_and_keeps_no_door_shut(
    hass, hass_storage, set_up, camera, target
) -> None:
    hass_storage[FILE] = sealed({"cameras": {"a": [{"box": [1]}]}}, FILE, version=1)
    door = await set_up(BARACK, lock=TARGET)
    await door.recognised(1)
    camera.show("obama3")
    assert (await door.access()).event_type == "access_granted"
    assert door.household.records.scenes.cameras == ()


@pytest.mark.parametrize(
    "content",
    [
        None,
        [],
        {},
        {"cameras": None},
        {"cameras": [1]},
        {"cameras": {"a": 3}},
        {"cameras": {"a": [3]}},
    ],
)
async def test_content_that_is_no_scene_is_forgotten(hass, hass_storage, content, caplog) -> None:
    name = scenes_file("abc")
    vault = Vault("0011223344556677", bytes(range(32)))
    data = vault.seal(json.dumps(content).encode(), name)
    hass_storage[name] = {"version": 1, "minor_version": 1, "key": name, "data": data}
    scenes = Scenes(hass, vault, "abc")
    await scenes.async_load()
    assert scenes.cameras == ()
    assert scenes.async_scene("a").fixtures == ()
