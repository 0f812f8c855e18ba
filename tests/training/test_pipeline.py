"""All steps, one after the other, as a user runs them: tiny network, made-up people."""

import csv
import json
import math

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
import yaml

from training.cli import main
from training.common.average import Average
from training.common.pictures import encode
from training.sample.make import ORIGINS, Sizes, make_webcam
from training.verifier import (
    calibrate,
    config as configuration,
    embedders,
    evaluate,
    promise,
    record,
    strangers,
    train,
    webcam,
)
from training.verifier.backbones import build_backbone
from training.verifier.config import TrainSettings
from training.verifier.network import Verifier

NETWORK = {"width": 0.25, "embedding": 32, "batch_norm": False}


@pytest.fixture(scope="module")
def run(tmp_path_factory, draw_face):
    """Run all steps from prepare to verify; return the folder."""
    root = tmp_path_factory.mktemp("pipeline")
    images = [encode(draw_face(who, picture)) for who in range(80) for picture in range(3)]
    names = [f"made/{who}" for who in range(80) for _ in range(3)]
    table = pa.table({"image": pa.array(images, pa.binary()), "identity": names})
    pq.write_table(table, root / "made.parquet")
    crowd = [
        {"image": encode(draw_face(1000 + who, 0)), "origin": ORIGINS[who % 2]} for who in range(60)
    ]
    pq.write_table(pa.Table.from_pylist(crowd), root / "strangers.parquet")
    make_webcam(root / "webcam.parquet", Sizes(owners=2))
    torch.manual_seed(3)
    torch.onnx.export(
        build_backbone("mobilefacenet", **NETWORK),
        (torch.zeros(1, 3, 112, 112),),
        str(root / "teacher.onnx"),
        input_names=["x"],
        dynamic_axes={"x": {0: "n"}},
        dynamo=False,
    )
    settings = {
        "prepared": str(root / "prepared"),
        "runs": str(root / "runs"),
        "prepare": {
            "sources": [
                "made.parquet",
                {
                    "path": "strangers.parquet",
                    "everybody_once": True,
                    "group": ["origin"],
                    "halves": True,
                },
            ],
            "teacher": "teacher.onnx",
            "duplicate_cosine": 1.1,
        },
        "model": {"options": NETWORK, "warm_start": "teacher.onnx"},
        "train": {"steps": 4, "batch_size": 8, "validate_every": 4, "blends": [0.5]},
        "crowd": {
            "nearest": 3,
            # With random weights all are alike.
            "double": 2.0,
            "conditions": ["dark"],
            "pictures": 40,
            "epochs": 3,
            "hidden": 8,
        },
        "evaluate": {
            "conditions": ["clean", "dark"],
            "stranger_conditions": ["clean", "dark"],
            "webcam_pack": "webcam.parquet",
            "visit_conditions": ["dark"],
            "visits": 6,
            "bootstrap": 10,
        },
        "calibrate": {
            "min_people": 5,
            "tail_share": 0.1,
            "min_brightness": 1,
            "limit_probes": 8,
            "rates": [0.3, 0.1, 0.01, 0.0001],
            "tries": 40,
            "night": ["dark"],
            "owner_conditions": ["clean", "dark"],
            "owner_pictures": 2,
            "min_people_pairs": 3,
        },
        "export": {"models": str(root / "models"), "version": "1", "licence": "L", "origin": "O"},
    }
    (root / "made.yaml").write_text(yaml.safe_dump(settings))
    common = ["--config", str(root / "made.yaml"), "--data", str(root), "--teachers", str(root)]
    for step in (
        ["prepare"],
        ["train"],
        ["choose"],
        ["crowd"],
        ["evaluate"],
        ["export"],
        ["evaluate", "--what", "bundle"],
        ["evaluate", "--what", "parity"],
        ["calibrate"],
        ["promise"],
        ["verify"],
    ):
        assert main([*step, *common]) == 0
    return root


