"""The picture of a door's last visit, where the owner wants one: encrypted, for some days only."""

from __future__ import annotations

import asyncio
import base64
import logging
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError
from homeassistant.util import dt as dt_util

from ..const import DOMAIN
from ..vision import decode_rgb, encode_jpeg
from .encrypted_store import EncryptedStore
from .key import Vault

_LOGGER = logging.getLogger(__name__)

MAX_SIDE: Final = 1280
QUALITY: Final = 85
FUTURE_TOLERANCE: Final = timedelta(days=1)
"""A picture from further ahead tells that the clock was set back, and nobody knows how old it is:
it counts as expired. Within a day, a wrong clock at start-up is the likelier cause."""


def visit_file(door: str) -> str:
    """Name a door's file."""
    return f"{DOMAIN}.{door}.visit"


class VisitPicture:
    """The last visit's picture of one door, kept for a number of days by the wall clock."""

    def __init__(self, hass: HomeAssistant, vault: Vault, door: str, days: float) -> None:
        self._hass = hass
        self._keep = timedelta(days=days)
        self._file = EncryptedStore(hass, vault, visit_file(door))
        self._lock = asyncio.Lock()

    async def async_save(
        self, picture: bytes, visit: str, when: datetime, people: Collection[str] = ()
    ) -> None:
        """Replace the picture by that of ``visit``, which ended ``when`` and shows ``people``.

        It is kept as a JPEG of at most 1280 pixels a side, without the camera's metadata.

        Raises:
            PictureError: the bytes are no picture that can be kept; the last one stays.

        """
        jpeg = await self._hass.async_add_executor_job(_shrink, picture)
        async with self._lock:
            await self._file.async_save(
                {
                    "visit": visit,
                    "at": dt_util.as_utc(when).isoformat(),
                    "people": sorted(people),
                    "jpeg": base64.b64encode(jpeg).decode(),
                }
            )

    async def async_load(self, visit: str | None = None) -> bytes | None:
        """Return the JPEG, if ``visit`` is given only of that one; one that expired is deleted."""
        async with self._lock:
            stored = await self._async_read()
            if stored is None or visit not in (None, stored.visit):
                return None
            return stored.jpeg

    async def async_taken_at(self) -> datetime | None:
        """Return when the picture was taken; None where there is none."""
        async with self._lock:
            stored = await self._async_read()
            return None if stored is None else stored.at

    async def async_expire(self, *_: object) -> None:
        """Delete the picture if its time is over."""
        await self.async_load()

    async def async_forget_all_but(self, people: Collection[str]) -> None:
        """Delete the picture if it shows anybody who is not one of ``people``."""
        async with self._lock:
            stored = await self._async_read()
            if stored is not None and stored.people - set(people):
                await self._file.async_remove()

    async def async_remove(self) -> None:
        """Delete the picture."""
        async with self._lock:
            await self._file.async_remove()

    async def _async_read(self) -> _Kept | None:
        try:
            stored = await self._file.async_load()
            kept = None if stored is None else _parse(stored)
        except (HomeAssistantError, ValueError) as error:
            # It is worth nothing to anybody who cannot read it, and the next visit replaces it.
            _LOGGER.warning("The last visit's picture cannot be read and is deleted: %s", error)
            await self._file.async_remove()
            return None
        if kept is None:
            return None
        age = dt_util.utcnow() - kept.at
        if -FUTURE_TOLERANCE <= age < self._keep:
            return kept
        await self._file.async_remove()
        return None


@dataclass(frozen=True, slots=True)
class _Kept:
    """What lies in the file: a visit's id, an aware time, the ids of whom it shows, a picture."""

    visit: str
    at: datetime
    people: frozenset[str]
    jpeg: bytes


def _parse(stored: Any) -> _Kept:
    """Read a file's content; raises ValueError for anything that `async_save` does not write."""
    try:
        at = datetime.fromisoformat(stored["at"])
        kept = _Kept(
            stored["visit"],
            at,
            frozenset(stored["people"]),
            base64.b64decode(stored["jpeg"], validate=True),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError("not a visit's picture") from error
    texts = (kept.visit, *kept.people)
    if at.tzinfo is None or not all(isinstance(text, str) for text in texts):
        raise ValueError("not a visit's picture")
    return kept


def _shrink(picture: bytes) -> bytes:
    return encode_jpeg(decode_rgb(picture, MAX_SIDE), QUALITY)
