"""Models that the owner put into a folder of the configuration."""

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
from homeassistant.config_entries import ConfigEntryState
from homeassistant.data_entry_flow import FlowResultType
from homeassistant.requirements import RequirementsNotFound

from custom_components.face_lock import system_health, vision
from custom_components.face_lock.const import DOMAIN
from custom_components.face_lock.recognition import models as runtime, own_models
from custom_components.face_lock.settings import BUNDLED, HouseholdSettings

from .conftest import LOCK
from .test_runtime import issues, text_of

BARACK = {"Barack": ("obama", "obama2")}


@pytest.fixture
def own(hass, set_up, tmp_path, monkeypatch) -> Path:
    """A folder with another verifier: the bundle's, with a note in its file; loaded for real."""
    hass.config.config_dir = str(tmp_path)
    folder = tmp_path / DOMAIN / "models" / "mine"
    shutil.copytree(vision.networks.bundle.BUNDLED, folder)
    # Another file is another network, though this one gives the same embeddings.
    with (folder / "verifier.onnx").open("ab") as file:
        file.write(b"\x32\x05other")  # protobuf's field 6, the model's description
    changed = (folder / "verifier.onnx").read_bytes()
    describe(folder, lambda verifier: verifier["files"]["onnx"].update(sha256=sha(changed)))
    monkeypatch.setattr(runtime, "load_bundle", vision.load_fastest_bundle)
    return folder


def sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def describe(folder: Path, change: Callable[[dict], object]) -> None:
    description = json.loads((folder / "models.json").read_text())
    change(description["models"]["verifier"])
    (folder / "models.json").write_text(json.dumps(description))


def set_to(name: str) -> dict[str, object]:
    return {"bundle": name}


async def begin(hass, entry) -> dict:
    return await hass.config_entries.options.async_init(entry.entry_id)


async def submit(hass, flow, **values: object) -> dict:
    """Submit the form as it stands, with some values changed."""
    defaults = {"keep_pictures": True}
    result = await hass.config_entries.options.async_configure(
        flow["flow_id"], {**defaults, **values}
    )
    await hass.async_block_till_done()
    return result


def schema(flow) -> dict:
    return {str(key): field for key, field in flow["data_schema"].schema.items()}


async def refused(hass, name, requirements, is_built_in=True) -> None:
    raise RequirementsNotFound(name, requirements)


async def test_nothing_is_asked_where_there_is_nothing_to_choose(hass, set_up) -> None:
    door = await set_up({})
    assert "bundle" not in schema(await begin(hass, door.entry))


async def test_only_folders_with_models_are_offered(hass, set_up, own) -> None:
    (own.parent / "empty").mkdir()
    (own.parent / "a file").touch()
    shutil.copytree(own, own.parent / BUNDLED)
    door = await set_up({})
    field = schema(await begin(hass, door.entry))["bundle"]
    assert field.config["options"] == [BUNDLED, "mine"]
    # The form as it stands leaves the door with Face Lock's own.
    await submit(hass, await begin(hass, door.entry))
    assert HouseholdSettings.of(door.entry.options).bundle == BUNDLED


async def test_a_change_of_models_makes_all_templates_again(hass, set_up, own, camera) -> None:
    door = await set_up(BARACK)
    before = door.household
    flow = await begin(hass, door.entry)
    result = await submit(hass, flow, bundle="mine")
    assert result["type"] is FlowResultType.CREATE_ENTRY
    after = door.household
    assert after.settings.bundle == "mine"
    assert after.bundle.verifier.model == sha((own / "verifier.onnx").read_bytes())[:16]
    assert after.bundle.verifier.model != before.bundle.verifier.model
    templates = [portrait.template for portrait in after.store.album("barack")]
    assert [template.model for template in templates] == [after.bundle.verifier.model] * 2
    kept = [portrait.template for portrait in before.store.album("barack")]
    for one, other in zip(templates, kept, strict=True):
        assert np.allclose(one.embedding, other.embedding, atol=1e-3)
    camera.show("obama3")
    assert (await door.access()).event_type == "access_granted"


async def test_costs_and_rates_are_those_of_the_chosen_models(hass, set_up, own) -> None:
    def one_row(verifier: dict) -> None:
        verifier["thresholds"] = [
            {"fpr": 1e-3, "threshold": 0.9, "fpr_low": 0.0, "fpr_high": 1e-3, "measured": True,
             "tar": 0.5, "miss_day": 0.42, "miss_night": 0.77}
        ]  # fmt: skip

    describe(own, one_row)
    # The table is too short for the door as it is set.
    door = await set_up({})
    result = await submit(hass, await begin(hass, door.entry), bundle="mine")
    assert result["errors"] == {"bundle": "rate_unavailable"}
    assert HouseholdSettings.of(door.entry.options).bundle == BUNDLED
    door.change(recognition={"false_positive_rate": "one_in_1000"})
    await hass.async_block_till_done()
    await submit(hass, result, bundle="mine")
    assert door.entry.state is ConfigEntryState.LOADED
    flows = hass.config_entries.subentries
    handler = (door.entry.entry_id, "door")
    context = {"source": "reconfigure", "subentry_id": door.subentry.subentry_id}
    flow = await flows.async_init(handler, context=context)
    flow = await flows.async_configure(flow["flow_id"], {"next_step_id": "recognition"})
    shown = flow["description_placeholders"]
    assert (shown["one_in_1000_day"], shown["one_in_10000_day"]) == ("42", "?")
    strict = {"false_positive_rate": "one_in_10000"}
    flow = await flows.async_configure(flow["flow_id"], strict)
    assert flow["errors"] == {"false_positive_rate": "rate_unavailable"}


