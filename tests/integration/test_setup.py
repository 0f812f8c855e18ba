"""Setting up, restarting, reloading, removing; and what can be wrong with the parts."""

import base64
import json
from unittest.mock import patch

import numpy as np
import pytest
from homeassistant.config_entries import ConfigEntryState
from homeassistant.const import EVENT_HOMEASSISTANT_STOP
from homeassistant.helpers import (
    device_registry as dr,
    entity_registry as er,
    issue_registry as ir,
)
from homeassistant.requirements import RequirementsNotFound
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.face_lock import diagnostics, vision
from custom_components.face_lock.const import DOMAIN
from custom_components.face_lock.people import people_of
from custom_components.face_lock.recognition import models as runtime

from .conftest import CAMERA, FRONT, LOCK, TARGET, person, raw, real_bundle, sealed, unsealed

BARACK = {"Barack": ("obama", "obama2")}


def issue(hass, key: str) -> ir.IssueEntry | None:
    return ir.async_get(hass).async_get_issue(DOMAIN, key)


async def test_devices_and_entities(hass, set_up, target) -> None:
    door = await set_up(BARACK, lock=TARGET)
    entry = door.entry
    entities = er.async_entries_for_config_entry(er.async_get(hass), entry.entry_id)
    assert {e.entity_id: e.unique_id for e in entities} == {
        "lock.front_door": f"{FRONT}_lock",
        "event.front_door_access": f"{FRONT}_access",
        "sensor.front_door_confidence": f"{FRONT}_confidence",
        "sensor.front_door_last_person": f"{FRONT}_last_person",
        "sensor.front_door_pictures_per_second": f"{FRONT}_frames_per_second",
        "sensor.front_door_gate_open": f"{FRONT}_gate_open",
        "sensor.front_door_recognition_time": f"{FRONT}_inference",
        "sensor.front_door_runtime": f"{FRONT}_runtime",
        "sensor.front_door_model_version": f"{FRONT}_model_version",
        "binary_sensor.front_door_motion": f"{FRONT}_motion",
        "binary_sensor.front_door_face": f"{FRONT}_face",
        "binary_sensor.front_door_locked_out": f"{FRONT}_locked_out",
        "switch.front_door_recognition": f"{FRONT}_recognition",
        "sensor.barack_pictures": "barack_pictures",
        "sensor.barack_last_seen": "barack_last_seen",
        "switch.barack_allowed": "barack_allowed",
    }
    (barack,) = people_of(entry).values()
    by_id = {e.entity_id: e for e in entities}
    assert by_id["sensor.barack_pictures"].config_subentry_id == barack.subentry_id
    assert by_id[LOCK].config_subentry_id == door.subentry.subentry_id
    devices = dr.async_entries_for_config_entry(dr.async_get(hass), entry.entry_id)
    assert {d.name: d.config_subentry_id for d in devices} == {
        "Front door": door.subentry.subentry_id,
        "Barack": barack.subentry_id,
    }


async def test_restart(hass, set_up, camera, target) -> None:
    """Stop as Home Assistant stops, start with what is on the disk: the person is still known."""
    door = await set_up(BARACK, lock=TARGET)
    await door.recognised(1)
    hass.bus.async_fire(EVENT_HOMEASSISTANT_STOP)
    await hass.async_block_till_done()
    assert door.watcher.feed is None
    asked = camera.requests
    await hass.config_entries.async_unload(door.entry.entry_id)
    assert camera.requests == asked

    await hass.config_entries.async_setup(door.entry.entry_id)
    await hass.async_block_till_done()
    assert hass.states.get(LOCK).state == "locked"
    camera.show("obama3")
    assert (await door.access()).event_type == "access_granted"


async def test_removing_a_door_deletes_its_file(hass, set_up, hass_storage) -> None:
    door = await set_up(BARACK)
    key = f"{DOMAIN}.{door.entry.entry_id}"
    assert key in hass_storage
    await hass.config_entries.async_remove(door.entry.entry_id)
    await hass.async_block_till_done()
    assert key not in hass_storage
    assert hass.states.get(LOCK) is None


