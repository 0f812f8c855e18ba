"""Step `verify`: the bundle's gate in every runtime, on held-out views."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from training.common import bundle, verify as common
from training.presence.evaluate import KINDS, read_trials
from training.presence.export import OUTPUT, TOLERANCE, exportable
from training.presence.settings import PresenceConfig
from vision.networks.presence import Presence


def verify(
    config: PresenceConfig, checkpoint: Path | None = None, limit: int | None = None
) -> dict[str, Any]:
    """Compare the bundle's gate in ONNX and ncnn, and the `checkpoint` where there is one.

    On the views of the test side's first `limit` scenes, through `vision`. Returns the largest
    difference of `presence` from onnxruntime's, recall and false alarms of the scenes' views by
    runtime, milliseconds of a 96 x 160 view and bytes.

    Raises:
        ValueError: a runtime, or the checkpoint, differs by more than 0.001, or by more than 0.1
            points of recall or false alarms.

    """
    models = Path(config.models)
    module = None if checkpoint is None else exportable(checkpoint)
    loaded = common.sessions("presence", models, module, (OUTPUT,))
    entry = bundle.read(models)["models"]["presence"]
    gates = {name: Presence.of(session, entry) for name, session in loaded.items()}
    trials = read_trials(config, "test", limit)
    scores = {
        name: np.array([gate.look(trial.grey).score for trial in trials])
        for name, gate in gates.items()
    }
    ours = np.array([trial.kind == KINDS[0] for trial in trials], bool)
    somebody = np.array([trial.face > 0 for trial in trials], bool)
    threshold = float(entry["threshold"])
    rates = {
        title: {
            name: float((one[chosen] >= threshold).mean()) if chosen.any() else float("nan")
            for name, one in scores.items()
        }
        for title, chosen in (("recall", ours & somebody), ("false_alarms", ours & ~somebody))
    }
    differences = common.largest_differences(scores)
    report = {
        "views": len(trials),
        "score_difference": differences,
        **rates,
        "ms": _latency(gates),
        "bytes": common.sizes("presence", models),
    }
    common.keep(config, report)
    common.check(differences, TOLERANCE, "presence")
    for title, by_runtime in rates.items():
        common.check(common.spread(by_runtime), common.RATE_PARITY, title)
    return report


def _latency(gates: dict[str, Presence]) -> dict[str, float]:
    torch.set_num_threads(1)
    view = np.random.default_rng(0).integers(0, 256, (96, 160), dtype=np.uint8)
    calls = [lambda _row, one=one: one.look(view) for one in gates.values()]
    return dict(zip(gates, common.latency_ms(calls, 200), strict=True))
