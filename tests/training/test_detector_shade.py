"""One lamp beside a face: which half of it stays dark."""

import io

import numpy as np
from PIL import Image

from training.detector.data import CanvasMaker, Labels, Scene
from training.detector.shade import shade

BOXES = np.array([[60, 50, 120, 130]], np.float32)


def test_one_side_of_the_face_is_lit_and_the_other_is_not() -> None:
    picture = np.full((180, 180, 3), 180, np.uint8)
    sides = set()
    for seed in range(20):
        lit = shade(picture, BOXES, np.random.default_rng(seed)).astype(float)
        left, right = lit[85:95, 65:75].mean(), lit[85:95, 105:115].mean()
        sides.add(left > right)
        assert max(left, right) > 1.4 * min(left, right)
    assert sides == {True, False}


def test_surroundings_are_lit_evenly_and_nothing_else_changes_shape() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (180, 180, 3), dtype=np.uint8)
    lit = shade(picture, BOXES, np.random.default_rng(1))
    assert lit.shape == picture.shape
    assert lit.dtype == np.uint8
    ratio = lit[:20].astype(float).mean() / picture[:20].mean()
    assert 0 < ratio < 1
    assert (shade(picture, BOXES[:0], np.random.default_rng(1))[:20] == lit[:20]).all()


def test_faces_beyond_the_edge_and_without_size_do_no_harm() -> None:
    boxes = np.array([[-50, -60, 10, 20], [170, 170, 260, 280], [40, 40, 40, 40]], np.float32)
    picture = np.full((100, 100, 3), 90, np.uint8)
    assert shade(picture, boxes, np.random.default_rng(2)).shape == picture.shape


def test_the_teacher_sees_canvases_before_they_are_lit() -> None:
    buffer = io.BytesIO()
    Image.fromarray(np.full((120, 120, 3), 150, np.uint8)).save(buffer, "PNG")
    box = np.array([[30, 30, 70, 80]], np.float32)
    points = np.zeros((1, 5, 2), np.float32)
    scenes = [Scene(buffer.getvalue(), "drawn", Labels(box, points, np.array([True])))]
    plain = CanvasMaker(scenes, 128, 0.0).make(np.random.default_rng(3))
    lit = CanvasMaker(scenes, 128, 0.0, lamp_share=1.0).make(np.random.default_rng(3))
    assert (lit.clean == plain.clean).all()
    assert lit.seen.mean() < 0.8 * plain.seen.mean()
    assert (lit.labels.boxes == plain.labels.boxes).all()
