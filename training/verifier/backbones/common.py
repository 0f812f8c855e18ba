"""What all backbones share."""

import math
from abc import ABC, abstractmethod

from torch import Tensor, nn


class Backbone(nn.Module, ABC):
    """A network that embeds float32 [N, 3, 112, 112] as `embedding_size` numbers."""

    embedding_size: int

    @abstractmethod
    def features(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Return the embedding [N, D] and maps [N, C, H, W] on the way to it, the largest first."""


def scaled_channels(channels: int, width: float) -> int:
    """Scale a number of channels by `width`, to a multiple of 8, 8 at least."""
    return max(8, int(channels * width / 8 + 0.5) * 8)


def initialise(module: nn.Module) -> None:
    """Draw the weights of all convolutions in `module` (He et al. 2015, by fan out)."""
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d):
            # A depthwise output feeds one channel, not all.
            kernel = layer.kernel_size[0] * layer.kernel_size[1]
            fan_out = kernel * layer.out_channels // layer.groups
            nn.init.normal_(layer.weight, 0.0, math.sqrt(2.0 / fan_out))
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
