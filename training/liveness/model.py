"""A network of 120,000 parameters that says how alive a face looks.

Two trunks of depthwise-separable units, as in `training.presence.model`: one sees the surroundings,
as Silent-Face-Anti-Spoofing's MiniFASNet does (Apache-2.0), so that a sheet's or a phone's edges
count; the other the face alone and its detail finer than three pixels, where texture is. Each has
to decide alone as well, the second in every part of the face (pixel-wise supervision, George and
Marcel 2019, arXiv:1907.04047), so that neither cue is left unlearnt because the other was easier.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from training.presence.model import Unit
from vision.networks.liveness import SIDE

SHAPE = (6, SIDE, SIDE)
"""Channels of the surroundings and of the face, as `vision.networks.liveness.stack` lays them."""

_WIDTH = 128


class Logits(NamedTuple):
    """Logits of being alive: both views [N,1], the surroundings [N,1], parts of the face [N,49]."""

    live: Tensor
    context: Tensor
    parts: Tensor


def trunk(channels: int) -> nn.Sequential:
    """Return layers from [N,channels,112,112] to [N,128,7,7]."""
    return nn.Sequential(
        nn.Conv2d(channels, 16, 3, 2, 1, bias=False),
        nn.BatchNorm2d(16),
        nn.ReLU(inplace=True),
        Unit(16, 32, 2),
        Unit(32, 32),
        Unit(32, 64, 2),
        Unit(64, 64),
        Unit(64, 64),
        Unit(64, _WIDTH, 2),
        Unit(_WIDTH, _WIDTH),
        Unit(_WIDTH, _WIDTH),
    )


class LivenessNet(nn.Module):
    """RGB float [N,6,112,112] in 0..255, surroundings and face, to `Logits`."""

    def __init__(self) -> None:
        super().__init__()
        self.context = trunk(3)
        self.close = trunk(6)
        self.dropout = nn.Dropout(0.3)
        self.context_head = nn.Linear(_WIDTH, 1)
        self.parts_head = nn.Conv2d(_WIDTH, 1, 1)
        self.head = nn.Linear(2 * _WIDTH, 1)

    def forward(self, image: Tensor) -> Logits:
        """Return the logits."""
        image = (image - 127.5) / 64.0
        context = functional.adaptive_avg_pool2d(self.context(image[:, :3]), 1).flatten(1)
        face = image[:, 3:]
        # Fine texture is weak beside shapes: brought out, or the first layers ignore it.
        fine = (face - functional.avg_pool2d(face, 3, 1, 1, count_include_pad=False)) * 4.0
        close = self.close(torch.cat([face, fine], 1))
        pooled = functional.adaptive_avg_pool2d(close, 1).flatten(1)
        return Logits(
            self.head(self.dropout(torch.cat([context, pooled], 1))),
            self.context_head(context),
            self.parts_head(close).flatten(1),
        )


class ExportedLiveness(nn.Module):
    """The network as exported: [N,6,112,112] in 0..255 to `live` [N,1] in 0..1."""

    def __init__(self, net: LivenessNet) -> None:
        super().__init__()
        self.net = net

    def forward(self, image: Tensor) -> Tensor:
        """Return how alive each face looks."""
        return torch.sigmoid(self.net(image).live)


def load_checkpoint(path: Path | str) -> LivenessNet:
    """Load the network of a checkpoint that `train` wrote, ready for inference."""
    net = LivenessNet()
    net.load_state_dict(torch.load(str(path), map_location="cpu", weights_only=True)["model"])
    return net.eval()
