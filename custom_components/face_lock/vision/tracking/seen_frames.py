"""Recognises frames that a camera has already served."""

from __future__ import annotations

from typing import Final

REMEMBERED_FRAMES: Final = 4096


class SeenFrames:
    """Recognises frames by their pixels, across visits too.

    Home Assistant serves a camera's previous keyframe (home-assistant/core issue 75930), which may
    show the person who came last.
    """

    def __init__(self) -> None:
        self._digests: dict[bytes, None] = {}  # in order of arrival

    def known(self, digest: bytes) -> bool:
        """Whether the frame came before; it is remembered from now on, the latest 4096 are."""
        if digest in self._digests:
            return True
        self._digests[digest] = None
        if len(self._digests) > REMEMBERED_FRAMES:
            del self._digests[next(iter(self._digests))]
        return False
