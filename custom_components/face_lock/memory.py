"""What is known of a door only while Home Assistant runs, also when its entry is loaded anew."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final

from homeassistant.core import HomeAssistant, callback
from homeassistant.util.hass_dict import HassKey

from .access import Access
from .const import DOMAIN
from .passes import Passes
from .vision import SeenFrames

MAX_VISITS: Final = 50
TOLERANCE: Final = timedelta(seconds=2)
"""How far a given time may be from that of the visit that is meant: events are written to the
millisecond, and people copy seconds."""


@dataclass(frozen=True, slots=True)
class Visit:
    """A visit that ended at the aware time ``when``."""

    when: datetime
    access: Access


class Visits:
    """The newest visits of a door, without their pictures: the last one lies encrypted on disk."""

    def __init__(self) -> None:
        self._visits: deque[Visit] = deque(maxlen=MAX_VISITS)

    @callback
    def add(self, access: Access, when: datetime) -> None:
        """Remember a visit."""
        self._visits.append(Visit(when, replace(access, picture=None)))

    def at(self, when: datetime | None = None) -> Visit | None:
        """Return the visit that ended at ``when``, the last one without a time; None if unknown."""
        if when is None:
            return self._visits[-1] if self._visits else None
        nearest = min(self._visits, key=lambda v: abs(v.when - when), default=None)
        return nearest if nearest and abs(nearest.when - when) <= TOLERANCE else None

    @callback
    def forget_all_but(self, people: Collection[str]) -> None:
        """Forget the visits of everybody but ``people`` and of unknown visitors."""
        kept = [v for v in self._visits if v.access.attempt.person in {None, *people}]
        self._visits = deque(kept, MAX_VISITS)


@dataclass(slots=True)
class Memory:
    """A door's passes, visits and frames; ``opened``: whether a face opened it since the start."""

    passes: Passes = field(default_factory=Passes)
    visits: Visits = field(default_factory=Visits)
    frames: SeenFrames = field(default_factory=SeenFrames)
    """So that a camera's old pictures are not new ones to a door that was loaded anew."""
    opened: bool = False


_MEMORIES: HassKey[dict[str, Memory]] = HassKey(f"{DOMAIN}_memories")


@callback
def async_memory(hass: HomeAssistant, entry_id: str) -> Memory:
    """Return a door's memory."""
    return hass.data.setdefault(_MEMORIES, {}).setdefault(entry_id, Memory())


@callback
def async_forget(hass: HomeAssistant, entry_id: str) -> None:
    """Forget a removed door."""
    hass.data.get(_MEMORIES, {}).pop(entry_id, None)
