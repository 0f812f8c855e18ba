"""What a door's entities show."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from .recognition.host import CameraState
from .recognition.metrics import Performance, together
from .visit import Visit


@dataclass(frozen=True, slots=True)
class DoorState:
    """What all cameras of a door show now, and its last visit for a while after it."""

    motion: bool = False
    face: bool = False
    confidence: float | None = None
    """0..1, of a running visit or the last one."""
    person: str | None = None
    """Id of whom the last visit named."""
    locked_out: bool = False
    """For its change to be told; what holds at a moment says ``Controller.is_locked_out``."""
    outage: str | None = None
    """Why no camera shows anything (a translation key), None while one does."""
    performance: Performance | None = None

    @classmethod
    def of(cls, cameras: Sequence[CameraState], shown: Visit | None, *, locked_out: bool) -> Self:
        """Put together what the cameras show, and the visit that is still shown."""
        running = [camera.confidence for camera in cameras if camera.confidence is not None]
        last = None if shown is None else shown.confidence
        outages = [camera.outage for camera in cameras]
        return cls(
            motion=any(camera.motion for camera in cameras),
            face=any(camera.face for camera in cameras),
            confidence=max(running, default=last),
            person=None if shown is None else shown.person,
            locked_out=locked_out,
            outage=next(iter(outages), None) if all(outages) else None,
            performance=together([c.performance for c in cameras if c.performance is not None]),
        )
