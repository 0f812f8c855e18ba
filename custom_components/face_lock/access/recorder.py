"""Makes the record of a visit at its end, and keeps it: the one place where that happens."""

from __future__ import annotations

import asyncio
import logging
from datetime import datetime, timedelta
from time import monotonic
from typing import Final
from uuid import uuid4

from homeassistant.config_entries import ConfigEntry
from homeassistant.core import HomeAssistant
from homeassistant.util import dt as dt_util

from ..recognition.host import Decided
from ..residents import Residents
from ..storage.checked_store import NotSavedError
from ..storage.records import DoorRecords
from ..storage.visit_picture import VisitPicture
from ..vision import AccessAttempt, PictureError
from ..visit import Visit, outcome_of

_LOGGER = logging.getLogger(__name__)

PICTURE_TIMEOUT: Final = 3.0
"""Seconds for which whoever is told of a visit waits for its picture to be kept."""


class Recorder:
    """Of one door."""

    def __init__(
        self,
        hass: HomeAssistant,
        entry: ConfigEntry,
        door: str,
        residents: Residents,
        records: DoorRecords,
    ) -> None:
        self._hass = hass
        self._entry = entry
        self._door = door
        self._residents = residents
        self._records = records

    async def async_record(
        self, decided: Decided, outcome: AccessAttempt, confirmed_at: float | None
    ) -> Visit:
        """Record a visit that had this ``outcome``; a lock opened at ``confirmed_at``.

        Its picture, where one is wanted, is kept before anybody is told; the record is written to
        the disk afterwards.
        """
        now, at = dt_util.utcnow(), monotonic()
        response_time = outcome.response_time
        if confirmed_at is not None and outcome.first_usable_at is not None:
            response_time = confirmed_at - outcome.first_usable_at
        identifier = uuid4().hex
        # Nothing is kept of somebody who was removed while the visit went on.
        person = outcome.person if outcome.person in self._residents.rules else None
        ended = now - timedelta(seconds=at - outcome.decided_at)
        kept = False
        if decided.picture is not None and self._records.picture is not None:
            people = [] if person is None else [person]
            keeper = self._records.picture
            keep = self._async_keep(keeper, decided.picture, identifier, ended, people)
            task = self._entry.async_create_background_task(self._hass, keep, "face_lock picture")
            done, _ = await asyncio.wait({task}, timeout=PICTURE_TIMEOUT)
            kept = bool(done) and task.result()
        visit = Visit(
            id=identifier,
            door=self._door,
            camera=decided.camera,
            began=ended - timedelta(seconds=outcome.duration),
            ended=ended,
            began_at=outcome.started_at,
            ended_at=outcome.decided_at,
            outcome=outcome_of(outcome),
            person=person,
            name=self._residents.name_of(person),
            reason=None if outcome.problem is None else outcome.problem.value,
            confidence=outcome.confidence,
            response_time=response_time,
            picture=kept,
        )
        self._records.history.add(visit)
        return visit

    async def async_write(self) -> None:
        """Write the newest records to the disk."""
        await self._records.history.async_save()

    async def _async_keep(
        self, keeper: VisitPicture, picture: bytes, visit: str, ended: datetime, people: list[str]
    ) -> bool:
        try:
            await keeper.async_save(picture, visit, ended, people)
        except (PictureError, NotSavedError) as error:
            # It was looked at, and cannot be kept: the last one stays.
            _LOGGER.debug("The visit's picture is not kept: %s", error)
            return False
        return True
