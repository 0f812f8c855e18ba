"""Measure the liveness model on subjects never trained on, attack by attack.

APCER is the share of attacks taken for alive, BPCER the share of living faces taken for attacks
(ISO/IEC 30107-3). The threshold is chosen on validation subjects; test subjects are reported on.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from training.detector import night
from training.detector.evaluate import open_detector
from training.liveness.attacks import ATTACKS
from training.liveness.data import (
    FOLDS,
    Patch,
    attacked,
    read_living,
    read_webcam,
    shrink,
)
from training.liveness.export import to_measure
from training.liveness.settings import LivenessConfig
from training.liveness.train import FACE_SCORE, train
from training.presence.evaluate import rate, threshold_for
from training.presence.export import run_onnx

NIGHTS = ("dim", "dark", "infrared")

# A living face denied costs its owner a visit: at most 2 % of the validation faces, by day.
_ACCEPTED = 0.98

Scores = dict[str, tuple[np.ndarray, list[str]]]
"""For each kind: how alive each patch looks, and whose it is."""


def score(measure: Any, patches: list[Patch], condition: str = "clean") -> np.ndarray:
    """Return `live` of each patch under a condition, float32[N]."""
    if not patches:
        return np.zeros(0, np.float32)
    figures = []
    for index, patch in enumerate(patches):
        rgb = shrink(patch.rgb)
        if condition in night.NIGHTS:
            generator = np.random.default_rng([17, index])
            rgb = night.simulate(rgb, night.NIGHTS[condition], generator)
        image = rgb.astype(np.float32).transpose(2, 0, 1)[None]
        figures.append(run_onnx(measure, image)[0])
    return np.array(figures)


def kinds(config: LivenessConfig, split: str) -> tuple[dict[str, list[Patch]], int]:
    """Return the patches of one side by kind, and in how many webcam frames no face was found.

    Kinds of living faces begin with "live", all others are attacks.
    """
    detector = open_detector(config.detector, FACE_SCORE)
    webcam, missed = read_webcam(config.spoof, detector, split, config.fold)
    living = read_living(config.scenes, split)
    alive = [patch for patch in webcam if patch.live]
    groups = {
        "live, webcam": alive,
        "live, scenes": living,
        "printed photograph": [patch for patch in webcam if not patch.live],
    }
    for number, kind in enumerate(ATTACKS):
        groups[f"{kind}, webcam"] = attacked(alive, living, kind, number)
        groups[f"{kind}, scenes"] = attacked(living, living, kind, number)
    return groups, missed


def measured(measure: Any, groups: dict[str, list[Patch]]) -> Scores:
    """Score every kind by day, and the webcam's real frames by simulated night too."""
    scores = {
        kind: (score(measure, patches), [patch.who for patch in patches])
        for kind, patches in groups.items()
    }
    for kind in ("live, webcam", "printed photograph"):
        for condition in NIGHTS:
            whose = [patch.who for patch in groups[kind]]
            scores[f"{kind}, {condition}"] = (score(measure, groups[kind], condition), whose)
    return scores


def choose(scores: Scores) -> float:
    """Return the highest threshold that denies at most 2 % of either source's living faces."""
    living = [scores[kind][0] for kind in ("live, webcam", "live, scenes")]
    return min(threshold_for(one, _ACCEPTED) for one in living if len(one))


def errors(scores: Scores, threshold: float) -> dict[str, dict[str, float]]:
    """Return BPCER of each living kind and APCER of each attack, with intervals over subjects."""
    report = {}
    for kind, (live, whose) in scores.items():
        accepted = live >= threshold
        wrong = ~accepted if kind.startswith("live") else accepted
        report[kind] = rate(wrong, whose)
    return report


def evaluate(config: LivenessConfig, checkpoint: Path) -> dict[str, Any]:
    """Choose the threshold on validation, store it in the checkpoint, report on test."""
    folder = config.run_dir
    measure = to_measure(checkpoint, folder)
    validation = measured(measure, kinds(config, "validation")[0])
    threshold = choose(validation)
    groups, missed = kinds(config, "test")
    test = measured(measure, groups)
    report = {
        "threshold": threshold,
        "frames without a face": missed,
        "validation": errors(validation, threshold),
        "test": errors(test, threshold),
    }
    stored = torch.load(str(checkpoint), map_location="cpu", weights_only=True)
    stored["card"]["threshold"] = threshold
    torch.save(stored, checkpoint)
    (folder / "evaluation.json").write_text(json.dumps(report, indent=1) + "\n")
    np.savez(
        folder / "test.npz",
        **{kind: live - threshold for kind, (live, _) in test.items()},
        **{f"{kind} of": np.array(whose) for kind, (_, whose) in test.items()},
    )
    return report


def crossvalidate(
    config: LivenessConfig, report: Callable[[str], None] = print
) -> dict[str, dict[str, float]]:
    """Train and evaluate every fold, so that each subject is once in the test; pool the errors."""
    pooled: Scores = {}
    for fold in range(FOLDS):
        one = replace(config, fold=fold, name=f"{config.name}/fold-{fold}")
        folder = one.run_dir
        if not (folder / "test.npz").is_file():
            evaluate(one, train(one))
        report(f"fold {fold} is measured")
        with np.load(folder / "test.npz") as saved:
            for kind in (name for name in saved.files if not name.endswith(" of")):
                live, whose = pooled.get(kind, (np.zeros(0), []))
                if fold and "scenes" in kind:
                    continue  # the scenes' test side is the same in every fold
                pooled[kind] = (
                    np.concatenate([live, saved[kind]]),
                    [*whose, *saved[f"{kind} of"].tolist()],
                )
    # Scores were stored relative to each fold's own threshold.
    found = errors(pooled, 0.0)
    (config.run_dir / "crossvalidation.json").write_text(json.dumps(found, indent=1) + "\n")
    return found


def table(part: dict[str, dict[str, float]]) -> str:
    """Lay out errors in per cent, with intervals and counts."""
    lines = []
    for kind, one in part.items():
        if one["views"]:
            name = "BPCER" if kind.startswith("live") else "APCER"
            value, low, high = (100 * one[key] for key in ("value", "low", "high"))
            counts = f"{one['views']} of {one['pictures']}"
            lines.append(f"{name} {kind:30} {value:5.1f} [{low:5.1f}, {high:5.1f}]  {counts}")
    return "\n".join(lines)
