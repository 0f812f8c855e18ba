"""What PyTorch's annotations leave open about its layers."""

from typing import TypeVar

import torch
from torch import Tensor, nn

Network = TypeVar("Network", bound=nn.Module)


def channels_last(network: Network) -> Network:
    """Lay out a network's weights channels-last, in place, and return it."""
    # PyTorch annotates no overload of `to` that takes a memory format.
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return network


def bias_of(layer: nn.Conv2d | nn.Linear) -> Tensor:
    """Return the bias of a layer; ValueError for one without."""
    if layer.bias is None:
        raise ValueError(f"{layer} has no bias")
    return layer.bias
