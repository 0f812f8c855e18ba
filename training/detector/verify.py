"""Step `verify`: the bundle's detector in every runtime, on held-out pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from training.common import bundle, verify as common
from training.detector.data import read_scenes
from training.detector.figures import Result, figures
from training.detector.model import ExportedDetector, load_checkpoint, output_names
from training.detector.settings import DetectorConfig
from vision.networks.detector import STRIDES, Detector

SCORE_PARITY = 2e-3
"""Largest difference of a cell's score, 0..1."""
PIXEL_PARITY = 0.05
"""Largest difference of a box or landmark, in pixels, in the cells that claim a face."""

_WIDTHS = (24, 60)
# The frame that latency is measured on: what the door makes of 1280x720.
_FRAME = (540, 960, 3)


@dataclass
class _Kept:
    """A session that keeps its last answer."""

    session: Any
    maps: Mapping[str, np.ndarray] = field(default_factory=dict)

    def run(self, image: np.ndarray, outputs: Sequence[str]) -> Mapping[str, np.ndarray]:
        self.maps = self.session.run(image, outputs)
        return self.maps


def verify(
    config: DetectorConfig, checkpoint: Path | None = None, limit: int | None = None
) -> dict[str, Any]:
    """Compare the bundle's detector in ONNX and ncnn, and the `checkpoint` where there is one.

    On the test split's first `limit` pictures, through `vision`. Returns the largest differences
    from onnxruntime of scores and of boxes and landmarks (pixels), recall of faces of 24 and 60 px
    and false faces a picture by runtime, milliseconds of a frame and bytes.

    Raises:
        ValueError: a runtime, or the checkpoint, differs by more than this module allows, or by
            more than 0.1 points of recall.

    """
    models = Path(config.models)
    module = None if checkpoint is None else ExportedDetector(load_checkpoint(checkpoint))
    loaded = common.sessions("detector", models, module, output_names())
    threshold = float(bundle.read(models)["models"]["detector"]["score_threshold"])
    kept = {name: _Kept(session) for name, session in loaded.items()}
    detectors = {name: Detector(one, score_threshold=threshold) for name, one in kept.items()}
    results: dict[str, list[Result]] = {name: [] for name in detectors}
    scores, pixels = (dict.fromkeys(list(kept)[1:], 0.0) for _ in range(2))
    scenes = read_scenes(config.scenes, "test")[:limit]
    for scene in scenes:
        rgb = np.asarray(scene.picture())
        for name, detector in detectors.items():
            results[name].append(Result(scene.labels, detector.detect(rgb)))
        for stride in STRIDES:
            maps = {name: one.maps for name, one in kept.items()}
            _widen(scores, {name: one[f"score_{stride}"] for name, one in maps.items()})
            claimed = maps[common.RUNTIMES[0]][f"score_{stride}"][0, 0] >= threshold
            for kind in ("box", "kps"):
                cells = {name: one[f"{kind}_{stride}"] for name, one in maps.items()}
                moved = {name: stride * one[0][:, claimed] for name, one in cells.items()}
                _widen(pixels, moved)
    found = {name: figures(one, threshold, draws=1) for name, one in results.items()}
    recall = {
        str(width): {name: one.recall[width].value for name, one in found.items()}
        for width in _WIDTHS
    }
    false = {name: one.false_per_picture.value for name, one in found.items()}
    report = {
        "pictures": len(scenes),
        "score_difference": scores,
        "pixel_difference": pixels,
        "recall": recall,
        "false_per_picture": false,
        "ms": _latency(detectors),
        "bytes": common.sizes("detector", models),
    }
    common.keep(config, report)
    common.check(scores, SCORE_PARITY, "score")
    common.check(pixels, PIXEL_PARITY, "boxes and landmarks in pixels")
    for width, rates in recall.items():
        common.check(common.spread(rates), common.RATE_PARITY, f"recall from {width} px")
    return report


def _widen(largest: dict[str, float], answers: Mapping[str, np.ndarray]) -> None:
    for name, value in common.largest_differences(answers).items():
        largest[name] = max(largest[name], value)


def _latency(detectors: Mapping[str, Detector]) -> dict[str, float]:
    torch.set_num_threads(1)
    frame = np.random.default_rng(0).integers(0, 256, _FRAME, dtype=np.uint8)
    calls = [lambda _row, one=one: one.detect(frame) for one in detectors.values()]
    return dict(zip(detectors, common.latency_ms(calls, 15), strict=True))
