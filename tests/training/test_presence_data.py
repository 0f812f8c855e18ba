"""Views, their targets, and the places that people are kept out of."""

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from training.common.split import TRAIN, side_of
from training.detector.data import Labels, Scene
from training.presence import canvases, compose, data, mattes, places, trials
from training.presence.canvases import IGNORED, CanvasMaker, Stage
from training.presence.data import Source, View


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


def with_matte(*boxes: tuple[float, float, float, float]) -> Source:
    """Faces on a ramp, whose owners reach from their heads down, 20 px aside."""
    source = somebody(*boxes)
    matte = np.zeros(source.grey.shape, np.uint8)
    for left, top, right, _ in boxes:
        matte[int(top) : 200, int(left) - 20 : int(right) + 20] = 255
    return replace(source, matte=matte)


def test_a_matte_tells_where_somebody_is_instead_of_the_zone() -> None:
    source = with_matte((140, 60, 180, 110))
    assert source.taken[70:200, 120:200].all()
    assert not source.taken[210:].any()  # the zone has no end below
    assert not source.taken[:, :110].any()
    assert source.taken[46, 160]  # hair, above the face's box
    view = data.cut(source, (100, 40), 0.5, (80, 64))
    assert view.zone[20, 30]
    assert not view.zone[:, :5].any()


def test_a_face_that_the_matte_does_not_cover_is_not_sure() -> None:
    buffer, matte = io.BytesIO(), io.BytesIO()
    Image.new("L", (320, 240), 90).save(buffer, "PNG")
    covers = np.zeros((120, 160), np.uint8)
    covers[:, :80] = 255
    Image.fromarray(covers).save(matte, "PNG")
    boxes = np.array([[40, 60, 80, 110], [200, 60, 240, 110]], np.float32)
    labels = Labels(boxes, np.zeros((2, 5, 2), np.float32), np.ones(2, bool))
    scene = Scene(buffer.getvalue(), "drawn", labels)
    assert data.from_scene(scene, "one", matte.getvalue()).labels.sure.tolist() == [True, False]
    assert data.from_scene(scene, "one").labels.sure.tolist() == [True, True]


def test_empty_parts_hold_nobody_and_do_not_overlap() -> None:
    source = with_matte((140, 60, 180, 110))
    grey = np.random.default_rng(0).integers(0, 256, source.grey.shape, dtype=np.uint8)
    grey[source.taken] = 0  # to be told apart
    source = replace(source, grey=np.maximum(grey, ~source.taken))
    parts = data.empty_parts(source)
    assert len(parts) == 2  # left and right; above is too narrow
    assert all((part.grey > 0).all() and min(part.grey.shape) >= 48 for part in parts)
    assert sum(part.grey.size for part in parts) <= (~source.taken).sum()
    assert data.empty_parts(somebody((10, 10, 310, 230))) == []


@pytest.mark.parametrize("seed", range(8))
def test_largest_rectangle_is_the_largest(seed: int) -> None:
    free = np.random.default_rng(seed).random((7, 9)) < 0.75
    left, top, right, bottom = data.largest_rectangle(free)
    assert free[top:bottom, left:right].all()
    largest = max(
        (y2 - y1) * (x2 - x1)
        for y1 in range(7)
        for y2 in range(y1 + 1, 8)
        for x1 in range(9)
        for x2 in range(x1 + 1, 10)
        if free[y1:y2, x1:x2].all()
    )
    assert (right - left) * (bottom - top) == largest


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
    fine, coarse = canvases.targets_of(View(grey, labels, data.zone_of(labels, grey.shape)))
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
    for target in canvases.targets_of(view):
        assert (target != 1).all()
        assert (target == IGNORED).any()


def test_canvases_are_reproducible_and_know_heads_and_emptiness() -> None:
    sources = [with_matte((40, 60, 70, 100)), somebody((150, 50, 220, 140))]
    maker = CanvasMaker(sources, [somebody()])
    first, second = (next(canvases.batches(maker, 24, 5, 0.5)) for _ in range(2))
    assert (first.image == second.image).all()
    assert first.image.shape == (24, 1, 96, 160)
    assert 0 <= first.image.min() < first.image.max() <= 255
    heads = (first.fine == 1).flatten(1).any(1) | (first.coarse == 1).flatten(1).any(1)
    assert 0 < heads.sum() < 24
    other = next(canvases.batches(maker, 24, 6, 0.5))
    assert (first.image != other.image).any()


def test_mirrored_canvas_has_its_heads_mirrored() -> None:
    canvas = CanvasMaker([somebody((40, 60, 70, 100))], []).make(np.random.default_rng(1))
    turned = canvas.mirrored()
    for name in ("grey", "fine", "coarse"):
        assert (getattr(turned, name)[:, 0] == getattr(canvas, name)[:, -1]).all()


def test_canvas_needs_a_face() -> None:
    with pytest.raises(ValueError, match="no scene"):
        CanvasMaker([somebody()], [])


@pytest.mark.parametrize("night_share", [0.0, 1.0])
def test_degraded_views_are_grey_pictures_of_the_same_size(night_share: float) -> None:
    grey = somebody().grey[:96, :160]
    for seed in range(12):
        made = canvases.degrade(grey, np.random.default_rng(seed), night_share)
        assert made.shape == grey.shape
        assert made.dtype == np.uint8


def blank(value: int = 100) -> View:
    return View(np.full((96, 160), value, np.uint8), data.no_faces(), np.zeros((96, 160), bool))


