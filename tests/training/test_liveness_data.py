"""Simulated attacks, the surroundings of a face, and subjects kept apart."""

import numpy as np
import pytest

from training.liveness import attacks, data
from training.liveness.data import Patch, SampleMaker

SUBJECTS = [f"{number:04d}" for number in range(1, 10)]


def patch(seed: int, *, live: bool = True, who: str = "a") -> Patch:
    """Smooth colours, different for every seed."""
    coarse = np.random.default_rng(seed).integers(0, 256, (7, 7, 3), dtype=np.uint8)
    return Patch(np.kron(coarse, np.ones((32, 32, 1), np.uint8)), live, who)


@pytest.mark.parametrize("kind", list(attacks.ATTACKS))
def test_attacks_keep_the_face_in_place_and_change_the_picture(kind: str) -> None:
    face, behind = patch(1).rgb, np.zeros((224, 224, 3), np.uint8)
    edges = 0
    for seed in range(12):
        made = attacks.ATTACKS[kind](face, behind, np.random.default_rng(seed))
        assert made.shape == face.shape
        assert made.dtype == np.uint8
        middle = (slice(72, 152), slice(72, 152))
        # Blocks of colour are still where they were, however their colours have changed.
        one, other = (picture[middle].mean(-1).ravel() for picture in (face, made))
        assert np.corrcoef(one, other)[0, 1] > 0.6
        assert np.abs(made.astype(int) - face).mean() > 3
        edges += bool((made[0] == 0).all() or (made[-1] == 0).all())
    assert edges >= 4  # the background is seen behind most


def test_attacks_are_reproducible() -> None:
    face, behind = patch(1).rgb, patch(2).rgb
    first, second = (attacks.shown(face, behind, np.random.default_rng(5)) for _ in range(2))
    assert (first == second).all()


def test_moire_waves_around_one_and_differs_in_colour() -> None:
    bands = attacks.moire((64, 96), np.random.default_rng(0))
    assert bands.shape == (64, 96, 3)
    assert abs(float(bands.mean()) - 1) < 0.1
    assert bands.std() > 0.003


def test_print_has_less_contrast() -> None:
    face = patch(1).rgb
    stretched = [
        attacks.reprint(face, np.random.default_rng(seed)).std() / face.std() for seed in range(20)
    ]
    assert np.mean(stretched) < 0.85


def test_surroundings_are_square_inside_and_around_the_face() -> None:
    rgb = np.zeros((300, 400, 3), np.uint8)
    rgb[100:140, 180:220] = 255
    cut = data.surroundings(rgb, np.array([180, 100, 220, 140]), side=108)
    assert cut.shape == (108, 108, 3)
    bright = cut[..., 0] > 128
    assert bright[54, 54]
    assert abs(bright.mean() - 1 / 2.7**2) < 0.01
    corner = data.surroundings(rgb, np.array([0, 0, 200, 200]), side=108)
    assert (corner > 128).any()
    assert corner.shape == (108, 108, 3)


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


def test_attacked_are_the_living_only_and_the_same_again() -> None:
    patches = [patch(1, who="a"), patch(2, live=False, who="b"), patch(3, who="c")]
    made = data.attacked(patches, [patch(4)], "simulated screen", seed=3)
    assert [one.who for one in made] == ["a", "c"]
    assert not any(one.live for one in made)
    again = data.attacked(patches, [patch(4)], "simulated screen", seed=3)
    assert (made[1].rgb == again[1].rgb).all()


def test_samples_are_half_alive_and_reproducible() -> None:
    webcam = [patch(1), patch(2, live=False)]
    maker = SampleMaker(webcam, [patch(3)], 0.3, real_attacks=True)
    image, live = next(data.batches(maker, 64, seed=1))
    assert image.shape == (64, 3, 112, 112)
    assert 18 <= live.sum() <= 46
    same, _ = next(data.batches(maker, 64, seed=1))
    assert (image == same).all()


def test_real_attacks_can_be_left_out() -> None:
    white = Patch(np.full((224, 224, 3), 255, np.uint8), live=False, who="a")
    dark = Patch(np.zeros((224, 224, 3), np.uint8), live=True, who="a")
    brightest = {}
    for real in (True, False):
        maker = SampleMaker([dark, white], [dark], 0.0, real_attacks=real)
        generator = np.random.default_rng(2)
        samples = [maker.make(generator)[0] for _ in range(60)]
        brightest[real] = sorted(float(np.median(one)) for one in samples)[-3]
    assert brightest[True] > 180
    assert brightest[False] < 120


def test_samples_need_a_living_face() -> None:
    with pytest.raises(ValueError, match="no living"):
        SampleMaker([patch(1, live=False)], [patch(2)], 0.0, real_attacks=True)
