"""YAML settings: a base below, overrides above, types checked, paths put under their folders."""

import ast
import inspect
from dataclasses import dataclass, field, replace

import pytest

from training.common.settings import RunSettings, build, load, under
from training.verifier import config as verifier


@dataclass
class Inner:
    rate: float = 0.1
    names: list[str] = field(default_factory=list)


@dataclass(kw_only=True)
class Outer(RunSettings):
    pack: str = under("data")
    weights: str | None = under("teachers", None)
    before: list[str] = under("runs", [])  # noqa: RUF009 - gives a field
    pair: tuple[float, float] = (1.0, 2.0)
    inner: Inner = field(default_factory=Inner)


def written(folder, name, text):
    path = folder / name
    path.write_text(text)
    return path


def test_a_config_lies_on_its_base_and_overrides_on_both(tmp_path):
    written(tmp_path, "base.yaml", "pack: a\ninner: {rate: 1e-3, names: [x]}\n")
    top = written(tmp_path, "top.yaml", "base: base.yaml\ninner: {names: [y]}\npair: [3, 4]\n")
    config = load(Outer, top, ["inner.rate=2"])
    assert (config.name, config.inner, config.pair) == ("top", Inner(2.0, ["y"]), (3, 4))


def test_paths_are_put_under_their_folders_once(tmp_path):
    path = written(
        tmp_path, "a.yaml", "pack: p\nbefore: [one, /two]\ndata: d\nruns: r\nweights: w\n"
    )
    config = load(Outer, path, ["teachers=t"])
    assert (config.pack, config.before, config.weights) == ("d/p", ["r/one", "/two"], "t/w")
    assert replace(config, name="b").pack == "d/p"
    assert build(Outer, config.to_dict()) == config
    assert load(Outer, path, ["weights=null"]).weights is None


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"name": "x"}, "missing: .'pack'"),
        ({"name": "x", "pack": "p", "inner": {"ratte": 1}}, r"inner\.ratte"),
        ({"name": "x", "pack": 3}, "pack must be"),
        ({"name": "x", "pack": "p", "inner": {"names": "y"}}, r"inner\.names must be"),
    ],
)
def test_a_wrong_key_or_type_is_refused(values, message):
    with pytest.raises(ValueError, match=message):
        build(Outer, values)


def test_an_override_needs_a_value(tmp_path):
    path = written(tmp_path, "a.yaml", "pack: p\n")
    with pytest.raises(ValueError, match="is not section"):
        load(Outer, path, ["inner.rate"])


# What the name, its section and the settings beside it say without a comment.
PLAIN = {
    "ModelSettings": {"backbone", "options"},
    "TrainSettings": {
        "seed", "batch_size", "minutes", "learning_rate", "weight_decay", "warmup_steps",
        "ema_decay", "distillation_weight", "margin", "margin_scale", "min_pictures",
        "validate_every", "threads",
    },
    "CrowdSettings": {"epochs", "batch_size", "learning_rate", "seed"},
    "EvaluateSettings": {
        "side", "pairs_pictures", "bootstrap", "seed", "visit_frames", "visit_conditions",
        "stranger_pictures", "threads",
    },
    "CalibrateSettings": {"rates", "min_face_px", "min_brightness", "min_sharpness"},
    "ExportSettings": {
        "models", "version", "licence", "origin", "half", "max_giga_multiply_adds",
    },
    "InspectSettings": {
        "dark_brightness", "blurred_sharpness", "small_face_px", "side_light", "grey_colour",
        "turned_degrees", "nodded_degrees",
    },
    "SearchSettings": {"seed"},
}  # fmt: skip


def test_every_setting_of_the_verifier_is_described_where_the_readme_says():
    """training/README.md sends its reader to verifier/config.py for all settings."""
    source = inspect.getsource(verifier)
    lines = source.splitlines()
    sections = [one for one in ast.parse(source).body if isinstance(one, ast.ClassDef)]
    assert {"CrowdSettings", "EvaluateSettings"} <= {section.name for section in sections}
    for section in sections:
        if section.name == "Config":
            continue
        settings = [one for one in section.body if isinstance(one, ast.AnnAssign)]
        bare = {
            one.target.id for one in settings if not lines[one.lineno - 2].lstrip().startswith("#")
        }
        assert bare <= PLAIN.get(section.name, set()), section.name
        assert ast.get_docstring(section)
