"""Sources -> the table that training and measurement read."""

import hashlib
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
import yaml

from training.cli import main
from training.common.pictures import encode
from training.common.split import rule, side_of
from training.verifier import config as configuration, gallery, prepare
from training.verifier.backbones import build_backbone
from training.verifier.dataset import load_training_set, pull_to_centroids


@pytest.fixture
def pack(tmp_path, faces):
    """A pack of six labelled people under 40 names, and some unlabelled pictures."""
    images, _ = faces
    identities = [f"made/{k % 40}" if k < 50 else None for k in range(len(images))]
    table = pa.table({"image": pa.array(images, pa.binary()), "identity": identities})
    pq.write_table(table, tmp_path / "made.parquet")
    settings = {
        "name": "x",
        "data": str(tmp_path),
        "prepared": str(tmp_path / "prepared"),
        "runs": str(tmp_path / "runs"),
        "prepare": {"sources": ["made.parquet"]},
        "train": {"min_pictures": 1},
    }
    (tmp_path / "x.yaml").write_text(yaml.safe_dump(settings))
    return tmp_path / "x.yaml"


def test_every_row_gets_the_side_of_its_person(pack, capsys):
    assert main(["prepare", "--config", str(pack)]) == 0
    said = capsys.readouterr().out
    assert "unlabelled 4, " in said
    assert "0 people stand on two sides" in said
    config = configuration.load(pack)
    table = pq.read_table(config.prepared_dir / prepare.TABLE).to_pylist()
    assert len(table) == 54
    for row in table:
        person = row["person"]
        expected = side_of(person, 54) if person else prepare.UNLABELLED
        assert row["side"] == expected


def test_nobody_measured_is_trained_on(pack):
    config = configuration.load(pack)
    prepare.prepare(config)
    measured = set(gallery.load_side(config, "validation").names)
    data = load_training_set(config)
    rows = pq.read_table(config.prepared_dir / prepare.TABLE).to_pylist()
    whose = {row["image"]: row["person"] for row in rows}
    assert measured
    assert not measured & {whose[image] for image in data.images}
    assert {None} <= {whose[image] for image in data.images}


def test_a_second_run_does_nothing_and_a_new_pack_does_not_go_unnoticed(pack, faces):
    config = configuration.load(pack)
    prepare.prepare(config)
    table = config.prepared_dir / prepare.TABLE
    before = table.stat().st_mtime_ns
    prepare.prepare(config)
    assert table.stat().st_mtime_ns == before
    smaller = pa.table({"image": pa.array(faces[0][:5], pa.binary()), "identity": ["made/1"] * 5})
    pq.write_table(smaller, pack.parent / "made.parquet")
    prepare.prepare(config)
    assert pq.read_table(table).num_rows == 5


def test_one_person_under_two_names_is_found_across_sources_only():
    rng = np.random.default_rng(0)
    one, other = rng.normal(size=(2, 16))
    vectors = np.stack([one, one, one, other, other]).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    people = ["a/1", "b/1", "a/2", "b/2", None]
    found = prepare.find_duplicates(people, vectors, 0.7)
    assert {pair[:2] for pair in found} == {("a/1", "b/1"), ("a/2", "b/1")}


def test_of_names_chained_together_one_is_kept_where_it_is_measured():
    people = [f"s/{k}" for k in range(60)]
    by_side = {}
    for person in people:
        by_side.setdefault(side_of(person, 60), []).append(person)
    trained, checked, tested = by_side["train"][0], by_side["validation"][0], by_side["test"][0]
    pairs = [(trained, checked), (checked, tested)]
    sides = dict(zip(people, prepare.sides_of(people, pairs, 60), strict=True))
    assert sides[trained] == sides[checked] == prepare.EXCLUDED
    assert sides[tested] == "test"
    assert sum(side == prepare.EXCLUDED for side in sides.values()) == 2


def test_groups_of_more_than_two_names_keep_one_and_names_that_are_not_there_do_not_matter():
    people = [f"s/{k}" for k in range(9)]
    sides = prepare.sides_of(people, [["s/1", "s/nobody", "s/4", "s/7"]], 9)
    assert [k for k, side in enumerate(sides) if side == prepare.EXCLUDED] in (
        [1, 4],
        [1, 7],
        [4, 7],
    )


def test_what_ties_the_sides_together_is_said():
    people = ["a", "b", "b", None, "c"]
    sides = ["train", "validation", "validation", prepare.UNLABELLED, prepare.EXCLUDED]
    found = prepare.leaks([b"1", b"1", b"2", b"2", b"2"], people, sides)
    assert found["people on two sides"] == []
    assert (found["equal pictures"], found["equal pictures under two names"]) == (3, 2)
    assert [len(group) for group in found["equal pictures on two sides"]] == [2, 3]
    found = prepare.leaks([b"1", b"2"], ["a", "a"], ["train", "test"])
    assert found["people on two sides"] == ["a"]
    assert (
        prepare.leaks([b"1", b"1"], ["a", "a"], ["test"] * 2)["equal pictures on two sides"] == []
    )


