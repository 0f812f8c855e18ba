"""The comparison that proves a C library or a runtime must notice differences."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

PARITY = Path(__file__).resolve().parents[2] / "benchmarks" / "parity.py"
spec = importlib.util.spec_from_file_location("parity", PARITY)
parity = importlib.util.module_from_spec(spec)
spec.loader.exec_module(parity)


@pytest.fixture
def measured(rng):
    embeddings = rng.normal(size=(6, 128)).astype(np.float32)
    embeddings[1::2] += 2 * embeddings[::2]  # three people, two faces each
    return {
        "names": np.array([f"a/{i}.jpg#0" for i in range(6)]),
        "landmarks": rng.uniform(0, 500, size=(6, 5, 2)).astype(np.float32),
        "embeddings": embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True),
        "pixels": np.arange(6),
    }


def verdict(one, other):
    return parity.difference(one, other)[-1]


def test_the_same_agrees(measured, tmp_path, capsys):
    assert verdict(measured, measured) == "yes"
    np.savez(tmp_path / "a.npz", **measured)
    assert parity.compare(tmp_path / "a.npz", [tmp_path / "a.npz"]) == 0
    assert "1.0000000" in capsys.readouterr().out


def change_embedding(measured):
    measured["embeddings"][3, 0] += 0.02


def nothing_but_nan(measured):
    measured["embeddings"][3] = np.nan


def move_landmark(measured):
    measured["landmarks"][2, 1] += 0.5


def lose_a_face(measured):
    for key in ("names", "landmarks", "embeddings"):
        measured[key] = measured[key][:-1]


def find_another(measured):
    measured["names"][0] = "a/0.jpg#1"


def find_none(measured):
    for key in ("names", "landmarks", "embeddings"):
        measured[key] = measured[key][:0]


@pytest.mark.parametrize(
    "change",
    [change_embedding, nothing_but_nan, move_landmark, lose_a_face, find_another, find_none],
)
def test_what_differs_is_said(measured, tmp_path, change, capsys):
    other = {key: value.copy() for key, value in measured.items()}
    change(other)
    assert verdict(other, measured).startswith("NO")
    np.savez(tmp_path / "a.npz", **other)
    np.savez(tmp_path / "b.npz", **measured)
    assert parity.compare(tmp_path / "a.npz", [tmp_path / "b.npz"]) == 1
    assert "NO" in capsys.readouterr().out


def test_another_best_match_is_said_though_all_are_close(measured):
    other = {key: value.copy() for key, value in measured.items()}
    # Two faces are equally similar to a third: a hair decides which is the best match.
    tie = measured["embeddings"][0]
    for index, hair in ((1, 1e-3), (3, -1e-3)):
        measured["embeddings"][index] = tie * (0.8 + hair)
        other["embeddings"][index] = tie * (0.8 - hair)
    assert verdict(other, measured) == "NO"


def test_says_which_c_library_is_loaded():
    assert parity.loaded_libc() in ({"glibc"}, {"musl"}, set())
    assert len(parity.pictures()) >= 11
