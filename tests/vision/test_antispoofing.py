"""The second network: its input, the answers it may give, and that the runtimes agree."""

import numpy as np
import pytest

import vision
from vision.networks.antispoofing import ENLARGED, SIDE, Antispoofing
from vision.networks.liveness import views
from vision.networks.runtime import available
from vision.networks.score_limits import ScoreLimits
from vision.pad import measure_cues


class Answers:
    """A session that keeps its input and answers with one figure."""

    def __init__(self, live):
        self.live = np.array(live, np.float32)
        self.seen = None

    def run(self, image, outputs):
        self.seen = image
        return dict.fromkeys(outputs, self.live)


FACE = vision.Face((100.0, 80.0, 160.0, 140.0), np.zeros((5, 2), np.float32), 0.9)


@pytest.fixture
def rgb():
    picture = np.zeros((300, 400, 3), np.uint8)
    picture[80:140, 100:160] = (255, 7, 90)
    return picture


def test_it_gets_two_squares_in_rgb(rgb):
    session = Answers([[0.25]])
    assert Antispoofing(session, ScoreLimits()).score(rgb, FACE) == 0.25
    assert session.seen.shape == (1, 6, SIDE, SIDE)
    assert session.seen.dtype == np.float32
    near, far = views(rgb, FACE.box, ENLARGED, SIDE)
    assert (session.seen[0, :3].transpose(1, 2, 0) == near).all()
    assert (session.seen[0, 3:].transpose(1, 2, 0) == far).all()
    assert abs((near[..., 0] > 127).mean() - 1 / 2.7**2) < 0.01
    assert abs((far[..., 0] > 127).mean() - 1 / 4.0**2) < 0.01


@pytest.mark.parametrize("live", [[[float("nan")]], [[1.5]], [[-0.1]], [0.5], [[0.5, 0.5]]])
def test_an_answer_that_is_no_probability_is_an_error(rgb, live):
    network = Antispoofing(Answers(live), ScoreLimits())
    with pytest.raises(RuntimeError, match="probability"):
        network.score(rgb, FACE)
    with pytest.raises(RuntimeError, match="probability"):
        measure_cues(None, rgb, FACE, network)


def test_a_frame_keeps_both_networks_answers_apart(rgb):
    cues = measure_cues(None, rgb, FACE, Antispoofing(Answers([[0.25]]), ScoreLimits()))
    assert (cues.live, cues.second) == (None, 0.25)
    assert measure_cues(None, rgb, FACE).second is None


def test_the_bundled_network_is_deterministic_and_runtimes_agree(bundle, picture):
    """A bundle without the role has nothing to agree on."""
    if bundle.antispoofing is None:
        pytest.skip("the bundle has no antispoofing network")
    rgb = picture("hopper")
    found = max(bundle.detector.detect(rgb), key=lambda one: one.width)
    score = bundle.antispoofing.score(rgb, found)
    assert bundle.antispoofing.score(rgb.copy(), found) == score
    for runtime in available():
        other = vision.load_bundle(runtime=runtime).antispoofing
        assert abs(other.score(rgb, found) - score) < 1e-3


def test_the_bundled_network_knows_colours(bundle, picture):
    """It was trained on BGR and gets RGB: with the colours swapped its answer must differ."""
    if bundle.antispoofing is None:
        pytest.skip("the bundle has no antispoofing network")
    rgb = picture("hopper")
    found = max(bundle.detector.detect(rgb), key=lambda one: one.width)
    swapped = np.ascontiguousarray(rgb[..., ::-1])
    assert bundle.antispoofing.score(swapped, found) != bundle.antispoofing.score(rgb, found)
