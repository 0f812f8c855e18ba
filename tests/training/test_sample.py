"""The made-up data set is what the steps read, the same each time, and its labels are true."""

import io
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from training.cli import main, role_named
from training.common import product
from training.common.paths import ROOT
from training.common.pictures import decode_centres
from training.common.settings import load, read
from training.common.split import TEST, side_of
from training.detector.data import SPLITS, read_scenes
from training.presence.data import read_empty
from training.sample import make
from training.sample.heads import make_head
from training.sample.render import Camera, View, photograph, place
from training.verifier import gallery, pairs, webcam
from training.verifier.config import Config
from training.verifier.embedders import bundled_embedder
from training.verifier.prepare import TABLE, teacher, teacher_embeddings

SIZES = make.Sizes(
    people=16,
    pictures=2,
    crowd=2,
    strangers=6,
    lamps=1,
    scenes=6,
    subjects=2,
    frames=1,
    owners=2,
    owner_frames=3,
    places=4,
)


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("sample") / "data"
    assert make.sample(folder, SIZES)
    return folder


@pytest.fixture(scope="module")
def detect():
    return product.detector().detect


def test_the_same_again_is_left_and_another_size_is_made(made):
    before = (made / "scenes.parquet").stat().st_mtime_ns
    assert not make.sample(made, SIZES)
    assert (made / "scenes.parquet").stat().st_mtime_ns == before


def test_a_person_looks_the_same_from_one_seed_and_unlike_others():
    def shown(seed: int) -> np.ndarray:
        light = np.full((200, 200, 3), 0.2, np.float32)
        place(light, make_head(seed), View(), (100, 85), 40, np.full(3, 0.1))
        return photograph(light, Camera(noise=0), np.random.default_rng(0)).astype(float)

    assert np.array_equal(shown(3), shown(3))
    assert np.abs(shown(3) - shown(4)).mean() > 3


def test_prepare_finds_the_made_up_faces_and_splits_people(made):
    config = ROOT / "training" / "configs" / "sample.yaml"
    words = ["prepare", "--config", str(config), "--data", str(made), "--teachers", str(made)]
    out = made.parent / "prepared"
    runs = made.parent / "runs"
    settings = [f"prepared={out}", f"runs={runs}"]
    assert main([*words, *(word for one in settings for word in ("--set", one))]) == 0
    rows = pq.read_table(out / TABLE).to_pylist()
    # The detector may miss one that was made in the evening.
    assert len(rows) >= 0.9 * (16 * 2 + 2 + 6)
    for row in rows:
        assert (row["person"] is None) == (row["source"] == "crowd")
        if row["side"] != "excluded" and row["person"]:
            halves = row["source"] == "strangers"
            assert row["side"] == side_of(row["person"], len(rows), halves=halves)
    groups = [row["group"] for row in rows if row["source"] == "strangers"]
    assert sorted(groups) == [origin for origin in make.ORIGINS for _ in range(3)]


def test_owners_come_before_the_webcam_on_two_days(made, tmp_path):
    config = Config("x", data=str(made), prepared=str(tmp_path))
    config.evaluate.webcam_pack = "webcam.parquet"
    seen = webcam.load(config)
    assert seen.subject.tolist() == [0] * 6 + [1] * 6
    assert seen.session.tolist() == [1, 1, 1, 2, 2, 2] * 2
    assert seen.number.tolist() == [0, 1, 2] * 4
    assert (seen.face_px > 40).all()


def test_the_labels_of_scenes_lie_where_the_bundle_finds_faces(made, detect):
    scenes = [scene for split in SPLITS for scene in read_scenes(made / "scenes.parquet", split)]
    assert len(scenes) == SIZES.scenes
    distances = []
    for scene in scenes:
        faces = detect(np.asarray(scene.picture()))
        for box, marks in zip(scene.labels.boxes, scene.labels.landmarks, strict=True):
            middles = [face.landmarks.mean(0) for face in faces]
            inside = [
                face
                for face, middle in zip(faces, middles, strict=True)
                if (middle > box[:2]).all() and (middle < box[2:]).all()
            ]
            if inside:
                apart = np.linalg.norm(inside[0].landmarks - marks, axis=1)
                distances.append(apart.mean() / np.linalg.norm(marks[0] - marks[1]))
    faces = sum(len(scene.labels.boxes) for scene in scenes)
    assert len(distances) > 0.7 * faces
    assert np.median(distances) < 0.25


def test_pairs_are_of_tested_people_and_name_pictures_that_are_there(made):
    listed, folds = pairs.read_pairs(made / "pairs.txt")
    assert folds == make.FOLDS
    for pair in listed:
        for name in (pair.left, pair.right):
            assert (made / "people" / name).is_file()
            assert side_of(f"people/{name.split('/')[0]}", 0) == TEST
        assert pair.same == (pair.left.split("/")[0] == pair.right.split("/")[0])
        assert pair.left != pair.right


def test_lamps_light_the_side_that_their_name_says(made):
    shown, angles = gallery.load_lighting(made / "lighting.parquet", 1)
    assert shown.enrolled.any()
    assert angles.min() == 0
    assert angles.max() > 90
    files = pq.read_table(made / "lighting.parquet")["file"].to_pylist()
    for side in (-70, 70):
        (row,) = [k for k, file in enumerate(files) if f"A{side:+04d}E+00" in file]
        # Cheeks, beside the nose.
        left, right = shown.crops[row, 60:90, 25:45].mean(), shown.crops[row, 60:90, 67:87].mean()
        assert (right > 1.2 * left) if side > 0 else (left > 1.2 * right)


def test_frames_show_one_face_alive_or_printed_and_places_have_their_sides(made, detect):
    rows = pq.read_table(made / "spoof.parquet").to_pylist()
    assert {(row["label"], row["subject"]) for row in rows} == {
        (label, subject) for label in ("live", "spoof") for subject in ("0000", "0001")
    }
    for row in rows:
        with Image.open(io.BytesIO(row["image"])) as picture:
            assert picture.size == (400, 300)
            assert len(detect(np.asarray(picture.convert("RGB")))) == 1
    empty = [read_empty(made / "places", split) for split in ("train", "validation")]
    assert sum(map(len, empty)) == 2 * SIZES.places


CONFIGS = sorted((ROOT / "training" / "configs").glob("sample*.yaml"))


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_a_sample_run_leaves_the_bundle_alone(path):
    values = load(role_named(read(path).get("role", "verifier")).settings, path).to_dict()
    folders = [values["runs"], values["data"], values.get("models", "runs/sample")]
    folders += [values["export"]["models"]] if "export" in values else []
    assert all(str(folder).startswith("runs/sample") for folder in folders)


def test_the_teacher_is_the_bundle_with_another_input(made):
    images = pq.read_table(made / "crowd.parquet")["image"].to_pylist()
    ours = bundled_embedder(Config("x"))(decode_centres(images))[:, :-1]
    config = load(Config, ROOT / "training" / "configs" / "sample.yaml", [f"teachers={made}"])
    # As training starts from it, and as any teacher's file is read.
    for start in (config.model.warm_start, ""):
        config.model.warm_start = start
        found = teacher_embeddings(images, teacher(config))
        assert (found * ours).sum(axis=1).min() > 0.9999
