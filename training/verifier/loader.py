"""Batches in a fixed order: picture n of a training is the same however it is run or resumed.

Which picture is shown, whether it is degraded, and how, depend on the seed and on n alone, not on
what was drawn before. So a training can go on anywhere, in any number of workers and processes.
"""

from collections.abc import Iterator
from dataclasses import dataclass, fields
from itertools import count

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from training.common.parallel import Team
from training.verifier.config import TrainSettings
from training.verifier.dataset import Batch, TrainingSet


class Views(Dataset[Batch]):
    """View n of an endless sequence, epoch after epoch, each in its own order.

    Of every `batch` views that follow one another the first `clean_share` are clean; the others
    are degraded, every `per_camera` of them alike.
    """

    def __init__(
        self, data: TrainingSet, batch: int, clean_share: float, seed: int, per_camera: int = 1
    ) -> None:
        self._data = data
        self._batch = batch
        self._clean = round(batch * clean_share)
        self._per_camera = per_camera
        self._seed = seed
        # What does not fill a batch is left out, other pictures in every epoch.
        self._length = len(data.images) // batch * batch
        self._epoch = -1
        self._order = np.empty(0, int)

    def __getitem__(self, number: int) -> Batch:
        """Return view `number` as a batch of one."""
        epoch, place = divmod(number, self._length)
        if epoch != self._epoch:
            rng = np.random.default_rng((self._seed, 0, epoch))
            self._epoch, self._order = epoch, rng.permutation(len(self._data.images))
        whole, inside = divmod(number, self._batch)
        return self._data.batch(
            self._order[place : place + 1],
            np.array([max(-1, (inside - self._clean) // self._per_camera)]),
            np.random.default_rng((self._seed, 1, number)),
            (self._seed, 2, whole),
        )


@dataclass(frozen=True)
class Shares:
    """The numbers of the views that one process gets: every `size`-th of each step's batch."""

    batch: int
    team: Team
    step: int

    def __iter__(self) -> Iterator[range]:
        """Yield int [batch / size] for each step from `step` on, for ever."""
        for step in count(self.step):
            start = step * self.batch
            yield range(start + self.team.rank, start + self.batch, self.team.size)


def _join(views: list[Batch]) -> dict[str, torch.Tensor | None]:
    """Put views together as plain values, which the loader can pin in memory for a GPU."""
    parts = {field.name: [getattr(view, field.name) for view in views] for field in fields(Batch)}
    return {name: None if part[0] is None else torch.cat(part) for name, part in parts.items()}


def batches(
    data: TrainingSet, settings: TrainSettings, team: Team | None = None, step: int = 0
) -> Iterator[Batch]:
    """Return this process's batches from `step` on, without end.

    A process gets `batch_size` pictures, or as many as there are for it. Raises ValueError where
    there is not one for each.
    """
    team = team or Team()
    size = min(settings.batch_size, len(data.images) // team.size)
    if not size:
        raise ValueError(f"{len(data.images)} pictures are too few for {team.size} processes")
    whole = size * team.size
    loader = DataLoader(
        Views(data, whole, settings.clean_share, settings.seed, settings.per_camera),
        batch_sampler=Shares(whole, team, step),  # type: ignore[arg-type]
        num_workers=settings.workers,
        collate_fn=_join,
        pin_memory=team.device.type == "cuda",
        prefetch_factor=4 if settings.workers else None,
    )
    return (Batch(**parts) for parts in loader)
