"""Measure the gate on views of pictures never trained on: by day and by simulated night.

The threshold is chosen on validation views by day; the test views are only reported on. What runs
is the exported ONNX file, as at the door.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from training.detector import night
from training.presence.data import (
    Trial,
    digest,
    far_away,
    luma,
    read_empty,
    read_sources,
    read_webcam,
    trials,
)
from training.presence.export import open_onnx, run_onnx, to_measure
from training.presence.model import HEIGHT
from training.presence.settings import PresenceConfig
from training.verifier.metrics import draw_people

Gate = Callable[[np.ndarray], float]
"""From a view uint8[96,W] to `presence`, 0..1."""

CONDITIONS = ("clean", "far away", *night.NIGHTS)

BANDS = ((0, 12), (12, 24), (24, 96))
"""Heights of the face in the 96 rows, in pixels, by which recall is reported."""

# Of validation views with somebody, by day: more than the 99 % wanted, for luck with validation.
_RECALL = 0.995


def under(trial: Trial, condition: str) -> np.ndarray:
    """Return a trial's view uint8[96,W] under a condition; always the same noise."""
    if condition not in night.NIGHTS:
        return trial.grey
    picture = np.repeat(trial.grey[..., None], 3, axis=2)
    generator = np.random.default_rng(digest(trial))
    return luma(night.simulate(picture, night.NIGHTS[condition], generator))


def rate(hits: np.ndarray, names: list[str], seed: int = 7) -> dict[str, float]:
    """Return the share of `hits` with its 95 % interval from a bootstrap over the pictures."""
    if not len(hits):
        return {"views": 0}
    _, group = np.unique(names, return_inverse=True)
    total = np.bincount(group).astype(float)
    found = np.bincount(group, weights=hits.astype(float))
    weights = draw_people(len(total), 1000, seed)
    low, high = np.quantile((weights @ found) / (weights @ total), [0.025, 0.975])
    return {
        "value": float(hits.mean()),
        "low": float(low),
        "high": float(high),
        "views": len(hits),
        "pictures": len(total),
    }


def threshold_for(scores: np.ndarray, recall: float) -> float:
    """Return the highest threshold, rounded down to 0.001, with this share of scores above it."""
    ordered = np.sort(scores)
    allowed = int(np.floor((1 - recall) * len(ordered)))
    return float(np.floor(ordered[allowed] * 1000) / 1000)


def open_gate(checkpoint: Path | str, folder: Path) -> Gate:
    """Return a function from a view uint8[96,W] to `presence`, through onnxruntime."""
    path = Path(checkpoint)
    session = open_onnx(path) if path.suffix == ".onnx" else to_measure(path, folder)
    return lambda grey: float(run_onnx(session, grey.astype(np.float32)[None, None])[0])


def summary(tests: list[Trial], scores: np.ndarray, threshold: float) -> dict[str, Any]:
    """Return recall, recall by the face's height, and false alarms, at `threshold`."""
    faces = np.array([one.face for one in tests])
    names = np.array([one.name for one in tests])
    over = scores >= threshold
    report = {
        "recall": rate(over[faces > 0], list(names[faces > 0])),
        "false alarms": rate(over[faces == 0], list(names[faces == 0])),
    }
    for low, high in BANDS:
        inside = (faces > 0) & (faces >= low) & (faces < high)
        report[f"recall {low}-{high} px"] = rate(over[inside], list(names[inside]))
    return report


@dataclass(frozen=True)
class Views:
    """The evaluation's views of one side: from `scenes`, and `far`, the same at half size.

    `places` are empty; `webcam` are frames of people from another camera, the same for both sides.
    """

    scenes: list[Trial]
    far: list[Trial]
    places: list[Trial]
    webcam: list[Trial]

    @staticmethod
    def read(config: PresenceConfig, split: str, limit: int | None) -> Views:
        """Cut the views of one side, out of at most `limit` scenes."""
        scenes = trials(read_sources(config.scenes, split)[:limit], seed=11)
        empty = [one for folder in config.empty for one in read_empty(folder, split)]
        far = far_away(scenes, empty, seed=13) if empty else []
        webcam = read_webcam(config.webcam) if config.webcam else []
        return Views(scenes, far, trials(empty, seed=12, per_picture=1), webcam)


