"""Faces that are upside down, on their side, cut off or negatives are no evidence."""

import dataclasses

import numpy as np
import pytest
from PIL import Image

from vision import (
    Frame,
    PictureError,
    Problem,
    align,
    examine,
    gallery_matcher,
    recognise,
)
from vision.imaging.align import TEMPLATE
from vision.matching.similarity import score
from vision.networks.upright import (
    MAX_OUTSIDE,
    MAX_ROLL,
    Upright,
    face_size,
    is_plausible,
    roll,
    view,
)
from vision.pipeline.usable import is_turned, look_at
from vision.types import Face

PEOPLE = ("obama", "obama2", "obama3", "biden", "collins", "hopper")
CROP = np.zeros((112, 112, 3), np.uint8)


class Answer:
    """A network that says the same of every crop and of its mirror image."""

    def __init__(self, *values):
        self.values = np.array(values, np.float32)[:, None]

    def run(self, image, outputs):
        assert image.shape == (2, 1, 56, 56)
        return dict.fromkeys(outputs, self.values)


def turned(rgb, degrees, width=500):
    """A picture of `width`, turned clockwise, with grey where nothing was."""
    image = Image.fromarray(rgb)
    image = image.resize((width, round(image.height * width / image.width)))
    return np.asarray(image.rotate(-degrees, Image.Resampling.BICUBIC, True, fillcolor=(90,) * 3))


def on_side(degrees):
    """The landmarks of an upright face, turned clockwise."""
    angle = np.radians(degrees)
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    return ((TEMPLATE - 56) @ turn + 56).astype(np.float32)


def problems(bundle, rgb):
    sighting = recognise(bundle, gallery_matcher(bundle, {}), Frame(rgb, 0.0))
    return [item.problem for item in sighting.evidence]


@pytest.mark.parametrize("degrees", [-30, -15, 0, 15, 30])
@pytest.mark.parametrize("name", PEOPLE)
def test_a_tilted_head_is_evidence(bundle, picture, name, degrees):
    assert None in problems(bundle, turned(picture(name), degrees))


@pytest.mark.parametrize("light", [1.0, 0.45])
@pytest.mark.parametrize("degrees", [90, 110, 135, 160, 180, 200, 225, 250, 270])
@pytest.mark.parametrize("name", PEOPLE)
def test_a_turned_head_is_no_evidence(bundle, picture, name, degrees, light):
    # Nobody holds the head quite upright: the turn is counted from where it would be.
    face = max(bundle.detector.detect(picture(name)), key=lambda one: one.width)
    rgb = turned(picture(name), degrees - roll(face.landmarks))
    rgb = (rgb * light).astype(np.uint8)
    own = bundle.verifier.embed(align(picture(name), face.landmarks)[np.newaxis])[0]
    loosest = bundle.thresholds.rows[0].threshold
    sighting = recognise(bundle, gallery_matcher(bundle, {}), Frame(rgb, 0.0))
    # The detector may take cloth for a face, which is evidence of nobody.
    heads = [item for item in sighting.evidence if item.problem is None]
    assert all(score(item.embedding, own) < loosest - 0.2 for item in heads)


@pytest.mark.parametrize("name", PEOPLE)
def test_a_negative_is_no_evidence(bundle, picture, name):
    assert None not in problems(bundle, 255 - turned(picture(name), 0))


@pytest.mark.parametrize("name", PEOPLE)
def test_half_a_face_at_the_border_is_no_evidence(bundle, picture, name):
    rgb = turned(picture(name), 0)
    face = max(bundle.detector.detect(rgb), key=lambda one: one.width)
    x, y = (round(float(value)) for value in face.landmarks[2])
    for half in (rgb[:, x:], rgb[:, :x], rgb[y:], rgb[:y]):
        assert None not in problems(bundle, np.ascontiguousarray(half))


@pytest.mark.parametrize("name", PEOPLE)
def test_a_face_higher_than_the_frame_is_no_evidence(bundle, picture, name):
    rgb = turned(picture(name), 0)
    face = max(bundle.detector.detect(rgb), key=lambda one: one.width)
    eyes, mouth = (face.landmarks[rows, 1].mean() for rows in (slice(2), slice(3, 5)))
    reach = (mouth - eyes) / 4
    strip = rgb[round(eyes + reach) : round(mouth - reach)]
    assert None not in problems(bundle, np.ascontiguousarray(strip))


def test_an_upside_down_head_says_what_it_is_and_is_not_compared(bundle, picture):
    rgb = turned(picture("obama"), 180)
    found = recognise(bundle, gallery_matcher(bundle, {}), Frame(rgb, 0.0)).evidence
    assert [item.problem for item in found] == [Problem.TURNED]
    assert found[0].embedding is None
    assert found[0].match is None


