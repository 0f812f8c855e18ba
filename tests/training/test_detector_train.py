"""Training learns, is reproducible, and what it writes can be evaluated."""

import csv
import io
from itertools import count
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image, ImageDraw

from training.common.settings import build
from training.detector.data import Canvas, Labels, collate, split_of
from training.detector.evaluate import evaluate, open_detector
from training.detector.export import to_onnx
from training.detector.losses import LossWeights
from training.detector.matching import landmark_error, match
from training.detector.model import FaceDetector, load_checkpoint
from training.detector.settings import DetectorConfig
from training.detector.train import batch_loss, rate_at, train

POINTS = np.array([[0.3, 0.4], [0.7, 0.4], [0.5, 0.6], [0.35, 0.8], [0.65, 0.8]], dtype=np.float32)


def drawn(seed: int, *boxes: tuple[int, int, int, int], size: int = 96) -> Canvas:
    """Simple faces on a noisy ground."""
    generator = np.random.default_rng(seed)
    image = Image.fromarray(generator.integers(60, 130, (size, size, 3), dtype=np.uint8))
    draw = ImageDraw.Draw(image)
    array = np.array(boxes, dtype=np.float32).reshape(-1, 4)
    points = array[:, None, :2] + POINTS * (array[:, None, 2:] - array[:, None, :2])
    for box, (left, right, nose, *mouth) in zip(boxes, points, strict=True):
        radius = (box[2] - box[0]) / 12
        draw.ellipse(box, fill=(225, 180, 150))
        for x, y in (left, right):
            draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=(20, 20, 40))
        draw.ellipse((nose[0] - 1, nose[1] - 1, nose[0] + 1, nose[1] + 1), fill=(150, 90, 80))
        draw.line([tuple(point) for point in mouth], fill=(170, 30, 40), width=2)
    pixels = np.asarray(image)
    return Canvas(pixels, pixels, Labels(array, points, np.ones(len(array), dtype=bool)))


def test_overfits_three_pictures_and_the_door_finds_the_faces(tmp_path: Path) -> None:
    torch.manual_seed(0)
    canvases = [
        drawn(0, (10, 12, 42, 52)),
        drawn(1, (40, 30, 88, 90)),
        drawn(2, (6, 8, 36, 44), (52, 44, 88, 88)),
    ]
    batch = collate(canvases)
    model = FaceDetector().to(memory_format=torch.channels_last)
    optimiser = torch.optim.Adam(model.parameters(), lr=3e-3)
    plan = DetectorConfig("x", scenes="", steps=400, warm_up=20)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: rate_at(step, plan))
    losses = []
    for _ in range(plan.steps):
        loss = torch.stack(
            list(batch_loss(model, None, batch, LossWeights(landmarks=4.0)).values())
        ).sum()
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 10.0)
        optimiser.step()
        schedule.step()
        losses.append(loss.item())
    assert losses[-1] < 0.15 * losses[0]

    to_onnx(model.eval(), tmp_path / "detector.onnx")
    detector = open_detector(tmp_path / "detector.onnx", 0.5)
    for canvas in canvases:
        found = detector.detect(canvas.clean)
        pairs = match(found, canvas.labels)
        assert len(found) == len(pairs) == len(canvas.labels.boxes)
        for label, face in pairs.items():
            assert landmark_error(found[face], canvas.labels.landmarks[label]) < 0.15


