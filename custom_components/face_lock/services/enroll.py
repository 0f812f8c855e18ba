"""Enrol somebody, or add pictures to somebody who is enrolled, without a dialogue."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import PurePath
from time import monotonic
from types import MappingProxyType
from typing import Final

import probatio
from homeassistant.config_entries import ConfigSubentry
from homeassistant.const import CONF_NAME
from homeassistant.core import ServiceCall, ServiceResponse
from homeassistant.exceptions import ServiceValidationError
from homeassistant.helpers import config_validation as cv

from ..const import SUBENTRY_PERSON
from ..enrollment.album import MAX_PICTURES
from ..enrollment.procedure import Enrollment, NotLoadedError
from ..household import Household
from ..names import name_objection
from ..people import find_person, people_of
from ..recognition.snapshot import CameraError, async_take_picture
from .common import (
    DOOR_FIELD,
    async_door,
    async_household,
    async_read_picture,
    async_settled,
    refusal,
    text,
)

ATTR_FILES: Final = "files"
ATTR_FROM_CAMERA: Final = "from_camera"

CAPTURE_PICTURES: Final = 5
"""Pictures taken by one capture."""
CAPTURE_INTERVAL: Final = 0.7
"""Seconds between them, so that the face has moved a little."""
CAPTURE_TIMEOUT: Final = 20.0
"""Seconds after which a capture ends with what it has."""

SCHEMA: Final = probatio.Schema(
    {
        **DOOR_FIELD,
        probatio.Required(CONF_NAME): probatio.All(text, str.strip),
        probatio.Optional(ATTR_FILES, default=list): probatio.All(
            cv.ensure_list, [text], probatio.Length(max=MAX_PICTURES)
        ),
        probatio.Optional(ATTR_FROM_CAMERA, default=False): cv.boolean,
    }
)


async def async_enroll(call: ServiceCall) -> ServiceResponse:
    """Enrol somebody; the answer tells of every picture."""
    household, name = async_household(call), call.data[CONF_NAME]
    found = find_person(household.entry, name)
    enrollment = Enrollment(household.entry, None if found is None else found[0])
    try:
        if found is None and (problem := name_objection(name) or enrollment.room_problem()):
            raise refusal(problem, person=name)
        async for label, data in _async_pictures(call, enrollment):
            await enrollment.async_examine(label, data)
        household = await async_settled(call)
        kept = await _async_keep(household, enrollment, name)
    except NotLoadedError as error:
        raise refusal("not_loaded") from error
    refused = enrollment.album.refused
    if not kept and not call.return_response:
        reasons = ", ".join(f"{label}: {reason}" for label, reason in refused)
        raise refusal("no_picture_kept", person=name, reasons=reasons)
    known = people_of(household.entry).get(enrollment.person)
    return {
        "person": name if known is None else known.title,
        "person_id": None if known is None else enrollment.person,
        "created": bool(kept) and enrollment.is_new,
        "kept": kept,
        "pictures": len(household.store.album(enrollment.person)),
        "refused": [{"picture": label, "reason": reason} for label, reason in refused],
    }


async def _async_pictures(
    call: ServiceCall, enrollment: Enrollment
) -> AsyncIterator[tuple[str, bytes]]:
    """Read the given files, then take pictures with the door's first camera; name each."""
    files: list[str] = call.data[ATTR_FILES]
    album = enrollment.album
    if not files and not call.data[ATTR_FROM_CAMERA]:
        raise refusal("no_picture_given")
    for path in files:
        label = PurePath(path).name
        try:
            data = await async_read_picture(call.hass, path)
        except ServiceValidationError as error:
            album.refused.append((label, error.translation_key or ""))
        else:
            yield label, data
    if not call.data[ATTR_FROM_CAMERA]:
        return
    camera = async_door(call).settings.cameras[0]
    until, enough = monotonic() + CAPTURE_TIMEOUT, len(album.portraits) + CAPTURE_PICTURES
    number = 0
    while len(album.portraits) < enough and album.room and monotonic() < until:
        number += 1
        label = f"camera {number}"
        try:
            picture = await async_take_picture(call.hass, camera)
        except CameraError as error:
            album.refused.append((label, error.key))
        else:
            yield label, picture.data
        await asyncio.sleep(CAPTURE_INTERVAL)


async def _async_keep(household: Household, enrollment: Enrollment, name: str) -> int:
    """Keep what will do, with all that is enrolled now; return how many new pictures that is."""
    entry, entries = household.entry, household.hass.config_entries
    before = len(enrollment.before)
    async with enrollment.household.enrolling:
        if len(enrollment.album.portraits) == before:
            return 0
        if problem := await enrollment.async_check_again(name):
            raise refusal(problem, person=name)
        kept = len(enrollment.album.portraits) - before
        if kept <= 0:
            return 0
        # The entry and the store change together: nothing is awaited in between.
        data = enrollment.keep()
        if enrollment.is_new:
            entries.async_add_subentry(
                entry,
                ConfigSubentry(
                    data=MappingProxyType(data),
                    subentry_type=SUBENTRY_PERSON,
                    title=name,
                    unique_id=enrollment.person,
                ),
            )
        else:
            known = people_of(entry)[enrollment.person]
            entries.async_update_subentry(entry, known, data={**known.data, **data})
    # What is answered is true on the disk as well.
    await enrollment.household.async_changed()
    return kept
