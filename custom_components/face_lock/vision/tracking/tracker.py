"""Follows faces from frame to frame by where they are, never by who they seem to be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import hypot

from ..types import Face


@dataclass(slots=True)
class _Track:
    face: Face
    seen_at: float


class Tracker:
    """Gives each face the number of its track.

    A person at a door moves by less than a face's width between frames and does not double in size;
    a face that does starts a new track, without any evidence.
    """

    def __init__(self, *, max_gap: float, max_shift: float = 1.2, max_growth: float = 1.8) -> None:
        """``max_gap`` in seconds; ``max_shift`` in face widths; ``max_growth`` as a ratio."""
        self._max_gap = max_gap
        self._max_shift = max_shift
        self._max_growth = max_growth
        self._tracks: dict[int, _Track] = {}
        self._next = 0

    def assign(self, faces: Sequence[Face], taken_at: float) -> list[int]:
        """Return a track number for each face of a frame; the nearest pairs are matched first."""
        self._tracks = {
            number: track
            for number, track in self._tracks.items()
            if abs(taken_at - track.seen_at) <= self._max_gap
        }
        pairs = sorted(
            (distance, index, number)
            for index, face in enumerate(faces)
            for number, track in self._tracks.items()
            if (distance := self._distance(track.face, face)) is not None
        )
        numbers: dict[int, int] = {}
        taken: set[int] = set()
        for _, index, number in pairs:
            if index not in numbers and number not in taken:
                numbers[index] = number
                taken.add(number)
        for index, face in enumerate(faces):
            if index not in numbers:
                numbers[index] = self._next
                self._next += 1
            self._tracks[numbers[index]] = _Track(face, taken_at)
        return [numbers[index] for index in range(len(faces))]

    def follows(self, number: int) -> bool:
        """Whether the face of this track may still come back to it."""
        return number in self._tracks

    def _distance(self, before: Face, now: Face) -> float | None:
        """Shift of the centre in face widths; None if this cannot be the same face."""
        large, small = max(before.width, now.width), min(before.width, now.width)
        if small <= 0 or large > self._max_growth * small:
            return None
        shift = hypot(
            (before.box[0] + before.box[2] - now.box[0] - now.box[2]) / 2,
            (before.box[1] + before.box[3] - now.box[1] - now.box[3]) / 2,
        )
        return shift / large if shift <= self._max_shift * large else None
