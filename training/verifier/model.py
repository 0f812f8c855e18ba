"""Makes the network of a run, and keeps it in checkpoints."""

from pathlib import Path
from typing import Any

import numpy as np
import torch

from training.common.layers import channels_last
from training.verifier.backbones import build_backbone
from training.verifier.config import Config
from training.verifier.network import Crowding, Scored, Verifier
from training.verifier.warm_start import load_onnx_weights

# What training leaves, and the same with its crowding.
BEST, LAST, SCORED = "best.pt", "last.pt", "scored.pt"


def build(config: Config) -> Verifier:
    """Return the run's network, from random weights or from the warm start it names."""
    torch.manual_seed(config.train.seed)
    backbone = build_backbone(config.model.backbone, **config.model.options)
    if config.model.warm_start:
        load_onnx_weights(backbone, Path(config.teachers) / config.model.warm_start)
    return Verifier(backbone)


def save(path: Path, verifier: Verifier, config: Config, **notes: Any) -> None:
    """Write a checkpoint: weights, how to build the network, and notes (plain values)."""
    crowding = verifier.crowding
    torch.save(
        {
            "backbone": config.model.backbone,
            "options": dict(config.model.options),
            "weights": verifier.backbone.state_dict(),
            "crowding": None
            if crowding is None
            else {"options": crowding.options, "weights": crowding.state_dict()},
            **notes,
        },
        path,
    )


def load(path: Path) -> Verifier:
    """Read a checkpoint; needs neither the config nor the warm start it came from."""
    content = torch.load(path, map_location="cpu", weights_only=True)
    backbone = build_backbone(content["backbone"], **content["options"])
    backbone.load_state_dict(content["weights"])
    crowding = None
    if kept := content["crowding"]:
        crowding = Crowding(backbone.embedding_size, **kept["options"])
        crowding.load_state_dict(kept["weights"])
    return Verifier(backbone, crowding).eval()


def checkpoint(folder: Path) -> Path:
    """Return the run's checkpoint: with its crowding once `crowd` has run."""
    return folder / (SCORED if (folder / SCORED).is_file() else BEST)


def embed(verifier: Verifier, crops: np.ndarray, batch: int = 64) -> np.ndarray:
    """Embed uint8 [N, 112, 112, 3] as `vision` does: float32 [N, D + 1], in evaluation mode.

    The last number is the crowding, 0 for a network that does not know it.
    """
    training, device = verifier.training, next(verifier.parameters()).device
    network = channels_last(Scored(verifier)).eval()
    parts = []
    with torch.inference_mode():
        for start in range(0, len(crops), batch):
            image = torch.from_numpy(crops[start : start + batch].astype(np.float32, order="C"))
            # Channels-last memory is what the crops already are; oneDNN is fastest with it.
            image = image.to(device, non_blocking=True).permute(0, 3, 1, 2)
            direction, *crowding = network(image)
            crowding = crowding or [torch.zeros(len(direction), 1, device=device)]
            parts.append(torch.cat([direction, *crowding], dim=1).float().cpu().numpy())
    verifier.train(training)
    return np.concatenate(parts)


def directions(verifier: Verifier, crops: np.ndarray) -> np.ndarray:
    """Embed uint8 [N, 112, 112, 3] as float32 [N, D] of unit length, without the crowding."""
    return embed(verifier, crops)[:, :-1]
