"""The last visits to a door, encrypted, for as many days as the owner keeps them."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Collection
from dataclasses import asdict, fields
from datetime import datetime, timedelta
from typing import Any, Final

from homeassistant.core import HomeAssistant, callback
from homeassistant.exceptions import HomeAssistantError
from homeassistant.util import dt as dt_util

from ..const import DOMAIN
from ..visit import OUTCOMES, Visit
from .checked_store import NotSavedError
from .encrypted_store import EncryptedStore
from .key import Vault

_LOGGER = logging.getLogger(__name__)

MAX_VISITS: Final = 200
FUTURE_TOLERANCE: Final = timedelta(days=1)
"""A visit from further ahead tells that the clock was set back, and nobody knows how old it is."""


def history_file(door: str) -> str:
    """Name a door's file."""
    return f"{DOMAIN}.{door}.visits"


class History:
    """The newest visits of one door, in memory and on disk."""

    def __init__(self, hass: HomeAssistant, vault: Vault, door: str, days: float) -> None:
        self._keep = timedelta(days=days)
        self._file = EncryptedStore(hass, vault, history_file(door))
        self._visits: deque[Visit] = deque(maxlen=MAX_VISITS)
        self._dirty = False
        self._writing = asyncio.Lock()

    async def async_load(self) -> None:
        """Read the file; visits that cannot be read are forgotten, and no door waits for them."""
        try:
            stored = await self._file.async_load()
            visits = [] if stored is None else [_parse(visit) for visit in stored["visits"]]
        except (HomeAssistantError, KeyError, TypeError, ValueError) as error:
            _LOGGER.warning("The last visits cannot be read and are forgotten: %s", error)
            visits, self._dirty = [], True
        self._visits = deque(visits, MAX_VISITS)
        self.expire()

    @property
    def visits(self) -> tuple[Visit, ...]:
        """All that is remembered, the newest last."""
        return tuple(self._visits)

    def find(self, visit: str | None = None) -> Visit | None:
        """Return a visit by its id, the last one without; None where it is not remembered."""
        if visit is None:
            return self._visits[-1] if self._visits else None
        return next((known for known in self._visits if known.id == visit), None)

    @callback
    def add(self, visit: Visit) -> None:
        """Remember a visit; `async_save` writes it."""
        self._visits.append(visit)
        self._dirty = True

    @callback
    def expire(self) -> None:
        """Forget the visits whose time is over."""
        now = dt_util.utcnow()
        self._keep_only([v for v in self._visits if self._is_current(now - v.ended)])

    @callback
    def forget_all_but(self, people: Collection[str]) -> None:
        """Forget the visits of everybody but ``people`` and of unknown visitors."""
        known = {None, *people}
        self._keep_only([visit for visit in self._visits if visit.person in known])

    async def async_save(self) -> None:
        """Write what changed; what the disk refuses is written with the next visit."""
        async with self._writing:
            if not self._dirty:
                return
            self._dirty = False
            try:
                if self._visits:
                    await self._file.async_save({"visits": [_stored(v) for v in self._visits]})
                else:
                    await self._file.async_remove()
            except (NotSavedError, OSError) as error:
                self._dirty = True
                _LOGGER.error("The visit could not be written down: %s", error)  # noqa: TRY400

    def _is_current(self, age: timedelta) -> bool:
        return -FUTURE_TOLERANCE <= age < self._keep

    def _keep_only(self, visits: list[Visit]) -> None:
        if len(visits) != len(self._visits):
            self._visits = deque(visits, MAX_VISITS)
            self._dirty = True


_TIMES: Final = ("began", "ended")
_TEXTS: Final = ("id", "door", "camera")
_FIGURES: Final = ("began_at", "ended_at", "confidence")


def _stored(visit: Visit) -> dict[str, Any]:
    return asdict(visit) | {name: getattr(visit, name).isoformat() for name in _TIMES}


def _parse(stored: Any) -> Visit:
    """Read a visit; raises KeyError, TypeError or ValueError for what `_stored` does not write."""
    values = {field.name: stored[field.name] for field in fields(Visit)}
    for name in _TIMES:
        values[name] = datetime.fromisoformat(values[name])
    response_time = values["response_time"]
    sound = (
        all(values[name].tzinfo is not None for name in _TIMES)
        and all(isinstance(values[name], str) for name in _TEXTS)
        and all(isinstance(values[name], float | int) for name in _FIGURES)
        and all(isinstance(values[name], str | None) for name in ("person", "name", "reason"))
        and isinstance(response_time, float | int | None)
        and values["outcome"] in OUTCOMES
        and isinstance(values["picture"], bool)
    )
    if not sound:
        raise ValueError("not a visit")
    return Visit(**values)
