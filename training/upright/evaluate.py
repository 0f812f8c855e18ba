"""Measure what turned faces get past the door's checks, and what upright faces are lost.

The threshold is chosen on the validation side; all other figures are of pictures that nothing was
trained or chosen on. Everything runs through `vision`, with the bundle's detector and its quality
limits: a face that is too small, too dark or blurred is no evidence anyway.
"""

from __future__ import annotations

import csv
import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from training.common import bundle, product
from training.common.sessions import OnnxSession
from training.common.verify import latency_ms
from training.detector import night
from training.presence.evaluate import rate
from training.upright.data import (
    TILT,
    Detector,
    Subject,
    align,
    found_of,
    of_crops,
    of_frames,
    of_scenes,
    show,
)
from training.upright.export import to_measure
from training.upright.model import UprightNet
from training.upright.settings import UprightConfig
from vision.quality import QualityLimits, measure
from vision.upright import MAX_ROLL, Upright, roll

_LOGGER = logging.getLogger(__name__)

TURNS = (90, 135, 180, 225, 270)
"""Degrees at which turned faces are shown."""
CONDITIONS = ("clean", "dark", "infrared")
_WIDTHS = (40.0, 110.0)
_LOST = 0.02
"""Share of validation's upright faces that the threshold gives away: a frame lost costs a moment, a
turned face that is compared may open the door."""


@dataclass(frozen=True)
class Trial:
    """A face shown: the highest `score` of what could be evidence in it, NaN where nothing could.

    `degrees` is one of `TURNS`, or 0 for an upright head, tilted by up to 30 degrees.
    """

    kind: str
    name: str
    condition: str
    degrees: int
    score: float


def trials(
    subjects: Sequence[Subject],
    detector: Detector,
    limits: QualityLimits,
    upright: Upright,
    seed: int,
) -> list[Trial]:
    """Show every subject upright and at every turn, under every condition."""
    made = []
    for number, subject in enumerate(subjects):
        for index, condition in enumerate(CONDITIONS):
            generator = np.random.default_rng([seed, number, index])
            for degrees in (0, *TURNS):
                turned = degrees + (0 if degrees else float(generator.uniform(-TILT, TILT)))
                width = float(np.exp(generator.uniform(*np.log(_WIDTHS))))
                shown = show(subject, turned, width, generator)
                pixels = shown.pixels
                if condition in night.NIGHTS:
                    pixels = night.simulate(pixels, night.NIGHTS[condition], generator)
                scores = []
                for face in found_of(detector, shown, pixels):
                    try:
                        crop = align(pixels, face.landmarks)
                    except ValueError:
                        continue
                    if limits.problem(measure(face, crop)) is None:
                        fits = abs(roll(face.landmarks)) <= MAX_ROLL
                        scores.append(upright.score(crop) if fits else 0.0)
                best = max(scores, default=np.nan)
                made.append(Trial(subject.source, subject.name, condition, degrees, best))
    return made


def threshold_for(scores: np.ndarray, lost: float) -> float:
    """Return the highest threshold, rounded down to 0.001, that loses at most this share."""
    ordered = np.sort(scores)
    return float(np.floor(ordered[int(np.floor(lost * len(ordered)))] * 1000) / 1000)


def figures(made: Sequence[Trial], threshold: float) -> dict[str, dict[str, Any]]:
    """Return by condition and by kind what is `lost`, and what is taken at each turn, `at 90`...

    `lost` is of upright faces that could be evidence; `at N` is of all faces shown so, and
    `before, at N` is the same without the network.
    """
    report: dict[str, dict[str, Any]] = {}
    groups = [("all", made)]
    groups += [(one, [t for t in made if t.condition == one]) for one in CONDITIONS]
    kinds = sorted({trial.kind for trial in made})
    groups += [(one, [t for t in made if t.kind == one]) for one in kinds]
    for title, some in groups:
        row: dict[str, Any] = {}
        usable = [t for t in some if not t.degrees and not np.isnan(t.score)]
        row["lost"] = _rate([t.score < threshold for t in usable], usable)
        for degrees in TURNS:
            turned = [t for t in some if t.degrees == degrees]
            row[f"before, at {degrees}"] = _rate([not np.isnan(t.score) for t in turned], turned)
            row[f"at {degrees}"] = _rate([t.score >= threshold for t in turned], turned)
        report[title] = row
    return report


def _rate(hits: list[bool], of: list[Trial]) -> dict[str, float]:
    found = rate(np.array(hits, bool), [trial.name for trial in of])
    return {**found, "hits": int(sum(hits))} if hits else found


def evaluate(
    config: UprightConfig, checkpoint: Path, *, limit: int | None = None
) -> dict[str, Any]:
    """Choose the threshold on validation, store it in the checkpoint, report on unseen pictures.

    The report, also in `evaluation.json`: `threshold`, `milliseconds`, `parameters`, and for
    `validation` and `test` what `figures` returns.
    """
    most = min(limit or config.measured, config.measured)
    folder = config.run_dir
    models = Path(config.models)
    detector = product.detector(models)
    limits = QualityLimits(**bundle.read(models)["models"]["verifier"]["quality"])
    upright = Upright(OnnxSession(to_measure(checkpoint, folder)), 0.0)

    def sides(split: str) -> list[Subject]:
        found = of_scenes(config.scenes, split)[:most]
        return found + (of_crops(config.crops, split, most, config.seed) if config.crops else [])

    validation = trials(sides("validation"), detector, limits, upright, 31)
    _LOGGER.info("validation: %d faces shown", len(validation))
    usable = [t.score for t in validation if not t.degrees and not np.isnan(t.score)]
    threshold = threshold_for(np.array(usable), _LOST)
    unseen = sides("test")
    for pack in config.unseen:
        unseen += of_crops(pack, None, most, config.seed)
    if config.webcam:
        unseen += of_frames(config.webcam, detector, most, config.seed)
    test = trials(unseen, detector, limits, upright, 41)
    _keep(folder / "trials.csv", {"validation": validation, "test": test})
    crop = np.random.default_rng(0).integers(0, 256, (112, 112, 3), dtype=np.uint8)
    report = {
        "threshold": threshold,
        "milliseconds": latency_ms([lambda _row: upright.score(crop)], 300)[0],
        "parameters": sum(one.numel() for one in UprightNet().parameters()),
        "validation": figures(validation, threshold),
        "test": figures(test, threshold),
    }
    stored = torch.load(str(checkpoint), map_location="cpu", weights_only=True)
    stored["card"]["threshold"] = threshold
    torch.save(stored, checkpoint)
    (folder / "evaluation.json").write_text(json.dumps(report, indent=1) + "\n")
    return report


def _keep(path: Path, made: dict[str, list[Trial]]) -> None:
    """Keep every score, so that another threshold can be looked at without showing all again."""
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["side", "kind", "condition", "degrees", "score"])
        for side, some in made.items():
            rows.writerows([side, t.kind, t.condition, t.degrees, f"{t.score:.6f}"] for t in some)


def table(report: dict[str, Any]) -> str:
    """Lay out a report: per cent, with 95 % intervals."""
    lines = []
    for side in ("validation", "test"):
        lines.append(f"\n{side}")
        for title, row in report[side].items():
            lines.append(title)
            for name, one in row.items():
                if one["views"]:
                    low, value, high = (100 * one[key] for key in ("low", "value", "high"))
                    of = f"{one['hits']} of {one['views']}, {one['pictures']} names"
                    lines.append(f"  {name:16} {value:6.2f} [{low:6.2f}, {high:6.2f}]  {of}")
    return "\n".join(lines)
