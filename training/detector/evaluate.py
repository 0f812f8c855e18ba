"""Measure a detector on held-out scenes: by day, smaller, and by simulated night.

The score threshold is chosen on the validation split and stored in the checkpoint; the test split
is only reported on. Pictures go through the `vision` package's detector, as at the door.

Landmarks are measured against three answers, none of them a person's:
- labels: what YuNet said of a larger copy of the picture, once;
- teacher: what YuNet says of the very pixels that are searched, before they were darkened, read by
  the same decoder, where it finds the face;
- settled: the median of YuNet's answers on the label's copy and on eight others (`settle.py`).
"""

from __future__ import annotations

import json
import logging
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from PIL import Image

from training.common.sessions import OnnxSession
from training.detector import night
from training.detector.data import Labels, Scene, read_scenes
from training.detector.export import to_onnx
from training.detector.figures import WIDTHS, Result, answered, figures
from training.detector.matching import false_faces, match
from training.detector.model import FaceDetector, load_checkpoint, load_yunet
from training.detector.settle import settle
from vision.networks.detector import Detector

_LOGGER = logging.getLogger(__name__)

SCALES = {"clean": 1.0, "half size": 0.5, "quarter size": 0.25}
# Detections are made once at this score; the thresholds are then tried on them. Greedy suppression
# goes from sure to unsure, so that dropping the unsure afterwards changes nothing above them.
_LOWEST_SCORE = 0.2
# Below the least score in the pack a "false" face may be one that the teacher saw and left out.
_THRESHOLDS = np.round(np.arange(0.50, 0.91, 0.01), 2)
# One false face in 50 pictures in every condition.
_FALSE_ALLOWED = 0.02
_TEACHER_SCORE = 0.5


def open_detector(path: Path | str, score_threshold: float = _LOWEST_SCORE) -> Detector:
    """Open a checkpoint (.pt), an exported detector or YuNet's own file (both .onnx)."""
    path = Path(path)
    if path.suffix == ".onnx":
        inputs = [one.name for one in onnx.load(str(path)).graph.input]
        if inputs == ["image"]:
            return Detector(OnnxSession(path), score_threshold=score_threshold)
        model = FaceDetector()
        load_yunet(model, path)
    else:
        model = load_checkpoint(path)
    return detector_of(model, score_threshold)


def detector_of(model: FaceDetector, score_threshold: float = _LOWEST_SCORE) -> Detector:
    """Return `model` as the door runs it: exported to ONNX, then read by `vision`."""
    with tempfile.TemporaryDirectory() as folder:
        exported = Path(folder) / "detector.onnx"
        was = model.training
        to_onnx(model.eval(), exported)
        model.train(was)
        return Detector(OnnxSession(exported), score_threshold=score_threshold)


def conditions() -> list[str]:
    """Names of all conditions, in the order of the report."""
    return [*SCALES, *night.NIGHTS]


def under(scene: Scene, index: int, condition: str) -> tuple[np.ndarray, Labels]:
    """Return a scene's picture and labels under a condition; the same for the same `index`."""
    picture = scene.picture()
    if condition in SCALES:
        scale = SCALES[condition]
        if scale != 1.0:
            size = (round(picture.width * scale), round(picture.height * scale))
            picture = picture.resize(size, Image.Resampling.BILINEAR)
        return np.asarray(picture), labels_under(scene.labels, condition)
    number = list(night.NIGHTS).index(condition)
    generator = np.random.default_rng([index, number])
    return night.simulate(np.asarray(picture), night.NIGHTS[condition], generator), scene.labels


def labels_under(labels: Labels, condition: str) -> Labels:
    """Return a picture's labels under a condition."""
    return labels.moved(SCALES.get(condition, 1.0), 0.0, 0.0)


def detect_all(detector: Detector, scenes: Sequence[Scene]) -> dict[str, list[Result]]:
    """Run the detector on every scene under every condition."""
    results: dict[str, list[Result]] = {}
    for condition in conditions():
        found = []
        for index, scene in enumerate(scenes):
            pixels, labels = under(scene, index, condition)
            found.append(Result(labels, detector.detect(pixels)))
        results[condition] = found
        _LOGGER.info("%s: %d pictures", condition, len(found))
    return results


def choose_threshold(results: Mapping[str, Sequence[Result]]) -> float:
    """Return the lowest threshold with at most 1 false face in 50 pictures in every condition.

    Raises:
        ValueError: none of 0.50 to 0.90 keeps to that.

    """
    for threshold in _THRESHOLDS:
        rates = (
            sum(len(false_faces(one.above(threshold), one.labels)) for one in found) / len(found)
            for found in results.values()
        )
        if all(rate <= _FALSE_ALLOWED for rate in rates):
            return float(threshold)
    raise ValueError("no threshold up to 0.9 keeps false faces down to 1 in 50 pictures")


