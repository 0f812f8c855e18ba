"""Batches for training: half clean, half degraded, every picture with its target."""

from collections import Counter
from dataclasses import dataclass

import numpy as np
import pyarrow.parquet as pq
import torch
from torch import Tensor

from training.common.pictures import centre, decode
from training.common.split import TRAIN
from training.verifier.augment import aligned_view, degrade
from training.verifier.config import Config
from training.verifier.prepare import TABLE, TEACHER, UNLABELLED


@dataclass(frozen=True)
class Batch:
    """Views uint8 [N, 112, 112, 3], target [N, D] or None, person [N] (-1: no label).

    `image` is what the network is shown, `clean` the same views before any was degraded. Views with
    the same number in `camera` int [N] were degraded alike; -1 are clean.
    """

    image: Tensor
    clean: Tensor
    target: Tensor | None
    person: Tensor
    camera: Tensor


class TrainingSet:
    """Stored crops with their targets; batches are drawn with a seed.

    `images` are encoded crops, `target` float32 [N, D] of unit length or None, `person` int [N]
    with -1 for pictures without a label. `strength` is that of
    `augment.degrade`; at 0 clean views are not shifted or mirrored either.
    """

    def __init__(
        self,
        images: list[bytes],
        target: np.ndarray | None,
        person: np.ndarray,
        strength: float = 1.0,
    ) -> None:
        self.images = images
        self.strength = strength
        self.target = target
        self.person = person
        self.people = int(person.max()) + 1 if len(person) else 0

    def centres(self) -> Tensor | None:
        """Mean target of every person, float32 [people, D] of unit length; None without targets."""
        if self.target is None:
            return None
        sums = np.zeros((self.people, self.target.shape[1]), np.float32)
        known = self.person >= 0
        np.add.at(sums, self.person[known], self.target[known])
        return torch.from_numpy(sums / np.linalg.norm(sums, axis=1, keepdims=True))

    def batch(
        self,
        rows: np.ndarray,
        camera: np.ndarray,
        rng: np.random.Generator,
        seed: tuple[int, ...] = (0,),
    ) -> Batch:
        """Return the pictures `rows`, each as the `camera` int [N] of its number sees it.

        -1 sees clean pictures; what the others do to theirs differs with `seed`.
        """
        stored = [decode(self.images[row]) for row in rows]
        # To learn by heart, every picture has to be the same each time.
        clean = [aligned_view(one, rng) if self.strength else centre(one) for one in stored]
        shown = [
            degrade(view, rng, self.strength, np.random.default_rng((*seed, number)))
            if number >= 0
            else view
            for view, number in zip(clean, camera.tolist(), strict=True)
        ]
        target = None if self.target is None else torch.from_numpy(self.target[rows])
        return Batch(
            torch.from_numpy(np.stack(shown)),
            torch.from_numpy(np.stack(clean)),
            target,
            torch.from_numpy(self.person[rows]),
            torch.from_numpy(camera),
        )


def pull_to_centroids(target: np.ndarray, person: np.ndarray, pull: float) -> np.ndarray:
    """Move unit targets float32 [N, D] towards their person's mean by `pull` (0: not at all)."""
    moved = target.copy()
    for number in range(int(person.max()) + 1):
        rows = person == number
        if rows.sum() > 1:
            centre = target[rows].mean(axis=0)
            moved[rows] += pull * centre / np.linalg.norm(centre)
    return moved / np.linalg.norm(moved, axis=1, keepdims=True)


def load_training_set(config: Config) -> TrainingSet:
    """Read the prepared pictures of training people and the unlabelled ones."""
    settings = config.train
    table = pq.read_table(config.prepared_dir / TABLE)
    sides = np.array(table["side"].to_pylist())
    sources = np.array(table["source"].to_pylist())
    rows = np.flatnonzero(
        np.isin(sides, [TRAIN, UNLABELLED]) & ~np.isin(sources, settings.skip_sources)
    )
    names = [table["person"][int(row)].as_py() for row in rows]
    pictures = Counter(name for name in names if name)
    known = sorted(name for name, count in pictures.items() if count >= settings.min_pictures)
    number = {name: k for k, name in enumerate(known)}
    person = np.array([number.get(name, -1) for name in names])
    target = None
    if (config.prepared_dir / TEACHER).is_file():
        target = np.load(config.prepared_dir / TEACHER)[rows].astype(np.float32)
        target /= np.linalg.norm(target, axis=1, keepdims=True)
        if settings.centroid_pull and known:
            target = pull_to_centroids(target, person, settings.centroid_pull)
    images = table["image"].take(rows).to_pylist()
    return TrainingSet(images, target, person, settings.augment_strength)
