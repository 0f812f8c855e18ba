"""How busy a door is: what the diagnostic sensors show."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

PERIOD: Final = 60.0
"""Seconds over which each figure is taken."""


@dataclass(frozen=True, slots=True)
class Performance:
    """One period's figures."""

    frames_per_second: float
    gate_open: float
    """Share of the looked-at pictures for which the gate was open, 0..1."""
    inference_seconds: float | None
    """Mean time of one recognition; None where there was none."""


def together(cameras: Sequence[Performance]) -> Performance | None:
    """Return the figures of several cameras as one; None without any."""
    if not cameras:
        return None
    times = [c.inference_seconds for c in cameras if c.inference_seconds is not None]
    return Performance(
        frames_per_second=sum(camera.frames_per_second for camera in cameras),
        gate_open=max(camera.gate_open for camera in cameras),
        inference_seconds=sum(times) / len(times) if times else None,
    )


class Meter:
    """Adds up one period after the other; times are monotonic seconds."""

    def __init__(self, now: float) -> None:
        self._begin(now)

    def _begin(self, now: float) -> None:
        self._began = now
        self._frames = 0
        self._open = 0
        self._inferences = 0
        self._inference_seconds = 0.0

    def frame(self, *, gate_open: bool) -> None:
        """Count a picture that was looked at."""
        self._frames += 1
        self._open += gate_open

    def inference(self, seconds: float) -> None:
        """Count a recognition."""
        self._inferences += 1
        self._inference_seconds += seconds

    def reading(self, now: float) -> Performance | None:
        """Return a period's figures once it is over, and begin the next; None until then."""
        elapsed = now - self._began
        if elapsed < PERIOD:
            return None
        performance = Performance(
            frames_per_second=self._frames / elapsed,
            gate_open=self._open / self._frames if self._frames else 0.0,
            inference_seconds=(
                self._inference_seconds / self._inferences if self._inferences else None
            ),
        )
        self._begin(now)
        return performance
