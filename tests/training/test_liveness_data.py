"""Simulated attacks, the surroundings of a face, and subjects kept apart."""

import numpy as np
import pytest

from training.liveness import attacks, data, pool, raster
from training.liveness.attacks import Scene
from vision.networks.liveness import views

SUBJECTS = [f"{number:04d}" for number in range(1, 10)]


def scene(seed: int, shape: tuple[int, int] = (192, 256)) -> Scene:
    """Smooth colours, different for every seed, a face in their middle."""
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    rgb = np.kron(coarse, np.ones((shape[0] // 6, shape[1] // 8, 1), np.uint8))
    middle = np.array([shape[1], shape[0]] * 2) / 2
    return Scene(rgb, middle + np.array([-32.0, -32.0, 32.0, 32.0]))


@pytest.mark.parametrize("close", [False, True])
@pytest.mark.parametrize("kind", list(attacks.ATTACKS))
def test_attacks_keep_the_face_in_place_and_change_the_picture(kind: str, close: bool) -> None:
    face, behind = scene(1), np.zeros((64, 64, 3), np.uint8)
    edges = 0
    for seed in range(12):
        made = attacks.ATTACKS[kind](face, behind, np.random.default_rng(seed), close)
        assert made.rgb.shape == face.rgb.shape
        assert made.rgb.dtype == np.uint8
        assert (made.box == face.box).all()
        middle = (slice(72, 120), slice(104, 152))
        # Blocks of colour are still where they were, however their colours have changed.
        one, other = (one.rgb[middle].mean(-1).ravel() for one in (face, made))
        assert np.corrcoef(one, other)[0, 1] > 0.5
        assert np.abs(made.rgb.astype(int) - face.rgb).mean() > 3
        edges += bool((made.rgb[:, :8] == 0).all() or (made.rgb[:, -8:] == 0).all())
    assert edges == 0 if close else edges >= 3  # the background is seen behind most


def test_attacks_are_reproducible() -> None:
    first, second = (
        attacks.shown(scene(1), scene(2).rgb, np.random.default_rng(5), False) for _ in range(2)
    )
    assert (first.rgb == second.rgb).all()


def test_a_raster_the_camera_resolves_has_its_period_and_one_too_fine_is_not_seen() -> None:
    class Straight:
        """Draws nothing: no turn, no slant, no shift."""

        def normal(self, *args: object) -> float | np.ndarray:
            return np.zeros(2) if len(args) == 3 else 0.0

        def uniform(self, *_: object) -> float:
            return 0.0

    coarse = raster.stripes((32, 96), 8.0, 0.3, Straight())  # type: ignore[arg-type]
    spectrum = np.abs(np.fft.rfft(coarse[10, :, 0] - coarse[10, :, 0].mean()))
    assert spectrum.argmax() == 96 // 8
    # Red, green and blue stripes lie side by side.
    assert len({int(coarse[10, :8, colour].argmax()) for colour in range(3)}) == 3
    assert abs(float(coarse.mean()) - 1) < 0.05
    assert raster.stripes((32, 96), 0.25, 0.5, Straight()).std() < 0.01  # type: ignore[arg-type]


def test_a_raster_near_the_pixels_own_pitch_beats() -> None:
    """Moire: waves of a few pixels from a raster that is finer than one."""
    waves = raster.stripes((64, 64), 0.95, 0.2, np.random.default_rng(0))
    rows = np.abs(np.fft.rfft2(waves[..., 0] - waves[..., 0].mean()))
    row, column = np.unravel_index(rows.argmax(), rows.shape)
    assert waves.std() > 0.01
    assert 0 < np.hypot(min(row, 64 - row), column) < 20


def test_the_colour_filters_keep_even_light() -> None:
    light = np.full((20, 30, 3), [0.2, 0.5, 0.8], np.float32)
    np.testing.assert_allclose(raster.mosaic(light), light, rtol=1e-5)


def test_print_has_less_contrast_than_its_picture() -> None:
    face = scene(1)
    spread = [
        attacks.reprint(face, np.random.default_rng(seed)).std() / face.rgb.std()
        for seed in range(20)
    ]
    assert np.mean(spread) < 0.9


@pytest.mark.parametrize("box", [(180, 100, 220, 140), (0, 0, 60, 70), (300, 200, 420, 310)])
def test_what_is_kept_shows_the_network_what_the_whole_picture_would(
    box: tuple[int, int, int, int],
) -> None:
    rgb = np.random.default_rng(0).integers(0, 256, (300, 400, 3), dtype=np.uint8)
    kept = data.around(rgb, np.array(box, float))
    whole = views(rgb, tuple(map(float, box)))  # type: ignore[arg-type]
    # Only where squares are cut differs, by less than a pixel's rounding.
    assert np.abs(pool.cut(kept).astype(int) - whole).max() <= 1
    assert kept.rgb.size <= rgb.size


@pytest.mark.parametrize("fold", [-1, 0, 1, 2])
def test_every_subject_is_on_one_side(fold: int) -> None:
    found = data.sides(SUBJECTS * 3, fold)
    assert set(found) == set(SUBJECTS)
    assert set(found.values()) == {"train", "validation", "test"}
    assert data.sides(SUBJECTS[::-1], fold) == found


def test_every_subject_is_tested_in_one_fold() -> None:
    tested = [
        one
        for fold in range(data.FOLDS)
        for one, side in data.sides(SUBJECTS, fold).items()
        if side == "test"
    ]
    assert sorted(tested) == SUBJECTS


def source(*, live: bool = True, pack: str = "webcam", side: str = "") -> data.Source:
    return data.Source(scene(3), pack, "a", live, side)


def test_a_subject_is_learnt_from_and_measured_a_scene_only_one_of_them() -> None:
    def purposes(one: data.Source) -> set[str]:
        return {made[1] for made in pool.of_source(one, [scene(4).rgb], [1, 0], 0.3)}

    assert purposes(source()) == {"train", "measure"}
    assert purposes(source(pack="scenes", side="train")) == {"train"}
    assert purposes(source(pack="scenes", side="test")) == {"measure"}


def test_a_real_attack_is_not_attacked_again() -> None:
    kinds = {made[2] for made in pool.of_source(source(live=False), [scene(4).rgb], [1, 0], 0.3)}
    assert kinds == {"print"}


def test_every_condition_and_attack_has_its_turn_and_is_the_same_again() -> None:
    turns = [list(pool.of_source(source(), [scene(4).rgb], [1, turn], 0.3)) for turn in range(4)]
    measured = [made for views_of in turns for made in views_of if made[1] == "measure"]
    assert {made[6] for made in measured} == {"day", *pool.CONDITIONS}
    closeness = {f"{kind}{close}" for kind in attacks.ATTACKS for close in ("", ", close")}
    assert {made[2] for made in measured} == {"live", *closeness}
    again = list(pool.of_source(source(), [scene(4).rgb], [1, 2], 0.3))
    assert all((one[0] == other[0]).all() for one, other in zip(turns[2], again, strict=True))
