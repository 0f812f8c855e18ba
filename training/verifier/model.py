"""Makes the network of a run, and keeps it in checkpoints."""

from pathlib import Path
from typing import Any

import numpy as np
import torch

from training.verifier.backbones import Verifier, build_backbone
from training.verifier.config import Config
from training.verifier.warm_start import load_onnx_weights


def build(config: Config) -> Verifier:
    """Return the run's network, from random weights or from the warm start it names."""
    torch.manual_seed(config.train.seed)
    backbone = build_backbone(config.model.backbone, **config.model.options)
    if config.model.warm_start:
        load_onnx_weights(backbone, Path(config.teachers) / config.model.warm_start)
    return Verifier(backbone)


def save(path: Path, verifier: Verifier, config: Config, **notes: Any) -> None:
    """Write a checkpoint: weights, how to build the network, and notes (plain values)."""
    torch.save(
        {
            "backbone": config.model.backbone,
            "options": dict(config.model.options),
            "weights": verifier.backbone.state_dict(),
            **notes,
        },
        path,
    )


def load(path: Path) -> Verifier:
    """Read a checkpoint; needs neither the config nor the warm start it came from."""
    content = torch.load(path, map_location="cpu", weights_only=True)
    backbone = build_backbone(content["backbone"], **content["options"])
    backbone.load_state_dict(content["weights"])
    return Verifier(backbone).eval()


def embed(verifier: Verifier, crops: np.ndarray, batch: int = 64) -> np.ndarray:
    """Embed uint8 [N, 112, 112, 3] as float32 [N, D] of unit length, in evaluation mode."""
    training, device = verifier.training, next(verifier.parameters()).device
    verifier.eval().to(memory_format=torch.channels_last)
    parts = []
    with torch.inference_mode():
        for start in range(0, len(crops), batch):
            image = torch.from_numpy(crops[start : start + batch].astype(np.float32))
            # Channels-last memory is what the crops already are; oneDNN is fastest with it.
            image = image.to(device, non_blocking=True).permute(0, 3, 1, 2)
            parts.append(verifier(image).float().cpu().numpy())
    verifier.train(training)
    return np.concatenate(parts)
