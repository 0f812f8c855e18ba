"""Train the liveness model."""

from __future__ import annotations

import csv
import logging
import time
from collections.abc import Iterator
from dataclasses import asdict
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from training.common.average import Average
from training.common.layers import channels_last
from training.common.split import TRAIN
from training.liveness.model import LivenessNet, Logits
from training.liveness.pool import LIVE, PACKS, PRINT, Pool, open_pool
from training.liveness.settings import LivenessConfig

_LOGGER = logging.getLogger(__name__)

CHECKPOINT = "last.pt"

# Without it a handful of subjects is soon learnt by heart, and all figures are 0 or 1.
_SMOOTHING = 0.05
# Of the attacks in a batch this many are real, where there are real ones to learn from.
_REAL_SHARE = 0.4
_AVERAGE = 0.99
# Of the two views' own decisions, beside the common one.
_ALONE = 0.5


def train(config: LivenessConfig, pool: Pool | None = None) -> Path:
    """Train as `config` says; write log.csv and the weights; return the checkpoint.

    `pool` None opens the one in the run's folder, or makes it there.

    Raises:
        ValueError: the training side has no living face, or no attack.

    """
    torch.set_num_threads(config.threads)
    torch.manual_seed(config.seed)
    output = config.run_dir
    output.mkdir(parents=True, exist_ok=True)
    pool = pool or open_pool(config, output / "pool")

    net = channels_last(LivenessNet()).train()
    average = Average(net, _AVERAGE)
    optimiser = torch.optim.AdamW(
        net.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, config.learning_rate, total_steps=config.steps + 1, pct_start=0.1
    )
    started = time.monotonic()
    recent = 0.0
    with (output / "log.csv").open("w", newline="") as file:
        log = csv.writer(file)
        log.writerow(["step", "seconds", "train"])
        for step, (image, live) in enumerate(islice(batches(config, pool), config.steps), start=1):
            loss = loss_of(net(image), live)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(net.parameters(), 5.0)
            optimiser.step()
            schedule.step()
            average.update(net)
            recent += loss.item()
            if step % config.log_every == 0 or step == config.steps:
                mean = recent / ((step - 1) % config.log_every + 1)
                seconds = time.monotonic() - started
                log.writerow([step, round(seconds), f"{mean:.4f}"])
                file.flush()
                _LOGGER.info("step %5d  %5.0f s  train %.4f", step, seconds, mean)
                recent = 0.0
    checkpoint = output / CHECKPOINT
    torch.save({"model": average.network.state_dict(), "card": _card(config)}, checkpoint)
    return checkpoint


def loss_of(logits: Logits, live: Tensor) -> Tensor:
    """Return the binary cross-entropy of the decision, and of each view's own; `live` is [N]."""
    wanted = (live * (1 - _SMOOTHING) + _SMOOTHING / 2)[:, None]
    bce = functional.binary_cross_entropy_with_logits
    alone = bce(logits.context, wanted) + bce(logits.parts, wanted.expand_as(logits.parts))
    return bce(logits.live, wanted) + _ALONE * alone


def batches(config: LivenessConfig, pool: Pool) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield float32[N,6,112,112] in 0..255 and float32[N] of 1 for alive, without end.

    Half of a batch is alive. Of either half the webcam and the scenes are as frequent, and the
    attacks are divided between real and simulated ones, however many the pool has of each.
    """
    groups = _groups(config, pool)
    generator = np.random.default_rng(config.seed)
    while True:
        rows, live = [], []
        for _ in range(config.batch):
            alive = bool(generator.random() < 0.5)
            real = not alive and PRINT in groups and generator.random() < _REAL_SHARE
            some = groups[PRINT if real else LIVE if alive else "simulated"]
            part = some[generator.integers(len(some))]
            rows.append(int(part[generator.integers(len(part))]))
            live.append(alive)
        image = torch.from_numpy(np.stack([pool.views[row] for row in rows]))
        image = (
            image.permute(0, 1, 4, 2, 3)
            .flatten(1, 2)
            .float()
            .contiguous(memory_format=torch.channels_last)
        )
        mirrored = torch.from_numpy(generator.random(config.batch) < 0.5)
        image[mirrored] = image[mirrored].flip(-1)
        yield image, torch.tensor(live, dtype=torch.float32)


def _groups(config: LivenessConfig, pool: Pool) -> dict[str, list[np.ndarray]]:
    """Return the rows to learn from: of the living, real and simulated attacks, by pack."""
    mine = (pool.purpose == "train") & pool.on(TRAIN, config.fold)
    simulated = ~np.isin(pool.kind, [LIVE, PRINT])
    chosen = {LIVE: pool.kind == LIVE, "simulated": simulated}
    if config.real_attacks and (mine & (pool.kind == PRINT)).any():
        chosen[PRINT] = pool.kind == PRINT
    groups = {}
    for name, which in chosen.items():
        parts = [np.flatnonzero(mine & which & (pool.pack == pack)) for pack in PACKS]
        groups[name] = [part for part in parts if len(part)]
        if not groups[name]:
            message = f"nothing to learn from: no {name} face on the training side"
            raise ValueError(message)
    return groups


def _card(config: LivenessConfig) -> dict[str, object]:
    """Return what `export` says of the weights; `evaluate` adds the figures."""
    return {
        "version": config.version,
        "licence": config.licence,
        "origin": "trained by this project from random weights on research-only pictures (NUAA,"
        " CelebA, VGGFace2) and attacks simulated on them; only to deny",
        "settings": asdict(config),
    }
