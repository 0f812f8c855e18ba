"""How alive a face looks: the network's input, and what its answer may do."""

import dataclasses

import numpy as np
import pytest

import vision
from vision.networks.liveness import (
    CLOSE,
    CONTEXT,
    SIDE,
    Liveness,
    LivenessPoint,
    LivenessScore,
    views,
)
from vision.networks.runtime import available

POINTS = [LivenessPoint(0.05, 0.6), LivenessPoint(0.01, 0.3)]


class Answers:
    """A session that keeps its input and answers with one figure."""

    def __init__(self, live):
        self.live = np.array(live, np.float32)
        self.seen = None

    def run(self, image, outputs):
        self.seen = image
        return dict.fromkeys(outputs, self.live)


def face(box):
    return vision.Face(box, np.zeros((5, 2), np.float32), 0.9)


def squared(side=60, at=(100, 80), shape=(300, 400, 3)):
    """A dark picture with a white square, and the box of the square."""
    rgb = np.zeros(shape, np.uint8)
    rgb[at[1] : at[1] + side, at[0] : at[0] + side] = 255
    return rgb, (float(at[0]), float(at[1]), float(at[0] + side), float(at[1] + side))


def test_two_squares_are_cut_around_the_face():
    rgb, box = squared()
    context, close = views(rgb, box)
    assert context.shape == close.shape == (SIDE, SIDE, 3)
    assert abs((context > 127).mean() - 1 / CONTEXT**2) < 0.01
    assert abs((close > 127).mean() - 1 / CLOSE**2) < 0.02
    assert context[SIDE // 2, SIDE // 2, 0] == close[SIDE // 2, SIDE // 2, 0] == 255


@pytest.mark.parametrize("at", [(0, 0), (340, 240), (-30, 100)])
def test_at_the_edge_the_squares_move_and_nothing_is_padded(at):
    rgb = np.full((300, 400, 3), 200, np.uint8)
    box = (float(at[0]), float(at[1]), float(at[0] + 60), float(at[1] + 60))
    assert (views(rgb, box) == 200).all()


def test_a_face_larger_than_the_picture_shows_the_picture():
    rgb, _ = squared(shape=(90, 120, 3), at=(20, 20))
    assert views(rgb, (-40.0, -40.0, 160.0, 160.0)).shape == (2, SIDE, SIDE, 3)


@pytest.mark.parametrize(
    "rgb",
    [
        np.zeros((50, 50, 3), np.float32),
        np.zeros((50, 50), np.uint8),
        np.zeros((50, 50, 4), np.uint8),
        np.zeros((0, 50, 3), np.uint8),
    ],
)
def test_what_is_no_picture_is_refused(rgb):
    with pytest.raises(ValueError, match=r"must be|does not lie in"):
        views(rgb, (10.0, 10.0, 40.0, 40.0))


@pytest.mark.parametrize(
    "box",
    [
        (10.0, 10.0, 10.0, 40.0),
        (40.0, 10.0, 10.0, 40.0),
        (60.0, 10.0, 90.0, 40.0),
        (-90.0, 10.0, -60.0, 40.0),
        (10.0, float("nan"), 40.0, 40.0),
        (10.0, 10.0, float("inf"), 40.0),
    ],
)
def test_a_box_that_is_not_in_the_picture_is_refused(box):
    with pytest.raises(ValueError, match="does not lie in"):
        views(np.zeros((50, 50, 3), np.uint8), box)


def test_the_network_gets_surroundings_then_face():
    rgb, box = squared()
    rgb[:, :, 1] = 7
    session = Answers([[0.5]])
    assert Liveness(session, POINTS).score(rgb, face(box)) == LivenessScore(0.5)
    assert session.seen.dtype == np.float32
    expected = views(rgb, box)
    assert (session.seen[0, :3].transpose(1, 2, 0) == expected[0]).all()
    assert (session.seen[0, 3:].transpose(1, 2, 0) == expected[1]).all()


@pytest.mark.parametrize("live", [[[float("nan")]], [[1.5]], [[-0.1]], [0.5], [[0.5, 0.5]]])
def test_an_answer_that_is_no_probability_is_an_error(live):
    rgb, box = squared()
    with pytest.raises(RuntimeError, match="probability"):
        Liveness(Answers(live), POINTS).score(rgb, face(box))


def test_a_score_denies_below_a_threshold_and_a_broken_one_always():
    point = LivenessPoint(0.01, 0.3)
    assert LivenessScore(0.29).denied_at(point)
    assert not LivenessScore(0.3).denied_at(point)
    assert LivenessScore(float("nan")).denied_at(point)
    with pytest.raises(dataclasses.FrozenInstanceError):
        LivenessScore(0.2).live = 1.0


def test_points_are_sorted_and_needed():
    assert Liveness(Answers([[0.5]]), POINTS).points == (POINTS[1], POINTS[0])
    for bad in ([], [LivenessPoint(0.01, float("nan"))], [LivenessPoint(0.01, 1.1)]):
        with pytest.raises(ValueError, match="thresholds"):
            Liveness(Answers([[0.5]]), bad)


def test_the_bundled_network_is_deterministic_and_runtimes_agree(bundle, picture):
    """A bundle without the role has nothing to agree on."""
    if bundle.liveness is None:
        pytest.skip("the bundle has no liveness network")
    rgb = picture("hopper")
    found = max(bundle.detector.detect(rgb), key=lambda one: one.width)
    score = bundle.liveness.score(rgb, found)
    assert bundle.liveness.score(rgb.copy(), found) == score
    for runtime in available():
        other = vision.load_bundle(runtime=runtime).liveness
        assert abs(other.score(rgb, found).live - score.live) < 1e-3


def test_the_bundled_points_deny_few_then_more(bundle):
    if bundle.liveness is None:
        pytest.skip("the bundle has no liveness network")
    lenient, strict = bundle.liveness.points
    assert lenient.bpcer < strict.bpcer
    assert lenient.threshold < strict.threshold
