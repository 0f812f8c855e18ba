"""Step `crowd`: teach the network to tell from a face how crowded its neighbourhood is.

The crowding of a face is the mean cosine with its nearest strangers, a cohort of portraits of all
origins in good light and bad (`vision/similarity.py` says what it is for). A small perceptron on the
embedding learns it, so that neither the door nor the bundle needs the cohort: other people's
embeddings are biometric data of people who were not asked.

What teaches: the training side and its half of the strangers, as they are and degraded. Bad pictures
crowd together too: that is why the cohort is degraded as well.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import torch
from torch.nn import functional

from training.common.pictures import decode
from training.common.runs import open_run, write_json
from training.common.split import TRAIN
from training.verifier import model
from training.verifier.augment import CONDITIONS, aligned_view, degrade
from training.verifier.config import Config, CrowdSettings
from training.verifier.network import Crowding, Verifier
from training.verifier.prepare import TABLE, UNLABELLED

FIGURES = "crowd.json"


@dataclass(frozen=True)
class Taught:
    """Embeddings float32 [N, D] of unit length, with the picture int [N] that each was made of.

    `cohort` bool [N] marks those of the strangers that are neighbours.
    """

    embeddings: np.ndarray
    picture: np.ndarray
    cohort: np.ndarray


def views(images: list[bytes], settings: CrowdSettings) -> tuple[np.ndarray, np.ndarray]:
    """Show every stored crop clean, in each condition, and degraded at random.

    Returns uint8 [N, 112, 112, 3] and the picture int [N] of each. Landmarks err in all of them.
    """
    shown, picture = [], []
    for number, image in enumerate(images):
        rng = np.random.default_rng((settings.seed, number))
        stored = decode(image)
        kinds = [settings.conditions[rng.integers(len(settings.conditions))]]
        kinds += ["degraded"] * settings.degraded
        for kind in ("clean", *kinds):
            view = aligned_view(stored, rng)
            seen = degrade(view, rng) if kind == "degraded" else CONDITIONS[kind](view, rng)
            shown.append(seen)
            picture.append(number)
    return np.stack(shown), np.array(picture)


def targets(taught: Taught, nearest: int, double: float, block: int = 1024) -> np.ndarray:
    """Mean cosine of each with its `nearest` strangers of the cohort, float32 [N].

    Views of the same picture do not count, nor strangers more alike than `double`: they are one
    person twice, as far as anybody can tell.
    """
    cohort = taught.embeddings[taught.cohort].T
    own = taught.picture[taught.cohort]
    found = np.empty(len(taught.embeddings), np.float32)
    for start in range(0, len(found), block):
        rows = slice(start, start + block)
        cosines = taught.embeddings[rows] @ cohort
        cosines[taught.picture[rows, None] == own[None]] = -1.0
        cosines[cosines > double] = -1.0
        found[rows] = np.partition(cosines, -nearest, axis=1)[:, -nearest:].mean(axis=1)
    return found


def fit(
    embeddings: np.ndarray, wanted: np.ndarray, settings: CrowdSettings
) -> tuple[Crowding, float]:
    """Fit the perceptron to `wanted` float32 [N]; return it with its R2 on a tenth held out."""
    torch.manual_seed(settings.seed)
    rng = np.random.default_rng(settings.seed)
    held = rng.random(len(wanted)) < 0.1
    low, high = (float(np.quantile(wanted, q)) for q in (0.005, 0.9995))
    head = Crowding(embeddings.shape[1], hidden=settings.hidden, low=low, high=high)
    x, y = torch.from_numpy(embeddings[~held]), torch.from_numpy(wanted[~held])[:, None]
    steps = settings.epochs * -(-len(x) // settings.batch_size)
    optimizer = torch.optim.AdamW(head.parameters(), lr=settings.learning_rate, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    generator = torch.Generator().manual_seed(settings.seed)
    for _ in range(settings.epochs):
        for rows in torch.randperm(len(x), generator=generator).split(settings.batch_size):
            shifted = x[rows] + settings.noise * torch.randn(
                len(rows), x.shape[1], generator=generator
            )
            loss = functional.mse_loss(head(functional.normalize(shifted, dim=1)), y[rows])
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            schedule.step()
    head.eval()
    with torch.inference_mode():
        told = head(torch.from_numpy(embeddings[held]))[:, 0].numpy()
    error = np.square(told - wanted[held]).mean() / wanted[held].var()
    return head, float(1.0 - error)


def load_taught(config: Config, verifier: Verifier) -> Taught:
    """Embed all that teaches; ValueError where the prepared pictures have no strangers' group."""
    table = pq.read_table(config.prepared_dir / TABLE, columns=["image", "side", "group"])
    side = np.array(table["side"].to_pylist())
    group = np.array(table["group"].to_pylist())
    rows = np.nonzero(np.isin(side, [TRAIN, UNLABELLED]))[0]
    if not (group[rows] != "").any():
        raise ValueError("no source of prepare.sources has a group: nobody is a stranger")
    shown, picture = views(table["image"].take(rows).to_pylist(), config.crowd)
    return Taught(model.directions(verifier, shown), picture, (group[rows] != "")[picture])


def crowd(config: Config) -> dict[str, Any]:
    """Fit the crowding of the run's best checkpoint and write both as one checkpoint."""
    folder = open_run(config, "crowd")
    settings = config.crowd
    torch.set_num_threads(config.train.threads)
    verifier = model.load(folder / model.BEST)
    taught = load_taught(config, verifier)
    wanted = settings.weight * targets(taught, settings.nearest, settings.double)
    head, explained = fit(taught.embeddings, wanted, settings)
    model.save(folder / model.SCORED, Verifier(verifier.backbone, head), config)
    figures = {
        "views": len(wanted),
        "cohort": int(taught.cohort.sum()),
        "r2": round(explained, 4),
        "low": round(head.low, 4),
        "high": round(head.high, 4),
        "mean": round(float(wanted.mean()), 4),
    }
    write_json(folder / FIGURES, figures)
    print(figures)
    return figures
