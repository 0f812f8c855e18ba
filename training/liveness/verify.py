"""Step `verify`: the bundle's liveness networks in every runtime, on webcam frames."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from training.common import bundle, verify as common
from training.detector.evaluate import open_detector
from training.liveness import antispoofing
from training.liveness.data import Source, read_webcam
from training.liveness.model import SHAPE, ExportedLiveness, load_checkpoint
from training.liveness.settings import LivenessConfig
from training.presence.export import TOLERANCE
from vision.networks.antispoofing import ENLARGED, OUTPUT as ANTISPOOFING, SIDE
from vision.networks.liveness import stack, views

OUTPUT = "live"


def verify(
    config: LivenessConfig, checkpoint: Path | None = None, limit: int | None = None
) -> dict[str, Any]:
    """Compare the bundle's network in ONNX and ncnn, and the `checkpoint` where there is one.

    On `limit` frames of the pack of webcam frames, evenly taken, living and printed, of all
    subjects: the shares that each threshold denies or accepts compare the runtimes and measure
    nothing else. Returns the largest difference of `live` from onnxruntime's, those shares by
    runtime, milliseconds of one face and bytes; and `antispoofing` the same of that network, where
    the bundle has it, by its limits for visits.

    Raises:
        ValueError: a runtime, or the checkpoint, differs by more than 0.001, or by more than 0.1
            points of what a threshold denies or accepts.

    """
    models = Path(config.models)
    module = None if checkpoint is None else ExportedLiveness(load_checkpoint(checkpoint))
    loaded = common.sessions("liveness", models, module, (OUTPUT,))
    sources = read_webcam(config.spoof, open_detector(config.detector))[0]
    if limit is not None:
        sources = sources[:: max(1, len(sources) // limit)][:limit]
    alive = np.array([source.live for source in sources], bool)
    scores: dict[str, Any] = {name: np.zeros(len(sources)) for name in loaded}
    for row, source in enumerate(sources):
        x1, y1, x2, y2 = (float(value) for value in source.scene.box)
        image = stack(views(source.scene.rgb, (x1, y1, x2, y2)))
        for name, session in loaded.items():
            scores[name][row] = session.run(image, (OUTPUT,))[OUTPUT].item()
    rates = {
        f"{title} at BPCER {point['bpcer']:g}": {
            name: float((passed(one, point) != alive)[chosen].mean())
            for name, one in scores.items()
        }
        for point in bundle.read(models)["models"]["liveness"]["points"]
        for title, chosen in (("living denied", alive), ("prints accepted", ~alive))
        if chosen.any()
    }
    differences = {"live": common.largest_differences(scores)}
    report = {
        "frames": len(sources),
        "score_difference": differences["live"],
        **rates,
        "ms": _latency(loaded),
        "bytes": common.sizes("liveness", models),
    }
    if antispoofing.ROLE in bundle.read(models)["models"]:
        second = _second(models, sources, alive)
        report[antispoofing.ROLE] = second
        differences[antispoofing.ROLE] = second["score_difference"]
        rates |= second["below"]
    common.keep(config, report)
    for output, by_runtime in differences.items():
        common.check(by_runtime, TOLERANCE, output)
    for title, by_runtime in rates.items():
        common.check(common.spread(by_runtime), common.RATE_PARITY, title)
    return report


def _second(models: Path, sources: list[Source], alive: np.ndarray) -> dict[str, Any]:
    """Compare the antispoofing network between the runtimes; see `verify`."""
    loaded = common.sessions(antispoofing.ROLE, models, None, (ANTISPOOFING,))
    scores = {name: np.zeros(len(sources)) for name in loaded}
    for row, source in enumerate(sources):
        x1, y1, x2, y2 = (float(value) for value in source.scene.box)
        image = stack(views(source.scene.rgb, (x1, y1, x2, y2), ENLARGED, SIDE))
        for name, session in loaded.items():
            answer = session.run(image, (ANTISPOOFING,))[ANTISPOOFING]
            scores[name][row] = answer.item()
    visits = bundle.read(models)["models"][antispoofing.ROLE].get("visits", {"limits": []})
    return {
        "score_difference": common.largest_differences(scores),
        "below": {
            f"{title} below {cell[level]:g}": {
                name: float((one[chosen] < cell[level]).mean()) for name, one in scores.items()
            }
            for cell in visits["limits"]
            for level in ("basic", "strict")
            for title, chosen in (("living", alive), ("prints", ~alive))
            if chosen.any()
        },
        "ms": _latency(loaded, antispoofing.SHAPE),
        "bytes": common.sizes(antispoofing.ROLE, models),
    }


def passed(scores: np.ndarray, point: dict[str, float]) -> np.ndarray:
    """Return which scores a point of models.json takes for alive."""
    return scores >= point["threshold"]


def _latency(loaded: dict[str, Any], shape: tuple[int, int, int] = SHAPE) -> dict[str, float]:
    torch.set_num_threads(1)
    image = np.random.default_rng(0).integers(0, 256, (1, *shape)).astype(np.float32)
    calls = [lambda _row, one=one: one.run(image, (OUTPUT,)) for one in loaded.values()]
    return dict(zip(loaded, common.latency_ms(calls), strict=True))
