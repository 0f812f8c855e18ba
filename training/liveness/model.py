"""A network of 60,000 parameters that says how alive a face looks.

Depthwise-separable units as in `training.presence.model`. Its input is the face's box enlarged 2.7
times, as in Silent-Face-Anti-Spoofing's MiniFASNet (Apache-2.0), so that a sheet's or a phone's
edges are seen; 112 px rather than its 80, because moire is gone in a smaller picture.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from training.presence.model import Unit

SIDE = 112
ENLARGED = 2.7


class LivenessNet(nn.Module):
    """RGB float [N,3,112,112] in 0..255 to a logit of being alive, [N,1]."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(3, 16, 3, 2, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU(inplace=True)
        )
        self.trunk = nn.Sequential(
            Unit(16, 32, 2),
            Unit(32, 32),
            Unit(32, 64, 2),
            Unit(64, 64),
            Unit(64, 64),
            Unit(64, 128, 2),
            Unit(128, 128),
            Unit(128, 128),
        )
        self.dropout = nn.Dropout(0.3)
        self.head = nn.Linear(128, 1)

    def forward(self, image: Tensor) -> Tensor:
        """Return the logits."""
        features = self.trunk(self.stem((image - 127.5) / 64.0))
        pooled = functional.adaptive_avg_pool2d(features, 1).flatten(1)
        return self.head(self.dropout(pooled))


class ExportedLiveness(nn.Module):
    """The network as exported: RGB [N,3,112,112] in 0..255 to `live` [N,1] in 0..1."""

    def __init__(self, net: LivenessNet) -> None:
        super().__init__()
        self.net = net

    def forward(self, image: Tensor) -> Tensor:
        """Return how alive each face looks."""
        return torch.sigmoid(self.net(image))


def load_checkpoint(path: Path | str) -> LivenessNet:
    """Load the network of a checkpoint that `train` wrote, ready for inference."""
    net = LivenessNet()
    net.load_state_dict(torch.load(str(path), map_location="cpu", weights_only=True)["model"])
    return net.eval()
