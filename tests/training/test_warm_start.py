"""The published network's weights are loaded so that ours answers as it does."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch
from onnx import helper, numpy_helper
from torch import nn
from torch.nn import functional

from training.sample.make import as_teacher
from training.verifier.backbones import build_backbone
from training.verifier.backbones.mobilenet_se import Bottleneck, Excitation, Scale
from training.verifier.export import to_onnx
from training.verifier.network import Crowding, Verifier
from training.verifier.warm_start import load_onnx_weights

OPTIONS = {"width": 0.25, "embedding": 32}


class Published:
    """Writes a network as Open Model Zoo publishes it.

    It takes BGR of 0..255 at 128x128; the biases of its convolutions are additions of their own.
    """

    def __init__(self, network: nn.Module) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.tensors: list[onnx.TensorProto] = []
        end = self._write(network.layers, "image")
        self.nodes.append(helper.make_node("Flatten", [end], ["embedding"]))

    def save(self, path: Path) -> Path:
        ends = [
            helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape)
            for name, shape in (("image", ["n", 3, 128, 128]), ("embedding", ["n", 32]))
        ]
        graph = helper.make_graph(self.nodes, "published", ends[:1], ends[1:], self.tensors)
        opset = [helper.make_opsetid("", 17)]
        onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=8), str(path))
        return path

    def _constant(self, values: torch.Tensor, *shape: int) -> str:
        name = f"c{len(self.tensors)}"
        array = values.detach().numpy()
        self.tensors.append(numpy_helper.from_array(array.reshape(shape or array.shape), name))
        return name

    def _node(self, kind: str, *inputs: str, **attributes: Any) -> str:
        output = f"v{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [output], **attributes))
        return output

    def _write(self, module: nn.Module, x: str) -> str:
        """Add a module's nodes behind `x`; return their output."""
        match module:
            case Scale():
                x = self._node("Mul", x, self._constant(module.weight, 1, -1, 1, 1))
                x = self._node("Add", x, self._constant(module.bias, 1, -1, 1, 1))
            case Bottleneck():
                y = self._write(module.layers, x)
                x = self._node("Add", x, y) if module.residual else y
            case Excitation():
                gate = self._write(module.layers, self._node("GlobalAveragePool", x))
                x = self._node("Mul", x, gate)
            case nn.Sequential():
                for part in module:
                    x = self._write(part, x)
            case nn.Conv2d():
                x = self._node(
                    "Conv", x, self._constant(module.weight),
                    strides=module.stride, pads=[*module.padding] * 2, group=module.groups,
                )  # fmt: skip
                if module.bias is not None:
                    x = self._node("Add", x, self._constant(module.bias, 1, -1, 1, 1))
            case nn.PReLU():
                x = self._node("PRelu", x, self._constant(module.weight, 1, 1, 1))
            case nn.Sigmoid():
                x = self._node("Sigmoid", x)
            case _:
                raise TypeError(type(module))
        return x


@pytest.fixture(scope="module")
def published(tmp_path_factory) -> Path:
    torch.manual_seed(5)
    network = build_backbone("mobilenet-se", **OPTIONS)
    for parameter in network.parameters():
        # Biases and slopes too, or a layer missed by the loader would go unnoticed.
        if parameter.dim() == 1:
            nn.init.uniform_(parameter, -0.05, 0.3)
    scale = network.layers[0]
    scale.weight.copy_(torch.tensor([0.014, 0.021, 0.018]))
    scale.bias.copy_(torch.tensor([-0.9, -1.4, -1.5]))
    return Published(network).save(tmp_path_factory.mktemp("published") / "published.onnx")


def loaded(path: Path) -> nn.Module:
    backbone = build_backbone("mobilenet-se", **OPTIONS)
    load_onnx_weights(backbone, path)
    return backbone


def answers(path: Path, crops: np.ndarray) -> np.ndarray:
    """Embed crops as the published network is to be fed, float32 [N, 32] of unit length."""
    image = torch.from_numpy(crops[:, :, 8:-8, ::-1].astype(np.float32)).permute(0, 3, 1, 2)
    image = functional.interpolate(image, (128, 128), mode="bilinear", align_corners=False)
    session = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {"image": image.numpy()})
    return found / np.linalg.norm(found, axis=1, keepdims=True)


def test_the_loaded_network_answers_as_the_published_one(published, crops):
    wanted = answers(published, crops)
    # Different faces differ by much more than two runtimes may.
    assert np.abs(wanted - wanted.mean(axis=0)).max() > 5e-3
    image = torch.from_numpy(crops.transpose(0, 3, 1, 2).astype(np.float32))
    with torch.inference_mode():
        found = Verifier(loaded(published)).eval()(image).numpy()
    assert np.abs(found - wanted).max() < 1e-4
    # Red and blue are not taken for one another.
    other = answers(published, crops[..., ::-1])
    assert np.abs(other - wanted).max() > 5e-3


def test_our_own_export_is_loaded_back_with_or_without_its_crowding(published, tmp_path):
    backbone = loaded(published)
    crowding = Crowding(OPTIONS["embedding"], hidden=8, low=0.1, high=0.7)
    for number, verifier in enumerate([Verifier(backbone), Verifier(backbone, crowding)]):
        path = tmp_path / f"{number}.onnx"
        to_onnx(verifier, path)
        teacher = tmp_path / f"teacher{number}.onnx"
        onnx.save(as_teacher(onnx.load(str(path))), str(teacher))
        for file in (path, teacher):
            again = loaded(file).state_dict()
            for name, value in backbone.state_dict().items():
                assert torch.equal(again[name], value), name


def test_another_width_is_refused(published):
    with pytest.raises(ValueError, match="does not fit"):
        load_onnx_weights(build_backbone("mobilenet-se", width=0.5, embedding=32), published)
