"""Write the liveness model as ONNX and ncnn; the gate's export does most of the work."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import onnxruntime
import torch

from training.common.formats import INPUT_NAME, Paths, write_ncnn
from training.liveness.model import ENLARGED, SIDE, ExportedLiveness, load_checkpoint
from training.presence.export import check_parity, open_onnx, smooth_noise, to_onnx

SHAPE = (3, SIDE, SIDE)


def to_measure(checkpoint: Path | str, folder: Path) -> onnxruntime.InferenceSession:
    """Export a checkpoint to ONNX in `folder` and open it."""
    path = folder / "measured.onnx"
    to_onnx(ExportedLiveness(load_checkpoint(checkpoint)), path, "live", SHAPE)
    return open_onnx(path)


def export(checkpoint: Path | str, folder: Path | str) -> dict[str, Any]:
    """Write liveness.onnx, .param and .bin of a checkpoint; return the entry for models.json.

    Raises:
        ValueError: a runtime disagrees with PyTorch.

    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    module = ExportedLiveness(load_checkpoint(checkpoint)).eval()
    card = torch.load(str(checkpoint), map_location="cpu", weights_only=True)["card"]
    paths = Paths.inside(folder, "liveness")
    to_onnx(module, paths.onnx, "live", SHAPE)
    write_ncnn(module, paths, [SHAPE], ["live"], half=False)
    worst = check_parity(module, paths, "live", [smooth_noise((8, *SHAPE), 5)])
    return {
        "version": card["version"],
        "files": paths.entry(),
        "input": {
            "name": INPUT_NAME,
            "layout": "NCHW",
            "channels": "RGB",
            "range": [0, 255],
            "size": [SIDE, SIDE],
            "box_enlarged": ENLARGED,
        },
        "threshold": card.get("threshold"),
        "licence": card["licence"],
        "origin": card["origin"],
        "parity": worst,
    }
