"""Enrol somebody, or add pictures to somebody who is enrolled, without a dialogue."""

from __future__ import annotations

import asyncio
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
from homeassistant.util.json import JsonValueType

from ..const import SUBENTRY_PERSON
from ..enrollment.album import MAX_PICTURES, RefusedError
from ..enrollment.procedure import Enrollment, NotLoadedError
from ..format import data_url, of_hundred
from ..household import Household
from ..names import name_objection
from ..people import find_person, people_of
from ..recognition.snapshot import CameraError, async_take_picture
from ..vision import Portrait
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
CAPTURE_INTERVAL: Final = 1.0
"""Seconds between them: what is taken within a second is one picture."""
CAPTURE_WALK: Final = 60.0
"""Seconds until a face has to be in view: time to walk to the door."""
CAPTURE_TIMEOUT: Final = 20.0
"""Seconds from the first picture that is kept, after which a capture ends with what it has."""

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
        if found is None:
            _check_costs(enrollment)
        await _async_read_files(call, enrollment)
        given = list(enrollment.album.pictures)
        if call.data[ATTR_FROM_CAMERA]:
            await _async_capture(call, enrollment)
        household = await async_settled(call)
        # What is kept in the end has no more vote, and no name.
        taken = [(p.label, face) for p, face in enrollment.album.taken if p not in given]
        kept = await _async_keep(household, enrollment, name)
    except NotLoadedError as error:
        raise refusal("not_loaded") from error
    refused = enrollment.album.refused
    if not kept and not call.return_response:
        reasons = ", ".join(f"{label}: {reason}" for label, reason in refused)
        raise refusal("no_picture_kept", person=name, reasons=reasons)
    known = people_of(household.entry).get(enrollment.person)
    answer: dict[str, JsonValueType] = {
        "person": name if known is None else known.title,
        "person_id": None if known is None else enrollment.person,
        "created": bool(kept) and enrollment.is_new,
        "kept": kept,
        "pictures": len(household.store.album(enrollment.person)),
        "refused": [{"picture": label, "reason": reason} for label, reason in refused],
    }
    if call.data[ATTR_FROM_CAMERA]:
        answer["taken"] = await call.hass.async_add_executor_job(_shown, taken if kept else [])
    return answer


def _check_costs(enrollment: Enrollment) -> None:
    """Raise ServiceValidationError where one person more would shut nearly everybody out."""
    for cost in enrollment.costs():
        if cost.more.refuses_nearly_all and not cost.now.refuses_nearly_all:
            raise refusal(
                "rate_refuses_most",
                door=cost.door,
                day=of_hundred(cost.more.miss_day),
                night=of_hundred(cost.more.miss_night),
            )


def _shown(taken: list[tuple[str, Portrait]]) -> list[JsonValueType]:
    """Show the faces that the camera gave, so that somebody else's is noticed at once."""
    return [
        {"picture": label, "image": data_url(portrait.crop)}
        for label, portrait in taken
        if portrait.crop is not None
    ]


async def _async_read_files(call: ServiceCall, enrollment: Enrollment) -> None:
    files: list[str] = call.data[ATTR_FILES]
    if not files and not call.data[ATTR_FROM_CAMERA]:
        raise refusal("no_picture_given")
    for path in files:
        label = PurePath(path).name
        try:
            data = await async_read_picture(call.hass, path)
        except ServiceValidationError as error:
            enrollment.album.refuse(label, error.translation_key or "")
        else:
            await enrollment.async_examine(label, data)


async def _async_capture(call: ServiceCall, enrollment: Enrollment) -> None:
    """Take pictures with the door's first camera, once somebody stands there alone."""
    album, camera = enrollment.album, async_door(call).settings.cameras[0]
    until, enough = monotonic() + CAPTURE_WALK, len(album.portraits) + CAPTURE_PICTURES
    number, said, taken = 0, "", False
    while len(album.portraits) < enough and album.room and monotonic() < until:
        number += 1
        label = f"camera {number}"
        enrollment.household.async_set_aside(camera)
        try:
            picture = await async_take_picture(call.hass, camera)
            seen = await enrollment.async_look(label, picture.data, lambda _: True)
            problem = seen.problem
        except (CameraError, RefusedError) as error:
            problem = error.key
        if problem is None and not taken:
            taken, until = True, monotonic() + CAPTURE_TIMEOUT
        # Somebody who is not there yet is no news each second.
        if problem is not None and problem != said:
            album.refuse(label, problem)
        said = problem or ""
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
