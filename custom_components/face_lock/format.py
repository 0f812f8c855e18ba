"""Figures as they are shown."""

from __future__ import annotations

from math import floor


def percent(probability: float) -> float:
    """Return a probability 0..1 in %, one decimal, rounded down: certainty is never claimed."""
    return floor(round(1000 * probability, 6)) / 10
