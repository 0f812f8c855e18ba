"""Write the liveness model as ONNX and ncnn, check both, and put it into the bundle."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch

from training.common.bundle import write_entry
from training.common.formats import INPUT_NAME, Paths, write_ncnn
from training.liveness.evaluate import CROSSVALIDATION
from training.liveness.model import SHAPE, ExportedLiveness, load_checkpoint
from training.presence.export import check_parity, smooth_noise, to_onnx
from vision.networks.liveness import CLOSE, CONTEXT, SIDE

ROLE = "liveness"


def export(checkpoint: Path | str, folder: Path | str) -> dict[str, Any]:
    """Write liveness.onnx, .param and .bin of an evaluated checkpoint; return models.json's entry.

    The entry has the thresholds and what each lets through: of the cross-validation where the
    checkpoint's folder has one, else of this network on its test subjects. Their intervals are in
    the reports.

    Raises:
        ValueError: the checkpoint was not evaluated, or a runtime disagrees with PyTorch.

    """
    checkpoint, folder = Path(checkpoint), Path(folder)
    card = torch.load(str(checkpoint), map_location="cpu", weights_only=True)["card"]
    if "operating_points" not in card:
        raise ValueError(f"{checkpoint} has no thresholds: evaluate it first")
    by, measured = "test", card["operating_points"]
    table = checkpoint.parent / CROSSVALIDATION
    if table.is_file():
        by, measured = "crossvalidation", json.loads(table.read_text())["operating_points"]
    folder.mkdir(parents=True, exist_ok=True)
    module = ExportedLiveness(load_checkpoint(checkpoint)).eval()
    paths = Paths.inside(folder, ROLE)
    to_onnx(module, paths.onnx, "live", SHAPE)
    write_ncnn(module, paths, [SHAPE], ["live"], half=False)
    worst = check_parity(module, paths, "live", [smooth_noise((8, *SHAPE), 5)])
    return {
        "version": card["version"],
        "files": paths.entry(),
        "input": {
            "name": INPUT_NAME,
            "layout": "NCHW",
            "channels": "RGB of the surroundings, RGB of the face",
            "range": [0, 255],
            "size": [SIDE, SIDE],
            "box_enlarged": [CONTEXT, CLOSE],
        },
        "licence": card["licence"],
        "origin": card["origin"],
        "parity": worst,
        "points": [
            {"bpcer": point["bpcer_target"], "threshold": point["threshold"]}
            for point in card["operating_points"]
        ],
        "measured": {"by": by, "points": [_short(point) for point in measured]},
    }


def _short(point: dict[str, Any]) -> dict[str, Any]:
    """Return a report's operating point with nothing but the shares."""
    shares = {
        which: {kind: one["value"] for kind, one in point[which].items()}
        for which in ("bpcer", "apcer")
    }
    return {"bpcer_target": point["bpcer_target"], **shares}


def install(checkpoint: Path | str, models: Path | str) -> dict[str, Any]:
    """Export into the bundle in folder `models` and return the entry; errors as `export`'s."""
    entry = export(checkpoint, models)
    write_entry(Path(models), ROLE, entry)
    return entry
