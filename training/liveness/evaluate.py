"""Measure the liveness model on subjects never trained on, attack by attack.

APCER is the share of attacks taken for alive, BPCER the share of living faces taken for attacks
(ISO/IEC 30107-3). Thresholds are chosen on validation subjects at a BPCER; test subjects are
reported on. The reports' keys stay:

    operating_points: [{bpcer_target, threshold, bpcer: {KIND: SHARE}, apcer: {KIND: SHARE}}]
    KIND: PACK, PACK_CONDITION, print, print_CONDITION, simulated_ATTACK_PACK[_close]
    SHARE: {value, low, high, pictures, subjects}, shares 0..1, low and high a 95 % interval
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from training.common.split import TEST, TRAIN, VALIDATION
from training.liveness.data import FOLDS
from training.liveness.model import ExportedLiveness, load_checkpoint
from training.liveness.pool import DAY, LIVE, PACKS, PRINT, Pool, open_pool
from training.liveness.settings import LivenessConfig
from training.liveness.train import train
from training.verifier.metrics import draw_people
from vision.networks.liveness import LivenessPoint

TARGETS = (0.01, 0.05)
"""BPCER of the operating points: of the living faces, one in a hundred denied, or one in twenty."""

CROSSVALIDATION = "crossvalidation.json"

_DRAWS = 2000


@dataclass(frozen=True)
class Scored:
    """Some of a pool's measured views: which rows, and `live` in 0..1 of each."""

    rows: np.ndarray
    live: np.ndarray


def score(network: nn.Module, pool: Pool, rows: np.ndarray, batch: int = 64) -> np.ndarray:
    """Return `live` of the pool's rows, float32[N]."""
    figures = [np.zeros(0, np.float32)]
    for start in range(0, len(rows), batch):
        image = torch.from_numpy(np.stack([pool.views[row] for row in rows[start : start + batch]]))
        image = image.permute(0, 1, 4, 2, 3).flatten(1, 2).float()
        with torch.inference_mode():
            figures.append(network(image)[:, 0].numpy())
    return np.concatenate(figures)


def scored(network: nn.Module, pool: Pool, side: str, fold: int) -> Scored:
    """Score all that is measured on one side."""
    rows = np.flatnonzero((pool.purpose == "measure") & pool.on(side, fold))
    return Scored(rows, score(network, pool, rows))


def choose(pool: Pool, validation: Scored) -> list[LivenessPoint]:
    """Return, for each target, the highest threshold that keeps BPCER by day in either pack.

    Raises:
        ValueError: validation has no living face.

    """
    rows = validation.rows
    living = (pool.kind[rows] == LIVE) & (pool.condition[rows] == DAY)
    packs = [validation.live[living & (pool.pack[rows] == pack)] for pack in PACKS]
    packs = [np.sort(one) for one in packs if len(one)]
    if not packs:
        raise ValueError("validation has no living face")
    points = []
    for target in TARGETS:
        # The allowed number may lie below; rounded down, so that the written figure keeps it too.
        highest = min(one[math.floor(target * len(one))] for one in packs)
        points.append(LivenessPoint(target, math.floor(float(highest) * 1000) / 1000))
    return points


def kind_of(pool: Pool, row: int) -> str:
    """Return the key of a measured view in the reports."""
    kind, pack, condition = str(pool.kind[row]), str(pool.pack[row]), str(pool.condition[row])
    if kind in {LIVE, PRINT}:
        name = pack if kind == LIVE else PRINT
        return name if condition == DAY else f"{name}_{condition}"
    attack, _, close = kind.partition(", ")
    return "_".join([*attack.split(), pack, *close.split()])


def share(wrong: np.ndarray, whose: np.ndarray) -> dict[str, float]:
    """Return a share with its 95 % interval from a bootstrap over subjects, not over pictures.

    Pictures of a subject resemble one another: nine subjects are nine, however many pictures.
    """
    _, group = np.unique(whose, return_inverse=True)
    total = np.bincount(group).astype(float)
    found = np.bincount(group, weights=wrong.astype(float))
    weights = draw_people(len(total), _DRAWS, 7)
    low, high = np.quantile((weights @ found) / (weights @ total), [0.025, 0.975])
    return {
        "value": round(float(wrong.mean()), 5),
        "low": round(float(low), 5),
        "high": round(float(high), 5),
        "pictures": len(wrong),
        "subjects": len(total),
    }


