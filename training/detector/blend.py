"""Blend trained weights with those they started from.

Between a network and its fine-tuned copy the straight line of weights often holds one that keeps
the start's strength and most of what was learnt (Wortsman et al. 2022, "Robust fine-tuning of
zero-shot models", WiSE-FT). Here: YuNet's day and the trained night.
"""

from __future__ import annotations

from pathlib import Path

import torch

from training.detector.model import FaceDetector, load_yunet


def blend(warm_start: Path | str, checkpoint: Path | str, out: Path | str, share: float) -> None:
    """Write `share` (0..1) of a checkpoint's weights plus the rest of YuNet's to `out`.

    The card stays, with the share added to its origin; evaluate the result to set its threshold.

    Raises:
        ValueError: the share is not within 0..1.

    """
    if not 0.0 <= share <= 1.0:
        raise ValueError(f"a share of {share} is not within 0..1")
    start = FaceDetector()
    load_yunet(start, warm_start)
    state = torch.load(str(checkpoint), map_location="cpu", weights_only=True)
    mixed = {
        name: torch.lerp(start.state_dict()[name], value, share)
        for name, value in state["model"].items()
    }
    origin = f"{state['card']['origin']}; {share:.0%} of these weights, the rest YuNet's own"
    torch.save({"model": mixed, "card": {**state["card"], "origin": origin}}, out)