@pytest.fixture(scope="module")
def pack(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A pack with two drawn scenes in every split."""
    rows: dict[str, list[tuple[bytes, list[list[float]]]]] = {
        "train": [],
        "validation": [],
        "test": [],
    }
    for seed in count():
        canvas = drawn(seed, (20, 20, 60, 70))
        buffer = io.BytesIO()
        Image.fromarray(canvas.clean).save(buffer, "PNG")
        box, points = canvas.labels.boxes[0], canvas.labels.landmarks[0]
        face = [*box[:2], *(box[2:] - box[:2]), *points.ravel(), 0.95]
        part = rows[split_of(buffer.getvalue())]
        if len(part) < 2:
            part.append((buffer.getvalue(), [[float(value) for value in face]]))
        if all(len(one) == 2 for one in rows.values()):
            break
    scenes = [one for part in rows.values() for one in part]
    path = tmp_path_factory.mktemp("pack") / "scenes.parquet"
    columns = {
        "image": [one[0] for one in scenes],
        "source": ["drawn"] * len(scenes),
        "faces": [one[1] for one in scenes],
    }
    pq.write_table(pa.table(columns), path)
    return path


def test_train_writes_a_reproducible_checkpoint_that_evaluates(pack: Path, tmp_path: Path) -> None:
    config = {
        "runs": str(tmp_path),
        "scenes": str(pack),
        "canvas": 128,
        "batch": 2,
        "steps": 3,
        "validation_canvases": 2,
        "log_every": 2,
    }
    first = train(build(DetectorConfig, config | {"name": "a"}))
    second = train(build(DetectorConfig, config | {"name": "b"}))
    one, other = load_checkpoint(first).state_dict(), load_checkpoint(second).state_dict()
    assert all(torch.equal(one[key], other[key]) for key in one)
    with (tmp_path / "a" / "log.csv").open() as file:
        steps = [int(row["step"]) for row in csv.DictReader(file)]
    assert steps == [0, 2, 3]

    report = evaluate(pack, first, tmp_path / "out", threshold=0.77)
    assert set(report["test"]) == set(report["validation"])
    assert report["test"]["clean"]["faces"][40] == 2
    card = torch.load(first, weights_only=True)["card"]
    assert card["score_threshold"] == 0.77
    assert (tmp_path / "out" / "evaluation-last.json").is_file()


def test_train_with_everything_a_later_stage_uses(pack: Path, tmp_path: Path, yunet_like) -> None:
    """A warm start, settled landmarks, empty pictures, hard places and the teacher's features."""
    yunet_like(tmp_path / "yunet.onnx", scale=0.25)
    (tmp_path / "empty").mkdir()
    Image.new("RGB", (160, 120), (90, 90, 90)).save(tmp_path / "empty" / "wall.png")
    config = {
        "name": "door",
        "runs": str(tmp_path),
        "scenes": str(pack),
        "warm_start": str(tmp_path / "yunet.onnx"),
        "settled": str(tmp_path / "settled.npz"),
        "empty": str(tmp_path / "empty"),
        "canvas": 128,
        "batch": 2,
        "steps": 2,
        "validation_canvases": 2,
        "grids": [0.5, 0.5, 0.0],
        "hard_share": 0.5,
        "loss": {"features": 1.0},
    }
    lines: list[str] = []
    train(build(DetectorConfig, config), lines.append)
    assert "to be seen again" in lines[0]
    assert (tmp_path / "settled.npz").is_file()
    with (tmp_path / "door" / "log.csv").open() as file:
        rows = list(csv.DictReader(file))
    # Before the first step the network is its own teacher, but for the nights it sees.
    assert 0 < float(rows[0]["features"]) < 1
    with pytest.raises(ValueError, match="warm start"):
        train(build(DetectorConfig, config | {"warm_start": None}))


def test_config_refuses_what_it_does_not_know() -> None:
    with pytest.raises(ValueError, match="learning_rat"):
        build(DetectorConfig, {"name": "x", "scenes": "x", "learning_rat": 1})
    with pytest.raises(ValueError, match="128"):
        build(DetectorConfig, {"name": "x", "scenes": "x", "canvas": 200})


def test_rate_warms_up_and_falls() -> None:
    config = DetectorConfig("x", scenes="x", steps=100, warm_up=10)
    rates = [rate_at(step, config) for step in range(100)]
    assert rates[:10] == sorted(rates[:10])
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert max(rates) == pytest.approx(1.0)
    assert rates[-1] < 0.05