def errors(pool: Pool, rows: np.ndarray, accepted: np.ndarray) -> dict[str, dict[str, Any]]:
    """Return `bpcer` and `apcer` by kind; `accepted` bool[N] says what passed for alive."""
    report: dict[str, dict[str, Any]] = {"bpcer": {}, "apcer": {}}
    names = np.array([kind_of(pool, row) for row in rows])
    alive = pool.kind[rows] == LIVE
    for which, wrong in (("bpcer", ~accepted), ("apcer", accepted)):
        mine = alive if which == "bpcer" else ~alive
        for name in sorted(set(names[mine].tolist())):
            one = mine & (names == name)
            report[which][name] = share(wrong[one], pool.who[rows][one])
    return report


def _points(
    pool: Pool, points: list[LivenessPoint], of: list[tuple[Scored, list[LivenessPoint]]]
) -> list[dict[str, Any]]:
    """Report each point on what each of `of` accepts at its own threshold for that target."""
    report = []
    for number, point in enumerate(points):
        rows = np.concatenate([found.rows for found, _ in of])
        accepted = np.concatenate([found.live >= own[number].threshold for found, own in of])
        report.append(
            {
                "bpcer_target": point.bpcer,
                "threshold": point.threshold,
                **errors(pool, rows, accepted),
            }
        )
    return report


def evaluate(config: LivenessConfig, checkpoint: Path, pool: Pool | None = None) -> dict[str, Any]:
    """Choose the thresholds on validation, store them in the checkpoint, report on test.

    Writes evaluation.json, and scores.npz for the cross-validation and the sheets of errors.
    """
    folder = config.run_dir
    folder.mkdir(parents=True, exist_ok=True)
    pool = pool or open_pool(config, folder / "pool")
    network = ExportedLiveness(load_checkpoint(checkpoint)).eval()
    validation = scored(network, pool, VALIDATION, config.fold)
    points = choose(pool, validation)
    test = scored(network, pool, TEST, config.fold)
    report = {
        "subjects": {
            side: np.unique(pool.who[(pool.pack == "webcam") & pool.on(side, config.fold)]).tolist()
            for side in (TRAIN, VALIDATION, TEST)
        },
        "frames_without_a_face": pool.missed,
        "validation": _points(pool, points, [(validation, points)]),
        "operating_points": _points(pool, points, [(test, points)]),
    }
    stored = torch.load(str(checkpoint), map_location="cpu", weights_only=True)
    stored["card"]["operating_points"] = report["operating_points"]
    torch.save(stored, checkpoint)
    (folder / "evaluation.json").write_text(json.dumps(report, indent=1) + "\n")
    np.savez(
        folder / "scores.npz",
        rows=test.rows,
        live=test.live,
        thresholds=[point.threshold for point in points],
    )
    return report


def crossvalidate(
    config: LivenessConfig, say: Callable[[str], None] = print, pool: Pool | None = None
) -> dict[str, Any]:
    """Train and evaluate every fold, so that each subject is once in the test; pool the errors.

    Each fold decides at its own thresholds. The scenes' test side is the same in every fold and
    counts once. A fold that is measured already is not trained again. Writes crossvalidation.json.
    """
    folder = config.run_dir
    folder.mkdir(parents=True, exist_ok=True)
    pool = pool or open_pool(config, folder / "pool")
    parts = []
    for fold in range(FOLDS):
        one = replace(config, fold=fold, name=f"{config.name}/fold-{fold}")
        if not (one.run_dir / "scores.npz").is_file():
            evaluate(one, train(one, pool), pool)
        say(f"fold {fold} is measured")
        with np.load(one.run_dir / "scores.npz") as saved:
            rows, live, thresholds = saved["rows"], saved["live"], saved["thresholds"]
        keep = (pool.pack[rows] == "webcam") | (fold == 0)
        own = [
            LivenessPoint(target, float(threshold))
            for target, threshold in zip(TARGETS, thresholds, strict=True)
        ]
        parts.append((Scored(rows[keep], live[keep]), own))
    points = _points(pool, parts[0][1], parts)
    for number, point in enumerate(points):
        point["threshold"] = [own[number].threshold for _, own in parts]
    report = {"folds": FOLDS, "steps": config.steps, "operating_points": points}
    (folder / CROSSVALIDATION).write_text(json.dumps(report, indent=1) + "\n")
    return report


def table(point: dict[str, Any]) -> str:
    """Lay out the errors of one operating point in per cent, with intervals and counts."""
    lines = [f"threshold {point['threshold']}, for a BPCER of {100 * point['bpcer_target']:g} %"]
    for which in ("bpcer", "apcer"):
        for kind, one in point[which].items():
            value, low, high = (100 * one[key] for key in ("value", "low", "high"))
            counts = f"{one['pictures']} pictures of {one['subjects']}"
            lines.append(
                f"{which.upper()} {kind:34} {value:5.1f} [{low:5.1f}, {high:5.1f}]  {counts}"
            )
    return "\n".join(lines)
