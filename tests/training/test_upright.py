"""Turned faces: where their landmarks are, what is learnt of them, and what is measured."""

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from training.common.formats import Paths
from training.presence.export import open_onnx, run_ncnn, run_onnx, smooth_noise
from training.upright import data, evaluate, export, train
from training.upright.data import Shown, Subject
from training.upright.evaluate import Trial, figures, threshold_for
from training.upright.model import UprightNet
from training.upright.settings import UprightConfig
from vision.types import Face

LANDMARKS = np.array([[80, 70], [120, 72], [102, 95], [84, 118], [118, 120]], np.float32)
COLOURS = np.array([[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 0], [0, 255, 255]])


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def marked(source: str = "scenes") -> Subject:
    """A face of 90 pixels with a coloured square at every landmark."""
    picture = np.full((220, 200, 3), 128, np.uint8)
    for (x, y), colour in zip(LANDMARKS.astype(int), COLOURS, strict=True):
        picture[y - 4 : y + 5, x - 4 : x + 5] = colour
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "PNG")
    return Subject(buffer.getvalue(), (100.0, 95.0), 90.0, LANDMARKS, "one", source)


class Detector:
    """Finds a face at every place asked for, with the landmarks that are asked for."""

    def __init__(self, *faces: Face) -> None:
        self.faces = faces

    def detect(self, _pixels: np.ndarray) -> list[Face]:
        return list(self.faces)


def upright_at(x: float, y: float, width: float) -> Face:
    """What a detector says of any face: that it is upright."""
    landmarks = (LANDMARKS - [100, 95]) * (width / 90) + [x, y]
    half = width / 2
    return Face((x - half, y - half, x + half, y + half), landmarks.astype(np.float32), 0.9)


@pytest.mark.parametrize("degrees", [0, 30, 90, 135, 180, 270])
@pytest.mark.parametrize("width", [45.0, 90.0])
def test_landmarks_turn_with_the_picture(degrees: float, width: float) -> None:
    shown = data.show(marked(), degrees, width, np.random.default_rng(1))
    assert shown.width == width
    assert shown.pixels.shape[0] == shown.pixels.shape[1] == round(2.8 * width)
    for (x, y), colour in zip(shown.landmarks, COLOURS, strict=True):
        seen = shown.pixels[round(float(y)), round(float(x))].astype(int)
        assert np.abs(seen - colour).max() < 60
    down = shown.landmarks[3:].mean(0) - shown.landmarks[:2].mean(0)
    before = LANDMARKS[3:].mean(0) - LANDMARKS[:2].mean(0)
    angle = np.degrees(np.arctan2(-down[0], down[1]) - np.arctan2(-before[0], before[1]))
    assert (angle - degrees + 180) % 360 - 180 == pytest.approx(0, abs=0.5)


def test_only_faces_at_the_place_count() -> None:
    shown = Shown(np.zeros((200, 200, 3), np.uint8), np.array([100.0, 95.0]), 60.0, LANDMARKS)
    near, far = upright_at(120, 95, 60), upright_at(20, 20, 60)
    assert data.found_of(Detector(near, far), shown, shown.pixels) == [near]
    assert data.error_of(upright_at(100, 95, 90), shown) == pytest.approx(0, abs=1e-6)
    assert data.error_of(upright_at(140, 95, 90), shown) == pytest.approx(1.0, abs=0.01)


