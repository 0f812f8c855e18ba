"""A training that is cut off, spread over processes or asked for twice gives one result."""

import csv
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
import yaml
from PIL import Image

from training.cli import main
from training.common.parallel import Team, find_device
from training.common.pictures import encode
from training.verifier import config as configuration, model, train
from training.verifier.backbones import build_backbone
from training.verifier.config import TrainSettings
from training.verifier.dataset import TrainingSet
from training.verifier.loader import batches
from training.verifier.network import Verifier

ROOT = Path(__file__).parents[2]
NETWORK = {"width": 0.25, "embedding": 32, "batch_norm": False}


@pytest.fixture(scope="module")
def made(tmp_path_factory, draw_face):
    """Prepare 40 people; return the folder and `step(NAME, RUN, *settings)`."""
    root = tmp_path_factory.mktemp("train")
    images = [encode(draw_face(who, picture)) for who in range(40) for picture in range(3)]
    identity = [f"made/{who}" for who in range(40) for _ in range(3)]
    table = pa.table({"image": pa.array(images, pa.binary()), "identity": identity})
    pq.write_table(table, root / "made.parquet")
    settings = {
        "prepared": str(root / "prepared"),
        "runs": str(root / "runs"),
        "prepare": {"sources": ["made.parquet"]},
        "model": {"options": NETWORK},
        "train": {
            "batch_size": 8,
            "steps": 6,
            "warmup_steps": 2,
            "learning_rate": 1e-3,
            "margin_weight": 1.0,
            "min_pictures": 1,
            "validate_every": 4,
            "save_every": 1,
            "blends": [0.5],
            "device": "cpu",
        },
        "evaluate": {"bootstrap": 5},
    }
    (root / "made.yaml").write_text(yaml.safe_dump(settings))

    def arguments(step: str, run: str, *changes: str) -> list[str]:
        words = [step, "--config", str(root / "made.yaml"), "--data", str(root)]
        for change in (f"name={run}", *changes):
            words += ["--set", change]
        return words

    assert main(arguments("prepare", "first")) == 0
    assert main(arguments("train", "whole")) == 0
    return root, arguments


def weights(root: Path, run: str, name: str = "last.pt") -> dict[str, torch.Tensor]:
    return torch.load(root / "runs" / run / name, weights_only=True)["weights"]


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor], **allowed: float) -> bool:
    close = [torch.allclose(one[k], other[k], rtol=0, **(allowed or {"atol": 0})) for k in one]
    return all(close) and len(one) == len(other)


def column(path: Path, name: str) -> list[str]:
    with path.open() as file:
        return [row[name] for row in csv.DictReader(file)]


def test_a_training_cut_off_goes_on_to_the_same_network(made, monkeypatch):
    root, arguments = made
    whole = train.Trainer.step

    def die(self, batch, rate):
        if self.average._updates == 5:
            raise KeyboardInterrupt
        return whole(self, batch, rate)

    monkeypatch.setattr(train.Trainer, "step", die)
    with pytest.raises(KeyboardInterrupt):
        main(arguments("train", "cut"))
    assert (root / "runs" / "cut" / "state.pt").is_file()
    monkeypatch.undo()
    taken = []
    monkeypatch.setattr(train.Trainer, "step", lambda *a: taken.append(1) or whole(*a))
    assert main(arguments("train", "cut")) == 0
    assert len(taken) == 1
    for name in ("last.pt", "best.pt"):
        assert same(weights(root, "whole", name), weights(root, "cut", name))
    tables = [root / "runs" / run / "validation.csv" for run in ("whole", "cut")]
    assert tables[0].read_text() == tables[1].read_text()
    assert column(tables[0], "step") == ["0", "4", "6", "6"]
    assert not (root / "runs" / "cut" / "state.pt").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")
def test_a_killed_process_leaves_a_state_to_go_on_from(made):
    root, arguments = made
    words = [sys.executable, "-m", "training", *arguments("train", "killed", "train.steps=200")]
    state = root / "runs" / "killed" / "state.pt"
    with subprocess.Popen(words, cwd=ROOT, env=environment(), stdout=subprocess.DEVNULL) as process:
        end = time.monotonic() + 120
        while not state.is_file() and process.poll() is None and time.monotonic() < end:
            time.sleep(0.05)
        process.send_signal(signal.SIGKILL)
    step = torch.load(state, weights_only=True)["step"]
    assert 0 < step < 200
    with pytest.raises(ValueError, match="cut off"):
        main(arguments("train", "killed", "train.steps=201"))
    assert main([*arguments("train", "killed", "train.steps=6"), "--again"]) == 0
    assert same(weights(root, "whole"), weights(root, "killed"))


def test_what_is_done_is_not_done_again(made, capsys):
    root, arguments = made
    best = root / "runs" / "whole" / "best.pt"
    before = best.stat().st_mtime_ns
    assert main(arguments("train", "whole", "train.threads=1", "train.workers=2")) == 0
    assert "nothing to do" in capsys.readouterr().out
    assert best.stat().st_mtime_ns == before
    assert main([*arguments("train", "whole"), "--again"]) == 0
    assert best.stat().st_mtime_ns > before


def test_a_run_leaves_curves_and_a_log(made):
    root, _ = made
    folder = root / "runs" / "whole"
    with Image.open(folder / "curves.png") as picture:
        assert picture.width > 1000
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    log = EventAccumulator(str(folder / "tensorboard")).Reload()
    assert [event.step for event in log.Scalars("validation/tar")] == [0, 4, 6]


def environment() -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}


