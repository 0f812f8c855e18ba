"""The verifier as a whole: a backbone, and what tells the crowding of a face."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from training.verifier.backbones import Backbone


class Crowding(nn.Module):
    """Unit directions float32 [N, D] -> crowding float32 [N, 1] between `low` and `high`.

    It is the mean of several perceptrons, each of which errs in its own way on faces that none
    was taught. The bounds keep a picture that is like nothing taught from being worth more than the
    least crowded face that was.
    """

    def __init__(
        self, embedding: int, *, hidden: int, low: float, high: float, heads: int = 1
    ) -> None:
        super().__init__()
        self.options: dict[str, Any] = {"hidden": hidden, "low": low, "high": high, "heads": heads}
        self.low, self.high = low, high
        self.heads = nn.ModuleList(
            nn.Sequential(
                nn.Linear(embedding, hidden),
                nn.ReLU(),
                nn.Linear(hidden, hidden),
                nn.ReLU(),
                nn.Linear(hidden, 1),
                nn.Sigmoid(),
            )
            for _ in range(heads)
        )

    def told(self, direction: Tensor) -> Tensor:
        """Tell the crowding of unit directions [N, D] by each perceptron: [N, heads]."""
        each = torch.cat([head(direction) for head in self.heads], dim=1)
        return self.low + (self.high - self.low) * each

    def forward(self, direction: Tensor) -> Tensor:
        """Tell the crowding of unit directions [N, D]."""
        return self.told(direction).mean(dim=1, keepdim=True)


class Verifier(nn.Module):
    """A backbone with the bundle's contract: RGB 0..255 in, unit length out.

    Input float32 [N, 3, 112, 112] in 0..255, output float32 [N, D] of unit length. `crowding` is
    what `crowd` taught it; a network without it counts nobody as crowded.
    """

    def __init__(self, backbone: Backbone, crowding: Crowding | None = None) -> None:
        super().__init__()
        self.backbone = backbone
        self.crowding = crowding

    def forward(self, image: Tensor, maps: bool = False) -> Tensor | tuple[Tensor, list[Tensor]]:
        """Embed [N, 3, 112, 112] as [N, D]; with the backbone's `maps` too where asked."""
        scaled = (image - 127.5) * (1.0 / 128.0)
        if maps:
            embedding, seen = self.backbone.features(scaled)
            return functional.normalize(embedding, dim=1), seen
        return functional.normalize(self.backbone(scaled), dim=1)


class Scored(nn.Module):
    """A verifier with both of its outputs, as it is exported."""

    def __init__(self, verifier: Verifier) -> None:
        super().__init__()
        self.verifier = verifier

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """Return directions [N, D] of float32 [N, 3, 112, 112] and, if it is known, crowding."""
        direction = self.verifier(image)
        crowding = self.verifier.crowding
        return (direction,) if crowding is None else (direction, crowding(direction))
