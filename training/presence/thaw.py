"""Go on training from an exported gate: its convolutions hold the normalisation that was folded in.

Each normalisation is put back as one that changes nothing: it divides by the deviation that it
finds in some pictures, and multiplies by the same. So training starts where the bundle stands.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import Tensor, nn

from training.presence.model import PresenceNet


def thaw(net: PresenceNet, path: Path | str, image: Tensor) -> None:
    """Load an exported `presence.onnx` into `net`, in place.

    The normalisations are set by `image`, float32[N,1,96,W] in 0..255: some pictures as training
    shows them.

    Raises:
        ValueError: the file's convolutions are not those of this network.

    """
    weights, whole = _read(path)
    places = [one for one in net.modules() if isinstance(one, nn.Conv2d)]
    if [weight.shape for weight, _ in weights] != [tuple(one.weight.shape) for one in places]:
        raise ValueError(f"{path} is no export of this network")
    biases = {
        place: torch.from_numpy(bias) for place, (_, bias) in zip(places, weights, strict=True)
    }
    with torch.no_grad():
        for place, (weight, _) in zip(places, weights, strict=True):
            place.weight.copy_(torch.from_numpy(weight))
            if place.bias is not None:
                place.bias.copy_(biases[place])
        net.whole.weight.copy_(torch.from_numpy(whole.reshape(1, -1)))
        norms = _norms(net)
        for conv, norm in norms:
            _settle(norm, torch.zeros(norm.num_features), torch.ones(norm.num_features) - norm.eps)
            norm.bias.copy_(biases[conv])
        seen: dict[nn.BatchNorm2d, tuple[Tensor, Tensor]] = {}
        hooks = [norm.register_forward_pre_hook(partial(_note, seen)) for _, norm in norms]
        was = net.training
        net.eval()(image)
        net.train(was)
        for hook in hooks:
            hook.remove()
        for conv, norm in norms:
            _settle(norm, *seen[norm])
            norm.bias.copy_(biases[conv] + norm.running_mean)


def _read(path: Path | str) -> tuple[list[tuple[np.ndarray, np.ndarray]], np.ndarray]:
    """Return weight and bias of every convolution in the graph's order, and the last matrix."""
    graph = onnx.load(str(path)).graph
    values = {one.name: numpy_helper.to_array(one).astype(np.float32) for one in graph.initializer}
    for node in graph.node:
        if node.op_type in ("Cast", "Identity"):
            values[node.output[0]] = values[node.input[0]]
        elif node.op_type == "DequantizeLinear":
            whole, steps = (values[name] for name in node.input[:2])
            values[node.output[0]] = whole * steps.reshape(-1, *[1] * (whole.ndim - 1))
    convolutions = [node for node in graph.node if node.op_type == "Conv"]
    products = [node for node in graph.node if node.op_type in ("MatMul", "Gemm")]
    if len(products) != 1:
        raise ValueError(f"{path} is no export of this network")
    pairs = [(values[node.input[1]], values[node.input[2]]) for node in convolutions]
    return pairs, values[products[0].input[1]]


def _norms(net: nn.Module) -> list[tuple[nn.Conv2d, nn.BatchNorm2d]]:
    """Return every normalisation with the convolution before it."""
    return [
        (first, second)
        for part in net.modules()
        if isinstance(part, nn.Sequential)
        for first, second in zip(part, list(part)[1:], strict=False)
        if isinstance(first, nn.Conv2d) and isinstance(second, nn.BatchNorm2d)
    ]


def _settle(norm: nn.BatchNorm2d, mean: Tensor, variance: Tensor) -> None:
    assert norm.running_mean is not None  # noqa: S101 - ours keep statistics
    assert norm.running_var is not None  # noqa: S101
    norm.running_mean.copy_(mean)
    norm.running_var.copy_(variance)
    norm.weight.copy_((variance + norm.eps).sqrt())


def _note(
    seen: dict[nn.BatchNorm2d, tuple[Tensor, Tensor]],
    norm: nn.BatchNorm2d,
    inputs: tuple[Tensor],
) -> None:
    variance, mean = torch.var_mean(inputs[0], dim=(0, 2, 3))
    seen[norm] = (mean, variance)
