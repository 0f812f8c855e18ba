"""Views, their targets, and the places that people are kept out of."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from training.common.split import TRAIN, side_of
from training.detector.data import Labels
from training.presence import data, places
from training.presence.data import IGNORED, CanvasMaker, Source, View


def somebody(
    *boxes: tuple[float, float, float, float], size: tuple[int, int] = (240, 320)
) -> Source:
    """A grey ramp on which faces are labelled."""
    height, width = size
    grey = np.tile(np.linspace(0, 255, width).astype(np.uint8), (height, 1))
    array = np.array(boxes, np.float32).reshape(-1, 4)
    points = np.zeros((len(array), 5, 2), np.float32)
    return Source(grey, Labels(array, points, np.ones(len(array), bool)), "one")


def test_zone_holds_the_body_below_and_not_the_air_above() -> None:
    zone = data.zone_of(somebody((140, 60, 180, 110)).labels, (240, 320))
    assert zone[60:110, 140:180].all()
    assert zone[239, 100:220].all()
    assert not zone[:30].any()
    assert not zone[:, 300:].any()


def test_touches_agrees_with_the_marked_zone() -> None:
    source = somebody((140, 60, 180, 110))
    zone = data.zone_of(source.labels, source.grey.shape)
    generator = np.random.default_rng(3)
    answers = []
    for _ in range(200):
        x, y = (int(value) for value in generator.integers(0, (280, 200)))
        touches = data.touches(source, np.array([x, y]), 1.0, (40, 40))
        # The marked zone is rounded outwards by less than a pixel.
        if touches:
            assert zone[y : y + 40, x : x + 40].any()
        else:
            assert not zone[y + 1 : y + 39, x + 1 : x + 39].any()
        answers.append(touches)
    assert 20 < sum(answers) < 180


def test_cut_moves_the_labels_with_the_pixels() -> None:
    source = somebody((140, 60, 180, 110))
    view = data.cut(source, (100, 40), 0.5, (80, 64))
    np.testing.assert_allclose(view.labels.boxes, [[20, 10, 40, 35]])
    assert view.labels.sure.all()
    # Column 40 of the view shows the source around column 181.
    assert abs(int(view.grey[5, 40]) - int(source.grey[0, 181])) <= 2


@pytest.mark.parametrize(("left", "sure"), [(100, True), (150, True), (165, False)])
def test_cut_is_unsure_of_a_face_that_is_mostly_outside(left: float, sure: bool) -> None:
    view = data.cut(somebody((140, 60, 180, 110)), (left, 40), 1.0, (80, 64))
    assert view.labels.sure.tolist() == [sure]


def test_targets_mark_small_heads_fine_large_ones_coarse_and_ignore_bodies() -> None:
    grey = np.zeros((96, 160), np.uint8)
    boxes = np.array([[20, 20, 32, 36], [100, 16, 140, 66]], np.float32)
    labels = Labels(boxes, np.zeros((2, 5, 2), np.float32), np.ones(2, bool))
    fine, coarse = data.targets_of(View(grey, labels, data.zone_of(labels, grey.shape)))
    assert fine.shape == (12, 20)
    assert coarse.shape == (6, 10)
    assert fine[3, 3] == 1  # the cell beneath (26, 28)
    assert (coarse[:, :4] != 1).all()
    assert coarse[2, 7] == 1  # (120, 41)
    assert (fine[:, 11:] != 1).all()
    assert fine[11, 3] == coarse[5, 7] == IGNORED
    assert fine[0, 7] == coarse[0, 3] == 0


def test_unsure_face_is_neither_head_nor_background() -> None:
    source = somebody((140, 60, 180, 110))
    labels = Labels(source.labels.boxes, source.labels.landmarks, np.zeros(1, bool))
    view = data.cut(Source(source.grey, labels, "one"), (80, 30), 0.5, (96, 96))
    for target in data.targets_of(view):
        assert (target != 1).all()
        assert (target == IGNORED).any()


def test_canvases_are_reproducible_and_know_heads_and_emptiness() -> None:
    sources = [somebody((40, 60, 70, 100)), somebody((150, 50, 220, 140))]
    maker = CanvasMaker(sources, [somebody()], night_share=0.5)
    first, second = (next(data.batches(maker, 24, seed=5)) for _ in range(2))
    assert (first.image == second.image).all()
    assert first.image.shape == (24, 1, 96, 160)
    assert 0 <= first.image.min() < first.image.max() <= 255
    heads = (first.fine == 1).flatten(1).any(1) | (first.coarse == 1).flatten(1).any(1)
    assert 0 < heads.sum() < 24
    other = next(data.batches(maker, 24, seed=6))
    assert (first.image != other.image).any()


def test_canvas_needs_a_face() -> None:
    with pytest.raises(ValueError, match="no scene"):
        CanvasMaker([somebody()], [], 0.0)


@pytest.mark.parametrize("night_share", [0.0, 1.0])
def test_degraded_views_are_grey_pictures_of_the_same_size(night_share: float) -> None:
    grey = somebody().grey[:96, :160]
    for seed in range(12):
        made = data.degrade(grey, np.random.default_rng(seed), night_share)
        assert made.shape == grey.shape
        assert made.dtype == np.uint8


def test_trials_show_a_whole_face_or_nobody() -> None:
    sources = [somebody((40, 60, 70, 100)), somebody((20, 20, 210, 230))]
    made = data.trials(sources, seed=1, per_picture=4)
    assert {one.grey.shape[0] for one in made} == {96}
    assert all(one.grey.shape[1] % 16 == 0 for one in made)
    assert any(one.face == 0 for one in made)
    assert all(one.face < 96 for one in made)
    again = data.trials(sources, seed=1, per_picture=4)
    assert all((one.grey == two.grey).all() for one, two in zip(made, again, strict=True))
    far = data.far_away(made, [somebody()], seed=2)
    assert [one.face for one in far] == [one.face / 2 for one in made]
    assert {one.grey.shape for one in far} == {(96, 160)}


def test_pictures_of_one_place_are_all_on_the_side_of_its_name(tmp_path: Path) -> None:
    names = [f"place{number}" for number in range(12)]
    for name in names:
        for turn in (0, 45):
            Image.new("RGB", (32, 24)).save(tmp_path / f"{name}-{turn:03d}.webp")
    found = {split: data.read_empty(tmp_path, split) for split in ("train", "test")}
    assert len(found["train"]) + len(found["test"]) == 24
    for split, sources in found.items():
        for source in sources:
            assert (side_of(f"place/{source.name}", 0) == TRAIN) == (split == "train")
    assert not {one.name for one in found["train"]} & {one.name for one in found["test"]}


def test_panorama_turns_under_the_view() -> None:
    panorama = np.zeros((90, 180, 3), np.uint8)
    panorama[:, 135:] = (0, 0, 200)  # from 270 to 360 degrees
    panorama[:45] += 50  # the sky
    ahead = places.look(panorama, 315)
    assert ahead.shape == (240, 320, 3)
    assert ahead[200, 160, 2] == 200
    assert ahead[10, 160, 2] == 250
    assert places.look(panorama, 100)[200, 160, 2] == 0
    # The seam at 0 degrees is in the middle: blue ends there.
    seam = places.look(panorama, 0)[200]
    assert seam[120, 2] == 200
    assert seam[200, 2] == 0


def test_exposure_keeps_dark_and_bright_in_range() -> None:
    light = np.linspace(0, 20, 3000, dtype=np.float32).reshape(10, 100, 3)
    pixels = places.expose(light)
    assert pixels.dtype == np.uint8
    assert pixels.min() == 0
    assert pixels.max() == 255
    assert 100 < np.median(pixels) < 255
