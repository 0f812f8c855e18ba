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
from training.upright import data, evaluate, export, pool
from training.upright.data import Shown, Subject
from training.upright.evaluate import Trial, figures, threshold_for
from training.upright.model import UprightNet
from training.upright.settings import UprightConfig
from training.upright.train import Crops, Plan, train, varied, with_quarters
from vision.imaging.align import align
from vision.networks.upright import view
from vision.types import Face

LANDMARKS = np.array([[80, 70], [120, 72], [102, 95], [84, 118], [118, 120]], np.float32)
COLOURS = np.array([[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 0], [0, 255, 255]])
CPU = torch.device("cpu")


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


class Right:
    """Finds what `show` has shown last, however it was turned."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.shown: list[Shown] = []
        show, cut = data.show, data.cut
        for module in (pool, evaluate):
            monkeypatch.setattr(module, "show", lambda *a: self.note(show(*a)))
            monkeypatch.setattr(module, "cut", lambda *a: self.note(cut(*a)))

    def note(self, shown: Shown) -> Shown:
        self.shown.append(shown)
        return shown

    def detect(self, _pixels: np.ndarray) -> list[Face]:
        last = self.shown[-1]
        x, y = (float(value) for value in last.middle)
        half = last.width / 2
        return [Face((x - half, y - half, x + half, y + half), last.landmarks, 0.9)]


class Upright(Right):
    """Finds it too, and takes it for upright."""

    def detect(self, _pixels: np.ndarray) -> list[Face]:
        last = self.shown[-1]
        return [upright_at(float(last.middle[0]), float(last.middle[1]), last.width)]


def upright_at(x: float, y: float, width: float) -> Face:
    """What a detector says of any face: that it is upright."""
    landmarks = (LANDMARKS - [100, 95]) * (width / 90) + [x, y]
    half = width / 2
    return Face((x - half, y - half, x + half, y + half), landmarks.astype(np.float32), 0.9)


def turned_at(degrees: float) -> Face:
    """The same, of a face that is turned by so many degrees."""
    face = upright_at(100, 95, 90)
    angle = np.radians(degrees)
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    middle = face.landmarks.mean(axis=0)
    return Face(face.box, ((face.landmarks - middle) @ turn + middle).astype(np.float32), 0.9)


def at(x: float = 100, y: float = 95) -> Shown:
    moved = LANDMARKS + np.float32([x - 100, y - 95])
    return Shown(np.zeros((200, 200, 3), np.uint8), np.array([x, y]), 90.0, moved)


@pytest.mark.parametrize("degrees", [0, 30, 90, 135, 180, 270])
@pytest.mark.parametrize("width", [45.0, 90.0])
@pytest.mark.parametrize("source", ["scenes", "faces"])
def test_landmarks_turn_with_the_picture(degrees: float, width: float, source: str) -> None:
    shown = data.show(marked(source), degrees, width, np.random.default_rng(1))
    assert shown.width == width
    assert shown.pixels.shape[0] == shown.pixels.shape[1] == round(2.8 * width)
    for (x, y), colour in zip(shown.landmarks, COLOURS, strict=True):
        seen = shown.pixels[round(float(y)), round(float(x))].astype(int)
        assert np.abs(seen - colour).max() < 60
    down = shown.landmarks[3:].mean(0) - shown.landmarks[:2].mean(0)
    angle = np.degrees(np.arctan2(-down[0], down[1]))
    assert (angle - degrees + 180) % 360 - 180 == pytest.approx(0, abs=0.5)


def test_only_faces_at_the_place_count() -> None:
    near, far = upright_at(120, 95, 60), upright_at(20, 20, 60)

    class Both:
        def detect(self, _pixels: np.ndarray) -> list[Face]:
            return [near, far]

    assert data.found_of(Both(), at(), at().pixels) == [near]  # type: ignore[arg-type]
    assert data.error_of(upright_at(100, 95, 90), at()) == pytest.approx(0, abs=1e-6)
    # From the eyes to the mouth it is 48 pixels, more than from eye to eye.
    assert data.error_of(upright_at(148, 95, 90), at()) == pytest.approx(1.0, abs=0.01)


def test_a_cut_picture_ends_within_the_face_and_moves_the_landmarks() -> None:
    whole = data.show(marked(), 0, 90.0, np.random.default_rng(2))
    ends = set()
    for seed in range(60):
        shown = data.cut(whole, np.random.default_rng(seed))
        height, width = shown.pixels.shape[:2]
        ends.add((height < whole.pixels.shape[0], width < whole.pixels.shape[1]))
        for (x, y), colour in zip(shown.landmarks.round().astype(int), COLOURS, strict=True):
            if 0 <= x < width and 0 <= y < height:
                assert np.abs(shown.pixels[y, x].astype(int) - colour).max() < 60
        hidden = (shown.landmarks < 0) | (shown.landmarks > [width, height])
        assert (shown.outside > 0) == hidden.any()
    assert {(True, False), (False, True)} <= ends


@pytest.mark.parametrize(
    ("face", "shown", "upright", "negative", "wanted"),
    [
        (upright_at(100, 95, 90), at(), True, False, True),
        (upright_at(100, 95, 90), at(), True, True, False),
        (upright_at(100, 95, 90), at(), False, False, False),
        # Landmarks that lie askew refuse a turned face by themselves.
        (turned_at(30), at(), False, False, False),
        (turned_at(60), at(), False, False, None),
        (upright_at(140, 95, 90), at(), True, False, None),
        # An eye beyond the border, and one about there.
        (upright_at(0, 95, 90), at(x=0), True, False, False),
        (upright_at(18, 95, 90), at(x=18), True, False, None),
    ],
)
def test_what_is_learnt_of_a_found_face(
    face: Face, shown: Shown, upright: bool, negative: bool, wanted: bool | None
) -> None:
    assert pool.label(face, shown, upright=upright, negative=negative) is wanted


@pytest.mark.parametrize("source", ["scenes", "faces"])
def test_samples_are_made_of_both_kinds_and_always_alike(
    source: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, again = (
        list(pool.samples([marked(source)], Upright(monkeypatch), 80, 0.3, 3))  # type: ignore[arg-type]
        for _ in range(2)
    )
    assert 8 < sum(upright for _, upright in made) < len(made) - 8
    assert all(crop.shape == (64, 64) and crop.dtype == np.uint8 for crop, _ in made)
    assert all((a == b).all() for (a, _), (b, _) in zip(made, again, strict=True))


def test_a_turned_face_with_the_right_landmarks_is_not_learnt_as_wrong(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pool, "_CUT_SHARE", 0.0)
    monkeypatch.setattr(pool, "_NEGATIVE_SHARE", 0.0)
    made = list(pool.samples([marked()], Right(monkeypatch), 30, 0.0, 5))  # type: ignore[arg-type]
    assert made
    assert all(upright for _, upright in made)


def test_stored_crops_lie_askew_whether_upright_or_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "_NEARLY_SHARE", 0.0)
    generator = np.random.default_rng(0)
    upright = [pool._degrees(True, True, generator) for _ in range(300)]
    turned = [pool._degrees(False, True, generator) for _ in range(300)]
    off = [(one + 45) % 90 - 45 for one in turned]
    assert np.std(off) == pytest.approx(np.std(upright), rel=0.15)
    assert {round(one / 90) for one in turned} == {1, 2, 3}


def test_the_middle_of_a_bordered_crop_is_what_the_door_sees() -> None:
    subject = marked()
    pixels = np.asarray(subject.picture())
    face = Face((55.0, 50.0, 145.0, 140.0), LANDMARKS, 0.9)
    crop = pool.bordered(pixels, face)
    assert crop is not None
    seen = view(align(pixels, LANDMARKS))
    assert np.abs(crop[4:-4, 4:-4] - seen).mean() < 2
    nowhere = Face((0.0, 0.0, 9.0, 9.0), np.ones((5, 2), np.float32), 0.9)
    assert pool.bordered(pixels, nowhere) is None


def config(folder: Path, **more: object) -> UprightConfig:
    values = {"scene_samples": 5000, "crop_samples": 0, "frame_samples": 0, **more}
    return UprightConfig(name="one", runs=str(folder), scenes="none", **values)  # type: ignore[arg-type]


def test_an_interrupted_pool_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []

    def samples(_subjects: object, _detector: object, count: int, _night: float, seed: list[int]):
        calls.append(seed[-1])
        if len(calls) == 3:
            raise KeyboardInterrupt
        for index in range(count // 100):
            yield np.full((64, 64), seed[-1], np.uint8), index % 2 == 0

    monkeypatch.setattr(pool, "samples", samples)
    monkeypatch.setattr(pool, "of_scenes", lambda *_: [])
    monkeypatch.setattr(pool.product, "detector", lambda *_, **__: None)
    with pytest.raises(KeyboardInterrupt):
        pool.pool(config(tmp_path), "train")
    crops, upright = pool.pool(config(tmp_path), "train")
    assert calls == [0, 1, 2, 2]
    assert crops.shape == (50, 64, 64)
    assert upright.mean() == 0.5
    assert set(np.unique(crops)) == {0, 1, 2}


def faces(count: int, seed: int) -> Crops:
    """Grey squares with a dark bar, above in upright ones and below in others."""
    generator = np.random.default_rng(seed)
    grey = generator.integers(90, 110, (count, 64, 64), dtype=np.uint8)
    upright = np.arange(count) % 2 == 0
    grey[upright, 16:22, 16:48] = 10
    grey[~upright, 42:48, 16:48] = 10
    return Crops(grey, upright)


def plan(steps: int, seconds: float = 600.0) -> Plan:
    return Plan(0.34, 24, steps, 5e-3, 1e-3, steps, 1, seconds)


def test_a_network_learns_which_way_up_and_is_exported(tmp_path: Path) -> None:
    checkpoint = train(faces(64, 1), faces(20, 2), plan(40), CPU, tmp_path, {"version": "1"})
    with pytest.raises(ValueError, match="evaluate"):
        export.export(checkpoint, tmp_path / "models")
    stored = torch.load(checkpoint, weights_only=True)
    stored["card"] |= {"threshold": 0.25, "licence": "none", "origin": "drawn"}
    torch.save(stored, checkpoint)
    entry = export.export(checkpoint, tmp_path / "models")
    assert entry["threshold"] == 0.25
    paths = Paths.inside(tmp_path / "models", "upright")
    held_out = faces(20, 3)
    image = held_out.grey[:, None, 4:-4, 4:-4].astype(np.float32)
    answers = run_onnx(open_onnx(paths.onnx), image)
    assert ((answers > 0.5) == held_out.upright).all()
    np.testing.assert_allclose(run_ncnn(paths, image, "upright"), answers, atol=1e-3)
    last = (tmp_path / "log.csv").read_text().splitlines()[-1]
    assert float(last.split(",")[-1]) == 0


def test_training_ends_when_its_time_does(tmp_path: Path) -> None:
    train(faces(8, 1), faces(8, 2), plan(10**6, 0.5), CPU, tmp_path)
    steps = int((tmp_path / "log.csv").read_text().splitlines()[-1].split(",")[0])
    assert 0 < steps < 10**5


def test_the_bundled_network_s_size_is_bounded(tmp_path: Path) -> None:
    torch.manual_seed(0)
    net = UprightNet(config(tmp_path).width)
    path = tmp_path / "some.pt"
    card = {"threshold": 0.5, "version": "1", "licence": "none", "origin": "random"}
    torch.save({"model": net.state_dict(), "width": net.width, "card": card}, path)
    export.export(path, tmp_path / "models")
    paths = Paths.inside(tmp_path / "models", "upright")
    assert paths.onnx.stat().st_size < 150_000
    assert paths.param.stat().st_size + paths.bin.stat().st_size < 150_000
    image = smooth_noise((3, 1, 56, 56), 9)
    with torch.no_grad():
        wanted = export.exportable(path)(torch.from_numpy(image))[:, 0].numpy()
    np.testing.assert_allclose(run_onnx(open_onnx(paths.onnx), image), wanted, atol=1e-4)


def test_variants_keep_their_size_and_range_and_which_way_up() -> None:
    crops = faces(200, 4)
    made = varied(torch.from_numpy(crops.grey), torch.Generator().manual_seed(1))
    assert made.shape == (200, 1, 56, 56)
    assert made.min() >= 0
    assert made.max() <= 255
    above, below = (
        made[:, 0, rows, 18:38].mean((1, 2)).numpy() for rows in (slice(8, 20), slice(36, 48))
    )
    darker_above = above < below
    assert (darker_above == crops.upright).mean() > 0.97


def test_some_upright_crops_are_turned_by_quarters_and_are_then_not_upright() -> None:
    crops = faces(600, 5)
    grey, upright = torch.from_numpy(crops.grey), torch.from_numpy(crops.upright).float()
    turned, still = with_quarters(grey, upright, torch.Generator().manual_seed(1))
    changed = (turned != grey).flatten(1).any(1)
    assert (changed == (upright != still)).all()
    assert (upright[changed] == 1).all()
    assert 0.05 < changed.float().sum() / upright.sum() < 0.15
    bars = {tuple((one < 50).nonzero().float().mean(0).round().tolist()) for one in turned[changed]}
    assert len(bars) == 3


def test_the_threshold_loses_no_more_than_allowed() -> None:
    scores = np.concatenate([[0.1, 0.2, 0.3], np.linspace(0.5, 1, 997)])
    threshold = threshold_for(scores, 0.002)
    assert threshold == pytest.approx(0.3)
    assert (scores < threshold).sum() == 2


def test_every_face_is_shown_upright_in_every_light_and_wrong_in_every_way(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Always:
        def score(self, _crop: np.ndarray) -> float:
            return 0.8

    limits = evaluate.QualityLimits(0.0, 0.0, 0.0)
    made = evaluate.trials([marked()], Right(monkeypatch), limits, Always(), 1)  # type: ignore[arg-type]
    by_view = {one.view: one for one in made}
    assert [one.condition for one in made if one.view == "upright"] == list(evaluate.CONDITIONS)
    assert by_view["upright"].score == 0.8
    # Their landmarks are right, and refuse them.
    assert all(by_view[str(turn)].score == 0 for turn in evaluate.TURNS)
    assert by_view["negative"].score == 0.8


def test_figures_count_what_gets_past_and_what_is_lost() -> None:
    turns = [str(turn) for turn in evaluate.TURNS]
    made = [
        Trial("scenes", "a", "clean", "upright", 0.9),
        Trial("scenes", "b", "clean", "upright", 0.2),
        Trial("scenes", "c", "dark", "upright", np.nan),
        *(Trial("scenes", "a", "clean", turn, 0.8) for turn in turns),
        *(Trial("faces", "b", "dark", turn, 0.1) for turn in turns),
        *(Trial("faces", "c", "dark", turn, np.nan) for turn in turns),
        Trial("faces", "a", "clean", "half", 0.6),
        Trial("faces", "a", "clean", "negative", 0.0),
    ]
    found = figures(made, 0.5)
    # What could be no evidence anyway is not lost.
    assert (found["all"]["lost"]["hits"], found["all"]["lost"]["views"]) == (1, 2)
    assert found["dark"]["lost"]["views"] == 0
    assert (found["all"]["at 180"]["hits"], found["all"]["at 180"]["views"]) == (1, 3)
    assert found["all"]["at 180, without"]["hits"] == 2
    assert found["all"]["turned, of found"]["value"] == 0.5
    assert found["faces"]["turned"]["hits"] == 0
    assert found["faces"]["half"]["hits"] == 1
    assert found["all"]["negative"]["hits"] == 0
    assert evaluate.table({"validation": found, "test": found}).count("at 210,") == 2 * 2
