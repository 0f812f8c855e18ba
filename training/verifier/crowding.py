"""Step `crowd`: teach the network to tell from a face how crowded its neighbourhood is.

The crowding of a face is what makes its highest scores with strangers as high as everybody else's;
the strangers are a cohort of portraits of all origins in good light and bad
(`vision/matching/similarity.py` says what it is for). A little of the mean cosine with the nearest
of them is added, which knows what all pictures of one camera have in common. A few small
perceptrons on the embedding learn it, so that neither the door nor the bundle needs the cohort:
other people's embeddings are biometric data of people who were not asked.

What teaches: the training side and its half of the strangers, as they are and degraded. Bad
pictures crowd together too: that is why the cohort is degraded as well.
"""

import hashlib
import json
import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import torch
from torch.nn import functional
from tqdm import tqdm

from training.common.pictures import decode
from training.common.runs import open_run, write_json
from training.common.split import TRAIN
from training.verifier import model
from training.verifier.augment import CONDITIONS, aligned_view, degrade
from training.verifier.config import Config, CrowdSettings
from training.verifier.embedders import Embed
from training.verifier.network import Crowding, Verifier
from training.verifier.prepare import TABLE, UNLABELLED

FIGURES = "crowd.json"
TAUGHT = "taught.npz"
CHUNK = 128
PER_CAMERA = 40
SINKHORN_STEPS = 20
# A face without any stranger counts as if one stood at a right angle to it.
LONELY = 1.0


@dataclass(frozen=True)
class Taught:
    """Embeddings float32 [N, D] of unit length, with the picture int [N] that each was made of.

    `cohort` bool [N] marks those of the strangers that are neighbours.
    """

    embeddings: np.ndarray
    picture: np.ndarray
    cohort: np.ndarray