def test_two_processes_train_as_one_with_twice_the_batch(made):
    """DistributedDataParallel over Gloo, started by torchrun as on several machines."""
    root, arguments = made
    settings = ("train.steps=3", "train.blends=[]", "train.learning_rate=1e-4")
    words = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    words += ["-m", "training", *arguments("train", "two", *settings, "train.batch_size=6")]
    done = subprocess.run(
        [sys.executable, *words],
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert main(arguments("train", "one", *settings, "train.batch_size=12")) == 0
    one, two = weights(root, "one"), weights(root, "two")
    assert same(one, two, atol=1e-5)
    start = model.build(configuration.load(root / "made.yaml")).backbone.state_dict()
    assert not same(one, start, atol=1e-4)
    assert column(root / "runs" / "two" / "validation.csv", "step") == ["0", "3"]


def _set(faces, target: bool = False) -> TrainingSet:
    images, person = faces
    return TrainingSet(
        images, np.eye(len(images), 32, dtype=np.float32) if target else None, person
    )


def test_batches_are_the_same_from_any_step_in_any_number_of_workers_and_processes(faces):
    data = _set(faces, target=True)
    settings = TrainSettings(batch_size=8, clean_share=0.5, seed=4)
    whole = [batch for batch, _ in zip(batches(data, settings), range(12), strict=False)]
    assert all(len(batch.image) == 8 for batch in whole)
    later = next(batches(data, settings, step=11))
    assert torch.equal(later.image, whole[11].image)
    settings.workers = 2
    elsewhere = next(batches(data, settings, step=7))
    assert torch.equal(elsewhere.image, whole[7].image)
    assert torch.equal(elsewhere.target, whole[7].target)
    settings.workers, settings.batch_size = 0, 4
    shares = [next(batches(data, settings, Team(rank, 2), step=3)) for rank in (0, 1)]
    together = torch.stack([share.image for share in shares], dim=1).flatten(0, 1)
    assert torch.equal(together, whole[3].image)


def test_degraded_pictures_of_a_batch_come_from_a_few_cameras(faces):
    settings = TrainSettings(batch_size=8, clean_share=0.25, per_camera=3)
    batch = next(batches(_set(faces), settings))
    assert batch.camera.tolist() == [-1, -1, 0, 0, 0, 1, 1, 1]
    assert torch.equal(batch.image[:2], batch.clean[:2])
    assert not torch.equal(batch.image[2:], batch.clean[2:])


def test_a_training_begins_with_the_weights_of_an_earlier_one(made):
    """At no rate at all nothing moves: it ends where the earlier one did."""
    root, arguments = made
    settings = ("train.steps=2", "train.blends=[]")
    assert main(arguments("train", "before", *settings, "train.learning_rate=1e-3")) == 0
    before = root / "runs" / "before" / "last.pt"
    words = (*settings, "train.learning_rate=0.0", f"train.first={before}")
    assert main(arguments("train", "after", *words)) == 0
    assert same(weights(root, "before"), weights(root, "after"), atol=1e-7)


def test_every_picture_comes_once_an_epoch_and_in_another_order_each_time(faces):
    data = _set(faces)
    # Every picture is a person of its own, to tell it by.
    data.person = np.arange(len(data.images))
    settings = TrainSettings(batch_size=18, clean_share=1.0)
    seen = [batch.person for batch, _ in zip(batches(data, settings), range(6), strict=False)]
    epochs = [torch.cat(seen[:3]).tolist(), torch.cat(seen[3:]).tolist()]
    assert sorted(epochs[0]) == sorted(epochs[1]) == list(range(54))
    assert epochs[0] != epochs[1]


def test_the_start_s_maps_of_clean_views_are_a_target(faces):
    """A network that is shown clean views only is where the maps want it; by night it is not."""
    data = _set(faces)
    losses = {}
    for clean_share in (1.0, 0.0):
        settings = TrainSettings(
            batch_size=8, clean_share=clean_share, feature_weight=1.0, distillation_weight=0.0
        )
        torch.manual_seed(1)
        network = Verifier(build_backbone("mobilefacenet", **NETWORK)).eval()
        trainer = train.Trainer(network, data.people, settings)
        network.eval()
        losses[clean_share] = trainer.step(next(batches(data, settings)), 1e-3)
    assert losses[1.0] == pytest.approx(0.0, abs=1e-6)
    assert losses[0.0] > 0.01


def test_a_batch_without_a_picture_for_each_process_is_refused(faces):
    with pytest.raises(ValueError, match="too few"):
        batches(_set(faces), TrainSettings(), Team(0, 100))


def test_half_precision_trains_weights_of_full_precision(faces):
    data = _set(faces, target=True)
    settings = TrainSettings(batch_size=8)
    losses = {}
    for precision in ("float32", "bfloat16"):
        settings.precision = precision
        torch.manual_seed(1)
        network = Verifier(build_backbone("mobilefacenet", **NETWORK))
        trainer = train.Trainer(network, data.people, settings)
        losses[precision] = trainer.step(next(batches(data, settings)), 1e-3)
        assert next(network.parameters()).dtype == torch.float32
    assert losses["float32"] != losses["bfloat16"]
    assert losses["float32"] == pytest.approx(losses["bfloat16"], abs=0.05)
    settings.precision = "float16"
    with pytest.raises(ValueError, match="float16"):
        train.Trainer(network, data.people, settings)


def test_a_device_that_is_not_there_is_refused(monkeypatch):
    assert find_device("cpu").type == "cpu"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert find_device("auto").type == "cpu"
    with pytest.raises(ValueError, match="no GPU"):
        find_device("cuda")