async def test_person_removed_while_the_door_was_not_loaded(hass, set_up, hass_storage) -> None:
    door = await set_up({**BARACK, "Joe": ("biden",)})
    await hass.config_entries.async_unload(door.entry.entry_id)
    joe = next(s for s in door.entry.subentries.values() if s.title == "Joe")
    hass.config_entries.async_remove_subentry(door.entry, joe.subentry_id)
    await hass.config_entries.async_setup(door.entry.entry_id)
    stored = unsealed(hass_storage, f"{DOMAIN}.{door.entry.entry_id}")["people"]
    assert list(stored) == ["barack"]


async def test_registries_that_are_older_than_the_entry(hass, set_up, monkeypatch) -> None:
    """Core writes them later: a power cut after somebody was removed brings the entities back."""
    door = await set_up({**BARACK, "Joe": ("biden",)})
    entry_id, registries = door.entry.entry_id, (er.async_get(hass), dr.async_get(hass))
    joe = next(s for s in door.entry.subentries.values() if s.title == "Joe")
    await hass.config_entries.async_unload(entry_id)

    def subentries() -> set[str | None]:
        entities, devices = registries
        return {
            item.config_subentry_id
            for item in (
                *er.async_entries_for_config_entry(entities, entry_id),
                *dr.async_entries_for_config_entry(devices, entry_id),
            )
        }

    before = subentries()
    with monkeypatch.context() as cut:
        for registry in registries:
            cut.setattr(type(registry), "async_clear_config_subentry", lambda *_: None)
        hass.config_entries.async_remove_subentry(door.entry, joe.subentry_id)
    assert subentries() == before
    await hass.config_entries.async_setup(entry_id)
    assert subentries() == before - {joe.subentry_id}
    assert hass.states.get("switch.joe_allowed") is None


# The store


async def test_new_model_embeds_the_crops_anew(hass, set_up, bundle, hass_storage, camera) -> None:
    door = await set_up(BARACK)
    key = f"{DOMAIN}.{door.entry.entry_id}"
    await hass.config_entries.async_unload(door.entry.entry_id)
    wrong = np.eye(bundle.verifier.embedding_size, dtype="<f4")[0]
    content = unsealed(hass_storage, key)
    pictures = content["people"]["barack"]["pictures"]
    before = [picture["embedding"] for picture in pictures]
    for picture in pictures:
        picture |= {"model": "old", "embedding": base64.b64encode(wrong.tobytes()).decode()}
    hass_storage[key] = sealed(content, key)

    await hass.config_entries.async_setup(door.entry.entry_id)
    await hass.async_block_till_done()

    pictures = unsealed(hass_storage, key)["people"]["barack"]["pictures"]
    assert {picture["model"] for picture in pictures} == {bundle.verifier.model}
    for picture, expected in zip(pictures, before, strict=True):
        made, known = (
            np.frombuffer(base64.b64decode(text), "<f4")
            for text in (picture["embedding"], expected)
        )
        assert made @ known > 0.9999
    camera.show("obama3")
    assert (await door.access()).event_type == "access_granted"


DAMAGE = {
    "no base64": lambda picture: picture | {"crop": "%%%"},
    "no picture": lambda picture: picture | {"crop": base64.b64encode(b"x" * 50).decode()},
    "another size": lambda picture: picture | {"crop": base64.b64encode(raw("obama")).decode()},
    "truncated embedding": lambda picture: picture | {"embedding": picture["embedding"][:15]},
    "zero embedding": lambda picture: (
        picture | {"embedding": base64.b64encode(np.zeros(128, "<f4").tobytes()).decode()}
    ),
    "no model": lambda picture: {k: v for k, v in picture.items() if k != "model"},
    "no mapping": lambda picture: ["nonsense"],
}