def test_a_run_leaves_its_settings_revision_and_figures(run):
    folder = run / "runs" / "made"
    assert yaml.safe_load((folder / "config.yaml").read_text())["train"]["steps"] == 4
    steps = json.loads((folder / "steps.json").read_text())
    assert [entry["step"] for entry in steps][:3] == ["train", "choose", "crowd"]
    assert all(entry["revision"] for entry in steps)
    with (folder / "validation.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["step"], row["share"]) for row in rows] == [
        ("0", "1.0"),
        ("4", "1.0"),
        ("4", "0.5"),
    ]
    with (folder / "choose.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["share"] for row in rows] == ["0.0", "0.5", "1.0"]
    figures = json.loads((folder / "verify.json").read_text())
    assert figures["onnx_ncnn_cosine_min"] > 0.999
    assert figures["onnx_torch_cosine_min"]["checkpoint"] > 0.9999


def test_the_exported_file_measures_as_the_checkpoint_does(run):
    folder = run / "runs" / "made"
    found = [
        json.loads((folder / f"evaluate-{what}-validation.json").read_text())["conditions"]
        for what in ("checkpoint", "bundle")
    ]
    assert list(found[0]) == ["clean", "clean, pairs", "dark"]
    for condition in found[0]:
        one, other = (report[condition] for report in found)
        assert one["impostors"] == other["impostors"] > 0
        assert one["accuracy"] == pytest.approx(other["accuracy"], abs=0.001)
        assert set(one["tar"]) == set(other["tar"])
        for rate, estimate in one["tar"].items():
            assert estimate["value"] == pytest.approx(other["tar"][rate]["value"], abs=0.001)
    parity = json.loads((folder / "evaluate-parity-validation.json").read_text())
    assert set(parity["differences"]) == set(found[0])
    assert parity["largest"] <= parity["limit"] == 0.001


def test_a_bundle_that_measures_otherwise_is_refused(run, monkeypatch):
    """The checkpoint's place is taken by a network that sees only noise."""
    noise = np.random.default_rng(0)

    def embedder(config, what):
        real = embedders.embedder(config, what)

        def embed(crops):
            found = real(crops)
            if what == "checkpoint":
                found = noise.normal(size=found.shape).astype(np.float32)
                found /= np.linalg.norm(found, axis=1, keepdims=True)
                found[:, -1] = 0.0
            return found

        return embed

    monkeypatch.setattr(evaluate, "embedder", embedder)
    config = configuration.load(run / "made.yaml", [f"data={run}", f"teachers={run}"])
    with pytest.raises(RuntimeError, match="differ"):
        evaluate.evaluate(config, "parity")


def test_the_calibration_leaves_a_record_and_can_be_counted_again(run):
    folder = run / "runs" / "made"
    entry = json.loads((run / "models" / "models.json").read_text())["models"]["verifier"]
    kept = json.loads((folder / "calibration-record.json").read_text())
    assert any(row["measured"] for row in entry["thresholds"])
    assert record.broken_promises(entry, kept) == []
    assert (folder / "limits.png").is_file()
    found = json.loads((folder / "calibrate.json").read_text())
    assert set(found) == {
        "table", "galleries", "gallery_rule", "domains", "watched", "worst_case", "limits",
        "owners", "tries", "costs", "advice",
    }  # fmt: skip
    assert set(found["galleries"]) == {"5", "20"}
    config = configuration.load(run / "made.yaml", [f"data={run}", f"teachers={run}"])
    assert calibrate.check(config) == []
    assert set(found["tries"]) == set(found["owners"]) == {"clean", "dark"}
    for row, kept_row in zip(entry["thresholds"], found["table"], strict=True):
        for when, condition in (("day", "clean"), ("night", "dark")):
            rate = f"{row['fpr']:.0e}"
            aged = found["tries"][condition]["owner"]["missed"][rate]
            missed = found["owners"][condition]["missed"][rate]
            assert row[f"aged_{when}"] == kept_row[f"aged_{when}"] == round(aged["value"], 4)
            assert row[f"miss_{when}"] == kept_row[f"miss_{when}"] == round(missed["value"], 4)
    # Strangers of each origin set thresholds like everybody else; two owners are watched.
    for condition in ("clean", "dark"):
        for name in ("all sources", *ORIGINS):
            assert f"{condition}, {name}" in found["domains"]
        assert f"{condition}, webcam" in found["watched"]
    highest = max(one["thresholds"][2] for one in found["domains"].values())
    assert found["table"][2]["threshold"] == pytest.approx(highest, abs=2e-4)


def test_a_table_that_promises_too_much_is_found_out(run):
    config = configuration.load(run / "made.yaml", [f"data={run}", f"teachers={run}"])
    path = run / "models" / "models.json"
    text = path.read_text()
    content = json.loads(text)
    for row in content["models"]["verifier"]["thresholds"]:
        row["threshold"] -= 0.3
    path.write_text(json.dumps(content))
    figures = run / "runs" / "made" / "promise.json"
    before = figures.read_text()
    kept = json.loads(before)
    for name in ORIGINS:
        assert kept["rows"]["1e-02"]["groups"][name]["fpr"] <= 0.01
    try:
        assert any("allows" in line for line in calibrate.check(config))
        found = promise.promise(config)
        for name in ORIGINS:
            assert found["rows"]["1e-02"]["groups"][name]["fpr"] > 0.01
            said = [line for line in found["broken"] if line.endswith("at the row for 0.01")]
            assert any(line.startswith(f"{name} in ") for line in said)
    finally:
        path.write_text(text)
        figures.write_text(before)


def test_the_promise_is_counted_by_group_and_says_what_it_costs(run):
    found = json.loads((run / "runs" / "made" / "promise.json").read_text())
    entry = json.loads((run / "models" / "models.json").read_text())["models"]["verifier"]
    assert found["verifier"]["sha256"] == entry["files"]["onnx"]["sha256"]
    # Of the table's rates, those that a household may choose.
    assert list(found["rows"]) == ["1e-02", "1e-04"]
    thresholds = {f"{row['fpr']:.0e}": row["threshold"] for row in entry["thresholds"]}
    for rate, row in found["rows"].items():
        assert row["threshold"] == thresholds[rate]
        assert set(row["groups"]) == {*ORIGINS, webcam.NAME}
        for one in row["groups"].values():
            assert one["fpr"] <= one["high"]
            assert one["trials"] > 0
        assert set(row["tar"]) == set(row["owners"]) == {"clean", "dark"}


def test_the_bundle_knows_the_crowding(run):
    entry = json.loads((run / "models" / "models.json").read_text())["models"]["verifier"]
    assert entry["crowding"] is True
    taught = json.loads((run / "runs" / "made" / "crowd.json").read_text())
    # Each of the strangers who teach, as they are, in the dark and degraded.
    assert taught["cohort"] % 3 == 0
    assert 60 <= taught["cohort"] <= 120
    assert taught["views"] == taught["cohort"] + 3 * 40
    assert 0.0 <= taught["low"] <= taught["high"] <= 1.0
    config = configuration.load(run / "made.yaml", [f"data={run}", f"teachers={run}"])
    shown = strangers.load(config, "validation")
    crowding = embedders.embedder(config, "bundle")(shown.crops)[:, -1]
    assert (crowding > 0.0).all()
    assert len(np.unique(crowding)) > 5


def test_the_bundle_is_complete(run):
    entry = json.loads((run / "models" / "models.json").read_text())["models"]["verifier"]
    assert (entry["version"], entry["licence"], entry["origin"]) == ("1", "L", "O")
    thresholds = [row["threshold"] for row in entry["thresholds"]]
    assert thresholds == sorted(set(thresholds))
    assert entry["confidence"]["slope"] > 0
    assert entry["quality"]["min_brightness"] == 1


def test_the_average_follows_and_a_blend_lies_between():
    torch.manual_seed(0)
    start, trained = (Verifier(build_backbone("mobilefacenet", **NETWORK)) for _ in range(2))
    first, last = (next(network.parameters()) for network in (start, trained))
    middle = next(train.blend(start, trained, 0.25).parameters())
    assert torch.allclose(middle, 0.75 * first + 0.25 * last)
    average = Average(start, 0.5)
    for _ in range(40):
        average.update(trained)
    assert torch.allclose(next(average.network.parameters()), last, atol=1e-5)


def test_satisfying_comes_before_a_better_tar():
    modest, bold = train.Standing(True, 0.6, {}), train.Standing(False, 0.9, {})
    assert modest.better_than(None)
    assert modest.better_than(bold)
    assert not bold.better_than(modest)
    assert train.Standing(True, 0.7, {}).better_than(modest)
    assert train.Standing(True, 0.597, {}).better_than(modest, 0.005)
    assert not train.Standing(True, 0.594, {}).better_than(modest, 0.005)
    assert not train.Standing(False, 0.9, {}).better_than(modest, 0.005)


def test_the_rate_warms_up_and_ends_at_nothing():
    settings = TrainSettings(learning_rate=1.0, warmup_steps=10)
    assert train.learning_rate(settings, 0, 0.0) == pytest.approx(0.1)
    assert train.learning_rate(settings, 50, 0.5) == pytest.approx(0.5)
    assert train.learning_rate(settings, 99, 1.0) == pytest.approx(0.0)


def test_a_loss_that_is_not_a_number_stops_training():
    network = Verifier(build_backbone("mobilefacenet", **NETWORK))
    settings = TrainSettings()
    trainer = train.Trainer(network, 0, settings)
    image = torch.zeros((2, 112, 112, 3), dtype=torch.uint8)
    nobody = torch.tensor([-1, -1])
    batch = train.Batch(image, image, torch.full((2, 32), math.nan), nobody, nobody)
    with pytest.raises(FloatingPointError):
        trainer.step(batch, 1e-3)
