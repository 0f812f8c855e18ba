"""The network, and loading YuNet's weights into it."""

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from training.detector.blend import blend
from training.detector.model import (
    STRIDES,
    FaceDetector,
    _graph_order as graph_order,
    load_checkpoint,
    load_yunet,
)


def test_outputs_have_one_cell_per_stride_and_about_75000_parameters() -> None:
    model = FaceDetector().eval()
    assert 70_000 < sum(value.numel() for value in model.parameters()) < 80_000
    with torch.no_grad():
        outputs = model(torch.zeros(2, 3, 64, 96))
    for stride, maps in zip(STRIDES, outputs, strict=True):
        grid = (64 // stride, 96 // stride)
        assert [tuple(one.shape) for one in maps] == [(2, c, *grid) for c in (1, 1, 4, 10)]


def test_gradients_reach_every_parameter() -> None:
    model = FaceDetector()
    sum(
        one.square().sum() for maps in model(torch.rand(1, 3, 64, 64) * 255) for one in maps
    ).backward()
    dead = [
        name
        for name, value in model.named_parameters()
        if value.grad is None or not value.grad.abs().sum() > 0
    ]
    assert not dead


def test_warm_start_takes_the_graph_order_and_turns_bgr_to_rgb(tmp_path: Path, yunet_like) -> None:
    weights = yunet_like(tmp_path / "yunet.onnx")
    model = FaceDetector()
    load_yunet(model, tmp_path / "yunet.onnx")
    layers = graph_order(model)
    np.testing.assert_array_equal(layers[0].weight.detach(), weights[0][:, ::-1])
    for layer, weight, bias in zip(layers[1:], weights[2::2], weights[3::2], strict=True):
        np.testing.assert_array_equal(layer.weight.detach(), weight)
        np.testing.assert_array_equal(layer.bias.detach(), bias)


def test_warm_start_refuses_another_network(tmp_path: Path, yunet_like) -> None:
    path = tmp_path / "yunet.onnx"
    yunet_like(path)
    graph = onnx.load(str(path))
    del graph.graph.node[-1]
    onnx.save(graph, str(path))
    with pytest.raises(ValueError, match="convolutions"):
        load_yunet(FaceDetector(), path)


def test_blend_lies_on_the_line_between_start_and_end(tmp_path: Path, yunet_like) -> None:
    yunet_like(tmp_path / "yunet.onnx")
    start = FaceDetector()
    load_yunet(start, tmp_path / "yunet.onnx")
    end = FaceDetector()
    torch.save({"model": end.state_dict(), "card": {"origin": "drawn"}}, tmp_path / "end.pt")
    blend(tmp_path / "yunet.onnx", tmp_path / "end.pt", tmp_path / "mixed.pt", 0.25)
    mixed = load_checkpoint(tmp_path / "mixed.pt").state_dict()
    for name, value in mixed.items():
        wanted = 0.75 * start.state_dict()[name] + 0.25 * end.state_dict()[name]
        torch.testing.assert_close(value, wanted)
    card = torch.load(tmp_path / "mixed.pt", weights_only=True)["card"]
    assert card["origin"].startswith("drawn; 25%")
    with pytest.raises(ValueError, match="share"):
        blend(tmp_path / "yunet.onnx", tmp_path / "end.pt", tmp_path / "mixed.pt", 1.5)
