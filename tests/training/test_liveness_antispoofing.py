"""Two published networks become one that says what both said, in RGB and in both formats."""

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from torch import Tensor, nn

from training.common import bundle
from training.common.formats import write_onnx
from training.liveness import antispoofing
from training.liveness.antispoofing import SHAPE, install, joined, original
from training.liveness.settings import LivenessConfig
from training.presence.export import open_onnx, run_onnx, smooth_noise
from vision.networks.antispoofing import SIDE


class Published(nn.Module):
    """A small network with the parts that matter: three channels, a normalised product, softmax."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.first = nn.Conv2d(3, 8, 5, stride=4)
        nn.init.normal_(self.first.weight, std=1e-3)
        self.inner = nn.Linear(8, 16, bias=False)
        self.norm = nn.BatchNorm1d(16)
        self.last = nn.Linear(16, 3, bias=False)
        nn.init.uniform_(self.norm.running_mean, -1, 1)
        nn.init.uniform_(self.norm.running_var, 0.2, 2)
        nn.init.uniform_(self.norm.weight, 0.5, 2)
        nn.init.uniform_(self.norm.bias, -1, 1)

    def forward(self, image: Tensor) -> Tensor:
        seen = torch.relu(self.first(image)).mean((2, 3))
        return torch.softmax(self.last(self.norm(self.inner(seen))), 1)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("published")
    paths = [folder / "near.onnx", folder / "far.onnx"]
    for seed, path in enumerate(paths):
        free = {"image": {0: "n"}, "probabilities": {0: "n"}}
        write_onnx(Published(seed).eval(), path, (3, SIDE, SIDE), ["probabilities"], free)
        model = onnx.load(str(path))
        assert "BatchNormalization" in {node.op_type for node in model.graph.node}
    return paths


IMAGE = smooth_noise((6, *SHAPE), 3)


def test_the_joined_network_is_the_mean_of_both(files: list[Path], tmp_path: Path) -> None:
    path = tmp_path / "joined.onnx"
    onnx.save(joined([onnx.load(str(file)) for file in files]), str(path))
    made = run_onnx(open_onnx(path), IMAGE)
    error = float(np.abs(made - original(files, IMAGE)).max())
    assert error < 1e-3
    # Which colour and which square is which matters, or all of this would show nothing.
    for other in (IMAGE[:, [2, 1, 0, 5, 4, 3]], IMAGE[:, [3, 4, 5, 0, 1, 2]]):
        assert np.abs(made - run_onnx(open_onnx(path), other)).max() > 5e-3


def test_both_formats_are_put_into_the_bundle(files: list[Path], tmp_path: Path) -> None:
    config = LivenessConfig(
        "run",
        spoof="",
        scenes="",
        models=str(tmp_path),
        antispoofing_near=str(files[0]),
        antispoofing_far=str(files[1]),
    )
    entry = install(config)
    assert max(entry["parity"].values()) < antispoofing.ROUNDED
    written = json.loads((tmp_path / bundle.NAME).read_text())["models"][antispoofing.ROLE]
    assert written == entry
    assert written["licence"] == "Apache-2.0"
    # Nothing was measured of them yet.
    assert "visits" not in written
    narrowed = onnx.load(str(tmp_path / "antispoofing.onnx"))
    halves = [w for w in narrowed.graph.initializer if w.data_type == onnx.TensorProto.FLOAT16]
    assert sum(int(np.prod(w.dims)) for w in halves) > 1000


def test_what_is_no_such_network_is_refused() -> None:
    image = onnx.helper.make_tensor_value_info("image", onnx.TensorProto.FLOAT, ["n", 3, 8, 8])
    same = onnx.helper.make_tensor_value_info("same", onnx.TensorProto.FLOAT, ["n", 3, 8, 8])
    node = onnx.helper.make_node("Relu", ["image"], ["same"])
    model = onnx.helper.make_model(onnx.helper.make_graph([node], "other", [image], [same]))
    with pytest.raises(ValueError, match="does not begin with a convolution"):
        joined([model, model])
