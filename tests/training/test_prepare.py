"""Packs -> the table that training and measurement read."""

import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from training.cli import main
from training.common.pictures import decode_centres, encode
from training.common.split import side_of
from training.verifier import config as configuration, gallery, prepare
from training.verifier.config import Config
from training.verifier.dataset import load_training_set, pull_to_centroids
from training.verifier.evaluate import bundled_embedder


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
        "prepare": {"packs": ["made.parquet"]},
        "train": {"min_pictures": 1},
    }
    (tmp_path / "x.yaml").write_text(yaml.safe_dump(settings))
    return tmp_path / "x.yaml"


def test_every_row_gets_the_side_of_its_person(pack, capsys):
    assert main(["prepare", "--config", str(pack)]) == 0
    assert '"unlabelled": 4' in capsys.readouterr().out
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
    sides = dict(zip(people, prepare._sides(people, pairs, 60), strict=True))
    assert sides[trained] == sides[checked] == prepare.EXCLUDED
    assert sides[tested] == "test"
    assert sum(side == prepare.EXCLUDED for side in sides.values()) == 2


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


def test_a_folder_per_person_is_detected_and_aligned_as_at_the_door(tmp_path):
    pictures = Path(__file__).parent.parent / "pictures"
    for person, names in {"obama": ["obama", "obama2"], "biden": ["biden"]}.items():
        (tmp_path / "us" / person).mkdir(parents=True)
        for name in names:
            shutil.copy(pictures / f"{name}.jpg", tmp_path / "us" / person)
    (tmp_path / "us" / "biden" / "empty.png").write_bytes(encode(np.zeros((64, 64, 3), np.uint8)))
    rows = list(prepare.read_folder(tmp_path / "us"))
    assert [row.person for row in rows] == ["us/biden", "us/obama", "us/obama"]
    assert all(row.face_px > 100 for row in rows)
    crops = decode_centres([row.image for row in rows])
    embeddings = bundled_embedder(Config("x"))(crops)
    cosines = embeddings @ embeddings.T
    assert cosines[1, 2] > 0.6
    assert cosines[0, 1:].max() < 0.3