@pytest.mark.parametrize("damage", DAMAGE)
async def test_damaged_picture_is_left_out(hass, set_up, hass_storage, damage) -> None:
    door = await set_up(BARACK)
    key = f"{DOMAIN}.{door.entry.entry_id}"
    await hass.config_entries.async_unload(door.entry.entry_id)
    content = unsealed(hass_storage, key)
    pictures = content["people"]["barack"]["pictures"]
    pictures[0] = DAMAGE[damage](pictures[0])
    hass_storage[key] = sealed(content, key)
    await hass.config_entries.async_setup(door.entry.entry_id)
    await hass.async_block_till_done()
    assert hass.states.get("sensor.barack_pictures").state == "1"
    # It is written back as it is when somebody else comes, and goes with its person.
    hass.config_entries.async_add_subentry(door.entry, person("Joe"))
    await hass.async_block_till_done()
    kept = unsealed(hass_storage, key)["people"]["barack"]["pictures"]
    assert len(kept) == 2
    assert pictures[0] in kept
    barack = people_of(door.entry)["barack"]
    hass.config_entries.async_remove_subentry(door.entry, barack.subentry_id)
    await hass.async_block_till_done()
    assert "barack" not in unsealed(hass_storage, key)["people"]


async def test_lost_pictures_are_an_issue(hass, set_up, hass_storage) -> None:
    door = await set_up(BARACK)
    key = f"{DOMAIN}.{door.entry.entry_id}"
    name = f"pictures_missing_{door.entry.entry_id}"
    assert issue(hass, name) is None
    await hass.config_entries.async_unload(door.entry.entry_id)
    good = hass_storage.pop(key)
    await hass.config_entries.async_setup(door.entry.entry_id)
    await hass.async_block_till_done()
    assert door.entry.state is ConfigEntryState.LOADED
    assert issue(hass, name).translation_placeholders == {"people": "Barack"}
    # It goes when the pictures are back.
    await hass.config_entries.async_unload(door.entry.entry_id)
    hass_storage[key] = good
    await hass.config_entries.async_setup(door.entry.entry_id)
    assert issue(hass, name) is None


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ({"version": 99, "data": {}}, "storage_too_new"),
        ({"data": {}}, "storage_unreadable"),
        # Version 1 was not encrypted: what it would open for, anybody could have written.
        ({"version": 1, "data": {"people": {}}}, "storage_unreadable"),
        ({"version": 1, "data": []}, "storage_unreadable"),
        ({"version": 2, "data": {"people": {}}}, "storage_tampered"),
    ],
)
async def test_unusable_storage(hass, set_up, hass_storage, content, reason) -> None:
    door = await set_up(BARACK)
    key = f"{DOMAIN}.{door.entry.entry_id}"
    await hass.config_entries.async_unload(door.entry.entry_id)
    hass_storage[key] = content
    await hass.config_entries.async_setup(door.entry.entry_id)
    assert door.entry.state is ConfigEntryState.SETUP_ERROR
    assert door.entry.error_reason_translation_key == reason
    # What cannot be read is not overwritten either.
    assert hass_storage[key] == content


# Models and runtimes


async def test_every_model_file_is_checked(hass, set_up, tmp_path) -> None:
    """The integration's own loading, not the tests' cached one."""
    folder = tmp_path / "models"
    folder.mkdir()
    for file in vision.networks.bundle.BUNDLED.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    network = folder / "verifier.bin"
    content = bytearray(network.read_bytes())
    content[1000] ^= 1
    network.write_bytes(content)
    with patch.object(vision.networks.bundle, "BUNDLED", folder):
        with patch.object(runtime, "load_bundle", vision.load_bundle):
            # set_up's fixture put the cached bundle there first.
            door = await set_up(BARACK)
        assert door.entry.state is ConfigEntryState.SETUP_ERROR
        assert door.entry.error_reason_translation_key == "models_damaged"
        assert issue(hass, "models_damaged")
        assert hass.states.get(LOCK) is None
    await hass.config_entries.async_reload(door.entry.entry_id)
    assert door.entry.state is ConfigEntryState.LOADED
    assert issue(hass, "models_damaged") is None


