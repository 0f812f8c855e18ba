"""Light, blur, colour and pose of crops."""

import numpy as np
import pytest

from training.verifier import measures
from training.verifier.augment import low_light, motion_blur


def turned(yaw: float, pitch: float) -> np.ndarray:
    """The mean face's landmarks, turned and seen from far away."""
    y, p = np.deg2rad([yaw, pitch])
    about_y = np.array([[np.cos(y), 0, np.sin(y)], [0, 1, 0], [-np.sin(y), 0, np.cos(y)]])
    about_x = np.array([[1, 0, 0], [0, np.cos(p), -np.sin(p)], [0, np.sin(p), np.cos(p)]])
    return 60.0 + 30.0 * measures.MEAN_FACE @ (about_y @ about_x)[:2].T


@pytest.mark.parametrize(("yaw", "pitch"), [(0, 0), (30, 0), (-45, 0), (0, 20), (20, -15)])
def test_the_pose_of_a_turned_mean_face_is_found(yaw, pitch):
    found = measures.pose(turned(yaw, pitch))
    assert found == pytest.approx((yaw, pitch), abs=1e-6)


def test_the_nose_says_which_way_a_face_looks():
    landmarks = turned(0, 0)
    landmarks[2, 0] += 8
    assert measures.pose(landmarks)[0] > 10
    landmarks = turned(0, 0)
    landmarks[2, 1] -= 5
    assert measures.pose(landmarks)[1] > 5
    assert np.isnan(measures.pose(np.zeros((5, 2)))).all()


def test_dark_blurred_grey_and_side_lit_pictures_measure_as_such(draw_face):
    rng = np.random.default_rng(0)
    plain = draw_face(0, 0)
    grey = np.repeat(plain.mean(axis=2, keepdims=True).astype(np.uint8), 3, axis=2)
    shaded = plain.copy()
    shaded[:, 64:] //= 4
    views = np.stack(
        [plain, low_light(plain, rng, 0.02, 0.3), motion_blur(plain, rng, 9), grey, shaded]
    )
    found = measures.measure(views)
    assert found.brightness[1] < 0.6 * found.brightness[0]
    assert found.sharpness[2] < 0.5 * found.sharpness[0]
    assert found.colour[3] == 0 < found.colour[0]
    assert found.side_light[4] > 2 > found.side_light[0]
    # Drawn ovals may or may not look like a face to the detector; both are one entry each.
    assert found.yaw.shape == found.pitch.shape == (5,)
