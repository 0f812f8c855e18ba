"""Write the network that tells upright faces from turned ones as ONNX and ncnn."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import nn

from training.common.formats import INPUT_NAME, Paths, write_ncnn, write_onnx
from training.presence.export import check_parity, compact, folded, smooth_noise
from training.upright.model import SIDE, ExportedUpright, load_checkpoint

OUTPUT = "upright"
TOLERANCE = 1e-3
"""Largest difference of a runtime from another, in an output of 0..1."""

_SHAPE = (1, SIDE, SIDE)
_FREE = {INPUT_NAME: {0: "n"}, OUTPUT: {0: "n"}}


def exportable(checkpoint: Path | str) -> nn.Module:
    """Return a checkpoint's network as it is exported."""
    return folded(ExportedUpright(load_checkpoint(checkpoint)))


def to_measure(checkpoint: Path | str, folder: Path) -> Path:
    """Export a checkpoint to ONNX in `folder`; return the file."""
    path = folder / "measured.onnx"
    write_onnx(exportable(checkpoint), path, _SHAPE, [OUTPUT], _FREE)
    compact(path)
    return path


def export(checkpoint: Path | str, folder: Path | str) -> dict[str, Any]:
    """Write upright.onnx, .param and .bin of a checkpoint; return the entry for models.json.

    Raises:
        ValueError: the checkpoint was not evaluated, or a runtime disagrees with PyTorch.

    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    card = torch.load(str(checkpoint), map_location="cpu", weights_only=True)["card"]
    if card.get("threshold") is None:
        raise ValueError(f"{checkpoint} has no threshold: evaluate it first")
    module = exportable(checkpoint)
    paths = Paths.inside(folder, "upright")
    write_onnx(module, paths.onnx, _SHAPE, [OUTPUT], _FREE)
    compact(paths.onnx)
    write_ncnn(module, paths, [_SHAPE], [OUTPUT], half=True)
    images = [smooth_noise((4, *_SHAPE), seed) for seed in (1, 2, 3, 4)]
    worst = check_parity(module, paths, OUTPUT, images)
    return {
        "version": card["version"],
        "files": paths.entry(),
        "input": {
            "name": INPUT_NAME,
            "layout": "NCHW",
            "channels": "grey",
            "range": [0, 255],
            "size": [SIDE, SIDE],
        },
        "threshold": card["threshold"],
        "licence": card["licence"],
        "origin": card["origin"],
        "parity": worst,
    }
