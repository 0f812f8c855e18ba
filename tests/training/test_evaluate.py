"""`evaluate` from end to end: any pack, a list of pairs, groups, curves, and keys that stay."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from PIL import Image

from training.cli import main
from training.common.pictures import encode
from training.verifier import evaluate, groups, metrics, plots
from training.verifier.conditions import Measured
from training.verifier.config import from_dict
from training.verifier.gallery import Protocol, load_pack

PEOPLE, PICTURES = 14, 5


@pytest.fixture(scope="module")
def root(tmp_path_factory, draw_face):
    """A pack of 112 px crops in Hugging Face's layout, and a run on it with random weights."""
    root = tmp_path_factory.mktemp("evaluate")
    images, names = [], []
    for who in range(PEOPLE):
        for picture in range(PICTURES):
            crop = np.ascontiguousarray(draw_face(who, picture)[8:120, 8:120])
            images.append({"bytes": encode(crop), "path": None})
            names.append(who)
    images.append({"bytes": encode(draw_face(0, 9)), "path": None})
    names.append(None)
    pq.write_table(pa.table({"image": images, "identity": names}), root / "other.parquet")
    settings = {
        "runs": str(root / "runs"),
        "model": {"options": {"width": 0.25, "embedding": 32, "batch_norm": False}},
        "evaluate": {
            "pack": "other.parquet",
            "conditions": ["clean", "dark"],
            "visit_conditions": ["clean"],
            "gallery_sizes": [1, 5, 20],
            "bootstrap": 20,
            "visits": 20,
        },
        "calibrate": {"min_brightness": 1},
    }
    (root / "made.yaml").write_text(yaml.safe_dump(settings))
    arguments = ["--config", str(root / "made.yaml"), "--data", str(root), "--what", "start"]
    assert main(["evaluate", *arguments]) == 0
    return root


@pytest.fixture(scope="module")
def found(root):
    return json.loads((root / "runs" / "made" / "evaluate-start-other.json").read_text())


def test_the_file_has_the_keys_that_a_card_reads(found):
    assert set(found) == {
        "what", "side", "people", "pictures", "conditions", "common", "galleries", "visits",
        "groups", "fairness", "strangers",
    }  # fmt: skip
    assert (found["people"], found["pictures"]) == (PEOPLE, PEOPLE * PICTURES)
    assert set(found["conditions"]) == {"clean", "clean, pairs", "dark"}
    assert set(found["common"]) == {"far", "threshold", "worst"}
    for condition in ("clean", "dark"):
        # Fourteen people cannot be a gallery of twenty.
        assert set(found["galleries"][condition]) == {"1", "5"}
        for one in found["galleries"][condition].values():
            assert set(one["at_common"]["fpir"]) == {"value", "low", "high"}
    visit = found["visits"]["clean"]
    assert (visit["quorum"], visit["frames"]) == (3, 5)
    assert set(visit["sizes"]["1"]) == {
        "threshold", "visits", "impostor_visits", "tar", "wrong_person", "fpr", "frame_tar",
    }  # fmt: skip
    assert found["fairness"].get("demographic_labels", False) is False


def test_the_common_threshold_holds_its_rate_in_every_condition(found):
    for sizes in found["galleries"].values():
        assert sizes["1"]["at_common"]["fpir"]["value"] <= found["common"]["far"] * 1.0001


def test_a_larger_gallery_lets_in_more_strangers_and_no_more_of_its_own(found):
    for sizes in found["galleries"].values():
        one, five = sizes["1"]["at_common"], sizes["5"]["at_common"]
        assert five["fpir"]["value"] >= one["fpir"]["value"]
        assert five["tpir"]["value"] <= one["tpir"]["value"]


def test_the_curves_are_pictures(root):
    for name in ("roc", "det"):
        with Image.open(root / "runs" / "made" / f"{name}-start-other.png") as picture:
            assert picture.width > 500


def test_a_crop_of_another_size_is_refused(tmp_path):
    image = encode(np.zeros((90, 90, 3), np.uint8))
    pq.write_table(pa.table({"image": [image] * 2, "identity": ["a", "a"]}), tmp_path / "p.parquet")
    with pytest.raises(ValueError, match="112x112 or 128x128"):
        load_pack(from_dict({"name": "x"}), tmp_path / "p.parquet")
    pq.write_table(pa.table({"image": [image]}), tmp_path / "q.parquet")
    with pytest.raises(ValueError, match="identity"):
        load_pack(from_dict({"name": "x"}), tmp_path / "q.parquet")


