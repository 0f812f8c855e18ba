"""The liveness model learns, is measured by attack, and its exports agree with it."""

import hashlib
import io
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

from training.common.formats import Paths
from training.detector.data import split_of
from training.liveness import evaluate as measuring, export, train as training
from training.liveness.data import sides
from training.liveness.model import ExportedLiveness, LivenessNet, load_checkpoint
from training.liveness.settings import LivenessConfig
from training.presence.export import open_onnx, run_ncnn, run_onnx, smooth_noise
from vision.types import Face

SUBJECTS = [f"{number:04d}" for number in range(1, 10)]


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Networks this small are slower on many threads, many times so where cores are shared."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def lively() -> LivenessNet:
    """A random network whose normalisation has seen pictures."""
    torch.manual_seed(3)
    net = LivenessNet().train()
    for part in net.modules():
        if isinstance(part, torch.nn.BatchNorm2d):
            part.momentum = None  # the mean of all that was seen
    for seed in range(4):
        net(torch.from_numpy(smooth_noise((8, 3, 112, 112), seed)))
    return net.eval()


def test_overfits_a_handful_of_faces() -> None:
    torch.manual_seed(0)
    image = torch.from_numpy(smooth_noise((10, 3, 112, 112), 1))
    wanted = torch.tensor([[1.0], [0.0]] * 5)
    net = LivenessNet().train()
    optimiser = torch.optim.Adam(net.parameters(), lr=3e-3)
    for _ in range(30):
        loss = torch.nn.functional.binary_cross_entropy_with_logits(net(image), wanted)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert loss.item() < 0.1


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, dict[str, Any]]:
    folder = tmp_path_factory.mktemp("export")
    card = {"version": "7", "licence": "none", "origin": "random", "threshold": 0.3}
    torch.save({"model": lively().state_dict(), "card": card}, folder / "some.pt")
    return folder / "some.pt", folder, export.export(folder / "some.pt", folder)


def test_exported_files_keep_the_contract(exported: Any) -> None:
    _, folder, entry = exported
    path = folder / "liveness.onnx"
    graph = onnx.load(str(path))
    assert [item.version for item in graph.opset_import] == [17]
    assert [item.name for item in graph.graph.input] == ["image"]
    assert [item.name for item in graph.graph.output] == ["live"]
    assert path.stat().st_size <= 1_000_000
    for listed in (entry["files"]["onnx"], *entry["files"]["ncnn"].values()):
        content = (folder / listed["name"]).read_bytes()
        assert hashlib.sha256(content).hexdigest() == listed["sha256"]
    assert entry["input"]["size"] == [112, 112]


def test_runtimes_agree_with_the_network(exported: Any) -> None:
    checkpoint, folder, _ = exported
    paths = Paths.inside(folder, "liveness")
    image = smooth_noise((6, 3, 112, 112), 9)
    with torch.no_grad():
        wanted = ExportedLiveness(load_checkpoint(checkpoint))(torch.from_numpy(image))[:, 0]
    assert wanted.std() > 0.003
    for made in (run_onnx(open_onnx(paths.onnx), image), run_ncnn(paths, image, "live")):
        np.testing.assert_allclose(made, wanted.numpy(), atol=1e-3)


def encoded(seed: int) -> bytes:
    """A picture of blotches as PNG."""
    pixels = smooth_noise((1, 3, 96, 128), seed)[0].transpose(1, 2, 0).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture
def packs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LivenessConfig:
    """Packs of blotches, in whose middle a detector of the test's own sees a face."""

    class Middle:
        def detect(self, _rgb: np.ndarray) -> list[Face]:
            return [Face((44.0, 28.0, 84.0, 68.0), np.zeros((5, 2), np.float32), 0.9)]

    for module in (training, measuring):
        monkeypatch.setattr(module, "open_detector", lambda *_: Middle())
    rows = [(who, label) for who in SUBJECTS for label in ("live", "spoof")]
    columns = {
        "image": [encoded(number) for number in range(len(rows))],
        "label": [label for _, label in rows],
        "subject": [who for who, _ in rows],
    }
    pq.write_table(pa.table(columns), tmp_path / "spoof.parquet")
    pictures: dict[str, bytes] = {}
    for seed in count(100):
        pictures.setdefault(split_of(encoded(seed)), encoded(seed))
        if len(pictures) == 3:
            break
    face = [44.0, 28.0, 40.0, 40.0, *[60.0] * 10, 0.9]
    columns = {
        "image": list(pictures.values()),
        "source": ["drawn"] * 3,
        "faces": [[face]] * 3,
    }
    pq.write_table(pa.table(columns), tmp_path / "scenes.parquet")
    return LivenessConfig(
        "run",
        runs=str(tmp_path),
        spoof=str(tmp_path / "spoof.parquet"),
        scenes=str(tmp_path / "scenes.parquet"),
        batch=2,
        steps=2,
        log_every=1,
    )


def test_train_and_evaluate_report_every_attack(packs: LivenessConfig) -> None:
    checkpoint = training.train(packs)
    report = measuring.evaluate(packs, checkpoint)
    tested = sum(side == "test" for side in sides(SUBJECTS).values())
    assert report["test"]["printed photograph"]["pictures"] == tested
    assert report["test"]["live, webcam"]["views"] == tested
    assert {"simulated print, webcam", "simulated screen, scenes"} <= set(report["test"])
    assert report["validation"]["live, webcam"]["value"] <= 0.02
    card = torch.load(checkpoint, weights_only=True)["card"]
    assert card["threshold"] == report["threshold"]


def test_crossvalidation_tests_everybody_once(packs: LivenessConfig) -> None:
    said: list[str] = []
    found = measuring.crossvalidate(packs, said.append)
    assert found["live, webcam"]["pictures"] == len(SUBJECTS)
    assert found["printed photograph"]["views"] == len(SUBJECTS)
    assert found["live, scenes"]["views"] == 1
    assert len(said) == 3


def test_errors_of_the_living_and_of_attacks_point_in_opposite_directions() -> None:
    scores = {
        "live, webcam": (np.array([0.9, 0.9, 0.1, 0.9]), ["a", "a", "b", "b"]),
        "printed photograph": (np.array([0.9, 0.1]), ["a", "b"]),
    }
    report = measuring.errors(scores, 0.5)
    assert report["live, webcam"]["value"] == 0.25
    assert report["printed photograph"]["value"] == 0.5
    assert "BPCER live, webcam" in measuring.table(report)


def test_threshold_spares_both_sources_of_the_living() -> None:
    scores = {
        "live, webcam": (np.linspace(0.5, 1, 101), ["a"] * 101),
        "live, scenes": (np.linspace(0.2, 1, 101), ["b"] * 101),
    }
    threshold = measuring.choose(scores)
    for live, _ in scores.values():
        assert (live < threshold).mean() <= 0.02
    assert 0.2 <= threshold < 0.23
