"""Train the liveness model."""

from __future__ import annotations

import csv
import logging
import time
from dataclasses import asdict
from itertools import islice
from pathlib import Path

import torch
from torch.nn import functional

from training.detector.evaluate import open_detector
from training.liveness.data import SampleMaker, batches, read_living, read_webcam
from training.liveness.model import LivenessNet
from training.liveness.settings import LivenessConfig

_LOGGER = logging.getLogger(__name__)

CHECKPOINT = "last.pt"
FACE_SCORE = 0.6

# Without it a handful of subjects is soon learnt by heart, and all figures are 0 or 1.
_SMOOTHING = 0.05


def train(config: LivenessConfig) -> Path:
    """Train as `config` says; write log.csv and the weights; return the checkpoint."""
    torch.set_num_threads(config.threads)
    torch.manual_seed(config.seed)
    output = config.run_dir
    output.mkdir(parents=True, exist_ok=True)
    detector = open_detector(config.detector, FACE_SCORE)
    webcam, _ = read_webcam(config.spoof, detector, "train", config.fold)
    living = read_living(config.scenes, "train")
    maker = SampleMaker(webcam, living, config.night_share, real_attacks=config.real_attacks)

    net = LivenessNet().to(memory_format=torch.channels_last).train()
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
        stream = batches(maker, config.batch, config.seed)
        for step, (image, live) in enumerate(islice(stream, config.steps), start=1):
            wanted = live * (1 - _SMOOTHING) + _SMOOTHING / 2
            loss = functional.binary_cross_entropy_with_logits(net(image)[:, 0], wanted)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(net.parameters(), 5.0)
            optimiser.step()
            schedule.step()
            recent += loss.item()
            if step % config.log_every == 0 or step == config.steps:
                mean = recent / ((step - 1) % config.log_every + 1)
                seconds = time.monotonic() - started
                log.writerow([step, round(seconds), f"{mean:.4f}"])
                file.flush()
                _LOGGER.info("step %5d  %5.0f s  train %.4f", step, seconds, mean)
                recent = 0.0
    checkpoint = output / CHECKPOINT
    torch.save({"model": net.state_dict(), "card": _card(config)}, checkpoint)
    return checkpoint


def _card(config: LivenessConfig) -> dict[str, object]:
    """Return what `export` says of the weights; `evaluate` adds the threshold."""
    return {
        "version": config.version,
        "licence": config.licence,
        "origin": "trained by this project from random weights on research-only pictures (NUAA,"
        " CelebA, VGGFace2) and attacks simulated on them; only to deny",
        "settings": asdict(config),
    }
