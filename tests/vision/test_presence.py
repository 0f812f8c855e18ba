"""Whether anybody is in view: the network's input, and how its answer is read."""

import numpy as np
import pytest

import vision
from vision.networks.presence import Presence, view


class Answers:
    """A session that keeps its input and answers with one figure for each picture."""

    def __init__(self, *answers):
        self.answer = np.array(answers, np.float32)
        self.seen = None

    def run(self, image, outputs):
        self.seen = image
        return dict.fromkeys(outputs, self.answer)


@pytest.mark.parametrize(
    ("height", "width", "columns"),
    [(480, 640, 128), (1080, 1920, 176), (1600, 1000, 64), (96, 160, 160), (50, 2000, 480)],
)
def test_every_camera_keeps_its_shape(height, width, columns):
    assert view(np.zeros((height, width, 3), np.uint8)).shape == (96, columns)


def test_the_view_is_the_frame_in_grey():
    frame = np.zeros((192, 320, 3), np.uint8)
    frame[:, 160:, 1] = 255
    small = view(frame)
    assert small.dtype == np.float32
    assert small[:, :70].max() == 0
    # Green's share of luma.
    assert abs(small[:, 90:].mean() - 0.587 * 255) < 1
    np.testing.assert_array_equal(small, view(np.asarray(np.rint(frame @ [0, 0.587, 0]), np.uint8)))


@pytest.mark.parametrize(
    "frame",
    [
        np.zeros((96, 160, 3), np.float32),
        np.zeros((96, 160, 4), np.uint8),
        np.zeros((0, 160, 3), np.uint8),
        np.zeros(96, np.uint8),
    ],
)
def test_what_is_no_frame_is_refused(frame):
    with pytest.raises(ValueError, match="frame"):
        view(frame)


@pytest.mark.parametrize(("answer", "present"), [(0.29, False), (0.3, True), (1.0, True)])
def test_present_from_the_threshold_on(answer, present):
    session = Answers([answer], [answer])
    result = Presence(session, threshold=0.3 - 1e-6).look(np.zeros((96, 160, 3), np.uint8))
    assert result.present is present
    assert result.score == pytest.approx(answer)
    assert session.seen.shape == (2, 1, 96, 160)


def test_the_mirror_image_has_half_a_say():
    session = Answers([0.9], [0.2])
    frame = np.random.default_rng(0).integers(0, 256, (96, 160), dtype=np.uint8)
    assert Presence(session, 0.5).look(frame).score == pytest.approx(0.55)
    np.testing.assert_array_equal(session.seen[0, 0], frame)
    np.testing.assert_array_equal(session.seen[1, 0], frame[:, ::-1])


@pytest.mark.parametrize("answers", [[0.5, np.nan], [1.5, 0.5], [-0.1, 0.5], [0.1], [0.1] * 3])
def test_what_is_no_probability_is_an_error(answers):
    with pytest.raises(RuntimeError, match="probability"):
        Presence(Answers(*answers), 0.5).look(np.zeros((96, 160), np.uint8))


@pytest.mark.parametrize("threshold", [-0.1, 1.1, float("nan")])
def test_a_threshold_is_a_probability(threshold):
    with pytest.raises(ValueError, match="threshold"):
        Presence(Answers([0.5], [0.5]), threshold)


@pytest.fixture(scope="module")
def presence(bundle):
    assert bundle.presence is not None
    return bundle.presence


@pytest.mark.parametrize("grey", [0, 128, 255])
def test_nobody_is_in_an_empty_picture(presence, grey):
    assert not presence.look(np.full((480, 640, 3), grey, np.uint8)).present


@pytest.mark.parametrize("name", ["obama", "obama2", "obama3", "biden", "collins", "hopper"])
def test_somebody_is_in_a_portrait(presence, picture, name):
    assert presence.look(picture(name)).present


def test_runtimes_agree(picture):
    scores = []
    for runtime in vision.networks.runtime.available():
        gate = vision.load_bundle(runtime=runtime).presence
        noise = np.random.default_rng(1).integers(0, 256, (300, 400, 3), dtype=np.uint8)
        scores.append([gate.look(one).score for one in (picture("obama"), picture("biden"), noise)])
    assert np.ptp(scores, axis=0).max() < 1e-3
