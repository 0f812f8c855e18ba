"""Figures and pictures as they are shown."""

from __future__ import annotations

import base64
from math import floor

from .vision import encode_jpeg
from .vision.types import RgbImage


def percent(probability: float) -> float:
    """Return a probability 0..1 in %, one decimal, rounded down: certainty is never claimed."""
    return floor(round(1000 * probability, 6)) / 10


def data_url(rgb: RgbImage) -> str:
    """Return uint8[H, W, 3] as an address that holds the picture itself; blocks a millisecond."""
    jpeg = base64.b64encode(encode_jpeg(rgb, quality=85)).decode()
    return f"data:image/jpeg;base64,{jpeg}"
