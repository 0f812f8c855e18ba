"""A list of pairs as LFW writes it, and its accuracy over folds."""

from itertools import product

import numpy as np
import pytest
from PIL import Image

import vision
from training.verifier import pairs
from vision.matching.similarity import MIN_SCORE

LISTED = """2\t2
Ann_Lee\t1\t2
Bob Ray\t3\t10
Ann_Lee\t1\tBob Ray\t3
Cy\t1\tAnn_Lee\t2
Cy\t1\t2
Cy\t2\t3
Cy\t1\tBob Ray\t10
Ann_Lee\t2\tCy\t3
"""


def test_a_list_is_read_as_it_is_published(tmp_path):
    path = tmp_path / "pairs.txt"
    path.write_text(LISTED)
    found, folds = pairs.read_pairs(path)
    assert folds == 2
    assert [pair.same for pair in found] == [True, True, False, False] * 2
    assert (found[1].left, found[1].right) == (
        "Bob Ray/Bob Ray_0003.jpg",
        "Bob Ray/Bob Ray_0010.jpg",
    )
    assert found[3].right == "Ann_Lee/Ann_Lee_0002.jpg"
    path.write_text("1\nA 1 2\nA 1 B 2\n")
    assert pairs.read_pairs(path) == (
        [
            pairs.Pair("A/A_0001.jpg", "A/A_0002.jpg", True),
            pairs.Pair("A/A_0001.jpg", "B/B_0002.jpg", False),
        ],
        1,
    )


@pytest.mark.parametrize("text", ["", "a b c\n", "2 1\nA 1 2\nA 1 B 2\n", "1\nA 1\nA 1 B 2\n"])
def test_a_list_of_another_form_is_refused(tmp_path, text):
    path = tmp_path / "pairs.txt"
    path.write_text(text)
    with pytest.raises(ValueError):  # noqa: PT011 - any sentence will do
        pairs.read_pairs(path)


def test_a_fold_is_judged_by_the_others_threshold():
    rng = np.random.default_rng(0)
    same = np.tile(np.repeat([True, False], 20), 10)
    scores = rng.normal(np.where(same, 0.6, 0.2), 0.15).astype(np.float32)
    found = pairs.fold_accuracies(scores, same, 10)
    for fold, accuracy in enumerate(found):
        inside = np.zeros(400, bool)
        inside[40 * fold : 40 * (fold + 1)] = True
        best = max(
            ((scores[~inside] >= t) == same[~inside]).mean() for t in np.sort(scores[~inside])
        )
        candidates = np.linspace(-0.5, 1.3, 2001)
        good = [t for t in candidates if ((scores[~inside] >= t) == same[~inside]).mean() == best]
        judged = {round(float(((scores[inside] >= t) == same[inside]).mean()), 6) for t in good}
        assert round(accuracy, 6) in judged
    figures = pairs.pair_figures(scores, same, folds=10, draws=20)
    assert figures["accuracy"] == pytest.approx(np.mean(found))
    assert figures["standard_error"] == pytest.approx(np.std(found, ddof=1) / np.sqrt(10))
    # 200 impostors cannot count 1 %.
    assert figures["tar"] == {}


def test_scores_give_tar_where_it_can_be_counted():
    rng = np.random.default_rng(1)
    left = rng.normal(size=(1200, 32))
    same = np.arange(1200) % 2 == 0
    right = np.where(same[:, None], left, 0.0) + rng.normal(size=left.shape)
    left, right = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (left, right))
    scores = (left * right).sum(axis=1).astype(np.float32)
    found = pairs.pair_figures(scores, same)
    threshold = np.sort(scores[~same])[-7]
    assert found["tar"]["1e-02"]["value"] == pytest.approx((scores[same] > threshold).mean())
    assert found["tar"]["1e-02"]["low"] <= found["tar"]["1e-02"]["value"]
    assert set(found["tar"]) == {"1e-02"}
    assert 0.9 < found["accuracy"] <= 1.0
    with pytest.raises(ValueError, match="both kinds"):
        pairs.pair_figures(scores, np.ones(1200, bool))


def test_equal_scores_are_not_parted():
    same = np.array([True, False, True, False])
    scores = np.array([0.5, 0.5, 0.9, 0.1], np.float32)
    assert pairs.fold_accuracies(scores, same, 1) == [0.75]


def test_a_picture_without_a_face_is_a_pair_that_is_not_accepted(tmp_path, monkeypatch):
    crops = {"A/A_0001.jpg": np.full((112, 112, 3), 10, np.uint8), "A/A_0002.jpg": None}
    monkeypatch.setattr(pairs, "align_all", lambda folder, names: [crops[name] for name in names])
    listed = [pairs.Pair(*names, True) for names in product(crops, crops)]
    scores, missing = pairs.similarities(
        lambda given: np.full((len(given), 2), [1.0, 0.25], np.float32), tmp_path, listed
    )
    assert missing == 1
    # The cosine less both crowdings.
    assert scores.tolist() == [0.5, *[pairs.NOT_FOUND] * 3]
    assert pairs.NOT_FOUND < MIN_SCORE


def test_the_face_in_the_middle_is_taken(tmp_path):
    path = tmp_path / "two.png"
    picture = np.zeros((200, 300, 3), np.uint8)
    picture[:, 100:200] = 200
    Image.fromarray(picture).save(path)
    marks = np.array([[38.3, 51.7], [73.5, 51.5], [56.0, 71.7], [41.5, 92.4], [70.7, 92.2]])

    def face(x):
        box = (x, 50.0, x + 90.0, 150.0)
        return vision.Face(box, (marks + np.array([x, 50.0])).astype(np.float32), 0.9)

    crop = pairs.crop_of(path, lambda rgb: [face(0.0), face(105.0)])
    assert crop.shape == (112, 112, 3)
    assert crop[:, :90].mean() > 180
    assert pairs.crop_of(path, lambda rgb: []) is None
