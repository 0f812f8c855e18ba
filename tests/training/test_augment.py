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

    def view(seed):
        rng = np.random.default_rng(seed)
        return augment.degrade(augment.aligned_view(stored, rng), rng)

    views = [view(seed) for seed in range(40)]
    for seen, again in zip(views, map(view, range(40)), strict=True):
        assert seen.shape == (112, 112, 3)
        assert seen.dtype == np.uint8
        assert np.array_equal(seen, again)
    assert len({seen.tobytes() for seen in views}) == 40


def test_one_camera_does_the_same_to_all_its_pictures_but_for_noise():
    """Flat pictures show what was done to them: light and colours alike, noise not."""
    flat = np.full((112, 112, 3), 140, np.uint8)

    def seen(camera, picture):
        views = (np.random.default_rng(picture), 1.0, np.random.default_rng(camera))
        return augment.degrade(flat, *views).astype(float)

    noisy = 0
    # Numbers of pictures that get neither a cap nor motion, which are each picture's own.
    for camera in range(30):
        one, other, another = seen(camera, 1), seen(camera, 3), seen(camera + 100, 1)
        alike = np.abs(one.mean((0, 1)) - other.mean((0, 1))).max()
        assert alike < 12.0
        noisy += not np.array_equal(one, other)
        assert not np.array_equal(one, another)
    assert noisy > 20


def test_strength_scales_how_much_is_degraded(crops):
    def changed(strength):
        return sum(
            not np.array_equal(
                augment.degrade(crops[0], np.random.default_rng(seed), strength), crops[0]
            )
            for seed in range(60)
        )

    assert changed(0.0) == 0
    assert 0 < changed(0.2) < changed(1.0)


def test_the_middle_of_a_stored_crop_is_what_a_recogniser_gets(faces):
    stored = decode(faces[0][0])
    assert np.array_equal(centre(stored[None])[0], stored[8:120, 8:120])


def test_a_lamp_beside_the_camera_lights_one_side_and_one_behind_it_neither():
    flat = np.full((112, 112, 3), 128, np.uint8)
    for seed in range(5):
        face = augment.lamp(flat, np.random.default_rng(seed), 0.0, 0.0)[20:100, 20:92]
        assert face.mean() == pytest.approx(128, abs=12)
        lit = augment.lamp(flat, np.random.default_rng(seed), 70.0, 0.0).astype(float)
        # The lamp's direction is random: look along both axes.
        thirds = [lit[:, :40], lit[:, 72:], lit[:40], lit[72:]]
        means = [part.mean() for part in thirds]
        assert max(means) > 1.5 * min(means)
        brighter = augment.lamp(flat, np.random.default_rng(seed), 70.0, 0.3)
        assert brighter.mean() > lit.mean()


def test_the_nose_casts_a_shadow_away_from_the_lamp():
    flat = np.full((112, 112, 3), 128, np.uint8)

    class FromTheLeft:
        """A lamp to the viewer's left, level with the face."""

        def uniform(self, _low, _high):
            return np.pi

        def choice(self, options):
            return options[0]

    lit = augment.lamp(flat, FromTheLeft(), 60.0, 0.0).astype(float)
    left, right = lit[68:76, 40:48].mean(), lit[68:76, 64:72].mean()
    assert left > 2.0 * right


def test_covers_hide_a_part_and_leave_the_rest(crops):
    hidden = [
        (augment.cover(crops[0], np.random.default_rng(seed)) != crops[0]).any(axis=2).mean()
        for seed in range(40)
    ]
    assert min(hidden) > 0.005
    assert max(hidden) < 0.6
    assert max(hidden) > 0.2


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


@pytest.mark.parametrize("condition", ["dim", "dark", "very dark"])
def test_a_stack_has_less_noise_than_one_of_its_frames(condition):
    """On a plain wall, so that nothing but noise is left."""
    wall = np.full((4, 112, 112, 3), 128, np.uint8)
    one = augment.in_condition(wall, condition, 3)[:, 20:-20, 20:-20]
    stack = augment.in_condition(wall, f"{condition} stack", 3)[:, 20:-20, 20:-20]
    # Ten frames have a third of one's noise; JPEG and rounding leave a little more.
    assert stack.std() < 0.6 * one.std()
    assert abs(stack.mean() - one.mean()) < 3.0


def test_frames_are_laid_on_one_another_before_they_are_stacked(crops, monkeypatch):
    """Landmarks err from frame to frame: a mean of frames that were not moved is blurred."""
    moved = augment.in_condition(crops, "dim stack", 3)
    monkeypatch.setattr(augment, "offset", lambda _frame, _mean: (0, 0))
    still = augment.in_condition(crops, "dim stack", 3)

    def detail(view: np.ndarray) -> float:
        """Strength of the edges in the middle of the face, where turning it moves them little."""
        grey = view[:, 36:-36, 36:-36].astype(float).mean(axis=3)
        return float(np.abs(np.diff(grey, axis=1)).mean() + np.abs(np.diff(grey, axis=2)).mean())

    assert detail(moved) > 1.02 * detail(still)
