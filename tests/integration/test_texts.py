"""Every text that the code asks for exists, and the files Home Assistant reads agree."""

import ast
import json
import re
from pathlib import Path

import probatio
import pytest
from homeassistant.components.lock.const import LockState
from homeassistant.const import __version__ as ha_version
from homeassistant.helpers.translation import async_get_translations
from homeassistant.util import yaml as yaml_util
from PIL import Image

from custom_components.face_lock import config_flow, const, settings, vision
from custom_components.face_lock.access.one_time_pass import MAX_SECONDS
from custom_components.face_lock.enrollment.pose_guide import POSES
from custom_components.face_lock.flows import (
    capture,
    door,
    door_options,
    household_options,
    person,
    set_up,
)
from custom_components.face_lock.format import percent
from custom_components.face_lock.recognition import models as runtime
from custom_components.face_lock.services import ACTIONS
from custom_components.face_lock.storage.feedback import Verdict
from custom_components.face_lock.vision.imaging import heic
from custom_components.face_lock.visit import OUTCOMES

from .conftest import ROOT

FOLDER = ROOT / "custom_components" / "face_lock"
TEXTS = json.loads((FOLDER / "translations" / "en.json").read_text())
MANIFEST = json.loads((FOLDER / "manifest.json").read_text())
SERVICES = yaml_util.load_yaml_dict(FOLDER / "services.yaml")
ICONS = json.loads((FOLDER / "icons.json").read_text())
PERSON = TEXTS["config_subentries"]["person"]
DOOR = TEXTS["config_subentries"]["door"]

CAMERA_ERRORS = {
    "camera_not_found",
    "camera_unavailable",
    "camera_off",
    "camera_timeout",
    "camera_failed",
}
PICTURE_PROBLEMS = {p.value for p in vision.Problem if p.value.startswith("picture_")}
FACE_PROBLEMS = {
    "no_face",
    "several_faces",
    "face_too_small",
    "too_dark",
    "blurred",
    "turned",
    "other_person",
}


def shell() -> list[Path]:
    """All modules that know Home Assistant."""
    return [path for path in FOLDER.rglob("*.py") if FOLDER / "vision" not in path.parents]