def spread_embeddings(people, pictures, seed=0):
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(people, 1, 16))
    drawn = (centres + 0.6 * rng.normal(size=(people, pictures, 16))).reshape(-1, 16)
    drawn /= np.linalg.norm(drawn, axis=1, keepdims=True)
    person = np.repeat(np.arange(people), pictures)
    # Everybody has a crowding of their own.
    crowding = rng.uniform(0.0, 0.1, people)[person]
    return np.hstack([drawn, crowding[:, None]]).astype(np.float32), person


def test_the_worst_group_is_named_with_its_interval(monkeypatch):
    embeddings, person = spread_embeddings(60, 6)
    shown = Protocol(
        np.zeros((360, 112, 112, 3), np.uint8), person, np.full(360, "made"), np.full(360, 90.0),
        np.tile(np.arange(6) < 2, 60), [str(k) for k in range(60)],
    )  # fmt: skip
    probes = np.nonzero(~shown.enrolled)[0]
    known = np.nonzero(shown.enrolled)[0]
    shaded = person[probes] % 2 == 0
    # Half of the people show the door nothing but noise.
    seen = embeddings[probes].copy()
    rng = np.random.default_rng(1)
    noise = rng.normal(size=seen[shaded, :-1].shape)
    seen[shaded, :-1] = noise / np.linalg.norm(noise, axis=1, keepdims=True)
    every = np.ones(len(probes), bool)
    monkeypatch.setattr(
        groups, "flags_of", lambda *_: {"shaded": (shaded, every), "lit": (~shaded, every)}
    )
    measured = Measured("clean", shown, embeddings[known], known, seen, probes)
    config = from_dict({"name": "x", "evaluate": {"bootstrap": 40}})
    found = groups.figures(config, measured, 0.6)
    assert found["fairness"]["worst_tar_group"] == "shaded"
    ratio = found["fairness"]["worst_over_overall"]
    assert ratio["low"] <= ratio["value"] <= ratio["high"] < 0.5
    trials = measured.trials()
    scores = trials.genuine >= np.float32(0.6)
    lit = trials.genuine_person % 2 == 1
    assert found["groups"]["lit"]["tar"]["value"] == pytest.approx(scores[lit].mean())
    assert found["groups"]["lit"]["share"] == pytest.approx(0.5)
    whole = metrics.false_accept_rates(trials, np.array([0.6]))[0]
    assert found["groups"]["all"]["fpr"]["value"] == pytest.approx(whole)


def test_strangers_without_names_are_counted_against_the_enrolled():
    embeddings, person = spread_embeddings(30, 4)
    shown = Protocol(
        np.zeros((120, 112, 112, 3), np.uint8), person, np.full(120, "made"), np.full(120, 90.0),
        np.tile(np.arange(4) < 2, 30), [str(k) for k in range(30)],
    )  # fmt: skip
    known = np.nonzero(shown.enrolled)[0]
    measured = Measured("clean", shown, embeddings[known], known, embeddings[:0], known[:0])
    strangers, _ = spread_embeddings(50, 1, seed=5)
    found = groups.stranger_figures(measured, strangers, 0.4, draws=30, seed=0)
    assert found["trials"] == 30 * 50
    assert 0 < found["fpr"]["low"] < found["fpr"]["value"] < found["fpr"]["high"]
    own = metrics.pairwise_scores(strangers, strangers)
    above = (own[np.triu_indices(50, 1)] >= 0.4).mean()
    assert found["among_themselves"]["fpr_at_most"] == pytest.approx(above)


def test_a_curve_rises_inside_its_band():
    embeddings, person = spread_embeddings(80, 4)
    enrolled = np.tile(np.arange(4) < 2, 80)
    trials = metrics.collect(
        embeddings[enrolled][::2], np.arange(80), embeddings[~enrolled], person[~enrolled]
    )
    far, tar, low, high = plots.curve(trials, draws=20)
    assert (np.diff(far) > 0).all()
    assert (np.diff(tar) >= 0).all()
    assert ((low <= tar + 1e-9) & (tar <= high + 1e-9)).mean() > 0.9
    assert far[0] * trials.impostors >= 9.999
    assert far[-1] < 0.05


def test_a_rate_that_cannot_be_counted_is_raised():
    assert evaluate.counted_rate(1e-4, 1e6) == 1e-4
    assert evaluate.counted_rate(1e-4, 1e4) == pytest.approx(1e-3)