def test_the_summary_states_the_rule_and_counts_people_only(pack):
    summary = prepare.prepare(configuration.load(pack))
    assert summary["split"].startswith("60/20/20 %")
    assert sum(summary["people"].values()) == 40
    assert summary["leaks"]["people on two sides"] == []
    assert rule(1_000_000).startswith("90/5/5 %")


def taught_by(teacher: Path, *, mirrors: bool = False) -> configuration.Config:
    settings = configuration.PrepareSettings(teacher=teacher.name, teacher_mirrors=mirrors)
    return configuration.Config(
        "x", teachers=str(teacher.parent), prepared=str(teacher.parent), prepare=settings
    )


@pytest.fixture
def teacher(tmp_path):
    """A teacher of two numbers, which sees only the left half of a crop."""
    left = torch.zeros(112)
    left[:40] = 1

    class Left(torch.nn.Module):
        def forward(self, x):
            seen = (x * left).mean((2, 3))
            return torch.stack([seen[:, 0] + 1, seen[:, 1] + 1], 1)

    torch.onnx.export(
        Left(), (torch.zeros(1, 3, 112, 112),), str(tmp_path / "left.onnx"),
        input_names=["x"], dynamic_axes={"x": {0: "n"}}, dynamo=False,
    )  # fmt: skip
    return tmp_path / "left.onnx"


def test_with_mirrors_a_picture_and_its_mirror_image_have_one_target(teacher):
    half = np.zeros((128, 128, 3), np.uint8)
    half[:, :50] = (250, 20, 90)
    images = [encode(half), encode(np.ascontiguousarray(half[:, ::-1]))]
    teach = prepare.teacher(taught_by(teacher))
    plain = prepare.teacher_embeddings(images, teach)
    both = prepare.teacher_embeddings(images, teach, mirrors=True)
    assert plain[0] @ plain[1] < 0.97
    assert np.allclose(both[0], both[1], atol=1e-6)
    assert np.allclose(np.linalg.norm(both, axis=1), 1)
    total = plain.sum(axis=0)
    assert np.allclose(both[0], total / np.linalg.norm(total), atol=1e-6)


def test_embeddings_are_kept_until_the_option_changes(teacher, tmp_path, faces, monkeypatch):
    images = faces[0][:3]
    first = prepare.cached_embeddings(taught_by(teacher), images)
    both = taught_by(teacher, mirrors=True)
    mirrored = prepare.cached_embeddings(both, images)
    assert not np.allclose(first, mirrored)
    digest = hashlib.sha256(teacher.read_bytes())
    for image in images:
        digest.update(hashlib.sha256(image).digest())
    digest.update(b"mirrors")
    assert (tmp_path / prepare.TEACHER_KEY).read_text() == digest.hexdigest()
    monkeypatch.setattr(prepare, "teacher_embeddings", None)
    assert np.array_equal(prepare.cached_embeddings(both, images), mirrored)


def test_a_teacher_that_is_the_runs_start_answers_as_its_file_does(tmp_path, faces):
    options = {"width": 0.25, "embedding": 32, "batch_norm": False}
    torch.manual_seed(2)
    torch.onnx.export(
        build_backbone("mobilefacenet", **options), (torch.zeros(1, 3, 112, 112),),
        str(tmp_path / "start.onnx"), input_names=["x"], dynamic_axes={"x": {0: "n"}}, dynamo=False,
    )  # fmt: skip
    config = taught_by(tmp_path / "start.onnx")
    images = faces[0][::9]
    by_file = prepare.teacher_embeddings(images, prepare.teacher(config))
    config.model = configuration.ModelSettings(options=options, warm_start="start.onnx")
    by_network = prepare.teacher_embeddings(images, prepare.teacher(config))
    assert np.abs(by_file - by_network).max() < 1e-4
    # Different faces differ by much more.
    assert np.abs(by_file - by_file.mean(axis=0)).max() > 2e-3


def test_targets_lean_towards_their_person():
    target = np.array([[1, 0], [0, 1], [1, 0]], np.float32)
    moved = pull_to_centroids(target, np.array([0, 0, -1]), 0.5)
    assert np.allclose(np.linalg.norm(moved, axis=1), 1.0)
    assert moved[0] @ moved[1] > 0.3
    assert np.array_equal(moved[2], target[2])


def test_settings_are_checked(pack, tmp_path):
    with pytest.raises(ValueError, match=r"train\.speed"):
        configuration.load(pack, ["train.speed=3"])
    with pytest.raises(ValueError, match=r"train\.steps"):
        configuration.load(pack, ["train.steps=many"])
    (tmp_path / "over.yaml").write_text("base: x.yaml\ntrain: {steps: 9}\n")
    config = configuration.load(tmp_path / "over.yaml", ["train.learning_rate=1e-5"])
    assert (config.train.steps, config.train.learning_rate) == (9, 1e-5)
    assert config.train.min_pictures == 1
    assert config.name == "x"