class Packages:
    """Which runtimes can be installed; loading works once ``works`` is."""

    def __init__(self, works: str | None, *available: str) -> None:
        self.works = works
        self.available = available
        self.asked: list[str] = []
        self.installed: list[str] = []

    async def install(self, hass, name, requirements, is_built_in=True) -> None:
        assert name == DOMAIN
        assert not is_built_in
        self.asked += requirements
        if requirements[0].split("==")[0] not in self.available:
            raise RequirementsNotFound(name, requirements)
        self.installed += requirements

    def load(self) -> vision.Bundle:
        if not any(r.startswith(f"{self.works}==") for r in self.installed):
            raise vision.RuntimeUnavailableError("none")
        return real_bundle()


@pytest.mark.parametrize(
    ("packages", "asked"),
    [
        # ncnn is tried first; onnxruntime where ncnn cannot be had, or does not load.
        (Packages("ncnn", "ncnn"), 1),
        (Packages("onnxruntime", "onnxruntime"), 2),
        (Packages("onnxruntime", "ncnn", "onnxruntime"), 2),
    ],
)
async def test_runtime_is_installed_where_none_is(hass, set_up, packages, asked) -> None:
    with (
        patch.object(runtime, "async_process_requirements", packages.install),
        patch.object(runtime, "load_bundle", packages.load),
    ):
        door = await set_up(BARACK)
    assert door.entry.state is ConfigEntryState.LOADED
    assert packages.asked == list(runtime.REQUIREMENTS[:asked])
    assert all("==" in requirement for requirement in packages.asked)
    assert issue(hass, "runtime_missing") is None


@pytest.mark.parametrize("packages", [Packages(None), Packages(None, "ncnn", "onnxruntime")])
async def test_no_runtime_keeps_the_door_shut(hass, set_up, packages) -> None:
    with (
        patch.object(runtime, "async_process_requirements", packages.install),
        patch.object(runtime, "load_bundle", packages.load),
    ):
        door = await set_up(BARACK)
    assert door.entry.state is ConfigEntryState.SETUP_RETRY
    assert door.entry.error_reason_translation_key == "runtime_missing"
    assert issue(hass, "runtime_missing")
    assert hass.states.get(LOCK) is None
    # And it is tried again.
    await hass.config_entries.async_reload(door.entry.entry_id)
    assert door.entry.state is ConfigEntryState.LOADED
    assert issue(hass, "runtime_missing") is None


async def test_rate_too_strict_for_so_many_people(hass, set_up, camera) -> None:
    """The door that cannot keep its rate stays shut, and says so; with fewer people it goes on."""
    door = await set_up(BARACK)
    assert FRONT in door.household.doors
    with patch.object(
        vision.Thresholds,
        "operating_point",
        side_effect=vision.RateUnavailableError,
    ):
        hass.config_entries.async_add_subentry(door.entry, person("Joe"))
        await hass.async_block_till_done()
        assert door.household.doors == {}
        assert (
            issue(hass, f"door_unusable_{FRONT}").translation_placeholders["door"] == "Front door"
        )
        asked = camera.requests
        assert hass.states.get(LOCK).state == "unavailable"
    joe = people_of(door.entry)["joe"]
    hass.config_entries.async_remove_subentry(door.entry, joe.subentry_id)
    await hass.async_block_till_done()
    assert issue(hass, f"door_unusable_{FRONT}") is None
    assert camera.requests > asked
    camera.show("obama3")
    assert (await door.access()).event_type == "access_granted"


# Diagnostics