def another_network(folder: Path) -> None:
    (folder / "verifier.onnx").write_bytes((folder / "detector.onnx").read_bytes())


DAMAGE: dict[str, Callable[[Path], object]] = {
    "another network": another_network,
    "no network": lambda folder: (folder / "verifier.onnx").unlink(),
    "no description": lambda folder: (folder / "models.json").unlink(),
    "no table": lambda folder: describe(folder, lambda verifier: verifier.pop("thresholds")),
    "no folder": shutil.rmtree,
}


@pytest.mark.parametrize("damage", DAMAGE)
async def test_no_other_models_take_the_place_of_broken_ones(
    hass, set_up, own, camera, damage
) -> None:
    whole = own.parent / "backup"
    shutil.copytree(own, whole)
    DAMAGE[damage](own)
    door = await set_up(BARACK, options=set_to("mine"))
    assert door.entry.state is ConfigEntryState.SETUP_ERROR
    issue = f"own_models_unusable_{door.entry.entry_id}"
    assert issues(hass) == {issue}
    title, description = await text_of(hass, issue)
    assert title
    assert "`face_lock/models/mine`" in description
    assert hass.states.get(LOCK) is None
    assert camera.requests == 0
    # Put back, the door opens as before.
    shutil.rmtree(own, ignore_errors=True)
    shutil.copytree(whole, own)
    await hass.config_entries.async_reload(door.entry.entry_id)
    assert door.entry.state is ConfigEntryState.LOADED
    assert issues(hass) == set()
    camera.show("obama3")
    assert (await door.access()).event_type == "access_granted"


async def test_broken_models_can_be_changed_for_others(hass, set_up, own) -> None:
    shutil.rmtree(own)
    door = await set_up(BARACK, options=set_to("mine"))
    assert door.entry.state is ConfigEntryState.SETUP_ERROR
    flow = await begin(hass, door.entry)
    assert schema(flow)["bundle"].config["options"] == [BUNDLED, "mine"]
    same = await submit(hass, flow, bundle="mine")
    assert same["errors"] == {"bundle": "own_models_damaged"}
    await submit(hass, same, bundle=BUNDLED)
    await hass.config_entries.async_reload(door.entry.entry_id)
    assert door.entry.state is ConfigEntryState.LOADED
    assert issues(hass) == set()


async def test_the_issue_goes_with_the_household(hass, set_up, own) -> None:
    shutil.rmtree(own)
    door = await set_up({}, options=set_to("mine"))
    assert issues(hass) == {f"own_models_unusable_{door.entry.entry_id}"}
    await hass.config_entries.async_remove(door.entry.entry_id)
    assert issues(hass) == set()


@pytest.mark.parametrize("name", ["../mine", "..", "/etc", "mine/..", "", "."])
async def test_a_name_leads_nowhere_else(hass, set_up, own, name) -> None:
    with pytest.raises(ValueError, match="not the name of a folder"):
        own_models.models_folder(hass, name)
    door = await set_up({}, options=set_to(name))
    assert door.entry.state is ConfigEntryState.SETUP_ERROR
    assert issues(hass) == {f"own_models_unusable_{door.entry.entry_id}"}
    # The form still opens, so that another choice can be made.
    same = await submit(hass, await begin(hass, door.entry), bundle=name)
    assert same["errors"] == {"bundle": "own_models_damaged"}


async def test_a_network_without_ncnn_needs_the_other_runtime(hass, set_up, own) -> None:
    describe(own, lambda verifier: verifier["files"].pop("ncnn"))
    with (
        patch.object(vision.networks.fastest, "available", lambda: ["ncnn"]),
        patch.object(vision.networks.bundle, "available", lambda: ["ncnn"]),
        patch.object(runtime, "async_process_requirements", refused),
    ):
        door = await set_up({}, options=set_to("mine"))
        # Tried again: it may become possible to install it.
        assert door.entry.state is ConfigEntryState.SETUP_RETRY
        issue = f"own_models_unusable_{door.entry.entry_id}"
        assert issues(hass) == {issue}
        assert "onnxruntime" in (await text_of(hass, issue))[1]
    await hass.config_entries.async_reload(door.entry.entry_id)
    assert door.entry.state is ConfigEntryState.LOADED
    assert door.household.bundle.info.runtime == "onnxruntime"
    assert issues(hass) == set()


async def test_two_doors_keep_their_own_models_loaded(hass, own, set_up) -> None:
    first = await hass.async_add_executor_job(vision.load_fastest_bundle)
    other = await hass.async_add_executor_job(vision.load_fastest_bundle, own)
    assert other is not first
    assert await hass.async_add_executor_job(vision.load_fastest_bundle) is first
    assert await hass.async_add_executor_job(vision.load_fastest_bundle, own) is other


async def test_system_health_looks_at_the_models_in_use(hass, set_up, own) -> None:
    def version(description: dict) -> None:
        description["version"] = "mine 1"

    content = json.loads((own / "models.json").read_text())
    version(content)
    (own / "models.json").write_text(json.dumps(content))
    await set_up({}, options=set_to("mine"))
    found = await system_health.async_system_health_info(hass)
    assert found["models_verified"] is True
    assert "mine 1" in found["bundle"]
    another_network(own)
    found = await system_health.async_system_health_info(hass)
    assert found["models_verified"] is False
    assert "mine 1" not in found["bundle"]