def literals(*names: str) -> set[str]:
    """All plain strings in the named modules that look like keys."""
    found: set[str] = set()
    for name in names:
        for node in ast.walk(ast.parse((FOLDER / name).read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.add(node.value)
    return {text for text in found if re.fullmatch(r"[a-z]+(_[a-z0-9]+)+", text)}


def keyword_values(keyword: str) -> set[str]:
    """What is passed as ``keyword`` anywhere in the integration, constants resolved."""
    values: set[str] = set()
    for path in shell():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.keyword) and node.arg == keyword:
                if isinstance(node.value, ast.Constant):
                    values.add(node.value.value)
                elif isinstance(node.value, ast.Name) and hasattr(const, node.value.id):
                    values.add(getattr(const, node.value.id))
    return values


def steps(*modules) -> set[str]:
    """The steps that show something."""
    return set().union(*(_steps(module) for module in modules))


def _steps(module) -> set[str]:
    return set(re.findall(r'step_id="(\w+)"', Path(module.__file__).read_text()))


def test_camera_errors_in_the_source_are_those_known_here() -> None:
    assert {
        t for t in literals("recognition/snapshot.py") if t.startswith("camera_")
    } == CAMERA_ERRORS


@pytest.mark.parametrize("error", sorted(CAMERA_ERRORS | PICTURE_PROBLEMS))
def test_errors_of_pictures_have_a_text(error) -> None:
    assert TEXTS["config"]["error"][error]
    assert DOOR["error"][error]
    assert PERSON["error"][error]


def test_refusals_have_a_text() -> None:
    modules = ("flows/capture.py", "flows/details.py", "flows/person.py")
    own = literals(*modules, "enrollment/album.py", "enrollment/procedure.py", "names.py")
    own &= set(PERSON["error"])
    asked = {"same_picture", "enrolled_already", "upload_missing", "upload_none", "not_kept"}
    asked |= {
        "name_missing",
        "name_too_long",
        "name_reserved",
        "name_taken",
        "expires_past",
        "capture_failed",
        "pose_missed",
    }
    asked |= {"person_not_found", "schedule_not_found"}
    assert own - FACE_PROBLEMS == asked
    assert set(PERSON["error"]) == asked | CAMERA_ERRORS | PICTURE_PROBLEMS | FACE_PROBLEMS


def test_the_door_forms_errors_have_a_text() -> None:
    shortcomings = {s.value for s in vision.Shortcoming}
    fields = {"camera_none", "door_name_taken", "lock_not_found", "trigger_not_found"}
    fields |= {"check_failed"}
    rates = {"rate_unavailable", "models_damaged"}
    wanted = CAMERA_ERRORS | PICTURE_PROBLEMS | shortcomings | fields | rates
    assert set(TEXTS["config"]["error"]) == wanted
    own = literals("flows/door_options.py") & set(DOOR["error"])
    code = {"code_length", "code_removed", "trigger_not_found", "contact_not_found"}
    challenge = {"challenge_missing", "announce_invalid", "flash_light_not_found"}
    assert own == code | challenge | {"factor_not_found", "factor_state", "factor_missing"}
    # Another door may be added to a household with models of its owner's.
    assert set(DOOR["error"]) == wanted | own | {"own_models_damaged"}
    assert set(TEXTS["options"]["error"]) == rates | {"own_models_damaged"}


def test_whatever_a_capture_says_has_a_text() -> None:
    hints = FACE_PROBLEMS | {"same_picture", "enrolled_already", "no_picture"}
    assert set(PERSON["progress"]) == hints | {str(pose) for pose in POSES}
    for text in PERSON["progress"].values():
        assert set(re.findall(r"{(\w+)}", text)) - {"name"} == {"kept", "wanted", "picture"}
    for problem in CAMERA_ERRORS | PICTURE_PROBLEMS:
        assert capture._action(problem) == "no_picture"


def test_choices_have_a_text() -> None:
    assert set(TEXTS["selector"]["sensitivity"]["options"]) == set(settings.Sensitivity)
    assert set(TEXTS["selector"]["liveness"]["options"]) == set(vision.LivenessLevel)
    # A folder's name is shown as it is.
    assert set(TEXTS["selector"]["bundle"]["options"]) == {settings.BUNDLED}


def test_costs_are_said_of_every_rate() -> None:
    steps = (TEXTS["config"]["step"]["user"], DOOR["step"]["user"], DOOR["step"]["recognition"])
    for step in steps:
        named = set(re.findall(r"{(\w+)}", step["description"]))
        rates = settings.FALSE_POSITIVE_RATES
        lately = {f"{rate}_{time}" for rate in rates for time in ("day", "night")}
        # What years do is said of one rate, the usual one.
        assert named == lately | {"one_in_10000_aged_day", "one_in_10000_aged_night"}


def test_rates_have_a_text() -> None:
    options = TEXTS["selector"]["false_positive_rate"]["options"]
    assert set(options) == set(settings.FALSE_POSITIVE_RATES)
    for key, rate in settings.FALSE_POSITIVE_RATES.items():
        assert options[key] == f"1 in {round(1 / rate):,}"


def test_every_reason_of_a_refusal_has_a_text() -> None:
    attributes = TEXTS["entity"]["event"]["access"]["state_attributes"]
    assert set(attributes["reason"]["state"]) == {p.value for p in vision.Problem}
    assert set(attributes["event_type"]["state"]) == set(OUTCOMES)


def test_exceptions_and_issues_have_a_text() -> None:
    used = keyword_values("translation_key")
    used |= {key for key in literals("locking/driver.py") if key.startswith("lock_")}
    entity_keys = {k for platform in TEXTS["entity"].values() for k in platform}
    known = set(TEXTS["exceptions"]) | set(TEXTS["issues"]) | set(TEXTS["selector"])
    assert used <= known | entity_keys
    for name in dir(const):
        if name.startswith("ISSUE_"):
            assert TEXTS["issues"][getattr(const, name)]["title"]


def described(step: dict) -> bool:
    """Whether each field of a step says what it is."""
    return set(step.get("data", {})) == set(step.get("data_description", {}))


def test_steps_have_a_title_and_fields_are_described() -> None:
    config, options = TEXTS["config"]["step"], TEXTS["options"]["step"]
    shown = steps(set_up) | {"user"}
    assert shown == set(config) | {"look"} == {"user", "check", "look"}
    assert set(TEXTS["config"]["progress"]) == set(DOOR["progress"]) == {"look"}
    assert set(options) == steps(household_options) == {"init"}
    sections = {"devices", *settings.SECTIONS}
    assert set(DOOR["step"]) | {"look"} == shown | steps(door) | sections
    asked = {"user", "details"}
    assert steps(person, capture) | asked == set(PERSON["step"])
    for part in (config, options, DOOR["step"], PERSON["step"]):
        for step in part.values():
            assert step["title"]
            assert described(step)
    for kind in (DOOR, PERSON):
        assert kind["entry_type"]
        assert set(kind["initiate_flow"]) == {"user", "reconfigure"}


def test_each_section_has_a_form_with_a_text_for_each_field(hass) -> None:
    """Of a door with everything that can be chosen: a code that is kept, a latch, own models."""
    hass.states.async_set("lock.deadbolt", "locked", {"supported_features": 1})
    data = {"lock": "lock.deadbolt", "security": {"code": "hash"}}
    options = door_options.DoorOptions(hass, data, 1)
    for section in settings.SECTIONS:
        fields = {str(key) for key in options.schema(section).schema}
        assert fields == set(DOOR["step"][section]["data"])
        assert DOOR["step"][section]["description"]


def test_each_choice_of_a_menu_is_a_step_with_a_text() -> None:
    for flow, texts in (
        (config_flow.FaceLockConfigFlow, TEXTS["config"]["step"]),
        (door.DoorFlow, DOOR["step"]),
        (person.PersonFlow, PERSON["step"]),
    ):
        menus = [step["menu_options"] for step in texts.values() if "menu_options" in step]
        assert menus
        for menu in menus:
            assert all(hasattr(flow, f"async_step_{choice}") for choice in menu)
    assert list(DOOR["step"]["reconfigure"]["menu_options"]) == ["devices", *settings.SECTIONS]
    assert set(PERSON["step"]["pictures"]["menu_options"]) == {
        "capture",
        "upload",
        "remove",
        "start_over",
        "finish",
    }


def test_abort_reasons_have_a_text() -> None:
    assert set(DOOR["abort"]) == {"door_removed"}
    assert set(PERSON["abort"]) == {"not_loaded", "person_removed", "rate_unavailable"}


def test_no_reference_to_core_texts() -> None:
    # A custom integration's file is read as it is: such references would be shown to the user.
    assert "[%key:" not in json.dumps(TEXTS)


async def test_home_assistant_reads_the_texts(hass) -> None:
    for category in TEXTS.keys() - {"title"}:
        assert await async_get_translations(hass, "en", category, ["face_lock"])


def test_icons_are_of_entities_that_exist() -> None:
    for platform, keys in ICONS["entity"].items():
        assert (FOLDER / f"{platform}.py").exists()
        source = (FOLDER / f"{platform}.py").read_text()
        for key in keys:
            assert f'translation_key="{key}"' in source.replace(" = ", "=")
    assert set(ICONS["entity"]["lock"]["door"]["state"]) <= {s.value for s in LockState}


def test_actions_agree_everywhere() -> None:
    """The code, the fields shown, the texts and the icons speak of the same actions and fields."""
    registered = {action.name: action.schema.schema for action in ACTIONS}
    assert set(SERVICES) == set(registered) == set(TEXTS["services"]) == set(ICONS["services"])
    for name, schema in registered.items():
        fields, texts = SERVICES[name]["fields"], TEXTS["services"][name]
        assert {str(key) for key in schema} == set(fields) == set(texts["fields"])
        required = {str(key) for key in schema if isinstance(key, probatio.Required)}
        assert required == {field for field, shown in fields.items() if shown.get("required")}
        assert texts["name"]
        assert texts["description"]
        for text in texts["fields"].values():
            assert text["name"]
            assert text["description"]
        assert re.fullmatch(r"mdi:[a-z-]+", ICONS["services"][name]["service"])


def test_choices_of_actions_are_those_of_the_code() -> None:
    select = SERVICES["feedback"]["fields"]["verdict"]["selector"]["select"]
    options = TEXTS["selector"][select["translation_key"]]["options"]
    assert set(select["options"]) == set(options) == {verdict.value for verdict in Verdict}
    minutes = SERVICES["unlock_for"]["fields"]["minutes"]["selector"]["number"]
    assert minutes["max"] * 60 == MAX_SECONDS


def test_errors_of_actions_have_a_text() -> None:
    used = set()
    for path in FOLDER.glob("services/*.py"):
        used |= set(re.findall(r"refusal\(\s*\"(\w+)\"", path.read_text()))
    assert len(used) > 10
    # What the procedure of an enrolment may answer.
    used |= {"name_taken", "person_removed", "rate_unavailable"}
    used |= {"name_missing", "name_too_long", "name_reserved"}
    assert used | CAMERA_ERRORS | PICTURE_PROBLEMS <= set(TEXTS["exceptions"])
    for key in used:
        names = set(re.findall(r"{(\w+)}", TEXTS["exceptions"][key]["message"]))
        assert names <= {"person", "door", "path", "reasons"}


def test_manifest() -> None:
    assert list(MANIFEST)[:2] == ["domain", "name"]
    assert list(MANIFEST)[2:] == sorted(list(MANIFEST)[2:])
    assert MANIFEST["domain"] == FOLDER.name == const.DOMAIN
    assert MANIFEST["config_flow"] is True
    assert re.fullmatch(r"\d+\.\d+\.\d+", MANIFEST["version"])
    # The runtime is chosen where it runs: no requirement can be had everywhere.
    assert MANIFEST["requirements"] == []
    for requirement in (*runtime.REQUIREMENTS, heic.REQUIREMENT):
        assert requirement in (ROOT / "requirements" / "ha.txt").read_text().split()


def test_manifest_agrees_with_the_repository() -> None:
    hacs = json.loads((ROOT / "hacs.json").read_text())
    assert hacs["name"] == MANIFEST["name"]
    wanted = tuple(int(part) for part in hacs["homeassistant"].split(".")[:2])
    assert wanted <= tuple(int(part) for part in ha_version.split(".")[:2])
    assert f'version = "{MANIFEST["version"]}"' in (ROOT / "pyproject.toml").read_text()


def test_dependencies_are_declared() -> None:
    used: set[str] = set()
    for path in shell():
        used |= set(re.findall(r"homeassistant\.components\.(\w+)", path.read_text()))
        for names in re.findall(r"from homeassistant\.components import (.+)", path.read_text()):
            used |= {name.strip() for name in names.split(",")}
    platforms = {path.stem for path in shell()}
    assert used - platforms == set(MANIFEST["dependencies"])


@pytest.mark.parametrize(("name", "sides"), [("icon", 256), ("icon@2x", 512), ("logo", None)])
def test_brand(name, sides) -> None:
    with Image.open(FOLDER / "brand" / f"{name}.png") as image:
        assert image.mode == "RGBA"
        if sides is not None:
            assert image.size == (sides, sides)
        else:
            assert min(image.size) in range(128, 257)


@pytest.mark.parametrize(
    ("probability", "shown"),
    [(0.99999, 99.9), (0.9996, 99.9), (0.99, 99.0), (0.29, 29.0), (0.0, 0.0)],
)
def test_certainty_is_never_claimed(probability, shown) -> None:
    assert percent(probability) == shown
