"""What the step `verify` of every network is made of: one network in several runtimes."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from training.common import bundle
from training.common.product import network
from training.common.runs import open_run, write_json
from training.common.sessions import TorchSession
from training.common.settings import RunSettings
from vision.networks.runtime.base import Session

FIGURES = "verify.json"
RUNTIMES = ("onnxruntime", "ncnn")
CHECKPOINT = "torch"

RATE_PARITY = 0.001
"""Largest difference between runtimes of a share of pictures: 0.1 points."""


def sessions(
    role: str, models: Path, checkpoint: nn.Module | None, outputs: Sequence[str]
) -> dict[str, Session]:
    """Return the bundle's network in both runtimes, and the `checkpoint` where there is one.

    Raises:
        ValueError: the bundle has no network for `role`.

    """
    if role not in bundle.read(models)["models"]:
        raise ValueError(f"{models} has no {role} network: export one first")
    made = {name: network(role, models, runtime=name)[0] for name in RUNTIMES}
    return made if checkpoint is None else {**made, CHECKPOINT: TorchSession(checkpoint, outputs)}


def largest_differences(answers: Mapping[str, np.ndarray]) -> dict[str, float]:
    """Return how far the answers of every runtime are from onnxruntime's, at most.

    `answers` are float arrays of one shape by runtime.
    """
    reference = answers[RUNTIMES[0]]
    return {
        name: float(np.abs(other - reference).max(initial=0.0))
        for name, other in answers.items()
        if name != RUNTIMES[0]
    }


def check(found: Mapping[str, float], allowed: float, what: str) -> None:
    """Raise ValueError where a difference is above `allowed`, or no number."""
    wrong = {name: value for name, value in found.items() if not value <= allowed}
    if wrong:
        raise ValueError(f"{what}: differs from {RUNTIMES[0]} by {wrong}, allowed {allowed:g}")


def spread(rates: Mapping[str, float]) -> dict[str, float]:
    """Return how far every runtime's rate is from onnxruntime's; NaN, not measured, is no way."""
    reference = rates[RUNTIMES[0]]
    return {
        name: 0.0 if np.isnan(value) and np.isnan(reference) else abs(value - reference)
        for name, value in rates.items()
        if name != RUNTIMES[0]
    }


def keep(config: RunSettings, report: dict[str, Any]) -> None:
    """Print a report and write it into the run's folder."""
    write_json(open_run(config, "verify") / FIGURES, report)
    print(json.dumps(report, indent=1))


def checkpoint_of(config: RunSettings, chosen: Path | None, name: str = "last.pt") -> Path | None:
    """Return the `chosen` checkpoint, or the run's own; None, and a note, where it has none."""
    own = config.run_dir / name
    if chosen is None and not own.is_file():
        print(f"{own} is not there: the bundle is compared between the runtimes alone")
        return None
    return chosen or own


def sizes(role: str, models: Path) -> dict[str, int]:
    """Return the bytes of the bundle's files for `role`, by suffix."""
    files = bundle.read(models)["models"][role]["files"]
    names = [files["onnx"]["name"], *(one["name"] for one in files["ncnn"].values())]
    return {Path(name).suffix[1:]: (models / name).stat().st_size for name in names}


def latency_ms(calls: Sequence[Callable[[int], Any]], repeats: int = 40) -> list[float]:
    """Median milliseconds of processor time of each call, after one to warm up.

    A call gets the number of the repeat. Taken in turns, and without the time that others had the
    processor: networks can be compared even on a busy machine. One thread each, or its helpers'
    time would be missed.
    """
    times = np.zeros((repeats, len(calls)))
    for row in range(-1, repeats):
        for column, call in enumerate(calls):
            start = time.thread_time()
            call(row)
            if row >= 0:
                times[row, column] = time.thread_time() - start
    return [float(value) for value in 1e3 * np.median(times, axis=0)]
