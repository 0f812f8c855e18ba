"""Load a public ONNX checkpoint into a backbone of ours, weight by weight in graph order."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import nn

from training.verifier.backbones.mobilenet_se import Scale

Layers = list[tuple[str, list[Any]]]
"""Kind of every layer with its arrays or parameters: "scale", "conv" or "prelu"."""


def load_onnx_weights(backbone: nn.Module, path: Path) -> None:
    """Copy scales, convolutions and PReLU slopes of an ONNX graph into `backbone`, in graph order.

    All else is passed over: what turns levels into the backbone's range, and what tells the
    crowding, which is taught after the backbone.

    Raises ValueError where the number or the shape of the layers differs, or where a BatchNorm
    stands in the backbone (the checkpoint's are folded).
    """
    graph = onnx.load(str(path)).graph
    source, target = _checkpoint_layers(graph), _backbone_layers(backbone)
    if getattr(backbone, "published_order", "RGB") == "BGR" and _is_published(graph):
        source = _for_rgb(source)
    shapes = [
        [(kind, [tuple(value.shape) for value in values]) for kind, values in side]
        for side in (source, target)
    ]
    if shapes[0] != shapes[1]:
        difference = next(
            (pair for pair in zip(*shapes, strict=False) if pair[0] != pair[1]),
            (len(shapes[0]), len(shapes[1])),
        )
        raise ValueError(f"{path} does not fit the backbone, first difference: {difference}")
    with torch.no_grad():
        for (_, arrays), (_, parameters) in zip(source, target, strict=True):
            for array, parameter in zip(arrays, parameters, strict=True):
                parameter.copy_(torch.from_numpy(np.array(array, np.float32)))


def _is_published(graph: onnx.GraphProto) -> bool:
    """Whether the graph scales its very input, as published; in our exports a cut comes before."""
    values = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    first = next(node for node in graph.node if node.op_type != "Constant")
    # One factor for all channels turns levels into a range.
    return first.op_type == "Mul" and any(
        name in values and values[name].size > 1 for name in first.input
    )


def _for_rgb(layers: Layers) -> Layers:
    """Turn what takes BGR of 0..255 (a scale, then a convolution) into what takes RGB of -1..1."""
    (kind, (weight, bias)), (then, (kernel, *rest)), *others = layers
    if (kind, then) != ("scale", "conv"):
        raise ValueError("a checkpoint for BGR begins with a scale and a convolution")
    scale = [(128.0 * weight)[::-1], (bias + 127.5 * weight)[::-1]]
    return [(kind, scale), (then, [kernel[:, ::-1], *rest]), *others]


def _checkpoint_layers(graph: onnx.GraphProto) -> Layers:
    """Return the graph's scales of channels, convolutions and PReLUs with their weights.

    The graph may write PReLU out as relu(x) + c * (x - |x|), as MobileFaceNet_TF's TFLite file
    does; the slope is then 2 c. A bias may be an addition of its own.
    """
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    for node in graph.node:
        # Exporters keep one copy of equal constants and pass it on.
        if node.op_type == "Identity" and node.input[0] in constants:
            constants[node.output[0]] = constants[node.input[0]]
    return _layers(graph, constants)


def _layers(graph: onnx.GraphProto, constants: dict[str, np.ndarray]) -> Layers:
    absolute = {node.output[0] for node in graph.node if node.op_type == "Abs"}
    differences = {
        node.output[0]
        for node in graph.node
        if node.op_type == "Sub" and absolute.intersection(node.input)
    }
    layers: Layers = []

    def add(kind: str, arrays: list[np.ndarray], output: str) -> None:
        layers.append((kind, arrays))
        if len(arrays) == 1:
            pending[output] = arrays

    # What waits for its bias: the output of a convolution without one, or of a scale.
    pending: dict[str, list[np.ndarray]] = {}
    for node in graph.node:
        known = [constants[name] for name in node.input if name in constants]
        if node.op_type == "Conv":
            add("conv", [constants[name] for name in node.input[1:]], node.output[0])
        elif node.op_type == "PRelu":
            layers.append(("prelu", [constants[node.input[1]].reshape(-1)]))
        elif node.op_type == "Mul" and differences.intersection(node.input):
            layers.append(("prelu", [2.0 * known[0].reshape(-1)]))
        elif node.op_type == "Mul" and known and known[0].size > 1:
            add("scale", [known[0].reshape(-1)], node.output[0])
        elif node.op_type == "Add" and known:
            for name in pending.keys() & set(node.input):
                pending.pop(name).append(known[0].reshape(-1))
    return layers


def _backbone_layers(backbone: nn.Module) -> Layers:
    """Return the backbone's scales, convolutions and PReLUs with their parameters."""
    layers: Layers = []
    for module in backbone.modules():
        if isinstance(module, nn.BatchNorm2d):
            raise ValueError(  # noqa: TRY004 - a setting, not a type, is wrong
                "warm start needs batch_norm: false (the checkpoint's is folded)"
            )
        if isinstance(module, Scale):
            layers.append(("scale", [module.weight, module.bias]))
        elif isinstance(module, nn.Conv2d):
            layers.append(("conv", [p for p in (module.weight, module.bias) if p is not None]))
        elif isinstance(module, nn.PReLU):
            layers.append(("prelu", [module.weight]))
    return layers
