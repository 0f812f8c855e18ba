"""A bundle is loaded whole and unchanged, or not at all."""

import json
import shutil

import pytest

from vision import BundleFormatError, BundleIntegrityError, RuntimeUnavailableError, load_bundle
from vision.networks.bundle import BUNDLED, OPTIONAL
from vision.networks.runtime import RUNTIMES, available, choose
from vision.networks.score_limits import Light, ScoreLimit, ScoreLimits


@pytest.fixture
def copy(tmp_path):
    shutil.copytree(BUNDLED, tmp_path / "models")
    return tmp_path / "models"


def edit(folder, change):
    path = folder / "models.json"
    description = json.loads(path.read_text())
    change(description)
    path.write_text(json.dumps(description))


def test_says_what_runs(bundle):
    assert bundle.info.runtime in available()
    assert bundle.info.runtime_version[0].isdigit()
    assert bundle.info.version
    assert len(bundle.verifier.model) == 16


@pytest.mark.parametrize(
    "name",
    ["verifier.onnx", "verifier.param", "verifier.bin",
     "detector.onnx", "detector.param", "detector.bin"],
)  # fmt: skip
def test_one_changed_bit_or_a_missing_file_of_any_runtime_is_refused(copy, name):
    path = copy / name
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(BundleIntegrityError, match=name):
        load_bundle(copy)
    path.unlink()
    with pytest.raises(BundleIntegrityError, match=name):
        load_bundle(copy)


@pytest.mark.parametrize(
    "change",
    [
        lambda d: d.update(format=2),
        lambda d: d.pop("format"),
        lambda d: d["models"].pop("verifier"),
        lambda d: d["models"]["verifier"].update(thresholds=[]),
        lambda d: d["models"]["verifier"].update(thresholds=None),
        lambda d: d["models"]["verifier"]["thresholds"][0].pop("threshold"),
        lambda d: d["models"]["verifier"].pop("quality"),
        lambda d: d["models"]["detector"].update(score_threshold="high"),
        lambda d: d["models"]["detector"]["files"]["onnx"].update(name="../verifier.onnx"),
    ],
)
def test_a_malformed_description_is_refused(copy, change):
    edit(copy, change)
    with pytest.raises(BundleFormatError):
        load_bundle(copy)


def add(folder, role):
    """Describe the detector's files as those of another role."""

    def change(description):
        entry = json.loads(json.dumps(description["models"]["detector"]))
        files = entry["files"]
        for listed in (files["onnx"], *files["ncnn"].values()):
            name = listed["name"].replace("detector", role)
            shutil.copyfile(folder / listed["name"], folder / name)
            listed["name"] = name
        entry["points"] = [{"bpcer": 0.05, "threshold": 0.5}, {"bpcer": 0.01, "threshold": 0.2}]
        entry["threshold"] = 0.25
        description["models"][role] = entry | {"version": f"1.0-{role}"}

    edit(folder, change)


def remove(folder, role):
    edit(folder, lambda description: description["models"].pop(role, None))


@pytest.mark.parametrize("role", OPTIONAL)
def test_a_role_that_may_be_absent_is_none_then(copy, role):
    remove(copy, role)
    loaded = load_bundle(copy)
    assert getattr(loaded, role) is None
    assert getattr(loaded.info, role) is None


@pytest.mark.parametrize("runtime", available())
@pytest.mark.parametrize("role", OPTIONAL)
def test_an_optional_role_is_loaded_by_every_runtime(copy, role, runtime):
    add(copy, role)
    loaded = load_bundle(copy, runtime=runtime)
    assert getattr(loaded, role) is not None
    assert getattr(loaded.info, role) == f"1.0-{role}"


def test_presence_has_its_threshold(copy):
    add(copy, "presence")
    assert load_bundle(copy).presence.threshold == 0.25


@pytest.mark.parametrize("threshold", [None, 1.5, "high"])
def test_presence_without_a_proper_threshold_is_refused(copy, threshold):
    add(copy, "presence")
    edit(copy, lambda d: d["models"]["presence"].update(threshold=threshold))
    with pytest.raises(BundleFormatError):
        load_bundle(copy)


def test_liveness_has_its_points_from_lenient_to_strict(copy):
    add(copy, "liveness")
    points = load_bundle(copy).liveness.points
    assert [(point.bpcer, point.threshold) for point in points] == [(0.01, 0.2), (0.05, 0.5)]


