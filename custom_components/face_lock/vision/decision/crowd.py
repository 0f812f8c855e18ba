"""Counts the different faces that were held up to the camera in a short time.

Those who pass a door on a busy street are a new face every twenty seconds or so. Whoever holds up
one picture after another shows them faster, and holds them still.
"""

from __future__ import annotations

from typing import Final

from ..matching.similarity import score
from ..types import Face, FloatArray
from .policy import DecisionPolicy

CROSSING: Final = 2.0
"""Face widths from which a face that moved so far is one that passes by."""
PASSING: Final = 0.5
"""What such a face counts for: whoever holds pictures can wave them, so it is not nothing."""


class Crowd:
    """The different faces of the last ``policy.crowd_window`` seconds. Times are monotonic."""

    def __init__(self, policy: DecisionPolicy) -> None:
        self._policy = policy
        self._faces: list[tuple[float, FloatArray, float]] = []

    def meet(self, embedding: FloatArray, now: float, weight: float, alike: float) -> bool:
        """Take a face float32[D + 1]; return whether it is new and makes too many.

        Faces that score at least ``alike`` are the same person; ``weight`` is what a new one adds.
        """
        window = self._policy.crowd_window
        # The clock may have stepped back since.
        self._faces = [known for known in self._faces if 0.0 <= now - known[0] < window]
        if any(score(known, embedding) >= alike for _, known, _ in self._faces):
            return False
        self._faces.append((now, embedding, weight))
        return sum(weight for _, _, weight in self._faces) >= self._policy.crowd

    def clear(self) -> None:
        """Forget all of them."""
        self._faces = []


class Shown:
    """Which faces one track has shown: a picture may be exchanged for another in its place."""

    def __init__(self, face: Face) -> None:
        """Begin with where the track's first ``face`` was found."""
        self._began = face
        self._looks = 0
        self._known: list[FloatArray] = []
        self._next: list[FloatArray] = []
        self.weight = 1.0
        """What a face of this track counts for in a crowd."""

    def look(self, face: Face, embedding: FloatArray, quorum: int, alike: float) -> bool:
        """Take one distinct frame of it; return whether ``quorum`` frames now show a new face."""
        self._looks += 1
        width = max(self._began.width, face.width)
        moved = [
            abs(
                face.box[side]
                + face.box[side + 2]
                - self._began.box[side]
                - self._began.box[side + 2]
            )
            for side in (0, 1)
        ]
        if width > 0 and max(moved) / 2 >= CROSSING * width:
            self.weight = PASSING
        if not self._known:
            # Whatever they show: a few frames of one track are one face, however it turns.
            if self._looks < quorum:
                return False
            self._known.append(embedding)
            return True
        if any(score(known, embedding) >= alike for known in self._known):
            self._next = []
            return False
        # Written so that a value that is not a number is alike to nothing.
        if self._next and not score(self._next[-1], embedding) >= alike:
            self._next = []
        self._next.append(embedding)
        if len(self._next) < quorum:
            return False
        # The latest few are enough: what a crowd has met before is not counted again.
        self._known = [*self._known[-7:], embedding]
        self._next = []
        return True
