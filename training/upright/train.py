"""Train the network that tells upright faces from turned ones."""

from __future__ import annotations

import csv
import logging
import time
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from training.common import product
from training.common.average import Average
from training.upright import data
from training.upright.model import SIDE, UprightNet
from training.upright.settings import UprightConfig

_LOGGER = logging.getLogger(__name__)

CHECKPOINT = "last.pt"
_DECAY = 0.995
# Faces below this score are no evidence at the door, but what they look like is worth learning.
_SCORE = 0.5
_MOST_CROPS = 12000
_PART = 100
# Degrees by which stored crops are turned beyond quarters, upright ones too.
_ASKEW = 22.0


def train(config: UprightConfig) -> Path:
    """Train as `config` says; write log.csv and the averaged weights; return the checkpoint."""
    torch.set_num_threads(config.threads)
    torch.manual_seed(config.seed)
    output = config.run_dir
    output.mkdir(parents=True, exist_ok=True)
    crops, upright = pool(config, "train")
    held_out = pool(config, "validation")
    views, targets = _views(crops), torch.from_numpy(upright.astype(np.float32))
    plain = stored_crops(config) if config.crops else None
    net = UprightNet()
    average = Average(net, _DECAY)
    optimiser = torch.optim.AdamW(
        net.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, config.learning_rate, total_steps=config.steps + 1, pct_start=0.1
    )
    generator = np.random.default_rng(config.seed)
    checkpoint = output / CHECKPOINT
    started = time.monotonic()
    with (output / "log.csv").open("w", newline="") as file:
        log = csv.writer(file)
        log.writerow(["step", "seconds", "train", "validation"])
        recent = 0.0
        for step in range(1, config.steps + 1):
            rows = generator.integers(0, len(views), config.batch)
            shown, wanted = views[rows], targets[torch.from_numpy(rows)]
            if plain is not None:
                more, fits = turned_crops(plain, config.batch, generator)
                shown = np.concatenate([shown, more])
                wanted = torch.cat([wanted, torch.from_numpy(fits.astype(np.float32))])
            loss = functional.binary_cross_entropy_with_logits(
                net(varied(shown, generator))[:, 0], wanted
            )
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(net.parameters(), 5.0)
            optimiser.step()
            schedule.step()
            average.update(net)
            recent += loss.item()
            if step % config.log_every == 0 or step == config.steps:
                mean = recent / ((step - 1) % config.log_every + 1)
                other = _mean_loss(average.network, *held_out)
                seconds = time.monotonic() - started
                log.writerow([step, round(seconds), f"{mean:.5f}", f"{other:.5f}"])
                file.flush()
                stored = average.network.state_dict()
                torch.save({"model": stored, "card": _card(config)}, checkpoint)
                _LOGGER.info(
                    "step %5d  %5.0f s  train %.4f  validation %.4f", step, seconds, mean, other
                )
                recent = 0.0
    return checkpoint


