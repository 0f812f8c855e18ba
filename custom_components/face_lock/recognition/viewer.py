"""Who looks at a camera, how, and what became of its pictures."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from ..vision import Scene, Seen
from .snapshot import Picture

CreateTask = Callable[..., asyncio.Task[None]]
"""Makes a task of ``(hass, coroutine, name)`` that ends with the config entry."""


@dataclass(slots=True)
class Counters:
    """For diagnostics."""

    pictures: int = 0
    failed_pictures: int = 0
    spared: int = 0
    """Pictures that moved and in which the presence network saw nobody."""
    recognised: int = 0
    failed_recognitions: int = 0


@dataclass(frozen=True, slots=True)
class Wish:
    """How a door wants its camera looked at."""

    min_share: float
    """Share of changed pixels, 0..1, that opens the gate."""
    cues_from: float | None
    """The similarity from which liveness is measured, None for never."""


class Viewer(Protocol):
    """Who is given what a camera shows."""

    wish: Wish

    @property
    def is_enabled(self) -> bool:
        """Whether it wants to see anything now."""

    @property
    def in_visit(self) -> bool:
        """Whether it knows of somebody who is there, so that no picture may be spared."""

    @property
    def is_deciding(self) -> bool:
        """Whether somebody waits to be let in."""

    async def async_see(self, seen: Seen, picture: Picture, now: float) -> None:
        """Take what a picture showed; ``now`` is the monotonic time after it was looked at.

        The next picture is looked at when all viewers are through with this one.
        """


class Scenery(Protocol):
    """What hangs in the cameras' views."""

    def async_scene(self, camera: str) -> Scene:
        """Return a camera's scene, which goes on learning."""

    def async_looked(self, camera: str) -> None:
        """Take note that it may have changed."""
