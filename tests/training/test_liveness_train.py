"""The liveness model learns, is measured by attack, and its exports agree with it."""

import hashlib
import io
import shutil
from collections.abc import Iterator
from dataclasses import replace
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

from training.common.bundle import write_entry
from training.common.formats import Paths
from training.detector.data import split_of
from training.liveness import (
    errors,
    evaluate as measuring,
    export,
    pool as pooling,
    train as training,
)
from training.liveness.data import around, sides
from training.liveness.evaluate import Scored
from training.liveness.model import SHAPE, ExportedLiveness, LivenessNet, load_checkpoint
from training.liveness.pool import Pool
from training.liveness.settings import LivenessConfig
from training.presence.export import open_onnx, run_ncnn, run_onnx, smooth_noise
from vision.networks.bundle import BUNDLED, load_bundle
from vision.networks.liveness import stack
from vision.networks.runtime import available
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
        net(torch.from_numpy(smooth_noise((8, *SHAPE), seed)))
    return net.eval()


def test_overfits_a_handful_of_faces() -> None:
    torch.manual_seed(0)
    image = torch.from_numpy(smooth_noise((8, *SHAPE), 1))
    live = torch.tensor([1.0, 0.0] * 4)
    net = LivenessNet().train()
    optimiser = torch.optim.Adam(net.parameters(), lr=3e-3)
    for _ in range(20):
        logits = net(image)
        loss = training.loss_of(logits, live)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    # Each view alone decides rightly, too.
    for view in (logits.live, logits.context, logits.parts.mean(1, keepdim=True)):
        assert ((view[:, 0] > 0) == (live > 0)).all()


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, dict[str, Any]]:
    folder = tmp_path_factory.mktemp("export")
    points = [
        {"bpcer_target": 0.01, "threshold": 0.2, "bpcer": {"webcam": {"value": 0.5}}, "apcer": {}}
    ]
    card = {"version": "7", "licence": "none", "origin": "random", "operating_points": points}
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
    assert entry["points"] == [{"bpcer": 0.01, "threshold": 0.2}]
    assert entry["measured"]["by"] == "test"
    assert entry["measured"]["points"][0]["bpcer"] == {"webcam": 0.5}


def test_weights_without_thresholds_are_not_exported(tmp_path: Path) -> None:
    card = {"version": "7", "licence": "none", "origin": "random"}
    torch.save({"model": lively().state_dict(), "card": card}, tmp_path / "some.pt")
    with pytest.raises(ValueError, match="evaluate"):
        export.export(tmp_path / "some.pt", tmp_path)


@pytest.mark.parametrize("runtime", available())
def test_the_product_scores_as_the_network_does(
    exported: Any, tmp_path: Path, runtime: str
) -> None:
    """The bundle's own class, on a whole frame, against PyTorch on the views of training."""
    checkpoint, folder, entry = exported
    models = tmp_path / "models"
    shutil.copytree(BUNDLED, models)
    for listed in (entry["files"]["onnx"], *entry["files"]["ncnn"].values()):
        shutil.copyfile(folder / listed["name"], models / listed["name"])
    write_entry(models, "liveness", entry)
    frame = smooth_noise((1, 3, 240, 320), 4)[0].transpose(1, 2, 0).astype(np.uint8)
    box = (120.0, 70.0, 190.0, 160.0)
    liveness = load_bundle(models, runtime=runtime).liveness
    assert liveness is not None
    score = liveness.score(frame, Face(box, np.zeros((5, 2), np.float32), 0.9))
    view = pooling.cut(around(frame, np.array(box)))
    image = torch.from_numpy(stack(view))
    with torch.no_grad():
        wanted = float(ExportedLiveness(load_checkpoint(checkpoint))(image))
    assert abs(score.live - wanted) < 1e-3
    assert liveness.score(frame, Face(box, np.zeros((5, 2), np.float32), 0.9)) == score


def test_runtimes_agree_with_the_network(exported: Any) -> None:
    checkpoint, folder, _ = exported
    paths = Paths.inside(folder, "liveness")
    image = smooth_noise((6, *SHAPE), 9)
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

    monkeypatch.setattr(pooling, "open_detector", lambda *_: Middle())
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
    for point, target in zip(report["operating_points"], measuring.TARGETS, strict=True):
        assert point["bpcer_target"] == target
        assert point["apcer"]["print"]["pictures"] == tested
        assert point["bpcer"]["webcam"]["subjects"] == tested
        # Every picture has one of the attacks' two forms.
        for attack in ("simulated_print", "simulated_screen"):
            forms = [point["apcer"].get(f"{attack}_webcam{form}") for form in ("", "_close")]
            assert sum(form["pictures"] for form in forms if form) == tested
        assert "BPCER webcam " in measuring.table(point)
    for point in report["validation"]:
        assert point["bpcer"]["webcam"]["value"] <= point["bpcer_target"]
    card = torch.load(checkpoint, weights_only=True)["card"]
    assert card["operating_points"] == report["operating_points"]
    sheets = errors.errors(packs)
    assert {"webcam.png", "print.png"} <= {path.name for path in sheets}
    assert all(path.stat().st_size for path in sheets)


