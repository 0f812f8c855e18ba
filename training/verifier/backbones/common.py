"""What all backbones share."""

import math

from torch import nn


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
