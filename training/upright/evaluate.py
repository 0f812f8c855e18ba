"""Measure what wrong faces get past the door's checks, and what upright faces are lost.

The threshold is chosen on the validation side; all other figures are of people and pictures that
nothing was trained or chosen on. Everything runs through `vision`, with the bundle's detector and
its quality limits: a face that is too small, too dark or blurred is no evidence anyway.
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
    RIGHT,
    TILT,
    Shown,
    Subject,
    cut,
    error_of,
    found_of,
    of_crops,
    of_frames,
    of_scenes,
    show,
    shuffled,
)
from training.upright.export import to_measure
from training.upright.model import load_checkpoint
from training.upright.settings import UprightConfig
from vision.imaging.align import align
from vision.imaging.quality import QualityLimits, measure
from vision.networks.detector import Detector
from vision.networks.upright import MAX_OUTSIDE, Upright, is_plausible

_LOGGER = logging.getLogger(__name__)

TURNS = (65, 90, 120, 150, 180, 210, 240, 270, 295)
"""Degrees at which turned faces are shown."""
UPRIGHT, HALF, NEGATIVE = "upright", "half", "negative"
CONDITIONS = ("clean", "dim", "dark", "infrared")
LOST = 0.004
"""Share of validation's upright faces that the threshold gives away: 0.5 %, less some luck."""
_WIDTHS = (40.0, 120.0)


@dataclass(frozen=True)
class Trial:
    """A face shown: the highest `score` of what could be evidence in it, NaN where nothing could.

    `view` is "upright" (tilted by up to 30 degrees), one of `TURNS`, "half" (an eye, the nose or a
    corner of the mouth is beyond the picture's border) or "negative". The score is 0 where the
    landmarks alone refuse it.
    """

    kind: str
    name: str
    condition: str
    view: str
    score: float


def trials(
    subjects: Sequence[Subject],
    detector: Detector,
    limits: QualityLimits,
    upright: Upright,
    seed: int,
) -> list[Trial]:
    """Show every subject upright under every condition, and wrong in every way under one."""
    made = []
    for number, subject in enumerate(subjects):
        generator = np.random.default_rng([seed, number])
        wrong = [(view, str(generator.choice(CONDITIONS))) for view in (*TURNS, HALF, NEGATIVE)]
        for view, condition in [*((UPRIGHT, one) for one in CONDITIONS), *wrong]:
            shown = _shown(subject, view, generator)
            if shown is None:
                continue
            pixels = 255 - shown.pixels if view == NEGATIVE else shown.pixels
            if condition in night.NIGHTS:
                pixels = night.simulate(pixels, night.NIGHTS[condition], generator)
            scores = []
            height, width = pixels.shape[:2]
            for face in found_of(detector, shown, pixels):
                # Where the landmarks are wrong, an upright face is rightly refused.
                if view == UPRIGHT and error_of(face, shown) >= RIGHT:
                    continue
                try:
                    crop = align(pixels, face.landmarks)
                except ValueError:
                    continue
                if limits.problem(measure(face, crop)) is None:
                    fits = is_plausible(face.landmarks, width, height)
                    scores.append(upright.score(crop) if fits else 0.0)
            best = max(scores, default=np.nan)
            made.append(Trial(subject.source, subject.name, condition, str(view), best))
    return made


def _shown(subject: Subject, view: object, generator: np.random.Generator) -> Shown | None:
    """Show a face; None where the border hides nothing of what should be half a face."""
    degrees = view if isinstance(view, int) else generator.uniform(-TILT, TILT)
    width = float(np.exp(generator.uniform(*np.log(_WIDTHS))))
    shown = show(subject, float(degrees), width, generator)
    if view != HALF:
        return shown
    shown = cut(shown, generator)
    return shown if shown.outside > MAX_OUTSIDE else None


def threshold_for(scores: np.ndarray, lost: float) -> float:
    """Return the highest threshold, rounded down to 0.001, that loses at most this share."""
    ordered = np.sort(scores)
    return float(np.floor(ordered[int(np.floor(lost * len(ordered)))] * 1000) / 1000)


def figures(made: Sequence[Trial], threshold: float) -> dict[str, dict[str, Any]]:
    """Return by condition and by kind what is lost of upright faces and what wrong ones get past.

    `lost` is of upright faces that could be evidence. `turned`, `half` and `negative` are of all
    faces shown so, and `... of found` of those that would be evidence without the network and the
    rules for landmarks. `at N` is `turned` by degrees, only for all together.
    """
    groups = [("all", made)]
    groups += [(one, [t for t in made if t.condition == one]) for one in CONDITIONS]
    kinds = sorted({trial.kind for trial in made})
    groups += [(one, [t for t in made if t.kind == one]) for one in kinds]
    report: dict[str, dict[str, Any]] = {}
    for title, some in groups:
        usable = [t for t in some if t.view == UPRIGHT and not np.isnan(t.score)]
        row = {"lost": _rate([t.score < threshold for t in usable], usable)}
        views = {"turned": {str(turn) for turn in TURNS}, HALF: {HALF}, NEGATIVE: {NEGATIVE}}
        if title == "all":
            views |= {f"at {turn}": {str(turn)} for turn in TURNS}
        for name, wanted in views.items():
            shown = [t for t in some if t.view in wanted]
            found = [t for t in shown if not np.isnan(t.score)]
            row[f"{name}, without"] = _rate([not np.isnan(t.score) for t in shown], shown)
            row[name] = _rate([t.score >= threshold for t in shown], shown)
            row[f"{name}, of found"] = _rate([t.score >= threshold for t in found], found)
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

    def subjects(side: str) -> list[Subject]:
        found = shuffled(of_scenes(config.scenes, side), config.seed)[:most]
        found += of_crops(config.crops, side, most, config.seed) if config.crops else []
        if config.webcam:
            found += of_frames(config.webcam, side, detector, most, config.seed)
        return found

    validation = trials(subjects("validation"), detector, limits, upright, 31)
    usable = [t.score for t in validation if t.view == UPRIGHT and not np.isnan(t.score)]
    threshold = threshold_for(np.array(usable), LOST)
    _LOGGER.info("validation: %d faces shown, threshold %g", len(validation), threshold)
    unseen = subjects("test")
    for pack in config.unseen:
        unseen += of_crops(pack, None, most, config.seed)
    test = trials(unseen, detector, limits, upright, 41)
    _keep(folder / "trials.csv", {"validation": validation, "test": test})
    crop = np.random.default_rng(0).integers(0, 256, (112, 112, 3), dtype=np.uint8)
    report = {
        "threshold": threshold,
        "milliseconds": latency_ms([lambda _row: upright.score(crop)], 300)[0],
        "parameters": sum(one.numel() for one in load_checkpoint(checkpoint).parameters()),
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
        rows.writerow(["side", "kind", "condition", "view", "score"])
        for side, some in made.items():
            rows.writerows([side, t.kind, t.condition, t.view, f"{t.score:.6f}"] for t in some)


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
                    lines.append(f"  {name:20} {value:6.2f} [{low:6.2f}, {high:6.2f}]  {of}")
    return "\n".join(lines)
