"""Step `verify`: the bundle's network for upright faces in every runtime, on held-out crops."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from training.common import bundle, verify as common
from training.upright.export import OUTPUT, TOLERANCE, exportable
from training.upright.model import ROOM, SIDE
from training.upright.pool import pool
from training.upright.settings import UprightConfig
from vision.networks.upright import Upright


def verify(
    config: UprightConfig, checkpoint: Path | None = None, limit: int | None = None
) -> dict[str, Any]:
    """Compare the bundle's network in ONNX and ncnn, and the `checkpoint` where there is one.

    On the first `limit` crops of the validation side, through `vision`. Returns the largest
    difference of `upright` from onnxruntime's, the shares of upright and turned crops accepted by
    runtime, milliseconds of a crop and bytes.

    Raises:
        ValueError: a runtime, or the checkpoint, differs by more than 0.001, or by more than 0.1
            points of a share.

    """
    models = Path(config.models)
    module = None if checkpoint is None else exportable(checkpoint)
    loaded = common.sessions("upright", models, module, (OUTPUT,))
    entry = bundle.read(models)["models"]["upright"]
    networks = {name: Upright.of(session, entry) for name, session in loaded.items()}
    config.run_dir.mkdir(parents=True, exist_ok=True)
    grey, upright = (part[:limit] for part in pool(config, "validation"))
    crops = _crops(grey)
    scores = {
        name: np.array([network.score(crop) for crop in crops])
        for name, network in networks.items()
    }
    threshold = float(entry["threshold"])
    rates = {
        title: {name: float((one[chosen] >= threshold).mean()) for name, one in scores.items()}
        for title, chosen in (("upright", upright), ("turned", ~upright))
        if chosen.any()
    }
    torch.set_num_threads(1)
    calls = [lambda _row, one=one: one.score(crops[0]) for one in networks.values()]
    report: dict[str, Any] = {
        "crops": len(crops),
        "score_difference": common.largest_differences(scores),
        **rates,
        "ms": dict(zip(networks, common.latency_ms(calls, 200), strict=True)),
        "bytes": common.sizes("upright", models),
    }
    common.keep(config, report)
    common.check(report["score_difference"], TOLERANCE, "upright")
    for title, by_runtime in rates.items():
        common.check(common.spread(by_runtime), common.RATE_PARITY, title)
    return report


def _crops(grey: np.ndarray) -> np.ndarray:
    """Return crops uint8[N,112,112,3] of which `vision` makes the middle of uint8[N,64,64]."""
    border = (ROOM - SIDE) // 2
    middle = grey[:, border:-border, border:-border]
    return np.repeat(middle.repeat(2, axis=1).repeat(2, axis=2)[..., None], 3, axis=3)