def pool(config: UprightConfig, split: str) -> tuple[np.ndarray, np.ndarray]:
    """Return a side's crops uint8[N,112,112,3] and bool[N].

    They are made in parts, which are kept in the run's folder: an interrupted run goes on.
    """
    share = 1.0 if split == "train" else 0.1
    parts = []
    for source, count in (("scenes", config.scene_samples), ("crops", config.crop_samples)):
        if source == "crops" and not config.crops:
            continue
        number = -(-round(count * share) // _PART)
        files = [config.run_dir / f"pool-{split}-{source}-{part}.npz" for part in range(number)]
        missing = [index for index, file in enumerate(files) if config.again or not file.is_file()]
        if missing:
            subjects = (
                data.of_scenes(config.scenes, split)
                if source == "scenes"
                else data.of_crops(config.crops, split, _MOST_CROPS, config.seed)
            )
            detector = product.detector(Path(config.models), score_threshold=_SCORE)
        for index in missing:
            seed = [config.seed, *split.encode(), *source.encode(), index]
            made = list(data.samples(subjects, detector, _PART, config.night_share, seed))
            np.savez(
                files[index],
                crops=np.stack([crop for crop, _ in made]),
                upright=np.array([is_so for _, is_so in made]),
            )
            _LOGGER.info("%s", files[index].name)
        for file in files:
            with np.load(file) as stored:
                parts.append((stored["crops"], stored["upright"]))
    crops, upright = zip(*parts, strict=True)
    return np.concatenate(crops), np.concatenate(upright)


def stored_crops(config: UprightConfig) -> np.ndarray:
    """Return the training side's stored crops in grey, uint8[N,128,128]; the run keeps them."""
    kept = config.run_dir / "stored.npy"
    if config.again or not kept.is_file():
        found = data.of_crops(config.crops, "train", config.stored, config.seed)
        made = [np.asarray(subject.picture().convert("L")) for subject in found]
        np.save(kept, np.stack(made))
    crops: np.ndarray = np.load(kept)
    return crops


def turned_crops(
    crops: np.ndarray, count: int, generator: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Turn random stored crops uint8[N,128,128]; return float32[count,56,56] and who is upright.

    They were aligned before they were turned. That is not what a detector makes of turned faces,
    but there are many, and half of what is learnt from is.
    """
    rows = generator.integers(0, len(crops), count)
    quarters = generator.integers(0, 4, count)
    upright = generator.random(count) < 0.5
    quarters[upright] = 0
    upright = quarters == 0
    angle = np.radians(90 * quarters + generator.uniform(-_ASKEW, _ASKEW, count))
    # What is left of the border of 8 pixels on a crop of 112, and more or less.
    reach = generator.uniform(0.78, 0.97, count)
    matrix = np.zeros((count, 2, 3), np.float32)
    matrix[:, 0, 0] = matrix[:, 1, 1] = reach * np.cos(angle)
    matrix[:, 1, 0] = reach * np.sin(angle)
    matrix[:, 0, 1] = -matrix[:, 1, 0]
    matrix[:, :, 2] = generator.uniform(-0.1, 0.1, (count, 2))
    grid = functional.affine_grid(torch.from_numpy(matrix), [count, 1, SIDE, SIDE], False)
    # Averaged down first: sampling every other pixel would alias.
    image = functional.avg_pool2d(torch.from_numpy(crops[rows].astype(np.float32))[:, None], 2)
    made = functional.grid_sample(image, grid, align_corners=False)
    return made[:, 0].numpy(), upright


def varied(views: np.ndarray, generator: np.random.Generator) -> Tensor:
    """Return views float32[N,56,56] as a batch: mirrored, shifted, in other light, with noise."""
    count = len(views)
    flip = generator.random(count) < 0.5
    views = np.where(flip[:, None, None], views[:, :, ::-1], views)
    dx, dy = generator.integers(-2, 3, 2)
    views = np.roll(views, (int(dy), int(dx)), axis=(1, 2))
    gain = np.exp(generator.uniform(np.log(0.25), np.log(1.4), (count, 1, 1))).astype(np.float32)
    shift = generator.uniform(-25, 25, (count, 1, 1)).astype(np.float32)
    noise = generator.standard_normal(views.shape, dtype=np.float32)
    noise *= generator.uniform(0, 8, (count, 1, 1)).astype(np.float32)
    # A lamp from a side: half a face may lie in the dark.
    slope = generator.uniform(0, 1, (count, 1, 1)).astype(np.float32)
    slope *= (generator.random((count, 1, 1)) < 0.3).astype(np.float32)
    across = np.linspace(-1, 1, SIDE, dtype=np.float32)[None, None, :]
    sharp = generator.uniform(1, 6, (count, 1, 1)).astype(np.float32)
    place = generator.uniform(-0.6, 0.6, (count, 1, 1)).astype(np.float32)
    light = 1 - slope / (1 + np.exp(-sharp * (across - place)))
    views = np.clip(views * light * gain + shift + noise, 0, 255)
    return torch.from_numpy(np.ascontiguousarray(views))[:, None]


def _views(crops: np.ndarray) -> np.ndarray:
    from vision.upright import view  # noqa: PLC0415 - `data` has put it on the path

    return np.stack([view(crop) for crop in crops])


@torch.no_grad()
def _mean_loss(net: UprightNet, crops: np.ndarray, upright: np.ndarray) -> float:
    logits = net(torch.from_numpy(_views(crops))[:, None])[:, 0]
    targets = torch.from_numpy(upright.astype(np.float32))
    return float(functional.binary_cross_entropy_with_logits(logits, targets))


def _card(config: UprightConfig) -> dict[str, object]:
    """Return what `export` says of the weights; `evaluate` adds the threshold."""
    return {
        "version": config.version,
        "licence": config.licence,
        "origin": "trained by this project from random weights on research-only pictures"
        " (CelebA, VGGFace2, PINS, All-Age-Faces), turned, as the bundle's detector aligns them",
        "settings": asdict(config),
    }
