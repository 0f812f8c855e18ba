"""Alignment puts the landmarks where the embedder expects them."""

import numpy as np
import pytest
from hypothesis import given, strategies as st

from vision import align
from vision.imaging.align import TEMPLATE, similarity_transform


def moved(scale, angle, shift):
    rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return (TEMPLATE @ rotation.T * scale + shift).astype(np.float32)


@given(st.floats(0.2, 20), st.floats(-np.pi, np.pi), st.floats(-300, 2000), st.floats(-300, 2000))
def test_transform_undoes_any_rotation_scale_and_shift(scale, angle, dx, dy):
    matrix = similarity_transform(moved(scale, angle, (dx, dy)), TEMPLATE)
    points = np.hstack([moved(scale, angle, (dx, dy)), np.ones((5, 1))]).astype(np.float64)
    assert np.allclose(points @ matrix.T, TEMPLATE, atol=0.1)
    assert np.isclose(np.linalg.det(matrix[:, :2].astype(float)), scale**-2, rtol=1e-2)


@pytest.mark.parametrize(
    "landmarks",
    [np.full((5, 2), 7.0), np.full((5, 2), np.nan), np.array([[0, np.inf]] * 5)],
)
def test_landmarks_that_are_no_face_are_refused(landmarks):
    with pytest.raises(ValueError, match="landmarks"):
        align(np.zeros((50, 50, 3), dtype=np.uint8), landmarks.astype(np.float32))


@pytest.mark.parametrize("scale", [0.5, 1.0, 3.3, 8.0])
@pytest.mark.parametrize("angle", [0.0, 0.4, -1.2])
def test_dots_at_the_landmarks_arrive_at_the_template(scale, angle):
    landmarks = moved(scale, angle, (0, 0))
    landmarks += 100 - landmarks.min(axis=0)
    side = int(landmarks.max()) + 100
    y, x = np.mgrid[:side, :side]
    for index, (px, py) in enumerate(landmarks):
        blob = 255 * np.exp(-((x - px) ** 2 + (y - py) ** 2) / (2 * (3 * scale) ** 2))
        crop = align(np.repeat(blob[..., None], 3, 2).astype(np.uint8), landmarks)[..., 0]
        rows, columns = np.mgrid[:112, :112]
        weight = crop.astype(float)
        centre = (columns * weight).sum() / weight.sum(), (rows * weight).sum() / weight.sum()
        # Eight-bit values and the widened kernel leave an error of an eighth of a pixel.
        assert np.allclose(centre, TEMPLATE[index], atol=0.15)


def test_outside_of_the_picture_is_black_and_the_shape_fixed():
    white = np.full((60, 40, 3), 255, dtype=np.uint8)
    crop = align(white, moved(0.5, 0.0, (-20, -20)))
    assert crop.shape == (112, 112, 3)
    assert crop.dtype == np.uint8
    assert crop[0, 0].max() == 0
    assert crop[-20, -20].min() > 200


def test_a_face_wholly_outside_is_black_not_an_error():
    white = np.full((60, 40, 3), 255, dtype=np.uint8)
    assert align(white, moved(9.0, 0.0, (5000, 5000))).max() == 0


def test_a_border_shows_more_around_the_same_crop():
    rng = np.random.default_rng(4)
    picture = rng.integers(0, 255, (300, 300, 3), dtype=np.uint8)
    landmarks = moved(1.3, 10.0, (80, 60))
    wide = align(picture, landmarks, border=8)
    assert wide.shape == (128, 128, 3)
    inner = wide[8:-8, 8:-8].astype(int)
    assert np.abs(inner - align(picture, landmarks)).max() <= 1
    assert wide[0].max() > 0
