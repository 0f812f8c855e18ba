"""Who was let in at a door, for as long as that person may still be standing there."""

from __future__ import annotations


class CoolDown:
    """Shared by the deciders of one door, one for each camera. Times are monotonic seconds."""

    def __init__(self) -> None:
        self._let_in: tuple[str, float] | None = None
        self._last_face_at = float("-inf")

    def begin(self, person: str, now: float) -> None:
        """Somebody is let in."""
        self._let_in = (person, now)

    def face(self, now: float) -> None:
        """Note that some camera sees a face."""
        self._last_face_at = max(self._last_face_at, now)

    def tick(self, now: float, absence: float) -> None:
        """Let time pass: it is over once no camera has seen a face for ``absence`` seconds."""
        if now - self._last_face_at >= absence:
            self._let_in = None

    def start_again(self, now: float) -> None:
        """Count from ``now``, to which the clock stepped back."""
        self._last_face_at = now
        if self._let_in is not None:
            self._let_in = (self._let_in[0], now)

    def since(self, person: str, now: float) -> float | None:
        """Seconds since ``person`` was let in; None where that was somebody else, or nobody."""
        if self._let_in is None or self._let_in[0] != person:
            return None
        return now - self._let_in[1]