def test_pasted_people_are_labelled_where_they_are() -> None:
    source = with_matte((140, 60, 180, 110))
    generator = np.random.default_rng(2)
    for seed in range(12):
        generator = np.random.default_rng(seed)
        cutout = compose.cut_people(source, 20.0, generator)
        corner = compose.place_of(cutout, (96, 160), generator)
        view = compose.paste(blank(), cutout, corner, generator)
        (box,) = view.labels.boxes
        assert view.labels.sure.all()
        assert box[3] - box[1] == pytest.approx(20)
        assert (box >= -0.5).all()
        assert (box <= (160.5, 96.5, 160.5, 96.5)).all()
        x, y = np.rint((box[:2] + box[2:]) / 2).astype(int)
        assert view.zone[y, x]
        changed = view.grey != 100
        assert not changed[~view.zone].any() or changed[~view.zone].mean() < 0.05


def test_who_was_cropped_below_stands_on_the_lower_edge() -> None:
    source = with_matte((140, 60, 180, 110))
    assert source.matte is not None
    source.matte[200:, 120:200] = 255
    for seed in range(12):
        generator = np.random.default_rng(seed)
        cutout = compose.cut_people(source, 14.0, generator)
        assert cutout.cropped
        cutout = compose.lengthen(cutout, int(generator.integers(0, 20)))
        view = compose.paste(
            blank(), cutout, compose.place_of(cutout, (96, 160), generator), generator
        )
        assert view.zone[-1].any()


def test_things_leave_a_place_empty() -> None:
    picture = np.full((40, 30, 2), 255, np.uint8)
    stage = Stage([], [somebody()], [picture])
    changed = 0
    for seed in range(10):
        view = stage.with_things(blank(), np.random.default_rng(seed))
        assert not view.zone.any()
        assert not len(view.labels.boxes)
        changed += (view.grey != 100).any()
    assert changed >= 8


def test_trials_show_a_whole_face_or_nobody() -> None:
    sources = [with_matte((40, 60, 70, 100)), somebody((20, 20, 210, 230))]
    made = trials.of_scenes(sources, seed=1, per_picture=4)
    assert {one.grey.shape[0] for one in made} == {96}
    assert all(one.grey.shape[1] % 16 == 0 for one in made)
    assert 0 < sum(one.face == 0 for one in made) < len(made)
    assert all(one.face < 96 for one in made)
    again = trials.of_scenes(sources, seed=1, per_picture=4)
    assert all((one.grey == two.grey).all() for one, two in zip(made, again, strict=True))


def test_pasted_trials_come_in_pairs() -> None:
    made = trials.pasted([with_matte((40, 60, 70, 100))], [somebody()], [], seed=1, count=6)
    assert {one.grey.shape for one in made} == {(96, 160)}
    empty = {one.name for one in made if not one.face}
    assert len(empty) == 6
    assert {one.name for one in made if one.face} <= empty
    assert trials.pasted([somebody((40, 60, 70, 100))], [somebody()], [], seed=1, count=6) == []


def test_mattes_are_found_by_their_picture(tmp_path: Path) -> None:
    encoded = []
    for value in (10, 200):
        buffer = io.BytesIO()
        Image.new("RGB", (30, 20), (value,) * 3).save(buffer, "PNG")
        encoded.append(buffer.getvalue())
    pq.write_table(pa.table({"image": encoded}), tmp_path / "scenes.parquet")
    output = tmp_path / "more" / "mattes.parquet"
    segment = lambda rgb: rgb[..., 0] / np.float32(255)  # noqa: E731
    assert mattes.write_mattes(tmp_path / "scenes.parquet", output, segment) == 2
    stored = mattes.read_mattes(output)
    for one, value in zip(encoded, (10, 200), strict=True):
        with Image.open(io.BytesIO(stored[mattes.key_of(one)])) as picture:
            assert picture.size == (15, 10)
            assert np.unique(np.asarray(picture)).tolist() == [value]


def test_things_are_split_by_their_name_and_keep_their_outline(tmp_path: Path) -> None:
    for number in range(12):
        Image.new("LA", (8, 6), (90, 128)).save(tmp_path / f"thing{number}.webp", lossless=True)
    found = [data.read_things(tmp_path, split) for split in ("train", "test")]
    assert [bool(one) for one in found] == [True, True]
    assert len(found[0]) + len(found[1]) == 12
    assert found[0][0].shape == (6, 8, 2)
    assert np.unique(found[0][0][..., 1]).tolist() == [128]


def test_places_come_out_of_packages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fetch(package: places.Package, folder: Path) -> Path:
        content = folder / package.name.replace("/", "-")
        if package == places.THINGS:
            for kind in ("food/fruit", "people", "town/houses/cartoon"):
                path = content / "usr/share/tuxpaint/stamps" / kind / "one.png"
                path.parent.mkdir(parents=True)
                Image.new("RGBA", (300, 200), (200, 0, 0, 255)).save(path)
        elif package.name == "mate-backgrounds":
            path = content / "usr/share/backgrounds/mate/nature/Dune.jpg"
            path.parent.mkdir(parents=True)
            Image.new("RGB", (1600, 900)).save(path)
        else:
            raise FileNotFoundError(package.manager)
        return content

    monkeypatch.setattr(places.Package, "fetch", fetch)
    folders = [tmp_path / name for name in ("places", "things", "packages")]
    made = places.gather(*folders)
    assert made == {"mate-backgrounds": 1, "tuxpaint-stamps-default": 1}
    assert "@pmndrs/assets" in caplog.text
    with Image.open(folders[0] / "Dune-000.webp") as picture:
        assert picture.size == (640, 360)
    with Image.open(folders[1] / "food.fruit.one.webp") as picture:
        assert picture.size == (128, 85)


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
