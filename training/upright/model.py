"""A small network that says whether an aligned crop shows a face the right way up.

A few plain convolutions, which a CPU trains several times faster than depthwise ones, then one
weight for every place of the last map (the global depthwise convolution of MobileFaceNet, Chen et
al. 2018, arXiv:1804.07573): the same eye means something else above than below.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

SIDE = 56
"""Rows and columns of the grey crop that it sees: half of the aligned crop's."""
ROOM = 64
"""The same with the border that training keeps, so that it can shift, turn and scale."""

# Contrast below 8 grey levels is hardly stretched: noise alone would become shapes.
_FLOOR = 64.0


class UprightNet(nn.Module):
    """Grey float [N,1,56,56] in 0..255 to a logit [N,1]: above zero, more likely upright."""

    def __init__(self, width: float = 1.0) -> None:
        """Make it with random weights; `width` multiplies the channels of 16, 32, 32, 56, 56."""
        super().__init__()
        self.width = width
        first, fine, deep = (8 * max(1, round(width * one / 8)) for one in (16, 32, 56))
        # Mean 0 and contrast 1, so that night differs less from day.
        self.normalise = nn.InstanceNorm2d(1, eps=_FLOOR)
        self.trunk = nn.Sequential(
            *_layer(1, first, 5, 2),
            *_layer(first, fine, 3, 2),
            *_layer(fine, fine, 3, 1),
            *_layer(fine, deep, 3, 2),
            *_layer(deep, deep, 3, 1),
        )
        self.places = nn.Sequential(
            nn.Conv2d(deep, deep, SIDE // 8, groups=deep, bias=False),
            nn.BatchNorm2d(deep),
            nn.ReLU(),
        )
        self.answer = nn.Conv2d(deep, 1, 1)

    def forward(self, image: Tensor) -> Tensor:
        """Return the logits."""
        return self.answer(self.places(self.trunk(self.normalise(image)))).flatten(1)


def _layer(inputs: int, outputs: int, size: int, stride: int) -> tuple[nn.Module, ...]:
    return (
        nn.Conv2d(inputs, outputs, size, stride, size // 2, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


class ExportedUpright(nn.Module):
    """The network as exported: grey [N,1,56,56] in 0..255 to `upright` [N,1] in 0..1."""

    def __init__(self, net: UprightNet) -> None:
        super().__init__()
        self.net = net

    def forward(self, image: Tensor) -> Tensor:
        """Return how sure it is that the face is the right way up."""
        return torch.sigmoid(self.net(image))


def load_checkpoint(path: Path | str) -> UprightNet:
    """Load the network of a checkpoint that `train` wrote, ready for inference."""
    stored = torch.load(str(path), map_location="cpu", weights_only=True)
    net = UprightNet(stored["width"])
    net.load_state_dict(stored["model"])
    return net.eval()
