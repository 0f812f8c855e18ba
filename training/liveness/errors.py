"""Sheets of what the network got most wrong, to look at. They show people: kept in the run."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from training.common.sheets import Cell, sheet
from training.liveness.evaluate import kind_of
from training.liveness.pool import LIVE, Pool, open_pool
from training.liveness.settings import LivenessConfig

_OF_ONE = 3
"""Pictures of one subject on a sheet: its frames resemble one another."""


def errors(config: LivenessConfig, pool: Pool | None = None, count: int = 24) -> list[Path]:
    """Draw errors/KIND.png: the living that look least alive, and the attacks that look most so.

    Reads the scores.npz that `evaluate` left, of the run or of its fold. Surroundings and face are
    side by side, with the score under them; returns the sheets' paths.

    Raises:
        FileNotFoundError: the run was not evaluated.

    """
    folder = config.run_dir / "errors"
    with np.load(config.run_dir / "scores.npz") as saved:
        rows, live = saved["rows"], saved["live"]
    folder.mkdir(exist_ok=True)
    pool = pool or open_pool(config, config.run_dir / "pool")
    names = np.array([kind_of(pool, row) for row in rows])
    sheets = []
    for name in sorted(set(names)):
        mine = np.flatnonzero(names == name)
        worst = mine[np.argsort(live[mine] if pool.kind[rows[mine[0]]] == LIVE else -live[mine])]
        cells: list[Cell] = []
        seen: dict[str, int] = {}
        for one in worst:
            who = str(pool.who[rows[one]])
            seen[who] = seen.get(who, 0) + 1
            if seen[who] <= _OF_ONE and len(cells) < count:
                cells.append(Cell(list(pool.views[rows[one]]), [f"{live[one]:.3f}  {who}"]))
        path = folder / f"{name}.png"
        sheet(cells).save(path)
        sheets.append(path)
    return sheets