def test_without_the_network_only_the_landmarks_are_judged(bundle, picture):
    older = dataclasses.replace(bundle, upright=None)
    rgb = turned(picture("obama"), 180)
    assert None in problems(older, rgb)
    assert not is_turned(older, turned(picture("obama"), 90), 640)
    height, width = rgb.shape[:2]
    for degrees, problem in ((0, None), (90, Problem.TURNED)):
        marks = on_side(degrees) + np.float32([width / 2 - 56, height / 2 - 56])
        face = Face((0.0, 0.0, 80.0, 100.0), marks, 0.9)
        assert look_at(older, rgb, face).problem is problem


@pytest.mark.parametrize("degrees", [90, 180, 270])
@pytest.mark.parametrize("name", PEOPLE)
def test_a_turned_picture_is_not_enrolled(bundle, picture, name, degrees):
    with pytest.raises(PictureError) as error:
        examine(bundle, turned(picture(name), degrees))
    assert error.value.problem is Problem.TURNED


def test_landmarks_on_one_point_are_no_face(bundle, picture):
    face = Face((0.0, 0.0, 80.0, 100.0), np.full((5, 2), 50, np.float32), 0.9)
    found = look_at(bundle, picture("obama"), face)
    assert found.problem is Problem.NO_FACE
    assert not found.crop.any()


def test_a_picture_of_nobody_is_not_turned(bundle):
    assert not is_turned(bundle, np.full((300, 400, 3), 120, np.uint8), 640)


@pytest.mark.parametrize("degrees", [-170, -91, -30, 0, 45, 89, 180])
def test_roll_is_the_angle_by_which_the_face_is_turned(degrees):
    # The mouth's middle lies a hair beside that of the eyes in the template.
    assert (roll(on_side(degrees)) - degrees + 180) % 360 - 180 == pytest.approx(0, abs=0.5)


def test_landmarks_on_their_side_or_outside_the_picture_are_not_plausible():
    for degrees in (0, MAX_ROLL - 2, 2 - MAX_ROLL):
        assert is_plausible(on_side(degrees), 112, 112)
    for degrees in (MAX_ROLL + 2, -MAX_ROLL - 2, 90, 180):
        assert not is_plausible(on_side(degrees), 112, 112)
    room = MAX_OUTSIDE * face_size(TEMPLATE)
    left, top = TEMPLATE.min(axis=0)
    right, bottom = TEMPLATE.max(axis=0)
    for more, fits in ((-0.5, True), (0.5, False)):
        out = room + more
        assert is_plausible(TEMPLATE - np.float32([left + out, 0]), 112, 112) is fits
        assert is_plausible(TEMPLATE - np.float32([0, top + out]), 112, 112) is fits
        assert is_plausible(TEMPLATE, int(right), 112)
        assert is_plausible(TEMPLATE + np.float32([112 - right + out, 0]), 112, 112) is fits
        assert is_plausible(TEMPLATE + np.float32([0, 112 - bottom + out]), 112, 112) is fits


@pytest.mark.parametrize(
    ("scores", "accepted"), [((0.5, 0.5), True), ((0.9, 0.2), True), ((0.9, 0.0), False)]
)
def test_the_mean_of_the_crop_and_its_mirror_image_is_held_to_the_threshold(scores, accepted):
    assert Upright(Answer(*scores), 0.5).accepts(CROP) is accepted


def test_the_mirror_image_is_looked_at_as_well():
    seen = []

    class Watched(Answer):
        def run(self, image, outputs):
            seen.append(image)
            return super().run(image, outputs)

    crop = np.random.default_rng(0).integers(0, 256, CROP.shape, dtype=np.uint8)
    assert Upright(Watched(1.0, 1.0), 0.5).score(crop) == 1.0
    np.testing.assert_array_equal(seen[0][0, 0], view(crop))
    np.testing.assert_array_equal(seen[0][1, 0], view(crop)[:, ::-1])


@pytest.mark.parametrize("values", [(np.nan, 0.5), (1.5, 0.5), (0.5, -0.1), (0.5,), ()])
def test_what_is_no_probability_is_an_error(values):
    with pytest.raises(RuntimeError):
        Upright(Answer(*values), 0.5).accepts(CROP)


@pytest.mark.parametrize("threshold", [-0.1, 1.1, float("nan")])
def test_a_threshold_is_a_probability(threshold):
    with pytest.raises(ValueError, match="threshold"):
        Upright(Answer(1.0, 1.0), threshold)


@pytest.mark.parametrize("crop", [CROP[:100], CROP[..., 0], CROP.astype(np.float32)])
def test_only_an_aligned_crop_can_be_looked_at(crop):
    with pytest.raises(ValueError, match="crop"):
        view(crop)


def test_the_view_is_half_the_crop_and_grey(bundle, picture):
    rgb = picture("obama")
    crop = align(rgb, bundle.detector.detect(rgb)[0].landmarks)
    seen = view(crop)
    assert seen.shape == (56, 56)
    assert seen.dtype == np.float32
    weights = np.array([0.299, 0.587, 0.114])
    assert seen[5, 7] == pytest.approx((crop[10:12, 14:16].mean((0, 1)) @ weights), abs=0.01)
