"""Load a public ONNX checkpoint into a backbone of ours, weight by weight in graph order."""

from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import nn


def load_onnx_weights(backbone: nn.Module, path: Path) -> None:
    """Copy convolutions and PReLU slopes of an ONNX graph into `backbone`, in graph order.

    Raises ValueError where the number or the shape of the layers differs, or where a BatchNorm
    stands in the backbone (the checkpoint's are folded).
    """
    source, target = _checkpoint_layers(path), _backbone_layers(backbone)
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


def _checkpoint_layers(path: Path) -> list[tuple[str, list[np.ndarray]]]:
    """Return the graph's convolutions and PReLUs with their weights.

    The graph may write PReLU out as relu(x) + c * (x - |x|), as MobileFaceNet_TF's TFLite file
    does; the slope is then 2 c.
    """
    graph = onnx.load(str(path)).graph
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    for node in graph.node:
        # Exporters keep one copy of equal constants and pass it on.
        if node.op_type == "Identity" and node.input[0] in constants:
            constants[node.output[0]] = constants[node.input[0]]
    absolute = {node.output[0] for node in graph.node if node.op_type == "Abs"}
    differences = {
        node.output[0]
        for node in graph.node
        if node.op_type == "Sub" and absolute.intersection(node.input)
    }
    layers: list[tuple[str, list[np.ndarray]]] = []
    for node in graph.node:
        if node.op_type == "Conv":
            layers.append(("conv", [constants[name] for name in node.input[1:]]))
        elif node.op_type == "PRelu":
            layers.append(("prelu", [constants[node.input[1]].reshape(-1)]))
        elif node.op_type == "Mul" and differences.intersection(node.input):
            (slope,) = [constants[name] for name in node.input if name in constants]
            layers.append(("prelu", [2.0 * slope.reshape(-1)]))
    return layers


def _backbone_layers(backbone: nn.Module) -> list[tuple[str, list[nn.Parameter]]]:
    """Return the backbone's convolutions and PReLUs with their parameters."""
    layers: list[tuple[str, list[nn.Parameter]]] = []
    for module in backbone.modules():
        if isinstance(module, nn.BatchNorm2d):
            raise ValueError(  # noqa: TRY004 - a setting, not a type, is wrong
                "warm start needs batch_norm: false (the checkpoint's is folded)"
            )
        if isinstance(module, nn.Conv2d):
            layers.append(("conv", [p for p in (module.weight, module.bias) if p is not None]))
        elif isinstance(module, nn.PReLU):
            layers.append(("prelu", [module.weight]))
    return layers
