"""Exponential moving average of a network's weights (Tarvainen and Valpola 2017)."""

import copy
from typing import Any, Generic, TypeVar

import torch
from torch import nn

Network = TypeVar("Network", bound=nn.Module)


class Average(Generic[Network]):
    """The average, as a `network` that can be evaluated."""

    def __init__(self, network: Network, decay: float) -> None:
        """Start from a copy of `network`; `decay` is the share of the old average a step keeps."""
        self.network = copy.deepcopy(network).eval()
        self._decay = decay
        self._updates = 0

    @torch.no_grad()
    def update(self, network: Network) -> None:
        """Move the average towards `network`; early on faster, so that it does not lag."""
        self._updates += 1
        decay = min(self._decay, (1 + self._updates) / (10 + self._updates))
        means, values = [], []
        for mean, value in zip(
            self.network.state_dict().values(), network.state_dict().values(), strict=True
        ):
            if mean.dtype.is_floating_point:
                means.append(mean)
                values.append(value)
            else:
                mean.copy_(value)
        # All at once: one by one they cost a GPU as much as a step does.
        torch._foreach_lerp_(means, values, 1.0 - decay)

    def state_dict(self) -> dict[str, Any]:
        """Return what `load_state_dict` needs to go on from here."""
        return {"network": self.network.state_dict(), "updates": self._updates}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a state of the same network."""
        self.network.load_state_dict(state["network"])
        self._updates = int(state["updates"])
