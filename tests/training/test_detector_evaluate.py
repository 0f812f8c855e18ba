"""How found, missed and false faces are counted."""

import io
from dataclasses import asdict

import numpy as np
import pytest
from PIL import Image

from training.detector.data import Labels, Scene
from training.detector.evaluate import choose_threshold, conditions, table, teachers_landmarks
from training.detector.figures import Result, answered, figures
from training.detector.matching import false_faces, landmark_error, match
from training.detector.settle import settle, settle_all
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
    assert low.recall[40].value == 1.0
    assert high.recall[40].value == 0.5
    assert np.isnan(low.recall[60].value)
    assert low.false_per_picture.value == high.false_per_picture.value == 0.5
    assert figures(results, 0.85).false_per_picture.value == 0.0


def test_intervals_draw_pictures_not_faces() -> None:
    """Five faces of one picture are found or missed together: they count as one draw."""
    corners = [(100.0 * place, 0.0) for place in range(5)]
    crowd, alone = labels(*corners), labels((0, 0))
    found = [Result(crowd, [face(*corner) for corner in corners])]
    results = found * 20 + [Result(crowd, [])] * 20 + [Result(alone, [face(0, 0)])] * 10
    recall = figures(results, 0.5).recall[24]
    assert recall.value == pytest.approx(110 / 210)
    # 40 crowds decide: about 0.15 to either side. 210 free faces would give 0.07.
    assert 0.12 < recall.value - recall.low < 0.2
    assert 0.12 < recall.high - recall.value < 0.2
    false = figures(results, 0.5).false_per_picture
    assert (false.value, false.low, false.high) == (0.0, 0.0, 0.0)


@pytest.mark.parametrize("number", [4, 5])
def test_landmark_error_is_the_median_over_found_faces(number: int) -> None:
    shifts = [0.16 * place**2 for place in range(number)]
    results = [Result(labels((0, 0)), [face(0, 0, shift=shift)]) for shift in shifts]
    results.append(Result(labels((0, 0)), []))
    error = figures(results, 0.5).landmark_error["labels"]
    assert error.value == pytest.approx(np.median(shifts) / 16)
    assert error.low < error.value < error.high <= shifts[-1] / 16 + 1e-6


def test_landmarks_are_measured_against_others_only_where_they_answer() -> None:
    results = [
        Result(labels((0, 0), (100, 0)), [face(0, 0), face(100, 0)]),
        Result(labels((0, 0)), [face(0, 0, shift=8.0)]),
    ]
    theirs = [
        answered(results[0].labels, [face(0, 0, shift=3.2)]),
        answered(results[1].labels, []),
    ]
    assert np.isnan(theirs[0].landmarks[1]).all()
    errors = figures(results, 0.5, {"teacher": theirs}).landmark_error
    assert errors["teacher"].value == pytest.approx(3.2 / 16)
    assert errors["labels"].value == 0.0


def test_threshold_is_the_lowest_that_keeps_false_faces_rare() -> None:
    quiet = [Result(labels((0, 0)), [face(0, 0)])] * 40
    loud = [Result(labels(), [face(0, 0, score)]) for score in (0.61, 0.62, 0.63)]
    assert choose_threshold({"clean": quiet}) == 0.5
    # Two false faces in 100 pictures are allowed, so the weakest of the three must go.
    many = [*quiet, *quiet, *quiet[:17]]
    assert choose_threshold({"clean": quiet, "dark": many + loud}) == 0.62
    with pytest.raises(ValueError, match="no threshold"):
        choose_threshold({"clean": [Result(labels(), [face(0, 0, 0.99)])]})


class Biased:
    """Finds the drawn face 2 px too low, and never sees it in mirrored copies of full size."""

    def __init__(self, width: int) -> None:
        self._width = width

    def detect(self, rgb: np.ndarray) -> list[Face]:
        scale = rgb.shape[1] / self._width
        mirrored = rgb[0, 0, 0] > 128
        if mirrored and scale == 1.0:
            return []
        seen = labels((20, 20))
        seen = seen.moved(scale, 0, 2 * scale)
        seen = seen.flipped(rgb.shape[1]) if mirrored else seen
        return [Face(tuple(seen.boxes[0].tolist()), seen.landmarks[0], 0.9)]


def marked_scene(wanted: Labels) -> Scene:
    picture = np.zeros((100, 100, 3), dtype=np.uint8)
    picture[:, 50:] = 255
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "PNG")
    return Scene(buffer.getvalue(), "drawn", wanted)


def test_settled_landmarks_are_the_median_in_the_pictures_own_frame() -> None:
    scene = marked_scene(labels((20, 20)))
    settled = settle(scene, Biased(100))
    # Seven copies say two pixels lower, the label alone says none.
    np.testing.assert_allclose(
        settled.landmarks, scene.labels.landmarks + np.float32([0, 2]), atol=1e-3
    )
    np.testing.assert_array_equal(settled.boxes, scene.labels.boxes)
    empty = marked_scene(labels())
    assert settle(empty, Biased(100)) is empty.labels


def test_settled_landmarks_are_kept(tmp_path) -> None:
    scene = marked_scene(labels((20, 20)))
    first = settle_all([scene], Biased(100), tmp_path / "kept" / "settled.npz")
    # Nobody is asked again.
    second = settle_all([scene], None, tmp_path / "kept" / "settled.npz")
    wanted = settle(scene, Biased(100)).landmarks
    for (settled,) in (first, second):
        np.testing.assert_array_equal(settled.labels.landmarks, wanted)
        np.testing.assert_array_equal(settled.labels.sure, scene.labels.sure)
        assert settled.encoded == scene.encoded


def test_the_teacher_answers_for_the_pixels_that_are_searched() -> None:
    answers = teachers_landmarks([marked_scene(labels((20, 20)))], Biased(100))
    assert set(answers) == set(conditions())
    for name, scale in (("clean", 1.0), ("half size", 0.5), ("dark", 1.0)):
        (teacher,), (settled,) = answers[name]["teacher"], answers[name]["settled"]
        wanted = (labels((20, 20)).landmarks + np.float32([0, 2])) * scale
        np.testing.assert_allclose(teacher.landmarks, wanted, atol=1e-3)
        np.testing.assert_allclose(settled.landmarks, wanted, atol=1e-3)


def test_table_shows_every_figure_with_its_interval() -> None:
    report = {"clean": asdict(figures([Result(labels((0, 0)), [face(0, 0)])] * 3, 0.5))}
    row = table(report).splitlines()[-1]
    assert row.startswith("| clean | 100.0 (100.0-100.0) |")
    assert "| 0.000 (0.000-0.000) | 0.0 (0.0-0.0) |" in row
