"""Measure the gate on views of pictures never trained on: by day and by simulated night.

The threshold is chosen on validation views by day; the test views are only reported on. What runs
is the exported ONNX file, as at the door.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from training.common.sessions import OnnxSession
from training.common.verify import latency_ms
from training.detector import night
from training.presence.canvases import luma
from training.presence.data import read_empty, read_sources, read_things
from training.presence.export import to_measure
from training.presence.model import HEIGHT, PresenceNet
from training.presence.settings import PresenceConfig
from training.presence.trials import Trial, digest, of_places, of_scenes, pasted, read_webcam
from training.verifier.metrics import draw_people
from vision.networks.presence import Presence

Gate = Callable[[np.ndarray], float]
"""From a view uint8[96,W] to `presence`, 0..1."""

CONDITIONS = ("clean", *night.NIGHTS)

KINDS = ("scenes", "places", "pasted", "webcam")

BANDS = ((0, 8), (8, 12), (12, 24), (24, 96))
"""Heights of the face in the 96 rows, in pixels, by which recall is reported."""

# Of validation's views of scenes with somebody, by day: more than the 99 % wanted, for luck.
_RECALL = 0.9925
# Pairs of pasted views on each side.
_PAIRS = 600

RECALLS = (0.995, 0.99, 0.98, 0.97, 0.95, 0.9)
"""Shares of the scenes' views with somebody by which the trade-off is told."""


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
    """Return a function from a view uint8[96,W] to `presence`, as `vision` gets it of ONNX."""
    path = Path(checkpoint)
    presence = Presence(
        OnnxSession(path if path.suffix == ".onnx" else to_measure(path, folder)), 0.0
    )
    return lambda grey: presence.look(grey).score


def read_trials(config: PresenceConfig, split: str, limit: int | None) -> list[Trial]:
    """Cut the views of one side, out of at most `limit` scenes."""
    sources = read_sources(config.scenes, split, config.mattes)[:limit]
    empty = [one for folder in config.empty for one in read_empty(folder, split)]
    things = read_things(config.things, split) if config.things else []
    # Validation and test share the places, not the windows.
    seed = 11 if split == "test" else 21
    return [
        *of_scenes(sources, seed),
        *of_places(empty, seed + 1),
        *pasted(sources, empty, things, seed + 2, min(_PAIRS, 2 * len(sources))),
        *(read_webcam(config.webcam) if config.webcam else []),
    ]


def scored(gate: Gate, views: list[Trial], condition: str) -> np.ndarray:
    """Return `presence` of each view under a condition."""
    return np.array([gate(under(one, condition)) for one in views])


def summary(
    tests: list[Trial], scores: np.ndarray, threshold: float
) -> dict[str, dict[str, float]]:
    """Return recall and false alarms with intervals, of every kind of view.

    `recall` and `false alarms` are those of the scenes, `recall, KIND` and `false alarms, KIND` of
    the other kinds, `recall, A-B px` of scenes and pasted people whose face is A to B px high,
    `false alarms, all` of scenes and places.
    """
    faces = np.array([one.face for one in tests])
    names = np.array([one.name for one in tests])
    kinds = np.array([one.kind for one in tests])
    over = scores >= threshold
    chosen = {}
    for title, shown in (("recall", faces > 0), ("false alarms", faces == 0)):
        for kind in KINDS:
            name = title if kind == KINDS[0] else f"{title}, {kind}"
            chosen[name] = shown & (kinds == kind)
    sized = (kinds != "webcam") & (faces > 0)
    for low, high in BANDS:
        chosen[f"recall, {low}-{high} px"] = sized & (faces >= low) & (faces < high)
    chosen["false alarms, all"] = (faces == 0) & (kinds != "pasted")
    return {
        name: rate(over[some], list(names[some])) for name, some in chosen.items() if some.any()
    }


def trade_off(tests: list[Trial], scores: np.ndarray) -> list[dict[str, float]]:
    """Return the share of false alarms, pasted views apart, at some recalls of the scenes."""
    faces = np.array([one.face for one in tests])
    kinds = np.array([one.kind for one in tests])
    people = scores[(faces > 0) & (kinds == "scenes")]
    nobody = scores[(faces == 0) & (kinds != "pasted")]
    rows = []
    for recall in RECALLS if len(people) and len(nobody) else ():
        threshold = threshold_for(people, recall)
        alarms = float((nobody >= threshold).mean())
        rows.append({"recall": recall, "threshold": threshold, "false_alarms": alarms})
    return rows


def evaluate(
    config: PresenceConfig, checkpoint: Path, *, limit: int | None = None
) -> dict[str, Any]:
    """Choose the threshold on validation, store it in the checkpoint, report on test.

    The report, also in `evaluation.json`: `threshold`, `milliseconds`, `onnx_bytes`, `parameters`;
    for `validation` and `test`, by condition, what `summary` returns; and the test side's
    `trade_off` by day.
    """
    folder = config.run_dir
    folder.mkdir(parents=True, exist_ok=True)
    gate = open_gate(checkpoint, folder)
    validation, test = (read_trials(config, split, limit) for split in ("validation", "test"))
    people = [one for one in validation if one.face and one.kind == "scenes"]
    threshold = threshold_for(scored(gate, people, "clean"), _RECALL)
    clean = scored(gate, test, "clean")
    measured = checkpoint if checkpoint.suffix == ".onnx" else folder / "measured.onnx"
    report = {
        "threshold": threshold,
        "milliseconds": latency(gate),
        "onnx_bytes": measured.stat().st_size,
        "parameters": sum(one.numel() for one in PresenceNet().parameters()),
        "validation": {"clean": summary(validation, scored(gate, validation, "clean"), threshold)},
        "test": {
            condition: summary(test, scored(gate, test, condition), threshold)
            for condition in CONDITIONS
        },
        "trade_off": trade_off(test, clean),
    }
    _sheet(test, clean, threshold, folder / "errors.png")
    if checkpoint.suffix == ".pt":
        stored = torch.load(str(checkpoint), map_location="cpu", weights_only=True)
        stored["card"]["threshold"] = threshold
        torch.save(stored, checkpoint)
    (folder / "evaluation.json").write_text(json.dumps(report, indent=1) + "\n")
    return report


def latency(gate: Gate, runs: int = 300) -> float:
    """Return the median milliseconds of processor time of one 96 x 160 view on one thread."""
    view = np.random.default_rng(0).integers(0, 256, (HEIGHT, 160), dtype=np.uint8)
    return latency_ms([lambda _row: gate(view)], runs)[0]


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
    """Lay out one side of a report: per cent, with intervals."""
    lines = []
    for condition, figures in part.items():
        lines.append(condition)
        for name, one in figures.items():
            value, low, high = (100 * one[key] for key in ("value", "low", "high"))
            counts = f"{one['views']} views of {one['pictures']}"
            lines.append(f"  {name:24} {value:5.1f} [{low:5.1f}, {high:5.1f}]  {counts}")
    return "\n".join(lines)
