"""A step is done once for the same settings and files, and again when one of them changes."""

import json

import pytest
import yaml

from training.common import runs
from training.verifier.config import Config


@pytest.fixture
def config(tmp_path):
    return Config("one", runs=str(tmp_path))


def test_a_finished_step_is_not_begun_again_until_something_it_rests_on_changes(config, tmp_path):
    table = tmp_path / "table"
    table.write_bytes(b"a")

    def begin():
        return runs.begin(
            config, "look", ["evaluate", "train.seed"], [table], but=["evaluate.threads"]
        )

    work = begin()
    assert begin() is not None, "not finished yet"
    (work.folder / "look.json").write_text("{}")
    work.finish("look.json")
    assert begin() is None
    config.evaluate.threads, config.train.steps = 7, 9
    assert begin() is None
    for section, name, value in (("train", "seed", 5), ("evaluate", "bootstrap", 3)):
        before = getattr(getattr(config, section), name)
        setattr(getattr(config, section), name, value)
        assert begin() is not None
        setattr(getattr(config, section), name, before)
    table.write_bytes(b"b")
    assert begin() is not None
    table.write_bytes(b"a")
    config.again = True
    assert begin() is not None
    config.again = False
    assert begin() is None
    (work.folder / "look.json").unlink()
    assert begin() is not None


def test_steps_are_finished_one_by_one(config):
    for step in ("a", "b"):
        runs.begin(config, step, ["train"]).finish()
    assert runs.begin(config, "a", ["train"]) is None
    assert runs.begin(config, "b", ["train"]) is None
    assert runs.begin(config, "c", ["train"]) is not None


def test_a_key_that_does_not_exist_is_an_error(config):
    for keys, but in ((["no"], []), (["train.no"], []), (["train"], ["train.no"])):
        with pytest.raises(KeyError):
            runs.fingerprint(config, keys, but=but)


def test_a_run_notes_its_settings_and_the_revision_of_every_step(config):
    folder = runs.open_run(config, "look")
    runs.open_run(config, "look again")
    steps = json.loads((folder / "steps.json").read_text())
    assert [step["step"] for step in steps] == ["look", "look again"]
    assert all(step["revision"] and step["packages"]["torch"] for step in steps)
    assert yaml.safe_load((folder / "config.yaml").read_text())["name"] == "one"
