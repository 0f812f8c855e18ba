"""Embedding networks, by name. Each takes float32 [N, 3, 112, 112] RGB in -1..1."""

from collections.abc import Callable
from typing import Any

from training.verifier.backbones.common import Backbone
from training.verifier.backbones.mobilefacenet import MobileFaceNet
from training.verifier.backbones.mobilenet_se import MobileNetSE

BACKBONES: dict[str, Callable[..., Backbone]] = {
    "mobilefacenet": MobileFaceNet,
    "mobilenet-se": MobileNetSE,
}


def build_backbone(name: str, **options: Any) -> Backbone:
    """Return a randomly initialised backbone; KeyError lists the names known."""
    if name not in BACKBONES:
        raise KeyError(f"unknown backbone {name!r}; known: {sorted(BACKBONES)}")
    return BACKBONES[name](**options)


__all__ = ["BACKBONES", "Backbone", "MobileFaceNet", "MobileNetSE", "build_backbone"]