async def test_diagnostics_tell_nothing_of_the_people(hass, set_up, target, camera) -> None:
    security = {
        "code": "c2FsdA==$aGFzaA==",
        "factor_after_restart": True,
        "announce": [{"action": "notify.ada"}],
        "flash_light": "light.ada",
    }
    settings = {"security": security, "gate": {"triggers": ["binary_sensor.porch"]}}
    door = await set_up({**BARACK, "Joe": ("biden",)}, lock=TARGET, settings=settings)
    door.door.memory.opened = True
    camera.show("obama3")
    await door.access()
    content = await diagnostics.async_get_config_entry_diagnostics(hass, door.entry)
    text = json.dumps(content)
    assert content["people"] == [2, 1]
    (front,) = content["doors"]
    assert front["options"]["security"] == {
        "liveness": "off",
        "code": "**REDACTED**",
        "factor_after_restart": True,
        "announce": "**REDACTED**",
        "flash_light": "**REDACTED**",
    }
    assert front["options"]["gate"] == {"triggers": "**REDACTED**"}
    assert content["bundle"]["runtime"] in ("ncnn", "onnxruntime")
    assert front["lock"] == {"target": True, "available": True}
    assert [camera["visits"] for camera in front["cameras"]] == [1]
    (album, _) = door.household.store.people.values()
    for secret in ("arack", "Joe", "Front", "deadbolt", "similarity", "confidence", "embedding"):
        assert secret not in text
    assert not [x for x in album[0].template.embedding[:5] if str(float(x))[:6] in text]


async def test_nothing_personal_in_the_log(hass, set_up, target, camera, caplog) -> None:
    caplog.set_level("INFO")
    door = await set_up(BARACK, lock=TARGET)
    camera.show("obama3")
    await door.access()
    await door.leave(camera)
    said = [r.getMessage() for r in caplog.records if r.name.startswith("custom_components")]
    assert not [line for line in said if "arack" in line or "0.9" in line]


async def test_an_entry_of_the_first_versions_is_a_clear_issue(hass, set_up, hass_storage) -> None:
    """Each door was an entry then, with people of its own: nothing of that is taken over."""
    old = MockConfigEntry(domain=DOMAIN, title="Garage", data={"camera": CAMERA}, minor_version=2)
    old.add_to_hass(hass)
    files = [f"{DOMAIN}.{old.entry_id}{kind}" for kind in ("", ".feedback", ".visit", ".lockout")]
    hass_storage.update({file: {"version": 1, "data": {}} for file in files})
    assert not await hass.config_entries.async_setup(old.entry_id)
    assert old.state is ConfigEntryState.MIGRATION_ERROR
    name = f"old_entry_{old.entry_id}"
    assert issue(hass, name).translation_placeholders == {"door": "Garage"}
    await hass.config_entries.async_remove(old.entry_id)
    assert issue(hass, name) is None
    assert not hass_storage.keys() & set(files)


async def test_an_entry_of_a_later_version_is_left_alone(hass, set_up) -> None:
    door = await set_up({})
    await hass.config_entries.async_unload(door.entry.entry_id)
    hass.config_entries.async_update_entry(door.entry, options={"new": 1}, version=3)
    assert not await hass.config_entries.async_setup(door.entry.entry_id)
    assert door.entry.state is ConfigEntryState.MIGRATION_ERROR
    assert door.entry.options == {"new": 1}


@pytest.mark.parametrize("gate", [{"sensitivity": "psychic"}, 5])
async def test_an_option_of_another_version_is_a_clear_issue(hass, set_up, gate) -> None:
    door = await set_up({}, settings={"gate": gate})
    assert door.entry.state is ConfigEntryState.LOADED
    assert door.household.doors == {}
    assert issue(hass, f"door_unusable_{FRONT}").translation_key == "door_unusable"
    # It goes with the option.
    data = {key: value for key, value in door.subentry.data.items() if key != "gate"}
    hass.config_entries.async_update_subentry(door.entry, door.subentry, data=data)
    await hass.async_block_till_done()
    assert issue(hass, f"door_unusable_{FRONT}") is None
    assert FRONT in door.household.doors
