"""The processes that train together, started by `torchrun`, or the one that there is without it.

    torchrun --nnodes 2 --nproc-per-node 4 --rdzv-endpoint HOST:29500 -m training train --config ...

Gradients are averaged by PyTorch's DistributedDataParallel, over NCCL between GPUs and over Gloo
between CPUs.
"""

import gc
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

import torch
from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel

Value = TypeVar("Value")

# The first process measures and writes while the others wait for its next gradient.
PATIENCE = timedelta(hours=2)


@dataclass(frozen=True)
class Team:
    """One process among `size`: its number `rank`, from 0, and the device that it computes on."""

    rank: int = 0
    size: int = 1
    device: torch.device = torch.device("cpu")  # noqa: RUF009 - a value, never changed

    @property
    def first(self) -> bool:
        """Whether this process measures and writes; the others only train."""
        return self.rank == 0

    def from_first(self, make: Callable[[], Value]) -> Value:
        """Return on every process what `make` returns on the first; only there it is called."""
        if self.size == 1:
            return make()
        values = [make() if self.first else None]
        distributed.broadcast_object_list(values, device=self.device)
        value: Value = values[0]  # type: ignore[assignment]
        return value

    def wrap(self, module: nn.Module, *, unused: bool = False) -> nn.Module:
        """Return `module` with its gradients averaged over the team; alone, `module` itself.

        The module must be on the team's device. `unused`: a step may leave parameters out.
        """
        if self.size == 1:
            return module
        devices = [self.device] if self.device.type == "cuda" else None
        return DistributedDataParallel(module, devices, find_unused_parameters=unused)


def find_device(name: str) -> torch.device:
    """Return the device that a setting names: "auto" is this process's GPU, or the CPU without one.

    Raises ValueError for a GPU that is not there.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    device = torch.device(name)
    if device.type != "cuda":
        return device
    if not torch.cuda.is_available():
        raise ValueError(f"device {name}: PyTorch finds no GPU here")
    number = device.index if device.index is not None else int(os.environ.get("LOCAL_RANK", "0"))
    return torch.device("cuda", number)


@contextmanager
def team(device: str) -> Iterator[Team]:
    """Join the processes that `torchrun` started, if it did, and leave them at the end."""
    found = find_device(device)
    if found.type == "cuda":
        torch.cuda.set_device(found)
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield Team(device=found)
        return
    distributed.init_process_group("nccl" if found.type == "cuda" else "gloo", timeout=PATIENCE)
    try:
        yield Team(distributed.get_rank(), distributed.get_world_size(), found)
        # Its threads would end the process from within if the group went before the last reducer,
        # or while another process still talks.
        gc.collect()
        distributed.barrier()
    finally:
        distributed.destroy_process_group()
