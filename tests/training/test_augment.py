"""Simulated light: shapes stay, seeds decide, and darker is darker."""

import numpy as np
import pytest

from training.common.pictures import centre, decode
from training.verifier import augment


@pytest.mark.parametrize("condition", list(augment.CONDITIONS))
def test_conditions_keep_shape_and_type_and_follow_their_seed(crops, condition):
    one = augment.in_condition(crops, condition, 7)
    assert one.shape == crops.shape
    assert one.dtype == np.uint8
    assert np.array_equal(one, augment.in_condition(crops, condition, 7))
    if condition == "clean":
        assert np.array_equal(one, crops)
    else:
        assert not np.array_equal(one, augment.in_condition(crops, condition, 8))


def test_training_views_are_seeded_and_vary(faces):
    stored = decode(faces[0][0])
    views = [augment.training_view(stored, np.random.default_rng(seed)) for seed in range(40)]
    again = [augment.training_view(stored, np.random.default_rng(seed)) for seed in range(40)]
    for view, same in zip(views, again, strict=True):
        assert view.shape == (112, 112, 3)
        assert view.dtype == np.uint8
        assert np.array_equal(view, same)
    assert len({view.tobytes() for view in views}) == 40


def test_the_clean_view_is_the_middle(faces):
    stored = decode(faces[0][0])
    assert np.array_equal(augment.clean_view(stored), stored[8:120, 8:120])
    assert np.array_equal(centre(stored[None])[0], stored[8:120, 8:120])


def test_less_light_is_darker_and_noisier(crops):
    rng = np.random.default_rng(0)
    dim = augment.low_light(crops[0], rng, 0.3, 0.0)
    dark = augment.low_light(crops[0], rng, 0.03, 0.0)
    assert crops[0].mean() > dim.mean() > dark.mean()

    flat = np.full((112, 112, 3), 128, np.uint8)
    noise = [augment.low_light(flat, rng, exposure, 1.0).std() for exposure in (1.0, 0.1, 0.01)]
    assert noise == sorted(noise)
    # The gain that undoes the loss keeps the brightness.
    assert augment.low_light(flat, rng, 0.1, 1.0).mean() == pytest.approx(128, abs=2)


def test_infrared_is_grey(crops):
    view = augment.infrared(crops[0], np.random.default_rng(1))
    assert np.array_equal(view[..., 0], view[..., 1])
    assert np.array_equal(view[..., 0], view[..., 2])


def test_without_jitter_the_cut_is_the_middle():
    class Still:
        """Draws the mean of everything."""

        def normal(self, mean, _spread, size=None):
            return mean if size is None else np.full(size, mean)

    stored = np.random.default_rng(0).integers(0, 256, (128, 128, 3)).astype(np.uint8)
    assert np.array_equal(augment.jitter(stored, Still()), stored[8:120, 8:120])