def evaluate(
    scenes: Path | str,
    checkpoint: Path | str,
    out_dir: Path | str,
    *,
    limit: int | None = None,
    threshold: float | None = None,
    teacher: Path | str | None = None,
) -> dict[str, Any]:
    """Choose the threshold on validation (unless given), report on test; write JSON and sheets.

    `limit` takes only the first pictures of each split. With a `teacher` (YuNet's file) the test
    split's landmarks are also measured against its answers. A checkpoint (.pt) gets the threshold
    into its card.

    Returns, and writes to `evaluation-NAME.json`, {"score_threshold", "validation", "test"}; the
    latter two are `figures.Figures` by condition, with {"value", "low", "high"} for each figure.
    Landmarks are "labels", "teacher" and "settled".
    """
    out_dir = Path(out_dir)
    out_dir.mkdir(parents=True, exist_ok=True)
    validation = detect_all(open_detector(checkpoint), read_scenes(scenes, "validation")[:limit])
    if threshold is None:
        threshold = choose_threshold(validation)
    held_out = read_scenes(scenes, "test")[:limit]
    # At the door only cells above the threshold have a say in the landmarks.
    test = detect_all(open_detector(checkpoint, threshold), held_out)
    references: dict[str, dict[str, list[Labels]]] = {name: {} for name in test}
    if teacher is not None:
        references = teachers_landmarks(held_out, open_detector(teacher, _TEACHER_SCORE))
    report: dict[str, Any] = {
        "score_threshold": threshold,
        "validation": {
            name: asdict(figures(found, threshold)) for name, found in validation.items()
        },
        "test": {
            name: asdict(figures(found, threshold, references[name]))
            for name, found in test.items()
        },
    }
    name = Path(checkpoint).stem
    (out_dir / f"evaluation-{name}.json").write_text(json.dumps(report, indent=1) + "\n")
    draw_sheets(held_out, test, threshold, out_dir, name)
    if Path(checkpoint).suffix == ".pt":
        state = torch.load(str(checkpoint), map_location="cpu", weights_only=True)
        state["card"]["score_threshold"] = threshold
        torch.save(state, checkpoint)
    return report


def teachers_landmarks(
    scenes: Sequence[Scene], teacher: Detector
) -> dict[str, dict[str, list[Labels]]]:
    """Return every scene's labels with the teacher's landmarks, by condition, then by kind.

    "teacher": of the same pixels, undarkened; "settled": of many copies.
    """
    settled = [settle(scene, teacher) for scene in scenes]
    answers = {
        scale: [
            answered(labels, teacher.detect(pixels))
            for pixels, labels in (under(scene, 0, scale) for scene in scenes)
        ]
        for scale in SCALES
    }
    return {
        condition: {
            "teacher": answers.get(condition, answers["clean"]),
            "settled": [labels_under(labels, condition) for labels in settled],
        }
        for condition in conditions()
    }


def draw_sheets(
    scenes: Sequence[Scene],
    results: Mapping[str, Sequence[Result]],
    threshold: float,
    out_dir: Path,
    name: str,
) -> None:
    """Write contact sheets of false and of missed faces (40 px or wider), 10 columns of 96 px."""
    sheets: dict[str, list[Image.Image]] = {"false": [], "missed": []}
    for condition, found in results.items():
        for index, result in enumerate(found):
            faces = result.above(threshold)
            pairs = match(faces, result.labels)
            missed = [
                result.labels.boxes[label]
                for label in np.flatnonzero(result.labels.sure)
                if label not in pairs and np.ptp(result.labels.boxes[label][[0, 2]]) >= 40
            ]
            false = [np.array(face.box) for face in false_faces(faces, result.labels)]
            if missed or false:
                picture = Image.fromarray(under(scenes[index], index, condition)[0])
                sheets["missed"] += [_tile(picture, box) for box in missed]
                sheets["false"] += [_tile(picture, box) for box in false]
    for kind, tiles in sheets.items():
        rows = max(1, -(-len(tiles) // 10))
        sheet = Image.new("RGB", (960, 96 * rows))
        for index, tile in enumerate(tiles):
            sheet.paste(tile, (index % 10 * 96, index // 10 * 96))
        sheet.save(out_dir / f"{kind}-{name}.png")


def _tile(picture: Image.Image, box: np.ndarray) -> Image.Image:
    """Cut a box with half its size around it, as 96x96."""
    # What an untrained network calls a face can be far larger than the picture.
    reach = 2 * max(picture.size)
    box = np.clip(box, -reach, reach)
    side = float(max(box[2] - box[0], box[3] - box[1], 2.0))
    middle = (box[:2] + box[2:]) / 2
    left, top, right, bottom = (
        round(float(value)) for value in (*(middle - side), *(middle + side))
    )
    return picture.crop((left, top, right, bottom)).resize((96, 96))


def table(report: Mapping[str, Mapping[str, Any]]) -> str:
    """Return one split's figures as a Markdown table, in % but for the false faces."""
    head = " | ".join(f">= {least} px" for least in WIDTHS)
    sides = list(next(iter(report.values()))["landmark_error"])
    lines = [
        f"| condition | {head} | false a picture | {' | '.join(sides)} |",
        "|---" * (len(WIDTHS) + 2 + len(sides)) + "|",
    ]
    for name, row in report.items():
        cells = [_cell(row["recall"][least], 100, 1) for least in WIDTHS]
        cells.append(_cell(row["false_per_picture"], 1, 3))
        cells += [_cell(row["landmark_error"][side], 100, 1) for side in sides]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _cell(figure: Mapping[str, float], factor: float, digits: int) -> str:
    value, low, high = (f"{factor * figure[key]:.{digits}f}" for key in ("value", "low", "high"))
    return f"{value} ({low}-{high})"
