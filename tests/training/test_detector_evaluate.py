"""How found, missed and false faces are counted."""

import numpy as np
import pytest

from training.detector.data import Labels
from training.detector.evaluate import (
    Result,
    choose_threshold,
    false_faces,
    figures,
    landmark_error,
    match,
)
from vision.types import Face

POINTS = np.array([[12, 18], [28, 18], [20, 28], [14, 38], [26, 38]], dtype=np.float32)


def face(x: float, y: float, score: float = 0.9, shift: float = 0.0) -> Face:
    landmarks = POINTS + np.float32([x + shift, y])
    return Face((x, y, x + 40, y + 50), landmarks, score)


def labels(*corners: tuple[float, float], sure: bool = True) -> Labels:
    boxes = np.array([[x, y, x + 40, y + 50] for x, y in corners], dtype=np.float32).reshape(-1, 4)
    points = POINTS + boxes[:, None, :2]
    return Labels(boxes, points.astype(np.float32), np.full(len(boxes), sure))


def test_each_face_answers_for_one_label() -> None:
    wanted = labels((0, 0), (8, 0))
    assert match([face(0, 0)], wanted) == {0: 0}
    assert match([face(8, 0), face(0, 0)], wanted) == {1: 0, 0: 1}
    assert match([face(30, 0)], labels((0, 0))) == {}
    assert match([], wanted) == {}


def test_a_false_face_overlaps_no_label_not_even_an_unsure_one() -> None:
    faces = [face(0, 0), face(200, 0)]
    assert false_faces(faces, labels((0, 0))) == [faces[1]]
    assert false_faces(faces, labels((0, 0), (200, 5), sure=False)) == []
    assert false_faces(faces, labels()) == faces


def test_landmark_error_is_in_eye_distances() -> None:
    assert landmark_error(face(0, 0, shift=1.6), POINTS) == pytest.approx(0.1)


def test_figures_count_by_width_and_threshold() -> None:
    results = [
        Result(labels((0, 0), (100, 0)), [face(0, 0, 0.9), face(100, 0, 0.55)]),
        Result(labels(), [face(0, 0, 0.8)]),
    ]
    low, high = figures(results, 0.5), figures(results, 0.7)
    assert low.faces == {16: 2, 24: 2, 40: 2, 60: 0}
    assert low.recall[40] == 1.0
    assert high.recall[40] == 0.5
    assert np.isnan(low.recall[60])
    assert low.false_per_picture == high.false_per_picture == 0.5
    assert figures(results, 0.85).false_per_picture == 0.0


def test_threshold_is_the_lowest_that_keeps_false_faces_rare() -> None:
    quiet = [Result(labels((0, 0)), [face(0, 0)])] * 80
    loud = [Result(labels(), [face(0, 0, score)]) for score in (0.61, 0.62, 0.63)]
    assert choose_threshold({"clean": quiet}) == 0.5
    # Two false faces in 80 pictures are allowed, so the weakest of the three must go.
    assert choose_threshold({"clean": quiet, "dark": quiet[:77] + loud}) == 0.62
    with pytest.raises(ValueError, match="no threshold"):
        choose_threshold({"clean": [Result(labels(), [face(0, 0, 0.99)])]})