def scored(gate: Gate, views: list[Trial], condition: str) -> np.ndarray:
    """Return `presence` of each view under a condition."""
    return np.array([gate(under(one, condition)) for one in views])


def measure(gate: Gate, views: Views, threshold: float) -> dict[str, Any]:
    """Return the figures of one side under every condition."""
    report = {}
    for condition in CONDITIONS:
        shown = views.far if condition == "far away" else views.scenes
        if shown:
            report[condition] = summary(shown, scored(gate, shown, condition), threshold)
        if views.places and condition != "far away":
            alarms = scored(gate, views.places, condition) >= threshold
            measured = rate(alarms, [one.name for one in views.places])
            report[condition]["false alarms, empty places"] = measured
        if views.webcam and condition != "far away":
            found = scored(gate, views.webcam, condition) >= threshold
            report[condition]["recall, webcam"] = rate(found, [one.name for one in views.webcam])
    return report


def evaluate(
    config: PresenceConfig, checkpoint: Path, *, limit: int | None = None
) -> dict[str, Any]:
    """Choose the threshold on validation, store it in the checkpoint, report on test."""
    folder = config.run_dir
    gate = open_gate(checkpoint, folder)
    validation, test = (Views.read(config, split, limit) for split in ("validation", "test"))
    people = [one for one in validation.scenes if one.face]
    threshold = threshold_for(scored(gate, people, "clean"), _RECALL)
    report = {
        "threshold": threshold,
        "milliseconds": latency(gate),
        "validation": measure(gate, validation, threshold),
        "test": measure(gate, test, threshold),
    }
    _sheet(test.scenes, scored(gate, test.scenes, "clean"), threshold, folder / "errors.png")
    if checkpoint.suffix == ".pt":
        stored = torch.load(str(checkpoint), map_location="cpu", weights_only=True)
        stored["card"]["threshold"] = threshold
        torch.save(stored, checkpoint)
    (folder / "evaluation.json").write_text(json.dumps(report, indent=1) + "\n")
    return report


def latency(gate: Gate, runs: int = 300) -> float:
    """Return the median milliseconds of one 96 x 160 view on one thread."""
    view = np.random.default_rng(0).integers(0, 256, (HEIGHT, 160), dtype=np.uint8)
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        gate(view)
        times.append(time.perf_counter() - start)
    return float(np.median(times) * 1000)


def _sheet(tests: list[Trial], scores: np.ndarray, threshold: float, path: Path) -> None:
    """Draw the worst 24 false alarms above the worst 24 misses."""
    order = np.argsort(scores)
    alarms = [tests[k] for k in order[::-1] if not tests[k].face and scores[k] >= threshold]
    misses = [tests[k] for k in order if tests[k].face and scores[k] < threshold]
    sheet = Image.new("L", (8 * 180, 6 * 100), 128)
    for block, views in enumerate((alarms[:24], misses[:24])):
        for index, view in enumerate(views):
            corner = (index % 8 * 180, (block * 3 + index // 8) * 100)
            sheet.paste(Image.fromarray(view.grey), corner)
    sheet.save(path)


def table(part: dict[str, dict[str, dict[str, float]]]) -> str:
    """Lay out one split of a report: per cent, with intervals."""
    lines = []
    for condition, figures in part.items():
        lines.append(condition)
        for name, one in figures.items():
            if one["views"]:
                value, low, high = (100 * one[key] for key in ("value", "low", "high"))
                counts = f"{one['views']} views of {one['pictures']}"
                lines.append(f"  {name:26} {value:5.1f} [{low:5.1f}, {high:5.1f}]  {counts}")
    return "\n".join(lines)
