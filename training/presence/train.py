"""Train the presence gate."""

from __future__ import annotations

import csv
import logging
import time
from dataclasses import asdict
from itertools import islice
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

from training.common.average import Average
from training.common.layers import channels_last
from training.presence.canvases import Batch, CanvasMaker, batches
from training.presence.data import read_empty, read_sources, read_things
from training.presence.model import Maps, PresenceNet, grow, view_logit
from training.presence.settings import PresenceConfig

_LOGGER = logging.getLogger(__name__)

CHECKPOINT = "last.pt"

# Of the silent cells of a view only the loudest teach (Shrivastava et al. 2016, arXiv:1604.03540).
_LOUDEST = 12
# Of a batch's silent cells and views, the loudest share: what the gate still gets wrong at the
# door's threshold is a per cent or two, and most is no question after some hundred steps. Until
# then all of them teach: a network that knows nothing yet does best against the hardest alone by
# answering 1/2 to everything, and stays there. Heads all count: the hardest are few and strange,
# and a network that leans on them hears heads everywhere.
_HARDEST = 0.35
_ALL_UNTIL, _HARDEST_FROM = 0.2, 0.5

# The weights that are kept are an average over some hundred steps.
_DECAY = 0.998


def share_at(done: float) -> float:
    """Return the share of silent cells and views that teach when 0..1 of the steps are done."""
    ramp = (done - _ALL_UNTIL) / (_HARDEST_FROM - _ALL_UNTIL)
    return 1.0 + (_HARDEST - 1.0) * min(max(ramp, 0.0), 1.0)


def cell_loss(logits: Tensor, target: Tensor, share: float = _HARDEST) -> Tensor:
    """Cross-entropy of a batch's heads and of its loudest silent cells; -1 counts nowhere.

    `logits` float[N,1,h,w], `target` int8[N,h,w]; `share` of the silent ones counts.
    """
    logits = logits[:, 0]
    silent = logits.masked_fill(target != 0, -torch.inf).flatten(1)
    loudest = silent.topk(min(_LOUDEST, silent.shape[1])).values
    return _both(logits[target == 1], loudest[loudest > -torch.inf], share)


def view_loss(maps: Maps, fine: Tensor, coarse: Tensor, share: float = _HARDEST) -> Tensor:
    """Cross-entropy of the view's own logit, where it is certain: a head, or nobody's body."""
    somebody = (fine == 1).flatten(1).any(1) | (coarse == 1).flatten(1).any(1)
    nobody = (fine == 0).flatten(1).all(1) & (coarse == 0).flatten(1).all(1)
    logit = view_logit(maps)[:, 0]
    return _both(logit[somebody], logit[nobody], share)


def _both(heads: Tensor, silent: Tensor, share: float) -> Tensor:
    return _hardest(-heads, 1.0) + _hardest(silent, share)


def _hardest(wrong: Tensor, share: float) -> Tensor:
    """Return the mean cross-entropy of the largest share of logits float[M] of what is not so."""
    if not wrong.numel():
        return wrong.sum()
    return functional.softplus(wrong.topk(max(1, round(share * wrong.numel()))).values).mean()


def batch_loss(
    net: PresenceNet, batch: Batch, view_weight: float, share: float = _HARDEST
) -> Tensor:
    """Return the whole loss of `net` on a batch; `share` as `cell_loss` has it."""
    maps = net(batch.image)
    cells = cell_loss(maps.fine, batch.fine, share) + cell_loss(maps.coarse, batch.coarse, share)
    return cells + view_weight * view_loss(maps, batch.fine, batch.coarse, share)


def train(config: PresenceConfig) -> Path:
    """Train as `config` says; write log.csv and the weights; return the checkpoint."""
    torch.set_num_threads(config.threads)
    torch.manual_seed(config.seed)
    output = config.run_dir
    output.mkdir(parents=True, exist_ok=True)
    makers = {}
    for split in ("train", "validation"):
        empty = [one for folder in config.empty for one in read_empty(folder, split)]
        sources = read_sources(config.scenes, split, config.mattes)
        things = read_things(config.things, split) if config.things else []
        makers[split] = CanvasMaker(sources, empty, things)
    held_out = list(islice(batches(makers["validation"], config.batch, 0, config.night_share), 6))

    net = PresenceNet()
    if config.start:
        grow(net, torch.load(config.start, map_location="cpu", weights_only=True)["model"])
    net = channels_last(net)
    average = Average(net, _DECAY)
    optimiser = torch.optim.AdamW(
        net.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, config.learning_rate, total_steps=config.steps + 1, pct_start=0.1
    )
    checkpoint = output / CHECKPOINT
    started = time.monotonic()
    with (output / "log.csv").open("w", newline="") as file:
        log = csv.writer(file)
        log.writerow(["step", "seconds", "train", "validation"])
        recent = 0.0
        stream = batches(makers["train"], config.batch, config.seed, config.night_share)
        for step, batch in enumerate(islice(stream, config.steps), start=1):
            net.train()
            loss = batch_loss(net, batch, config.view_weight, share_at(step / config.steps))
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(net.parameters(), 5.0)
            optimiser.step()
            schedule.step()
            average.update(net)
            recent += loss.item()
            if step % config.log_every == 0 or step == config.steps:
                mean = recent / ((step - 1) % config.log_every + 1)
                other = _mean_loss(average.network, held_out, config.view_weight)
                seconds = time.monotonic() - started
                log.writerow([step, round(seconds), f"{mean:.4f}", f"{other:.4f}"])
                file.flush()
                stored = average.network.state_dict()
                torch.save({"model": stored, "card": _card(config)}, checkpoint)
                _LOGGER.info(
                    "step %5d  %5.0f s  train %.4f  validation %.4f", step, seconds, mean, other
                )
                recent = 0.0
    return checkpoint


@torch.no_grad()
def _mean_loss(net: PresenceNet, held_out: list[Batch], view_weight: float) -> float:
    return sum(float(batch_loss(net, batch, view_weight)) for batch in held_out) / len(held_out)


def _card(config: PresenceConfig) -> dict[str, object]:
    """Return what `export` says of the weights; `evaluate` adds the threshold."""
    return {
        "version": config.version,
        "licence": config.licence,
        "origin": "trained by this project from random weights on research-only pictures"
        " (CelebA, VGGFace2) labelled by YuNet and cut out by MediaPipe, and on empty places",
        "settings": asdict(config),
    }
