"""Looking for settings: resumable, satisficing first."""

import csv
import json

import optuna
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from PIL import Image

from training.cli import main
from training.common.pictures import encode
from training.verifier import config as configuration, search
from training.verifier.config import Config, ModelSettings, SearchSettings
from training.verifier.train import Standing, Trained


@pytest.fixture(scope="module")
def run(tmp_path_factory, draw_face):
    """Search two trials, then ask for one more; return the config's file and the options."""
    root = tmp_path_factory.mktemp("search")
    images = [encode(draw_face(who, picture)) for who in range(40) for picture in range(3)]
    identity = [f"made/{who}" for who in range(40) for _ in range(3)]
    table = pa.table({"image": pa.array(images, pa.binary()), "identity": identity})
    pq.write_table(table, root / "made.parquet")
    settings = {
        "prepared": str(root / "prepared"),
        "runs": str(root / "runs"),
        "prepare": {"sources": ["made.parquet"]},
        "model": {"options": {"width": 0.25, "embedding": 32, "batch_norm": True}},
        "train": {"batch_size": 8, "min_pictures": 1, "margin_weight": 1.0},
        "evaluate": {"bootstrap": 5},
        "search": {
            "steps": 2,
            "space": {
                "train.learning_rate": [1e-4, 1e-2, "log"],
                "train.clean_share": [0.2, 0.8],
                "train.warmup_steps": [1, 5],
            },
        },
    }
    (root / "made.yaml").write_text(yaml.safe_dump(settings))
    common = ["--config", str(root / "made.yaml"), "--data", str(root)]
    assert main(["prepare", *common]) == 0
    assert main(["search", *common, "--set", "search.trials=2"]) == 0
    first = (root / "runs" / "made" / "search.csv").read_text()
    assert main(["search", *common, "--set", "search.trials=3"]) == 0
    return root, common, first


def rows(text: str) -> dict[str, dict[str, str]]:
    return {row["trial"]: row for row in csv.DictReader(text.splitlines())}


def test_a_search_goes_on_where_it_stopped(run):
    root, _, first = run
    now = rows((root / "runs" / "made" / "search.csv").read_text())
    before = rows(first)
    assert sorted(before) == ["0", "1"]
    assert sorted(now) == ["0", "1", "2"]
    assert {number: now[number] for number in before} == before
    assert len({row["train.learning_rate"] for row in now.values()}) == 3
    assert all(1e-4 <= float(row["train.learning_rate"]) <= 1e-2 for row in now.values())
    assert all(row["train.warmup_steps"] in "12345" for row in now.values())


def test_every_trial_trains_with_what_was_drawn(run):
    root, _, _ = run
    folder = root / "runs" / "made"
    for number, row in rows((folder / "search.csv").read_text()).items():
        trial = folder / "search" / f"trial-{int(number):03d}"
        used = yaml.safe_load((trial / "config.yaml").read_text())["train"]
        assert used["learning_rate"] == float(row["train.learning_rate"])
        assert used["clean_share"] == float(row["train.clean_share"])
        assert json.loads((trial / "train.json").read_text())["steps"] == 2


def test_the_report_names_the_best_and_its_settings_can_be_trained_with(run):
    root, _, _ = run
    folder = root / "runs" / "made"
    found = json.loads((folder / "search.json").read_text())
    assert found["trials"][0]["objective"] == max(row["objective"] for row in found["trials"])
    # A dozen people cannot show a rate of 1e-4, so that nothing satisfies here.
    assert not any(row["satisfied"] for row in found["trials"])
    text = (folder / "search.txt").read_text()
    assert f"Best is trial {found['trials'][0]['trial']}" in text
    assert "None satisfies" in text
    (root / "best.yaml").write_text(f"base: made.yaml\n{(folder / 'search.yaml').read_text()}")
    best = configuration.load(root / "best.yaml")
    assert best.train.learning_rate == found["trials"][0]["train.learning_rate"]
    with Image.open(folder / "search.png") as picture:
        assert picture.width > 1000


def test_a_study_of_other_settings_is_not_mixed_in(run):
    _, common, _ = run
    with pytest.raises(ValueError, match="other settings"):
        main(["search", *common, "--set", "search.steps=3"])


def test_what_satisfies_is_above_what_does_not():
    assert search.objective_of(Standing(True, 0.1, {})) > search.objective_of(
        Standing(False, 0.99, {})
    )
    assert search.objective_of(Standing(True, 0.6, {})) == 0.6


def test_a_trial_cut_off_counts_as_failed_and_one_that_diverges_as_worst(tmp_path, monkeypatch):
    config = Config("x", runs=str(tmp_path), search=SearchSettings(trials=2))
    study = search.open_study(config, tmp_path)
    study.ask()
    study = search.open_study(config, tmp_path)
    assert study.trials[0].state == optuna.trial.TrialState.FAIL

    def diverge(_config, _validator, *, watch) -> Trained:
        raise FloatingPointError("the loss is nan")

    monkeypatch.setattr(search, "train", diverge)
    search.run_trial(config, study, None)
    assert search.finished(study)[0].value == -1.0


def test_a_trial_below_the_median_on_its_way_is_given_up(tmp_path, monkeypatch):
    """Four trials go well; the fifth is measured once and given up, and counts as one of them."""
    config = Config("x", runs=str(tmp_path), search=SearchSettings(trials=5, steps=6))
    worth = iter([0.5, 0.6, 0.7, 0.8, 0.4])
    asked = []

    def pretend(drawn, _validator, *, watch) -> Trained:
        tar = next(worth)
        for step in range(drawn.train.validate_every, 7, drawn.train.validate_every):
            asked.append((tar, step))
            watch(step, Standing(True, tar, {"tar": tar}))
        return Trained(Standing(True, tar, {}), Standing(True, tar, {"tar": tar}))

    monkeypatch.setattr(search, "train", pretend)
    monkeypatch.setattr(search, "Validator", lambda _config: None)
    found = search.search(config)
    assert [trial.value for trial in found] == [0.8, 0.7, 0.6, 0.5]
    assert [step for tar, step in asked if tar == 0.8] == [2, 4, 6]
    assert [step for tar, step in asked if tar == 0.4] == [2]
    table = rows((tmp_path / "x" / "search.csv").read_text())
    assert (table["4"]["state"], table["4"]["steps"]) == ("pruned", "2")
    assert "1 more were given up" in (tmp_path / "x" / "search.txt").read_text()


def test_only_settings_that_are_there_are_searched(tmp_path):
    config = Config("x", model=ModelSettings(options={"width": 1.0}))
    changed = search.with_values(config, {"model.options.width": 0.5, "train.margin": 0.4})
    assert (changed.model.options["width"], changed.train.margin) == (0.5, 0.4)
    assert config.model.options["width"] == 1.0
    for key in ("train.speed", "no.such", "name.of"):
        with pytest.raises(ValueError, match="no setting"):
            search.with_values(config, {key: 1.0})
    config.search.space = {"train.margin": [0.1, 0.2, "cubic"]}
    study = search.open_study(config, tmp_path)
    with pytest.raises(ValueError, match="low, high"):
        search.suggest(study.ask(), config)
    config.search.space = {"model.options.width": [0.5, 1.0, 0.25]}
    drawn = {search.suggest(study.ask(), config)["model.options.width"] for _ in range(20)}
    assert drawn == {0.5, 0.75, 1.0}
