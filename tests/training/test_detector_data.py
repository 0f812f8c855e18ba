"""Labels, the split, training canvases, and simulated nights."""

import io

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from training.detector import night
from training.detector.data import (
    CanvasMaker,
    Hard,
    Labels,
    Place,
    Scene,
    read_empty,
    read_scenes,
    split_of,
)
from training.detector.mine import mine
from vision.types import Face

# Eyes, nose, mouth corners of a 40 x 50 face whose box starts at (0, 0).
POINTS = np.array([[12, 18], [28, 18], [20, 28], [14, 38], [26, 38]], dtype=np.float32)
COLOURS = np.array([[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 0], [0, 255, 255]])


def labels_at(x: float, y: float, *, sure: bool = True) -> Labels:
    box = np.array([[x, y, x + 40, y + 50]], dtype=np.float32)
    return Labels(box, POINTS[None] + np.float32([x, y]), np.array([sure]))


def scene_with_marks(x: int, y: int) -> Scene:
    """A grey picture with a coloured square around every landmark."""
    picture = np.full((120, 120, 3), 128, dtype=np.uint8)
    labels = labels_at(x, y)
    for (px, py), colour in zip(labels.landmarks[0].astype(int), COLOURS, strict=True):
        picture[py - 3 : py + 4, px - 3 : px + 4] = colour
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "PNG")
    return Scene(buffer.getvalue(), "drawn", labels)


def test_flip_swaps_left_and_right_landmarks() -> None:
    labels = labels_at(10, 5)
    flipped = labels.flipped(100)
    np.testing.assert_allclose(flipped.boxes, [[50, 5, 90, 55]])
    left_eye, right_eye, nose, left_mouth, right_mouth = flipped.landmarks[0]
    assert left_eye[0] < nose[0] < right_eye[0]
    assert left_mouth[0] < right_mouth[0]
    # The viewer's left eye is the mirror image of what was the right one.
    np.testing.assert_allclose(left_eye, [100 - 38, 23])
    np.testing.assert_allclose(flipped.flipped(100).landmarks, labels.landmarks)


def test_truncated_and_tiny_faces_are_not_sure() -> None:
    assert labels_at(10, 10).within(100, 100).sure.all()
    assert not labels_at(85, 10).within(100, 100).sure.any()
    assert not len(labels_at(140, 10).within(100, 100).boxes)
    assert not labels_at(0, 0).moved(0.2, 0, 0).within(100, 100).sure.any()
    assert not labels_at(10, 10, sure=False).within(100, 100).sure.any()


def test_split_depends_on_the_bytes_alone_and_has_the_stated_shares() -> None:
    names = [split_of(str(number).encode()) for number in range(3000)]
    assert names == [split_of(str(number).encode()) for number in range(3000)]
    shares = [names.count(split) / 3000 for split in ("train", "validation", "test")]
    np.testing.assert_allclose(shares, [0.6, 0.2, 0.2], atol=0.03)


def test_read_scenes_splits_a_pack_without_overlap(tmp_path) -> None:
    scene = scene_with_marks(30, 30)
    face = [30.0, 30.0, 40.0, 50.0, *scene.labels.landmarks.ravel().tolist()]
    images = [scene.encoded + bytes([number]) for number in range(40)]
    rows = {
        "image": images,
        "source": ["drawn"] * 40,
        "faces": [[[*face, 0.9], [*face, 0.5]]] * 40,
    }
    pq.write_table(pa.table(rows), tmp_path / "scenes.parquet")
    splits = {
        name: read_scenes(tmp_path / "scenes.parquet", name)
        for name in ("train", "validation", "test")
    }
    assert sorted(one.encoded for part in splits.values() for one in part) == sorted(images)
    first = splits["train"][0].labels
    np.testing.assert_allclose(first.boxes[0], [30, 30, 70, 80])
    np.testing.assert_allclose(first.landmarks[0], scene.labels.landmarks[0])
    assert first.sure.tolist() == [True, False]
    with pytest.raises(ValueError, match="split"):
        read_scenes(tmp_path / "scenes.parquet", "all")


def test_canvas_labels_lie_on_the_pixels_they_name(monkeypatch) -> None:
    """Through crops, scales, grids and flips, a landmark keeps its mark."""
    monkeypatch.setattr(night, "recolour", lambda picture, generator: picture)
    maker = CanvasMaker([scene_with_marks(30, 30), scene_with_marks(60, 55)], 256, 0.0)
    generator = np.random.default_rng(5)
    right = swapped = checked = 0
    for _ in range(20):
        canvas = maker.make(generator)
        assert canvas.clean.shape == canvas.seen.shape == (256, 256, 3)
        for box, points, sure in zip(
            canvas.labels.boxes, canvas.labels.landmarks, canvas.labels.sure, strict=True
        ):
            # Marks of faces cut by a grid line or drawn too small to see say nothing.
            if not sure or box[2] - box[0] < 24 or box.min() < 0 or box.max() > 255:
                continue
            for index, (x, y) in enumerate(points):
                pixel = canvas.clean[int(y), int(x)].astype(int)
                distances = np.abs(COLOURS - pixel).sum(1)
                if distances.min() > 200:
                    continue
                checked += 1
                # In a mirrored face the left eye carries the mark of the right one.
                right += distances.argmin() == index
                swapped += distances.argmin() == [1, 0, 2, 4, 3][index]
    assert checked > 100
    assert right > 0.3 * checked
    assert swapped > 0.3 * checked
    # The nose counts for both.
    assert right + swapped >= checked


