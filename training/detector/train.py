"""Train the face detector."""

from __future__ import annotations

import copy
import csv
import logging
import math
import time
from collections.abc import Callable
from itertools import islice
from pathlib import Path

import torch
from torch import Tensor

from training.common.average import Average
from training.common.layers import channels_last
from training.detector.data import Batch, CanvasMaker, Scene, batches, read_empty, read_scenes
from training.detector.evaluate import detector_of, open_detector
from training.detector.losses import LossWeights, detection_loss, feature_loss, to_cells
from training.detector.mine import mine
from training.detector.model import FaceDetector, load_yunet
from training.detector.settings import DetectorConfig
from training.detector.settle import SETTLED_SCORE, settle_all

_LOGGER = logging.getLogger(__name__)

CHECKPOINT = "last.pt"
_PARTS = ("obj", "cls", "box", "kps", "features")

WARM_ORIGIN = (
    "YuNet-n of libfacedetection.train (Apache-2.0) as the starting point, then trained by this"
    " project on research-only pictures (CelebA, VGGFace2) labelled by YuNet, part of them darkened"
)
COLD_ORIGIN = (
    "trained by this project from random weights on research-only pictures (CelebA, VGGFace2)"
    " labelled by YuNet"
)


def batch_loss(
    model: FaceDetector, teacher: FaceDetector | None, batch: Batch, weights: LossWeights
) -> dict[str, Tensor]:
    """Return the weighted parts of the loss of `model` on a batch."""
    seen = model.features(batch.seen)
    if teacher is None:
        return detection_loss(to_cells(model.read(seen)), batch.labels, None, weights)
    with torch.no_grad():
        clean = teacher.features(batch.clean)
        taught = to_cells(teacher.read(clean))
    parts = detection_loss(to_cells(model.read(seen)), batch.labels, taught, weights)
    if weights.features:
        parts["features"] = weights.features * feature_loss(seen, clean)
    return parts


def rate_at(step: int, config: DetectorConfig) -> float:
    """Share of the learning rate at `step`: linear warm-up, then half a cosine down to 2 %."""
    if step < config.warm_up:
        return (step + 1) / config.warm_up
    progress = (step - config.warm_up) / max(1, config.steps - config.warm_up)
    return 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * progress))


def train(config: DetectorConfig, report: Callable[[str], None] = _LOGGER.info) -> Path:
    """Train as `config` says; write log.csv and the averaged weights; return the checkpoint."""
    torch.set_num_threads(config.threads)
    torch.manual_seed(config.seed)
    output = config.run_dir
    output.mkdir(parents=True, exist_ok=True)

    model, teacher = _networks(config)
    held_out = CanvasMaker(
        _scenes(config, "validation"), config.canvas, config.night_share, grids=config.grids
    )
    number = -(-config.validation_canvases // config.batch)
    validation = list(islice(batches(held_out, config.batch, seed=0), number))
    del held_out
    maker = _training_canvases(config, model, report)

    optimiser = torch.optim.AdamW(
        model.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay
    )
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: rate_at(step, config))
    average = Average(model, config.ema)
    checkpoint = output / CHECKPOINT
    started = time.monotonic()
    with (output / "log.csv").open("w", newline="") as file:
        log = csv.writer(file)
        log.writerow(["step", "seconds", "train", "validation", *_PARTS])

        def note(step: int, loss: float) -> None:
            parts = _mean_loss(average.network, teacher, validation, config.loss)
            total = sum(parts.values())
            seconds = time.monotonic() - started
            values = [loss, total, *(parts.get(key, 0.0) for key in _PARTS)]
            log.writerow([step, round(seconds), *(f"{value:.4f}" for value in values)])
            file.flush()
            _save(checkpoint, average.network, config)
            report(f"step {step:5d}  {seconds:5.0f} s  train {loss:.4f}  validation {total:.4f}")

        note(0, math.nan)
        recent = 0.0
        stream = batches(maker, config.batch, seed=config.seed)
        for step, batch in enumerate(islice(stream, config.steps), start=1):
            loss = torch.stack(list(batch_loss(model, teacher, batch, config.loss).values())).sum()
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 10.0)
            optimiser.step()
            schedule.step()
            average.update(model)
            recent += loss.item()
            if step % config.log_every == 0 or step == config.steps:
                note(step, recent / ((step - 1) % config.log_every + 1))
                recent = 0.0
    return checkpoint


def _networks(config: DetectorConfig) -> tuple[FaceDetector, FaceDetector | None]:
    """Return the network to train and its teacher."""
    model = channels_last(FaceDetector())
    teacher = None
    if config.warm_start:
        load_yunet(model, config.warm_start)
        teacher = copy.deepcopy(model).eval().requires_grad_(False)
    if config.resume:
        state = torch.load(config.resume, map_location="cpu", weights_only=True)
        model.load_state_dict(state["model"])
    return model, teacher


def _scenes(config: DetectorConfig, split: str) -> list[Scene]:
    """Read a split, with settled landmarks where the config asks for them."""
    scenes = read_scenes(config.scenes, split)
    if config.settled is None:
        return scenes
    if config.warm_start is None:
        message = "settled landmarks need a warm start, whose answers they are"
        raise ValueError(message)
    teacher = open_detector(config.warm_start, SETTLED_SCORE)
    return settle_all(scenes, teacher, Path(config.settled))


def _training_canvases(
    config: DetectorConfig, model: FaceDetector, report: Callable[[str], None]
) -> CanvasMaker:
    """Return the maker of training canvases, with what `model` gets wrong now."""
    scenes = _scenes(config, "train")
    if config.empty:
        scenes += read_empty(config.empty)
    hard = None
    if config.hard_share:
        hard = mine(scenes, detector_of(model), config.seed)
        report(f"{len(hard.missed)} faces missed, {len(hard.false)} false ones, to be seen again")
    return CanvasMaker(
        scenes,
        config.canvas,
        config.night_share,
        grids=config.grids,
        hard=hard,
        hard_share=config.hard_share,
    )


@torch.no_grad()
def _mean_loss(
    model: FaceDetector,
    teacher: FaceDetector | None,
    held_out: list[Batch],
    weights: LossWeights,
) -> dict[str, float]:
    """Average the parts of the loss over fixed batches."""
    every = [batch_loss(model, teacher, batch, weights) for batch in held_out]
    return {key: sum(float(parts[key]) for parts in every) / len(every) for key in every[0]}


def _save(path: Path, model: FaceDetector, config: DetectorConfig) -> None:
    """Write the weights with the card that `export` needs."""
    card = {
        "version": config.version,
        "licence": config.licence,
        "origin": WARM_ORIGIN if config.warm_start else COLD_ORIGIN,
        "score_threshold": 0.6,
    }
    torch.save({"model": model.state_dict(), "card": card}, path)
