"""What a training writes down while it runs: CSV tables, a TensorBoard log, and curves."""

import csv
import shutil
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from torch.utils.tensorboard import SummaryWriter

Tables = dict[str, list[dict[str, Any]]]

CURVES = "curves.png"


class Log:
    """TABLE.csv for each table, `tensorboard/`, and at the end curves.png, in a run's folder.

    A training that goes on hands over the `tables` that it had and the step where it was: what
    was written after that goes, so that no step stands there twice. One that begins begins anew.
    """

    def __init__(self, folder: Path, tables: Tables | None = None, step: int = 0) -> None:
        self.folder = folder
        self.tables: Tables = {}
        board = folder / "tensorboard"
        if not step:
            shutil.rmtree(board, ignore_errors=True)
        self._board = SummaryWriter(str(board), purge_step=step + 1)
        for name, rows in (tables or {}).items():
            (folder / f"{name}.csv").unlink(missing_ok=True)
            for row in rows:
                self._write(name, row)

    def add(self, table: str, row: dict[str, Any], *, board: bool = True) -> None:
        """Add a row of plain values; `step` is one of them. Its numbers go to TensorBoard too."""
        self._write(table, row)
        for key, value in row.items():
            if board and key != "step" and isinstance(value, int | float):
                self._board.add_scalar(f"{table}/{key}", value, row["step"])

    def close(self) -> None:
        """Draw the curves and end the log."""
        self._board.close()
        draw(self.tables).savefig(self.folder / CURVES, dpi=100)

    def _write(self, table: str, row: dict[str, Any]) -> None:
        rows = self.tables.setdefault(table, [])
        rows.append(row)
        with (self.folder / f"{table}.csv").open("w" if len(rows) == 1 else "a", newline="") as out:
            writer = csv.DictWriter(out, list(rows[0]))
            if len(rows) == 1:
                writer.writeheader()
            writer.writerow(row)


def draw(tables: Tables) -> Figure:
    """Draw every number of every table over the steps, one field each."""
    curves = [
        (f"{table}: {key}", [row["step"] for row in rows], [row[key] for row in rows])
        for table, rows in tables.items()
        for key, value in (rows[0].items() if rows else ())
        if key != "step" and isinstance(value, int | float) and not isinstance(value, bool)
    ]
    across = min(4, max(1, len(curves)))
    down = max(1, -(-len(curves) // across))
    figure = Figure(figsize=(4 * across, 2.6 * down), layout="constrained")
    fields = list(figure.subplots(down, across, squeeze=False).flat)
    for field, (title, steps, values) in zip(fields, curves, strict=False):
        field.plot(steps, values, marker="." if len(steps) < 20 else "")
        field.set_title(title, fontsize="small")
        field.grid(alpha=0.3)
    for field in fields[len(curves) :]:
        field.set_axis_off()
    return figure
