"""Where in a picture to look for faces: finding them costs by the pixel, and little of it changes.

While faces are followed, their neighbourhoods are looked at, and what moved elsewhere; otherwise
what moved; and the whole picture at first, now and then, and whenever a part may have cut a face.
So nobody is overlooked for longer than ``WHOLE_INTERVAL``, however still they stand
(``benchmarks/regions.py`` measures it).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple, Self

from ..types import Face

WHOLE_INTERVAL: Final = 2.0
"""Seconds from one look at the whole picture to the next."""
FOLLOWED: Final = 1.0
"""Seconds for which a face that was found is looked for in its neighbourhood."""
REACH: Final = 1.0
"""Widths of a face by which its neighbourhood is larger on each side. A face that moves by more
from one picture to the next is not found there, and the whole picture is looked at."""
BODY: Final = 2.0
"""Widths of a face, to its left and right, in which movement is its own body's."""
MARGIN: Final = 0.04
"""Share of the picture's longer side by which a part that moved is looked at beyond its edge: hair
and shoulders may be of the background's colour."""
WORTH: Final = 0.7
"""Share of the picture from which looking at parts saves nothing that matters."""

Size = tuple[int, int]
"""Height and width in pixels."""
Share = tuple[float, float, float, float]
"""Left, top, right and bottom of a part, 0..1 of the picture's width and height."""


class Region(NamedTuple):
    """A part of a picture in whole pixels; right and bottom are the first ones outside."""

    left: int
    top: int
    right: int
    bottom: int

    @classmethod
    def within(cls, size: Size, left: float, top: float, right: float, bottom: float) -> Self:
        """Return what of a box lies in a picture."""
        height, width = size
        return cls(
            max(0, int(left)),
            max(0, int(top)),
            min(width, int(right) + 1),
            min(height, int(bottom) + 1),
        )

    @property
    def area(self) -> int:
        """Number of pixels."""
        return max(0, self.right - self.left) * max(0, self.bottom - self.top)

    def meets(self, other: Region) -> bool:
        """Whether both share a pixel."""
        return max(self.left, other.left) < min(self.right, other.right) and max(
            self.top, other.top
        ) < min(self.bottom, other.bottom)

    def with_(self, other: Region) -> Region:
        """Return the smallest region that has both in it."""
        return Region(
            min(self.left, other.left),
            min(self.top, other.top),
            max(self.right, other.right),
            max(self.bottom, other.bottom),
        )


class Focus:
    """Chooses the parts of each of one camera's pictures; times are monotonic seconds."""

    def __init__(self) -> None:
        self._faces: tuple[Face, ...] = ()
        self._found_at = float("-inf")
        self._whole_at = float("-inf")
        self._size: Size = (0, 0)

    def choose(self, size: Size, moved: Share | None, now: float) -> list[Region] | None:
        """Return what to look at in a picture of ``size``; None for all of it.

        ``moved`` is the part in which something differs from the background.
        """
        if size != self._size or not 0.0 <= now - self._whole_at < WHOLE_INTERVAL:
            return None
        followed = self._faces if 0.0 <= now - self._found_at < FOLLOWED else ()
        parts = [_around(face, size) for face in followed]
        if moved is not None:
            parts += _elsewhere(_beyond(moved, size), followed)
        parts = _joined(part for part in parts if part.area)
        if not parts or sum(part.area for part in parts) >= WORTH * size[0] * size[1]:
            return None
        return parts

    def suffices(self, regions: Sequence[Region], faces: Sequence[Face]) -> bool:
        """Whether what was found in ``regions`` is all that the whole picture would show there.

        It is not where a face comes near an edge, which may have cut it, nor where a face that was
        followed is not found again: it may have left them.
        """
        if len(faces) < len(self._faces):
            return False
        return not any(_is_cut(face, region, self._size) for face in faces for region in regions)

    def note(self, size: Size, faces: Sequence[Face], now: float, *, whole: bool) -> None:
        """Take what was found, in the whole picture or in regions that sufficed."""
        self._faces, self._found_at, self._size = tuple(faces), now, size
        if whole:
            self._whole_at = now


def _around(face: Face, size: Size) -> Region:
    left, top, right, bottom = face.box
    by = REACH * max(face.width, face.height)
    return Region.within(size, left - by, top - by, right + by, bottom + by)


def _beyond(moved: Share, size: Size) -> Region:
    height, width = size
    by = MARGIN * max(size)
    left, top, right, bottom = moved
    return Region.within(
        size, left * width - by, top * height - by, right * width + by, bottom * height + by
    )


def _elsewhere(moved: Region, followed: Sequence[Face]) -> list[Region]:
    """Return what lies to the left and right of all followed people, and between them."""
    parts, left = [], moved.left
    for face in sorted(followed, key=lambda one: one.box[0]):
        reach = BODY * face.width
        begins = min(moved.right, int(face.box[0] - reach))
        if begins > left:
            parts.append(moved._replace(left=left, right=begins))
        left = max(left, int(face.box[2] + reach))
    if moved.right > left:
        parts.append(moved._replace(left=left))
    return parts


def _joined(parts: Iterable[Region]) -> list[Region]:
    """Join regions that share pixels, so that no face is found twice."""
    apart: list[Region] = []
    for part in parts:
        whole = part
        while met := [other for other in apart if other.meets(whole)]:
            for other in met:
                apart.remove(other)
                whole = whole.with_(other)
        apart.append(whole)
    return apart


def _is_cut(face: Face, region: Region, size: Size) -> bool:
    """Whether a face that lies in a region comes near an edge that is none of the picture's."""
    left, top, right, bottom = face.box
    if not region.meets(Region.within(size, left, top, right, bottom)):
        return False
    near = 0.25 * face.width
    return (
        (region.left > 0 and left - near < region.left)
        or (region.top > 0 and top - near < region.top)
        or (region.right < size[1] and right + near > region.right)
        or (region.bottom < size[0] and bottom + near > region.bottom)
    )
