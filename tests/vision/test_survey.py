"""What is said about a camera before it becomes a door."""

import dataclasses

import numpy as np
import pytest
from PIL import Image

from vision import Fixture, PictureError, Shortcoming, encode_jpeg, survey, with_boxes


@pytest.fixture
def portrait(picture):
    return picture("obama")


def shots(rgb, number=4):
    """Several pictures of a scene, each a little different."""
    rng = np.random.default_rng(20261124)
    noise = (rng.normal(0, 2, rgb.shape) for _ in range(number))
    return [encode_jpeg((rgb + n).clip(0, 255).astype(np.uint8)) for n in noise]


def shrunk(rgb, width):
    image = Image.fromarray(rgb)
    return np.asarray(image.resize((width, round(image.height * width / image.width))))


def test_a_good_camera_with_somebody_before_it(bundle, portrait):
    found = survey(bundle, shots(portrait), seconds=1.5)
    assert found.shortcomings == ()
    assert (found.height, found.width, 3) == portrait.shape
    assert found.rate == pytest.approx(2.0)
    assert found.brightness == pytest.approx(portrait.mean(), abs=15)
    assert 140 < found.face_px < 200
    assert max(found.preview.shape) == 480
    green = (np.abs(found.preview.astype(int) - (60, 220, 90)).max(axis=2) < 8).sum()
    assert green > 200


def test_a_face_that_is_known_to_hang_in_view_is_named_and_not_taken_for_a_visitor(
    bundle, portrait
):
    rgb = np.hstack([portrait, np.full_like(portrait, 120)])
    height, width = rgb.shape[:2]
    (face,) = bundle.detector.detect(rgb)
    box = tuple(float(v) / side for v, side in zip(face.box, (width, height) * 2, strict=True))
    landmarks = face.landmarks / np.float32((width, height))
    hanging = Fixture(box, landmarks, np.zeros((32, 32), np.uint8))
    found = survey(bundle, shots(rgb), 1.5, [hanging])
    assert found.shortcomings == (Shortcoming.FACE_HANGS, Shortcoming.NO_FACE)
    assert found.face_px is None
    elsewhere = dataclasses.replace(hanging, box=(0.6, 0.1, 0.8, 0.4), landmarks=landmarks + 0.5)
    assert Shortcoming.FACE_HANGS not in survey(bundle, shots(rgb), 1.5, [elsewhere]).shortcomings


def test_an_empty_place_is_no_fault_of_the_camera_but_is_said(bundle):
    wall = np.full((480, 640, 3), 120, np.uint8)
    found = survey(bundle, shots(wall), seconds=1.0)
    assert found.shortcomings == (Shortcoming.NO_FACE,)
    assert found.face_px is None


@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_a_turned_camera_is_said_whether_or_not_a_face_is_found(bundle, portrait, quarters):
    turned = np.ascontiguousarray(np.rot90(portrait, quarters))
    assert survey(bundle, shots(turned), seconds=1.5).shortcomings == (Shortcoming.FACE_TURNED,)


def test_half_a_face_is_no_turned_camera(bundle, portrait):
    face = max(bundle.detector.detect(portrait), key=lambda one: one.width)
    half = np.ascontiguousarray(portrait[:, round(float(face.landmarks[2, 0])) :])
    found = survey(bundle, shots(half), seconds=1.5).shortcomings
    assert Shortcoming.FACE_TURNED not in found
    assert {Shortcoming.FACE_PARTIAL, Shortcoming.NO_FACE} & set(found)


@pytest.mark.parametrize(
    ("change", "shortcoming"),
    [
        (lambda rgb: (rgb * 0.15).astype(np.uint8), Shortcoming.DARK),
        (lambda rgb: (rgb * 0.08).astype(np.uint8), Shortcoming.FACE_DARK),
        (lambda rgb: (255 - (255 - rgb) * 0.2).astype(np.uint8), Shortcoming.BRIGHT),
        (lambda rgb: shrunk(rgb, 120), Shortcoming.SMALL),
        (lambda rgb: shrunk(rgb, 120), Shortcoming.FACE_SMALL),
        (lambda rgb: shrunk(shrunk(rgb, 60), 640), Shortcoming.FACE_BLURRED),
    ],
)
def test_each_shortcoming(bundle, portrait, change, shortcoming):
    assert shortcoming in survey(bundle, shots(change(portrait)), seconds=1.0).shortcomings


def test_a_slow_camera_and_a_frozen_one(bundle, portrait):
    pictures = shots(portrait)
    slow = survey(bundle, pictures, seconds=4.0)
    assert slow.rate == pytest.approx(0.75)
    assert slow.shortcomings == (Shortcoming.SLOW,)
    frozen = survey(bundle, pictures[:1] * 4, seconds=1.0)
    assert frozen.rate == 0
    assert frozen.shortcomings == (Shortcoming.FROZEN,)
    # Nothing can be said about a single picture.
    assert survey(bundle, pictures[:1], seconds=0.0).rate is None


def test_without_models_the_rest_is_measured(portrait):
    found = survey(None, shots(portrait), seconds=1.0)
    assert found.shortcomings == (Shortcoming.NO_MODELS,)


def test_a_face_whose_landmarks_coincide_is_none(bundle, portrait, monkeypatch):
    (face,) = bundle.detector.detect(portrait)[:1]
    broken = type(face)(face.box, np.ones((5, 2), np.float32), face.score)
    monkeypatch.setattr(type(bundle.detector), "detect", lambda *_: [broken])
    assert survey(bundle, shots(portrait), 1.0).shortcomings == (Shortcoming.NO_FACE,)


def test_what_is_no_picture_is_refused(bundle):
    with pytest.raises(PictureError):
        survey(bundle, [b"nonsense"], 1.0)


def test_a_small_picture_is_not_enlarged():
    assert with_boxes(np.zeros((40, 60, 3), np.uint8), []).shape == (40, 60, 3)


@pytest.mark.parametrize(
    "size",
    [
        (640, 480),
        (1080, 1920),
        (1920, 1080),
        (2560, 1440),
        (3840, 2160),
        (2160, 3840),
        (4608, 1728),
    ],
)
def test_forty_pixels_are_the_cameras_own_at_any_resolution(bundle, picture, size):
    """A face that is wide enough counts however large the picture around it is."""
    rgb = picture("obama3")
    found = max(bundle.detector.detect(rgb), key=lambda face: face.width)
    needed = bundle.quality.min_face_px
    small = shrunk(rgb, round(rgb.shape[1] * (needed + 6) / found.width))
    canvas = np.full((size[1], size[0], 3), 110, np.uint8)
    top, left = size[1] // 3, size[0] // 3
    canvas[top : top + small.shape[0], left : left + small.shape[1]] = small
    result = survey(bundle, [encode_jpeg(canvas, 95)], seconds=0.0)
    assert (result.width, result.height) == size
    assert Shortcoming.FACE_SMALL not in result.shortcomings
    assert Shortcoming.NO_FACE not in result.shortcomings
    assert result.face_px == pytest.approx(needed + 6, abs=7)
