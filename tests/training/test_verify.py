"""`verify` agrees where the files are one network, and says so where they are not."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from training.cli import main
from training.common import bundle, verify
from training.common.paths import ROOT
from training.presence.export import export, smooth_noise
from training.presence.model import PresenceNet
from training.sample import make
from vision.networks.bundle import BUNDLED

SIZES = make.Sizes(
    people=2, pictures=1, crowd=1, lamps=1, scenes=40, subjects=2, frames=2, places=4
)
ROLES = ("detector", "presence", "liveness", "upright")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("verify") / "data"
    folder.mkdir()
    make.make_scenes(folder / "scenes.parquet", SIZES)
    make.make_spoof(folder / "spoof.parquet", SIZES)
    make.make_places(folder / "places", SIZES)
    return folder


def random_gate(path: Path, seed: int) -> Path:
    """Write a gate's checkpoint with random weights that answers differently to each view."""
    torch.manual_seed(seed)
    net = PresenceNet().train()
    for part in net.modules():
        if isinstance(part, torch.nn.BatchNorm2d):
            part.momentum = None  # the mean of all that was seen
    for number in range(4):
        net(torch.from_numpy(smooth_noise((8, 1, 96, 160), number)))
    for head in (net.fine, net.coarse):
        torch.nn.init.normal_(head.weight, std=0.05)
    card = {"version": "0", "licence": "none", "origin": "random", "threshold": 0.05}
    torch.save({"model": net.state_dict(), "card": card}, path)
    return path


@pytest.fixture(scope="module")
def gates(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Folders of two random gates: checkpoint `some.pt`, exported files and their entry."""
    folders = [tmp_path_factory.mktemp("gate") for _ in range(2)]
    for seed, folder in enumerate(folders):
        entry = export(random_gate(folder / "some.pt", seed), folder)
        (folder / "entry.json").write_text(json.dumps(entry))
    return folders[0], folders[1]


@pytest.fixture
def models(gates: tuple[Path, Path], tmp_path: Path) -> Path:
    """A copy of the bundle, with the first gate in it."""
    folder = tmp_path / "models"
    shutil.copytree(BUNDLED, folder)
    for suffix in ("onnx", "param", "bin"):
        shutil.copyfile(gates[0] / f"presence.{suffix}", folder / f"presence.{suffix}")
    bundle.write_entry(folder, "presence", json.loads((gates[0] / "entry.json").read_text()))
    return folder


@pytest.fixture
def run(data: Path, models: Path, tmp_path: Path) -> Callable[..., dict]:
    def step(role: str, *more: str) -> dict:
        config = ROOT / "training" / "configs" / f"sample-{role}.yaml"
        sets = {"data": data, "runs": tmp_path / "runs", "models": models}
        if role == "presence":
            sets["empty"] = f"[{data}/places]"
        words = [word for key, value in sets.items() for word in ("--set", f"{key}={value}")]
        assert main(["verify", "--config", str(config), *words, *more]) == 0
        written = tmp_path / "runs" / f"sample-{role}" / verify.FIGURES
        return json.loads(written.read_text())

    return step


@pytest.mark.parametrize("role", ROLES)
def test_the_bundles_files_are_one_network(role, run, models, capsys):
    figures = run(role)
    assert "runtimes alone" in capsys.readouterr().out
    assert list(figures["score_difference"]) == ["ncnn"]
    # The same to the last digit would be one file read twice.
    assert 0.0 < figures["score_difference"]["ncnn"] < 1e-3
    assert set(figures["ms"]) == set(verify.RUNTIMES)
    assert all(value > 0.0 for value in figures["ms"].values())
    assert figures["bytes"]["onnx"] == (models / f"{role}.onnx").stat().st_size
    rates = [one for one in figures.values() if isinstance(one, dict) and "onnxruntime" in one]
    assert len(rates) > 1
    if role == "liveness":
        second = figures["antispoofing"]
        assert 0.0 < second["score_difference"]["ncnn"] < 1e-3
        assert second["bytes"]["bin"] == (models / "antispoofing.bin").stat().st_size
        assert all(set(one) == set(verify.RUNTIMES) for one in second["below"].values())
        assert second["below"]


@pytest.mark.parametrize("role", ROLES)
def test_other_weights_in_one_format_are_noticed(role, run, models, gates):
    path = models / f"{role}.bin"
    if role == "presence":
        path.write_bytes((gates[1] / path.name).read_bytes())
    elif role == "upright":
        # Half-precision weights, and the answer's bias, one whole number, at the end.
        weights = path.read_bytes()
        bias = np.frombuffer(weights[-4:], np.float32) + 1
        path.write_bytes(weights[:-4] + bias.tobytes())
    else:
        weights = np.frombuffer(path.read_bytes(), np.float32).copy()
        # The last of them are the output's; what is hardly a number is a layer's mark.
        tail = weights[-200:]
        tail[np.isfinite(tail) & (np.abs(tail) > 1e-3)] *= 1.5
        path.write_bytes(weights.tobytes())
    with pytest.raises(ValueError, match="differs from onnxruntime"):
        run(role)


def test_a_checkpoint_is_compared_where_there_is_one(run, tmp_path, gates):
    own = tmp_path / "runs" / "sample-presence" / "last.pt"
    own.parent.mkdir(parents=True)
    shutil.copyfile(gates[0] / "some.pt", own)
    figures = run("presence")
    assert set(figures["score_difference"]) == {"ncnn", "torch"}
    assert set(figures["recall"]) == {"onnxruntime", "ncnn", "torch"}
    with pytest.raises(ValueError, match="'torch'"):
        run("presence", "--checkpoint", str(gates[1] / "some.pt"))


def test_a_role_that_the_bundle_lacks_is_said(run, models):
    description = json.loads((models / "models.json").read_text())
    del description["models"]["liveness"]
    (models / "models.json").write_text(json.dumps(description))
    with pytest.raises(ValueError, match="has no liveness network"):
        run("liveness")


def test_a_rate_that_was_not_measured_is_no_difference():
    nothing = float("nan")
    assert verify.spread({"onnxruntime": nothing, "ncnn": nothing}) == {"ncnn": 0.0}
    with pytest.raises(ValueError, match="recall"):
        verify.check(verify.spread({"onnxruntime": nothing, "ncnn": 0.5}), 0.1, "recall")
    with pytest.raises(ValueError, match="recall"):
        verify.check(verify.spread({"onnxruntime": 0.4, "ncnn": 0.5}), 0.001, "recall")
