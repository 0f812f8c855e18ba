"""The verifier under real lamps: figures on both sides of a rate that cannot be counted."""

import json

import numpy as np
import pytest

from training.cli import main
from training.common.paths import ROOT
from training.sample import make
from training.verifier import lamps, metrics

SIZES = make.Sizes(people=8, pictures=1, crowd=1, lamps=8, scenes=1, subjects=1, frames=1, places=1)


def test_above_all_impostors_none_passes_and_some_genuine_ones_do():
    people = np.arange(3)
    scores = np.array([[0.9, 0.2, 0.5], [0.1, 0.4, 0.3], [0.0, 0.2, 0.8]], np.float32)
    trials = metrics.collect_scores(scores, people, people)
    found = lamps.above_all(trials, 20, 1)
    assert found["threshold"] == pytest.approx(0.5, abs=1e-6)
    assert metrics.false_accept_rates(trials, np.array([found["threshold"]]))[0] == 0.0
    assert found["tar"]["value"] == pytest.approx(2 / 3)
    assert lamps.pairs_of_people(trials) == 6
    assert found["far_high"] == found["far_high of pairs"] == metrics.none_in(6)


def test_the_step_measures_the_bundle_without_prepared_pictures(tmp_path):
    make.make_lighting(tmp_path / "lighting.parquet", SIZES)
    config = ROOT / "training" / "configs" / "sample.yaml"
    words = ["lamps", "--config", str(config), "--data", str(tmp_path), "--what", "bundle"]
    bundle = ROOT / "custom_components" / "face_lock" / "models"
    sets = [f"runs={tmp_path}/runs", f"export.models={bundle}"]
    assert main([*words, *(word for one in sets for word in ("--set", one))]) == 0
    found = json.loads((tmp_path / "runs" / "sample" / "lamps-bundle.json").read_text())
    assert found["people"] >= 2
    assert found["impostors"] >= found["pairs of people"] > 0
    assert 0.0 < found["none"]["tar"]["value"] <= 1.0
    with pytest.raises(ValueError, match="lighting_pack"):
        main([*words, *("--set", sets[0], "--set", sets[1], "--set", "evaluate.lighting_pack=''")])
