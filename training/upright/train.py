"""Train the network that tells upright faces from turned ones.

Needs PyTorch and NumPy alone, so that it also runs where nothing else is installed.
"""

from __future__ import annotations

import csv
import logging
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from training.common.average import Average
from training.upright.model import ROOM, SIDE, UprightNet, load_checkpoint

_LOGGER = logging.getLogger(__name__)

CHECKPOINT = "last.pt"
_DECAY = 0.998
# How a crop of 56 is taken from one of 64: degrees, factor, share of half a side.
_TURN, _SCALE, _SHIFT = 9.0, 0.08, 0.07
# Upright crops that are turned by quarters after all, and crops of which a patch is hidden.
_QUARTERS_SHARE, _HIDDEN_SHARE = 0.1, 0.2
_MEASURED_AT_ONCE = 1000


class Crops(NamedTuple):
    """Crops in grey with a border, uint8[N,64,64], and who is upright, bool[N]."""

    grey: np.ndarray
    upright: np.ndarray


class Plan(NamedTuple):
    """How to train; rates are for AdamW. It ends after `seconds` where these are fewer."""

    width: float
    batch: int
    steps: int
    learning_rate: float
    weight_decay: float
    log_every: int
    seed: int
    seconds: float = float("inf")


def train(
    crops: Crops,
    held_out: Crops,
    plan: Plan,
    device: torch.device,
    folder: Path,
    card: Any = None,
    start: Path | None = None,
) -> Path:
    """Train; write log.csv and the averaged weights that validated best.

    From random weights, or from those and with the width of the checkpoint `start`.
    Where time is short the rate falls with the time, so that it has settled at the end. Returns the
    checkpoint, which keeps `card` as well.
    """
    torch.manual_seed(plan.seed)
    folder.mkdir(parents=True, exist_ok=True)
    grey = torch.from_numpy(crops.grey).to(device)
    targets = torch.from_numpy(crops.upright.astype(np.float32)).to(device)
    net = UprightNet(plan.width) if start is None else load_checkpoint(start).train()
    net.to(device)
    net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    average = Average(net, _DECAY)
    optimiser = torch.optim.AdamW(
        net.parameters(), lr=plan.learning_rate, weight_decay=plan.weight_decay
    )
    generator = torch.Generator(device).manual_seed(plan.seed)
    checkpoint = folder / CHECKPOINT
    started = time.monotonic()
    with (folder / "log.csv").open("w", newline="") as file:
        log = csv.writer(file)
        log.writerow(("step", "seconds", "train", "validation", "wrong"))
        recent: list[Tensor] = []
        step, done, best = 0, 0.0, float("inf")
        while done < 1.0:
            step += 1
            for group in optimiser.param_groups:
                group["lr"] = plan.learning_rate * _rate(done)
            rows = torch.randint(len(grey), (plan.batch,), generator=generator, device=device)
            shown, wanted = with_quarters(grey[rows], targets[rows], generator)
            logits = net(varied(shown, generator))[:, 0]
            loss = functional.binary_cross_entropy_with_logits(logits, wanted)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(net.parameters(), 5.0)
            optimiser.step()
            average.update(net)
            recent.append(loss.detach())
            done = max(step / plan.steps, (time.monotonic() - started) / plan.seconds)
            if step % plan.log_every == 0 or done >= 1.0:
                mean = float(torch.stack(recent).mean())
                other, wrong = measure(average.network, held_out, device)
                seconds = round(time.monotonic() - started)
                log.writerow([step, seconds, f"{mean:.5f}", f"{other:.5f}", f"{wrong:.5f}"])
                file.flush()
                if other < best:
                    best = other
                    weights = {k: v.cpu() for k, v in average.network.state_dict().items()}
                    kept = {"model": weights, "width": net.width, "card": card or {}}
                    torch.save(kept, checkpoint)
                text = "step %5d  %4d s  train %.4f  validation %.4f, wrong %.4f"
                _LOGGER.info(text, step, seconds, mean, other, wrong)
                recent = []
    return checkpoint


def _rate(done: float) -> float:
    """Return the share of the learning rate: a short rise, then half a cosine."""
    return min(done / 0.05, 0.5 + 0.5 * float(np.cos(np.pi * done))) if done > 0 else 1e-3