def test_crossvalidation_tests_everybody_once(packs: LivenessConfig) -> None:
    said: list[str] = []
    point = measuring.crossvalidate(packs, said.append)["operating_points"][0]
    assert point["bpcer"]["webcam"]["subjects"] == len(SUBJECTS)
    assert point["apcer"]["print"]["pictures"] == len(SUBJECTS)
    assert point["bpcer"]["scenes"]["pictures"] == 1
    assert len(said) == len(point["threshold"]) == 3


def test_a_pool_is_made_once_for_what_it_is_made_of(packs: LivenessConfig) -> None:
    folder = packs.run_dir / "pool"
    made = pooling.open_pool(packs, folder)
    Path(folder / "pool.npy").touch()
    before = (folder / "pool.npy").stat().st_mtime_ns
    again = pooling.open_pool(packs, folder)
    assert (again.views == made.views).all()
    assert (again.kind == made.kind).all()
    assert (folder / "pool.npy").stat().st_mtime_ns == before
    other = pooling.open_pool(replace(packs, seed=2), folder)
    assert (other.views != made.views).any()


def drawn(rows: list[tuple[str, str, str]]) -> Pool:
    """A pool of grey views, one for each purpose, kind and subject; the number is in its pixels."""
    views = np.stack([np.full((2, 112, 112, 3), 10 * n, np.uint8) for n in range(len(rows))])
    purpose, kind, who = (np.array(column) for column in zip(*rows, strict=True))
    same = {
        name: np.array([value] * len(rows)) for name, value in (("pack", "webcam"), ("side", ""))
    }
    return Pool(
        views, purpose, kind, who=who, condition=np.array(["day"] * len(rows)), missed=0, **same
    )


def test_half_of_a_batch_is_alive_and_only_the_training_side_is_in_it() -> None:
    sides_of = sides(SUBJECTS)
    rows = [("train", kind, who) for who in SUBJECTS for kind in ("live", "print", "simulated x")]
    # Brightness says which row a sample came from.
    pool = drawn(rows[:25])
    config = LivenessConfig("run", spoof="", scenes="", batch=200)
    image, live = next(training.batches(config, pool))
    assert image.shape == (200, *SHAPE)
    assert 70 <= live.sum() <= 130
    found = [rows[round(float(value) / 10)] for value in image[:, 0, 0, 0]]
    assert {sides_of[who] for _, _, who in found} == {"train"}
    assert [kind == "live" for _, kind, _ in found] == [bool(one) for one in live]
    assert {kind for _, kind, _ in found} == {"live", "print", "simulated x"}
    same, _ = next(training.batches(config, pool))
    assert (same == image).all()
    without = replace(config, real_attacks=False)
    image, _ = next(training.batches(without, pool))
    assert "print" not in {rows[round(float(value) / 10)][1] for value in image[:, 0, 0, 0]}


def test_learning_needs_the_living_and_attacks() -> None:
    config = LivenessConfig("run", spoof="", scenes="")
    for kind in ("live", "print"):
        with pytest.raises(ValueError, match="nothing to learn"):
            next(training.batches(config, drawn([("train", kind, who) for who in SUBJECTS])))


def test_errors_of_the_living_and_of_attacks_point_in_opposite_directions() -> None:
    pool = drawn([("measure", kind, who) for kind in ("live", "print") for who in "aabb"])
    accepted = np.array([True, True, False, True, True, False, False, False])
    report = measuring.errors(pool, np.arange(8), accepted)
    assert report["bpcer"]["webcam"]["value"] == report["apcer"]["print"]["value"] == 0.25
    # One subject has none wrong, the other half: whoever is drawn, it lies between.
    assert report["bpcer"]["webcam"]["low"] == 0
    assert report["bpcer"]["webcam"]["high"] == 0.5
    assert report["bpcer"]["webcam"]["subjects"] == 2


def test_thresholds_spare_both_packs_of_the_living() -> None:
    count_of = 201
    rows = np.arange(2 * count_of)
    blank = np.array(["day"] * len(rows))
    pool = Pool(
        views=np.zeros((1, 1)),
        purpose=blank,
        kind=np.array(["live"] * len(rows)),
        pack=np.array(["webcam"] * count_of + ["scenes"] * count_of),
        who=blank,
        side=blank,
        condition=blank,
        missed=0,
    )
    live = np.concatenate([np.linspace(0.5, 1, count_of), np.linspace(0.2, 1, count_of)])
    lenient, strict = measuring.choose(pool, Scored(rows, live))
    for point in (lenient, strict):
        for part in (live[:count_of], live[count_of:]):
            assert (part < point.threshold).mean() <= point.bpcer
    # As high as that allows: one more thousandth would deny one too many.
    assert 0.207 <= lenient.threshold <= 0.209
    assert 0.239 <= strict.threshold <= 0.241