@pytest.mark.parametrize("source", ["scenes", "faces"])
def test_samples_are_called_upright_only_where_the_landmarks_are(
    source: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    turns = []
    real = data.show

    def show(subject: Subject, degrees: float, width: float, generator: np.random.Generator):
        turns.append(degrees)
        return real(subject, degrees, 90.0, generator)

    monkeypatch.setattr(data, "show", show)
    # The window is 252 pixels wide and the face within a fifth of its width of the middle.
    made = list(data.samples([marked(source)], Detector(upright_at(126, 126, 90)), 40, 0.0, 3))
    assert 10 < sum(upright for _, upright in made) < 30
    assert all(crop.shape == (112, 112, 3) for crop, _ in made)
    tilted = [one for one in turns if abs(one) <= 35]
    turned = [one for one in turns if abs(one) > 35]
    assert tilted
    assert min(turned) >= 55
    assert max(turned) <= 305
    again = list(data.samples([marked(source)], Detector(upright_at(126, 126, 90)), 40, 0.0, 3))
    assert all((a == b).all() for (a, _), (b, _) in zip(made, again, strict=True))


def test_a_face_with_the_right_landmarks_is_no_turned_one() -> None:
    class Right:
        """Finds what was shown last, however it was turned."""

        def detect(self, _pixels: np.ndarray) -> list[Face]:
            box = tuple(shown[-1].middle.tolist() * 2)
            return [Face(box, shown[-1].landmarks, 0.9)]  # type: ignore[arg-type]

    shown: list[Shown] = []
    real = data.show
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(data, "show", lambda *a: shown.append(real(*a)) or shown[-1])
        made = list(data.samples([marked()], Right(), 12, 0.0, 5))  # type: ignore[arg-type]
    assert made
    assert all(upright for _, upright in made)


def test_stored_crops_lie_askew_whether_upright_or_not() -> None:
    generator = np.random.default_rng(0)
    upright = [data._degrees(True, True, generator) for _ in range(300)]
    turned = [data._degrees(False, True, generator) for _ in range(300)]
    off = [(one + 45) % 90 - 45 for one in turned]
    assert np.std(off) == pytest.approx(np.std(upright), rel=0.15)
    assert {round(one / 90) for one in turned} == {1, 2, 3}


def test_a_network_learns_which_way_up() -> None:
    torch.manual_seed(0)
    generator = np.random.default_rng(0)
    views = generator.uniform(90, 110, (48, 56, 56)).astype(np.float32)
    upright = np.arange(48) % 2 == 0
    views[upright, 10:16, 12:44] = 10
    views[~upright, 40:46, 12:44] = 10
    net = UprightNet().train()
    optimiser = torch.optim.Adam(net.parameters(), lr=5e-3)
    target = torch.from_numpy(upright.astype(np.float32))
    for _ in range(25):
        loss = torch.nn.functional.binary_cross_entropy_with_logits(
            net(train.varied(views, generator))[:, 0], target
        )
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    with torch.no_grad():
        logits = net.eval()(torch.from_numpy(views)[:, None])[:, 0]
    assert ((logits > 0).numpy() == upright).all()


def test_variants_keep_their_size_and_range() -> None:
    views = np.full((20, 56, 56), 200, np.float32)
    made = train.varied(views, np.random.default_rng(1))
    assert made.shape == (20, 1, 56, 56)
    assert made.min() >= 0
    assert made.max() <= 255
    assert made.std() > 5


def config(folder: Path) -> UprightConfig:
    return UprightConfig(
        name="one", runs=str(folder), scenes="none", scene_samples=250, steps=6, log_every=3
    )


def test_an_interrupted_pool_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def samples(_subjects: object, _detector: object, count: int, _night: float, seed: list[int]):
        if len(calls) == 2:
            calls.append(None)
            raise KeyboardInterrupt
        calls.append(seed[-1])
        for index in range(count):
            yield np.full((112, 112, 3), seed[-1], np.uint8), index % 2 == 0

    monkeypatch.setattr(data, "samples", samples)
    monkeypatch.setattr(data, "of_scenes", lambda *_: [])
    monkeypatch.setattr(train.product, "detector", lambda *_, **__: None)
    chosen = config(tmp_path)
    chosen.run_dir.mkdir()
    with pytest.raises(KeyboardInterrupt):
        train.pool(chosen, "train")
    crops, upright = train.pool(chosen, "train")
    assert [one for one in calls if one is not None] == [0, 1, 2]
    assert crops.shape == (300, 112, 112, 3)
    assert upright.mean() == 0.5
    assert set(np.unique(crops)) == {0, 1, 2}


def test_training_writes_a_checkpoint_that_is_exported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def pool(_config: UprightConfig, split: str) -> tuple[np.ndarray, np.ndarray]:
        generator = np.random.default_rng(len(split))
        crops = generator.integers(0, 256, (40, 112, 112, 3), dtype=np.uint8)
        return crops, np.arange(40) % 3 == 0

    monkeypatch.setattr(train, "pool", pool)
    checkpoint = train.train(config(tmp_path))
    with pytest.raises(ValueError, match="evaluate"):
        export.export(checkpoint, tmp_path / "models")
    stored = torch.load(checkpoint, weights_only=True)
    stored["card"]["threshold"] = 0.25
    torch.save(stored, checkpoint)
    entry = export.export(checkpoint, tmp_path / "models")
    assert entry["threshold"] == 0.25
    paths = Paths.inside(tmp_path / "models", "upright")
    assert paths.onnx.stat().st_size < 40_000
    image = smooth_noise((5, 1, 56, 56), 9)
    with torch.no_grad():
        wanted = export.exportable(checkpoint)(torch.from_numpy(image))[:, 0].numpy()
    np.testing.assert_allclose(run_onnx(open_onnx(paths.onnx), image), wanted, atol=1e-4)
    np.testing.assert_allclose(run_ncnn(paths, image, "upright"), wanted, atol=1e-3)


def test_the_threshold_loses_no_more_than_allowed() -> None:
    scores = np.concatenate([[0.1, 0.2, 0.3], np.linspace(0.5, 1, 997)])
    threshold = threshold_for(scores, 0.002)
    assert threshold == pytest.approx(0.3)
    assert (scores < threshold).sum() == 2


def test_figures_count_what_gets_past_and_what_is_lost() -> None:
    made = [
        Trial("scenes", "a", "clean", 0, 0.9),
        Trial("scenes", "b", "clean", 0, 0.2),
        Trial("scenes", "c", "dark", 0, np.nan),
        *(Trial("scenes", "a", "clean", turn, 0.8) for turn in evaluate.TURNS),
        *(Trial("faces", "b", "dark", turn, 0.1) for turn in evaluate.TURNS),
        *(Trial("faces", "c", "dark", turn, np.nan) for turn in evaluate.TURNS),
    ]
    found = figures(made, 0.5)
    # What could be no evidence anyway is not lost.
    assert (found["all"]["lost"]["hits"], found["all"]["lost"]["views"]) == (1, 2)
    assert found["dark"]["lost"]["views"] == 0
    assert (found["all"]["at 180"]["hits"], found["all"]["at 180"]["views"]) == (1, 3)
    assert found["all"]["before, at 180"]["hits"] == 2
    assert found["faces"]["at 90"]["hits"] == 0
    assert evaluate.table({"validation": found, "test": found}).count("at 225") == 2 * 2 * 5


def test_stored_crops_are_turned_by_what_is_said() -> None:
    crops = np.full((3, 128, 128), 100, np.uint8)
    crops[:, 30:50] = 240
    views, upright = train.turned_crops(crops, 60, np.random.default_rng(0))
    assert views.shape == (60, 56, 56)
    assert 20 < upright.sum() < 45
    above, below = views[:, 8:24, 20:36].mean((1, 2)), views[:, 32:48, 20:36].mean((1, 2))
    assert (above[upright] > below[upright] + 20).all()
    assert not (above[~upright] > below[~upright] + 60).any()