def test_night_share_darkens_the_copy_the_student_sees() -> None:
    scenes = [scene_with_marks(30, 30)]
    generator = np.random.default_rng(2)
    nights = [CanvasMaker(scenes, 128, 1.0).make(generator) for _ in range(8)]
    darker = [canvas.seen.mean() < canvas.clean.mean() for canvas in nights]
    assert sum(darker) >= 6
    assert any((canvas.seen != canvas.clean).any() for canvas in nights)


def test_linear_light_round_trip() -> None:
    levels = np.arange(256, dtype=np.uint8).reshape(16, 16)
    np.testing.assert_array_equal(night.to_srgb(night.to_linear(levels)), levels)


def test_noise_follows_photon_statistics() -> None:
    """Of N electrons the standard deviation is sqrt(N + read noise squared)."""
    grey = np.full((200, 200, 3), 188, dtype=np.uint8)
    level = float(night.to_linear(grey)[0, 0, 0])
    dark = night.Night(photons=100, exposure=0.5, read_noise=3.0, jpeg=100)
    made = night.to_linear(night.simulate(grey, dark, np.random.default_rng(0)))
    assert made.mean() == pytest.approx(level * 0.5, rel=0.02)
    # JPEG keeps luma best: the mean of three channels has a third of the variance, roughly.
    wanted = np.sqrt(level * 100 + 9) / 100 * 0.5
    luma = made @ np.array([0.299, 0.587, 0.114], dtype=np.float32)
    assert luma.std() == pytest.approx(wanted * np.sqrt(0.299**2 + 0.587**2 + 0.114**2), rel=0.25)


def test_infrared_is_grey() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    made = night.simulate(picture, night.NIGHTS["infrared"], np.random.default_rng(0)).astype(int)
    assert np.abs(made - made.mean(-1, keepdims=True)).max() <= 3


def empty_scene(shade: int) -> Scene:
    buffer = io.BytesIO()
    Image.new("RGB", (160, 120), (shade,) * 3).save(buffer, "PNG")
    nobody = labels_at(0, 0).within(-1, -1)
    return Scene(buffer.getvalue(), "empty", nobody)


def test_empty_pictures_are_read_as_scenes_without_faces(tmp_path) -> None:
    for shade in (10, 200):
        (tmp_path / f"{shade}.png").write_bytes(empty_scene(shade).encoded)
    (tmp_path / "notes.txt").write_text("not a picture")
    scenes = read_empty(tmp_path)
    assert [scene.encoded for scene in scenes] == [empty_scene(s).encoded for s in (10, 200)]
    assert not any(len(scene.labels.boxes) for scene in scenes)
    maker = CanvasMaker([scene_with_marks(30, 30), *scenes], 128, 0.0, grids=(1, 0, 0))
    generator = np.random.default_rng(3)
    faces = [len(maker.make(generator).labels.boxes) for _ in range(40)]
    # Two of three scenes are empty.
    assert 20 <= faces.count(0) <= 36
    with pytest.raises(ValueError, match="no scene has a face"):
        CanvasMaker(scenes, 128, 0.0)


def test_hard_places_are_shown_as_often_as_asked(monkeypatch) -> None:
    monkeypatch.setattr(night, "recolour", lambda picture, generator: picture)
    plain = Scene(empty_scene(128).encoded, "plain", labels_at(5, 60))
    picture = np.full((120, 160, 3), 128, dtype=np.uint8)
    picture[40:60, 100:120] = (255, 0, 0)
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "PNG")
    trap = Scene(buffer.getvalue(), "trap", labels_at(0, 0).within(-1, -1))
    scenes = [plain] * 50 + [trap]
    hard = Hard([], [Place(50, np.array([100, 40, 120, 60], dtype=np.float32))])

    def share(hard_share: float) -> float:
        maker = CanvasMaker(scenes, 128, 0.0, grids=(1, 0, 0), hard=hard, hard_share=hard_share)
        generator = np.random.default_rng(4)
        canvases = [maker.make(generator).clean.astype(int) for _ in range(100)]
        red = [(one[..., 0] - one[..., 1] > 200).sum() > 40 for one in canvases]
        return float(np.mean(red))

    assert share(0.0) < 0.1
    # A quarter of the crops lie anywhere, some of them off the place.
    assert share(1.0) > 0.75
    assert 0.3 < share(0.5) < 0.7


class Fixed:
    """Sees the same thing in every picture, less surely in dark ones."""

    def __init__(self, box: tuple[float, ...], score: float) -> None:
        self._box, self._score = box, score

    def detect(self, rgb: np.ndarray) -> list[Face]:
        dark = rgb.mean() < 100
        return [Face(self._box, POINTS, self._score - 0.15 * dark)]


def test_mining_finds_missed_and_false_faces_by_day_and_by_night(monkeypatch) -> None:
    darker = night.Night(photons=400, exposure=0.1)
    monkeypatch.setattr(night, "random_night", lambda generator: darker)
    scenes = [scene_with_marks(30, 30)]
    inside, outside = (30.0, 30.0, 70.0, 80.0), (80.0, 10.0, 300.0, 40.0)

    hard = mine(scenes, Fixed(inside, 0.6), seed=1)
    assert [place.scene for place in hard.missed] == [0]
    np.testing.assert_allclose(hard.missed[0].box, inside)
    assert not hard.false
    hard = mine(scenes, Fixed(outside, 0.4), seed=1)
    assert len(hard.missed) == 2
    # At night it is not sure enough to count; what sticks out of the picture is cut off.
    assert [place.box.tolist() for place in hard.false] == [[80, 10, 120, 40]]
    assert not mine(scenes, Fixed(inside, 0.9), seed=1).missed
