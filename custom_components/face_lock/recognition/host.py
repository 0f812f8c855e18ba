"""What a watcher knows and reports, and the door that it reports to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from ..vision import AccessAttempt, Asking, Circumstances
from .metrics import Performance


@dataclass(frozen=True, slots=True)
class CameraState:
    """What the watcher knows now. ``confidence`` is 0..1, of the running visit."""

    motion: bool = False
    face: bool = False
    confidence: float | None = None
    outage: str | None = None
    """Why nothing is recognised (a translation key), None while all is well."""
    performance: Performance | None = None


class Conclude(Protocol):
    """As ``Decider.conclude``."""

    def __call__(self, outcome: AccessAttempt, *, momentary: bool = False) -> None:
        """Tell the decision what became of a grant."""


@dataclass(frozen=True, slots=True)
class Decided:
    """How a visit before one camera was decided.

    ``picture`` is the encoded frame that showed the visitor best, None where it is not to be kept.
    """

    attempt: AccessAttempt
    camera: str
    picture: bytes | None
    conclude: Conclude
    """To be told what became of a grant."""


class Host(Protocol):
    """The door that a watcher works for."""

    def circumstances(self) -> Circumstances:
        """Say what holds at the door now, once a picture was looked at."""

    def camera_changed(self) -> None:
        """Take note that a camera's state may be another; time has passed at least."""

    def decided(self, decided: Decided) -> None:
        """Carry out the end of a visit."""

    def ask(self, asking: Asking) -> None:
        """Put a question to the visitors."""
