"""Figures and pictures as they are shown."""

from __future__ import annotations

import base64
from math import floor
from typing import Final

from .vision import encode_jpeg
from .vision.types import RgbImage

UNKNOWN: Final = "?"
"""Where the bundle has no figure, or no row that strict for so many people."""


def percent(probability: float) -> float:
    """Return a probability 0..1 in %, one decimal, rounded down: certainty is never claimed."""
    return floor(round(1000 * probability, 6)) / 10


def of_hundred(share: float | None) -> str:
    """Say a share, 0..1, as a number of 100, rounded; neither none nor all is ever claimed."""
    if share is None:
        return UNKNOWN
    if share < 0.01:
        return "<1"
    if share > 0.99:
        return ">99"
    return f"{100 * share:.0f}"


def data_url(rgb: RgbImage) -> str:
    """Return uint8[H, W, 3] as an address that holds the picture itself; blocks a millisecond."""
    jpeg = base64.b64encode(encode_jpeg(rgb, quality=85)).decode()
    return f"data:image/jpeg;base64,{jpeg}"