def views(
    first: int, images: list[bytes], settings: CrowdSettings
) -> tuple[np.ndarray, np.ndarray]:
    """Show stored crops, the first of which has number `first`, clean and in bad light.

    Returns uint8 [N, 112, 112, 3] and the number int [N] of the picture that each shows. Landmarks
    err in all of them. Degraded pictures are one camera's for `PER_CAMERA` that follow one another,
    of one group mostly: strangers at a door come before the camera that the owner came before.
    """
    shown, picture = [], []
    for number, image in enumerate(images, first):
        rng = np.random.default_rng((settings.seed, number))
        stored = decode(image)
        kinds = [settings.conditions[rng.integers(len(settings.conditions))]]
        kinds += ["degraded"] * settings.degraded
        for kind in ("clean", *kinds):
            view = aligned_view(stored, rng)
            if kind == "degraded":
                camera = np.random.default_rng((settings.seed, 1, number // PER_CAMERA))
                seen = degrade(view, rng, camera=camera)
            else:
                seen = CONDITIONS[kind](view, rng)
            shown.append(seen)
            picture.append(number)
    return np.stack(shown), np.array(picture)


def equal_soft_maxima(taught: Taught, settings: CrowdSettings) -> np.ndarray:
    """Crowding float32 [N] with which the soft maximum of a face's scores is the same for all.

    That is temperature * log mean exp((cosine - crowding - crowding') / temperature) over the
    cohort: how far strangers' scores reach. Within the cohort it is Sinkhorn's scaling of a
    symmetric matrix (Sinkhorn and Knopp 1967; half steps make it converge, Knight et al. 2014,
    doi:10.1137/110825753); everybody else follows from it. Who counts as a stranger is as in
    `targets`.
    """
    temperature, double = settings.temperature, settings.double
    cohort, own = taught.embeddings[taught.cohort], taught.picture[taught.cohort]

    def kernel(rows: np.ndarray, of: np.ndarray) -> np.ndarray:
        cosines = rows @ cohort.T
        cosines[(of[:, None] == own[None]) | (cosines > double)] = -np.inf
        return np.exp(cosines / temperature)

    among = kernel(cohort, own)
    scaling = np.ones(len(cohort), np.float32)
    for _ in range(SINKHORN_STEPS):
        scaling = np.sqrt(scaling / np.maximum(among @ scaling, LONELY) * len(cohort))
    found = np.empty(len(taught.embeddings), np.float32)
    for start in range(0, len(found), 1024):
        rows = slice(start, start + 1024)
        found[rows] = kernel(taught.embeddings[rows], taught.picture[rows]) @ scaling
    return temperature * np.log(np.maximum(found, LONELY) / len(cohort))


def wanted_crowding(taught: Taught, settings: CrowdSettings) -> np.ndarray:
    """Return what the perceptrons are to tell, float32 [N], moved so that hardly any is below 0.

    One constant for all moves every score and every threshold alike.
    """
    wanted = settings.weight * equal_soft_maxima(taught, settings)
    wanted += settings.nearest_weight * targets(taught, settings.nearest, settings.double)
    return wanted - min(0.0, float(np.quantile(wanted, 0.01)))


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
    """Fit perceptrons to `wanted` float32 [N]; return them with their R2 on a tenth held out."""
    torch.manual_seed(settings.seed)
    rng = np.random.default_rng(settings.seed)
    held = rng.random(len(wanted)) < 0.1
    # Below 0 nothing is crowded, and `vision` refuses what says so.
    low, high = (max(0.0, float(np.quantile(wanted, q))) for q in (0.005, 0.9995))
    crowding = Crowding(
        embeddings.shape[1], hidden=settings.hidden, low=low, high=high, heads=settings.heads
    )
    x, y = torch.from_numpy(embeddings[~held]), torch.from_numpy(wanted[~held])[:, None]
    steps = settings.epochs * -(-len(x) // settings.batch_size)
    optimizer = torch.optim.AdamW(
        crowding.parameters(), lr=settings.learning_rate, weight_decay=1e-4
    )
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    generator = torch.Generator().manual_seed(settings.seed)
    for _ in range(settings.epochs):
        for rows in torch.randperm(len(x), generator=generator).split(settings.batch_size):
            shifted = x[rows] + settings.noise * torch.randn(
                len(rows), x.shape[1], generator=generator
            )
            # Each learns by itself; told as one they would cover for one another's errors.
            told = crowding.told(functional.normalize(shifted, dim=1))
            loss = functional.mse_loss(told, y[rows].expand_as(told)) * settings.heads
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            schedule.step()
    crowding.eval()
    with torch.inference_mode():
        told = crowding(torch.from_numpy(embeddings[held]))[:, 0].numpy()
    error = np.square(told - wanted[held]).mean() / wanted[held].var()
    return crowding, float(1.0 - error)


def load_taught(config: Config, directions: Embed) -> Taught:
    """Embed what teaches: all strangers of the training side, and some of everybody else.

    `directions` makes float32 [N, D] of unit length of crops uint8 [N, 112, 112, 3]. Raises
    ValueError where the prepared pictures have no strangers' group.
    """
    settings = config.crowd
    table = pq.read_table(config.prepared_dir / TABLE, columns=["image", "side", "group"])
    teaches = np.isin(np.array(table["side"].to_pylist()), [TRAIN, UNLABELLED])
    grouped = np.array(table["group"].to_pylist()) != ""
    strangers, others = np.nonzero(teaches & grouped)[0], np.nonzero(teaches & ~grouped)[0]
    if not len(strangers):
        raise ValueError("no source of prepare.sources has a group: nobody is a stranger")
    chosen = np.random.default_rng(settings.seed).permutation(others)[: settings.pictures]
    rows = np.concatenate([strangers, np.sort(chosen)])
    images = table["image"].take(rows).to_pylist()
    embeddings, picture = [], []
    work = partial(views, settings=settings)
    starts = range(0, len(images), CHUNK)
    chunks = [images[start : start + CHUNK] for start in starts]
    # Drawing bad light takes as long as embedding it.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(max(1, config.train.workers), mp_context=context) as pool:
        for shown, own in tqdm(pool.map(work, starts, chunks), "crowd", total=len(chunks)):
            embeddings.append(directions(shown))
            picture.append(own)
    of = np.concatenate(picture)
    return Taught(np.concatenate(embeddings), of, of < len(strangers))


def _remembered(kept: Path, checkpoint: Path, config: Config, verifier: Verifier) -> Taught:
    """Embed what teaches once for a checkpoint: fitting takes seconds, this takes minutes."""
    settings = asdict(config.crowd)
    drawn = {name: settings[name] for name in ("conditions", "degraded", "pictures", "seed")}
    drawn["per_camera"] = PER_CAMERA
    key = hashlib.sha256(checkpoint.read_bytes() + json.dumps(drawn).encode()).hexdigest()
    if kept.is_file():
        with np.load(kept) as stored:
            if str(stored["key"]) == key:
                return Taught(stored["embeddings"], stored["picture"], stored["cohort"])
    if config.train.compile:
        verifier.compile()
    taught = load_taught(config, partial(model.directions, verifier))
    np.savez(kept, key=key, **vars(taught))
    return taught


def crowd(config: Config) -> dict[str, Any]:
    """Fit the crowding of the run's best checkpoint and write both as one checkpoint."""
    folder = open_run(config, "crowd")
    settings = config.crowd
    torch.set_num_threads(config.train.threads)
    verifier = model.load(folder / model.BEST)
    taught = _remembered(folder / TAUGHT, folder / model.BEST, config, verifier)
    wanted = wanted_crowding(taught, settings)
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