def with_quarters(
    grey: Tensor, upright: Tensor, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Turn some upright crops of uint8[N,64,64] by one to three quarters; return who still is.

    They were aligned before they were turned. That is not what a detector makes of turned faces,
    but it shows the same face both ways.
    """
    chance = torch.rand(len(grey), generator=generator, device=grey.device)
    for quarters in (1, 2, 3):
        low, high = (_QUARTERS_SHARE * part / 3 for part in (quarters - 1, quarters))
        chosen = ((chance >= low) & (chance < high) & (upright > 0.5))[:, None, None]
        grey = torch.where(chosen, torch.rot90(grey, quarters, (1, 2)), grey)
    return grey, upright * (chance >= _QUARTERS_SHARE)


def varied(grey: Tensor, generator: torch.Generator) -> Tensor:
    """Take uint8[N,64,64] to float[N,1,56,56]: moved, mirrored, in another light, with noise."""
    count, device = len(grey), grey.device

    def uniform(low: float, high: float, *shape: int) -> Tensor:
        return low + (high - low) * torch.rand(count, *shape, generator=generator, device=device)

    angle = torch.deg2rad(uniform(-_TURN, _TURN))
    reach = SIDE / ROOM * uniform(1 - _SCALE, 1 + _SCALE)
    mirror = torch.sign(uniform(-1, 1))
    below = torch.stack([reach * torch.sin(angle) * mirror, reach * torch.cos(angle)], 1)
    right = torch.stack([reach * torch.cos(angle) * mirror, -reach * torch.sin(angle)], 1)
    matrix = torch.cat([torch.stack([right, below], 1), uniform(-_SHIFT, _SHIFT, 2, 1)], 2)
    grid = functional.affine_grid(matrix, [count, 1, SIDE, SIDE], False)
    views = functional.grid_sample(grey.float()[:, None], grid, align_corners=False)
    # A lamp from a side or from above, for some: half a face may lie in the dark.
    place = torch.linspace(-1, 1, SIDE, device=device)
    tilt = uniform(-1.2, 1.2, 1, 1, 1)
    over = torch.cos(tilt) * place[None, :] + torch.sin(tilt) * place[:, None]
    slope = uniform(0, 1, 1, 1, 1).sqrt() * (uniform(0, 1, 1, 1, 1) < 0.35)
    edge = uniform(1, 8, 1, 1, 1) * (over - uniform(-0.6, 0.6, 1, 1, 1))
    views = views * (1 - slope * torch.sigmoid(edge))
    # Something before the face: the patch has one shade.
    across, down = place[None, None, None, :], place[None, None, :, None]
    far = torch.maximum(
        (across - uniform(-0.8, 0.8, 1, 1, 1)).abs() / uniform(0.1, 0.35, 1, 1, 1),
        (down - uniform(-0.8, 0.8, 1, 1, 1)).abs() / uniform(0.1, 0.35, 1, 1, 1),
    )
    hidden = (far < 1) & (uniform(0, 1, 1, 1, 1) < _HIDDEN_SHARE)
    views = torch.where(hidden, uniform(0, 200, 1, 1, 1), views)
    gain = torch.exp(uniform(float(np.log(0.4)), float(np.log(1.5)), 1, 1, 1))
    noise = torch.randn(views.shape, generator=generator, device=device)
    views = views * gain + uniform(-20, 20, 1, 1, 1) + noise * uniform(0, 5, 1, 1, 1)
    return views.clamp(0, 255)


@torch.no_grad()
def measure(net: UprightNet, crops: Crops, device: torch.device) -> tuple[float, float]:
    """Return the mean loss, and the share that is taken for what it is not, at even odds."""
    border = (ROOM - SIDE) // 2
    logits = []
    for first in range(0, len(crops.grey), _MEASURED_AT_ONCE):
        grey = crops.grey[first : first + _MEASURED_AT_ONCE, border:-border, border:-border]
        views = torch.from_numpy(np.ascontiguousarray(grey)).to(device).float()
        logits.append(net(views[:, None])[:, 0].cpu())
    answers, targets = torch.cat(logits), torch.from_numpy(crops.upright)
    loss = functional.binary_cross_entropy_with_logits(answers, targets.float())
    return float(loss), float(((answers > 0) != targets).float().mean())
