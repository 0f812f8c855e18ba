"""Strangers of one's own sex and origin: single pictures of different people, within a group.

A neighbour or a cousin looks more like the owner than a celebrity of another continent does, and a
network tells the people of some groups apart less well than those of others. A rate measured on a
mixed crowd hides both (Grother et al. 2019, NISTIR 8280). So each picture of a group is enrolled
and compared with every other of the same group, in every condition, and the worst group counts.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow.parquet as pq

from training.common.pictures import decode_centres
from training.verifier import metrics
from training.verifier.augment import in_condition
from training.verifier.conditions import CLEAN, acceptable, noise_seed
from training.verifier.config import Config
from training.verifier.embedders import Embed
from training.verifier.prepare import TABLE


@dataclass(frozen=True)
class Strangers:
    """Crops uint8 [N, 112, 112, 3] of different people, and the group of each."""

    crops: np.ndarray
    group: np.ndarray

    @property
    def face_px(self) -> np.ndarray:
        """Width of the faces in their pictures, which nobody knows: NaN [N]."""
        return np.full(len(self.crops), np.nan)


def load(config: Config, side: str) -> Strangers | None:
    """Read the strangers of a side; None where no source has any."""
    wanted = [("side", "=", side), ("group", "!=", "")]
    table = pq.read_table(config.prepared_dir / TABLE, filters=wanted, columns=["image", "group"])
    if not len(table):
        return None
    return Strangers(
        decode_centres(table["image"].to_pylist()), np.array(table["group"].to_pylist())
    )


def some_of_each(group: np.ndarray, most: int) -> np.ndarray:
    """Return the rows of the first `most` (0: all) of each group, in order."""
    if not most:
        return np.arange(len(group))
    rows = [np.nonzero(group == name)[0][:most] for name in np.unique(group)]
    return np.sort(np.concatenate(rows))


def trials(
    config: Config, embed: Embed, strangers: Strangers
) -> Iterator[tuple[str, str, metrics.Trials]]:
    """Yield condition, group and trials, for the conditions of `evaluate.stranger_conditions`.

    A condition is that of the probe, with clean pictures enrolled, or `probe/enrolled`. Pictures
    outside the quality limits are left out.
    """
    seen: dict[tuple[str, bool], tuple[np.ndarray, np.ndarray]] = {}

    def look(condition: str, enrolled: bool) -> tuple[np.ndarray, np.ndarray]:
        if (condition, enrolled) not in seen:
            seed = noise_seed(config, enrolled=enrolled)
            most = config.evaluate.stacked_strangers if "stack" in condition else 0
            rows = some_of_each(strangers.group, most)
            crops = in_condition(strangers.crops[rows], condition, seed)
            usable = acceptable(config, crops, strangers.face_px[rows])
            seen[condition, enrolled] = rows[usable], embed(crops[usable])
        return seen[condition, enrolled]

    for condition in config.evaluate.stranger_conditions:
        shown, _, kept = condition.partition("/")
        probe_row, probe = look(shown, enrolled=False)
        enrolled_row, enrolled = look(kept or CLEAN, enrolled=True)
        for group in np.unique(strangers.group):
            mine = strangers.group[enrolled_row] == group
            theirs = strangers.group[probe_row] == group
            yield (
                condition,
                str(group),
                metrics.collect(
                    enrolled[mine],
                    enrolled_row[mine],
                    probe[theirs],
                    probe_row[theirs],
                    people=len(strangers.crops),
                ),
            )
