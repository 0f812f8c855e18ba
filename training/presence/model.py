"""A network of 74,000 parameters that says whether anybody is in view.

Depthwise-separable convolutions (Howard et al. 2017, arXiv:1704.04861) make one logit for every
cell of two grids: 8 px cells look for heads that are small in the view, 16 px cells for large ones.
The fine grid sees the coarse one's features too (Lin et al. 2017, arXiv:1612.03144), because the
body under it gives a small head away. The view's logit is the highest of them all, so that its
width is free and so that training can say where the head is, which a label for the whole view
could not. To it is added what the mean of all features says: among leaves or letters, where every
cell is a little doubtful, a head has to be surer than before a bare wall.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from training.common.layers import bias_of

HEIGHT = 96
"""Rows of a view; its width is any multiple of `MULTIPLE`."""

MULTIPLE = 16
STRIDES = (8, 16)

# Contrast below 8 grey levels is hardly stretched: stains on a bare wall would become shapes.
_FLOOR = 64.0


class Maps(NamedTuple):
    """Logits of somebody's head: `fine` [N,1,12,W/8] and `coarse` [N,1,6,W/16].

    `whole` [N,1] is what the view as a whole adds to the highest of them.
    """

    fine: Tensor
    coarse: Tensor
    whole: Tensor


class Unit(nn.Module):
    """Depthwise 3x3, then pointwise convolution, each normalised; adds its input where it can."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        self.depthwise = nn.Sequential(
            nn.Conv2d(inputs, inputs, 3, stride, 1, groups=inputs, bias=False),
            nn.BatchNorm2d(inputs),
            nn.ReLU(inplace=True),
        )
        self.pointwise = nn.Sequential(
            nn.Conv2d(inputs, outputs, 1, bias=False), nn.BatchNorm2d(outputs)
        )
        self.adds = stride == 1 and inputs == outputs

    def forward(self, features: Tensor) -> Tensor:
        """Map [N,inputs,h,w] to [N,outputs,h/stride,w/stride]."""
        made = self.pointwise(self.depthwise(features))
        return functional.relu(made + features if self.adds else made)


class PresenceNet(nn.Module):
    """Grey float [N,1,96,W] in 0..255, W a multiple of 16, to `Maps`."""

    def __init__(self) -> None:
        super().__init__()
        # Each view is brought to mean 0 and contrast 1, so that night differs less from day.
        self.normalise = nn.InstanceNorm2d(1, eps=_FLOOR)
        self.stem = nn.Sequential(
            nn.Conv2d(1, 16, 3, 2, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU(inplace=True)
        )
        self.trunk = nn.Sequential(
            *(Unit(16, 32, 2), Unit(32, 32), Unit(32, 56, 2)), *(Unit(56, 56) for _ in range(5))
        )
        self.deep = nn.Sequential(Unit(56, 88, 2), *(Unit(88, 88) for _ in range(4)))
        self.lateral = nn.Conv2d(88, 56, 1)
        self.joined = Unit(56, 56)
        self.fine = nn.Conv2d(56, 1, 1)
        self.coarse = nn.Conv2d(88, 1, 1)
        self.whole = nn.Linear(88, 1, bias=False)
        nn.init.zeros_(self.whole.weight)
        for head in (self.fine, self.coarse):
            # Heads are rare: starting from "nobody" spares the first steps a huge loss.
            nn.init.constant_(bias_of(head), -3.0)

    def forward(self, image: Tensor) -> Maps:
        """Return the logits of both grids."""
        features = self.trunk(self.stem(self.normalise(image)))
        deep = self.deep(features)
        wide = functional.interpolate(self.lateral(deep), scale_factor=2.0, mode="nearest")
        fine = self.fine(self.joined(functional.relu(features + wide)))
        mean = functional.adaptive_avg_pool2d(deep, 1).flatten(1)
        return Maps(fine, self.coarse(deep), self.whole(mean))


def view_logit(maps: Maps) -> Tensor:
    """Return each view's logit, [N,1]: the highest, and what the whole view adds."""
    fine, coarse = (functional.adaptive_max_pool2d(one, 1).flatten(1) for one in maps[:2])
    return torch.maximum(fine, coarse) + maps.whole


class ExportedPresence(nn.Module):
    """The network as exported: grey [N,1,96,W] in 0..255 to `presence` [N,1] in 0..1."""

    def __init__(self, net: PresenceNet) -> None:
        super().__init__()
        self.net = net

    def forward(self, image: Tensor) -> Tensor:
        """Return how sure it is that anybody is in view."""
        return torch.sigmoid(view_logit(self.net(image)))


def grow(net: PresenceNet, state: dict[str, Tensor]) -> None:
    """Load the weights of a network with fewer units; what it lacked does nothing at first.

    Raises:
        RuntimeError: a weight has another shape, or is not of this network.

    """
    with torch.no_grad():
        for name, part in net.named_modules():
            if isinstance(part, Unit) and part.adds and f"{name}.depthwise.0.weight" not in state:
                # The last normalisation scales the unit's own part by nothing.
                nn.init.zeros_(net.get_parameter(f"{name}.pointwise.1.weight"))
        if "lateral.weight" not in state:
            nn.init.zeros_(net.lateral.weight)
            nn.init.zeros_(bias_of(net.lateral))
    unexpected = net.load_state_dict(state, strict=False).unexpected_keys
    if unexpected:
        raise RuntimeError(f"weights of another network: {unexpected}")


def load_checkpoint(path: Path | str) -> PresenceNet:
    """Load the network of a checkpoint that `train` wrote, ready for inference."""
    net = PresenceNet()
    net.load_state_dict(torch.load(str(path), map_location="cpu", weights_only=True)["model"])
    return net.eval()
