"""Frames of willing people, in order of time, and who is enrolled with which."""

from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import vision
from training.common.pictures import encode
from training.verifier import webcam
from training.verifier.config import from_dict
from training.verifier.webcam import Webcam

# Where alignment leaves landmarks, in a picture with a border of eight.
MARKS = 8 + np.array([[38.3, 51.7], [73.5, 51.5], [56, 71.7], [41.5, 92.4], [70.7, 92.2]], "f4")


def face(width: float, marks: np.ndarray) -> vision.Face:
    return vision.Face((0.0, 0.0, width, width), marks, 0.9)


@pytest.fixture
def config(tmp_path, draw_face, monkeypatch):
    """A pack whose rows stand in any order; only the face in front is drawn."""
    rows = [
        {"image": encode(draw_face(who, 20 * day + number)), "label": "live",
         "file": f"{who:04d}/{who:04d}_00_01_{day:02d}_{number}.jpg"}
        for who in (2, 10) for day in (2, 1) for number in (10, 9, 0)
    ]  # fmt: skip
    rows.append(rows[0] | {"label": "spoof", "file": "0002/0002_00_01_03_1.jpg"})
    # Nobody is in this one.
    rows.append(rows[0] | {"image": encode(np.zeros((90, 90, 3), np.uint8))})
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "webcam.parquet")

    def detect(rgb):
        behind = face(20.0, MARKS + 5)
        return [behind, face(77.0, MARKS)] if rgb.any() else []

    monkeypatch.setattr(webcam.product, "detector", lambda: SimpleNamespace(detect=detect))
    evaluate = {"webcam_pack": "webcam.parquet"}
    values = {"name": "x", "data": str(tmp_path), "prepared": str(tmp_path), "evaluate": evaluate}
    return from_dict(values)


def test_frames_stand_in_order_of_subject_session_and_time(config, draw_face, monkeypatch):
    found = webcam.load(config)
    assert found.subject.tolist() == [2] * 6 + [10] * 6
    assert found.session.tolist() == [1, 1, 1, 2, 2, 2] * 2
    assert found.number.tolist() == [0, 9, 10] * 4
    assert (found.face_px == 77.0).all()
    # The larger face, aligned.
    wanted = draw_face(2, 20)[8:120, 8:120].astype(float)
    assert np.abs(found.crops[0] - wanted).mean() < 6.0
    assert np.abs(found.crops[6] - wanted).mean() > 12.0
    assert found.first_session.tolist() == [True] * 3 + [False] * 3 + [True] * 3 + [False] * 3
    # Faces are looked for once.
    monkeypatch.setattr(webcam.product, "detector", None)
    again = webcam.load(config)
    assert all(np.array_equal(value, getattr(again, name)) for name, value in vars(found).items())


def test_without_a_pack_there_is_nobody(config):
    config.evaluate.webcam_pack = ""
    assert webcam.load(config) is None


@pytest.fixture
def people() -> Webcam:
    """Two people with two sessions of 20 frames each; a frame's grey says whose it is."""
    subject = np.repeat([0, 1], 40)
    session = np.tile(np.repeat([1, 2], 20), 2)
    crops = np.full((80, 128, 128, 3), 60, np.uint8) + 60 * subject[:, None, None, None]
    return Webcam(
        crops.astype(np.uint8), subject, session, np.tile(np.arange(20), 4), np.full(80, 90.0)
    )


def test_enrolled_are_frames_spread_over_the_time_that_is_asked_for(people):
    rows = webcam.enrolment(people, people.first_session)
    assert rows.tolist() == [0, 4, 9, 14, 19, 40, 44, 49, 54, 59]
    few = np.zeros(80, bool)
    few[[3, 5, 70]] = True
    assert webcam.enrolment(people, few).tolist() == [3, 5, 70]


def test_everybody_tries_at_the_others_doors(config, people):
    config.calibrate.night = []
    config.calibrate.min_sharpness = 0.0

    def embed(crops):
        grey = (crops[:, 50, 50, 0] > 90).astype(int)
        return np.eye(3, dtype=np.float32)[grey]

    ((name, trials),) = webcam.impostors(config, embed, people)
    assert name == "clean, webcam"
    # 80 frames less the ten enrolled: each once at the other's door, once at one's own.
    assert trials.impostors == len(trials.genuine) == 70
    assert (trials.genuine == 1.0).all()
    assert (trials.tail == 0.0).all()