@pytest.mark.parametrize("points", [None, [], [{"bpcer": 0.01}], [{"bpcer": 2, "threshold": 0.5}]])
def test_liveness_without_proper_points_is_refused(copy, points):
    add(copy, "liveness")
    edit(copy, lambda description: description["models"]["liveness"].update(points=points))
    with pytest.raises(BundleFormatError):
        load_bundle(copy)


VISITS = {
    "dim_below": 90,
    "limits": [{"light": "day", "smallest": 40, "largest": 64, "basic": 0.25, "strict": 0.5}],
}


@pytest.mark.parametrize("role", ["liveness", "antispoofing"])
def test_what_visits_measured_of_a_network_is_there_or_nothing_is(copy, role):
    add(copy, role)
    assert getattr(load_bundle(copy), role).limits == ScoreLimits()
    edit(copy, lambda description: description["models"][role].update(visits=VISITS))
    limits = getattr(load_bundle(copy), role).limits
    assert limits == ScoreLimits(90.0, (ScoreLimit(Light.DAY, 40.0, 64.0, 0.25, 0.5),))
    both = load_bundle(copy).score_limits
    assert {"liveness": both.live, "antispoofing": both.second}[role] == limits


@pytest.mark.parametrize(
    "change",
    [
        {"dim_below": 256},
        {"dim_below": None},
        {"limits": None},
        {"limits": [{"light": "day"}]},
        {"limits": [VISITS["limits"][0] | {"light": "noon"}]},
        {"limits": [VISITS["limits"][0] | {"basic": 0.75}]},
        {"limits": [VISITS["limits"][0] | {"strict": True}]},
        {"limits": VISITS["limits"] * 2},
    ],
)
@pytest.mark.parametrize("role", ["liveness", "antispoofing"])
def test_malformed_limits_of_visits_are_refused(copy, role, change):
    add(copy, role)
    edit(copy, lambda description: description["models"][role].update(visits=VISITS | change))
    with pytest.raises(BundleFormatError):
        load_bundle(copy)


@pytest.mark.parametrize("suffix", ["onnx", "param", "bin"])
@pytest.mark.parametrize("role", OPTIONAL)
def test_a_changed_or_missing_file_of_an_optional_role_is_refused(copy, role, suffix):
    add(copy, role)
    path = copy / f"{role}.{suffix}"
    path.write_bytes(path.read_bytes() + b" ")
    with pytest.raises(BundleIntegrityError, match=path.name):
        load_bundle(copy)
    path.unlink()
    with pytest.raises(BundleIntegrityError, match=path.name):
        load_bundle(copy)


@pytest.mark.parametrize("entry", [None, {}, [], {"files": {}}])
@pytest.mark.parametrize("role", OPTIONAL)
def test_a_malformed_optional_role_is_refused(copy, role, entry):
    edit(copy, lambda description: description["models"].update({role: entry}))
    with pytest.raises(BundleFormatError):
        load_bundle(copy)


def test_a_role_of_a_newer_release_is_left_alone(copy):
    newer = {"files": {"gguf": "doorbell.gguf"}, "version": 7}
    edit(copy, lambda description: description["models"].update(doorbell=newer))
    edit(copy, lambda description: description["models"]["verifier"].update(invented="later"))
    assert load_bundle(copy).verifier.model == load_bundle().verifier.model


@pytest.mark.parametrize("text", ["", "[]", "null", "{", "\x00"])
def test_what_is_no_description_is_refused(copy, text):
    (copy / "models.json").write_text(text)
    with pytest.raises(BundleFormatError):
        load_bundle(copy)


def test_a_folder_without_a_bundle_is_refused(tmp_path):
    with pytest.raises(BundleFormatError):
        load_bundle(tmp_path)


def test_an_unknown_runtime_is_refused():
    with pytest.raises(RuntimeUnavailableError, match="abacus"):
        load_bundle(runtime="abacus")


def test_no_runtime_at_all_is_said(monkeypatch):
    monkeypatch.setattr("vision.networks.runtime.available", list)
    with pytest.raises(RuntimeUnavailableError, match="neither"):
        choose()


def test_a_runtime_that_does_not_load_gives_way_to_the_next(monkeypatch):
    def broken(self):
        raise OSError("illegal instruction")

    names = available()
    monkeypatch.setattr(RUNTIMES[names[0]], "__init__", broken)
    if len(names) > 1:
        assert choose().name == names[1]
    else:
        with pytest.raises(RuntimeUnavailableError, match="illegal instruction"):
            choose()
