"""Enrol somebody, or add pictures to somebody who is enrolled, without a dialogue."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import PurePath
from time import monotonic
from types import MappingProxyType
from typing import Final
from uuid import uuid4

import probatio
from homeassistant.config_entries import ConfigSubentry
from homeassistant.const import CONF_NAME
from homeassistant.core import HomeAssistant, ServiceCall, ServiceResponse
from homeassistant.exceptions import ServiceValidationError
from homeassistant.helpers import config_validation as cv
from homeassistant.util import dt as dt_util
from homeassistant.util.hass_dict import HassKey

from ..const import CONF_CAMERA, CONF_ENROLLED_AT, DOMAIN, SUBENTRY_PERSON
from ..coordinator import FaceLockConfigEntry
from ..flows.album import MAX_PICTURES, Album, RefusedError, Standard, examine_upload
from ..people import people_of
from ..source import CameraError, async_take_picture
from ..vision import Portrait
from .common import (
    DOOR_FIELD,
    Reload,
    async_entry,
    async_find_person,
    async_read_picture,
    async_running,
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
        probatio.Required(CONF_NAME): probatio.All(text, str.strip, probatio.Length(1, 100)),
        probatio.Optional(ATTR_FILES, default=list): probatio.All(
            cv.ensure_list, [text], probatio.Length(max=MAX_PICTURES)
        ),
        probatio.Optional(ATTR_FROM_CAMERA, default=False): cv.boolean,
    }
)

_LOCK: HassKey[asyncio.Lock] = HassKey(f"{DOMAIN}_enroll_lock")


async def async_enroll(call: ServiceCall) -> ServiceResponse:
    """Enrol somebody; the answer tells of every picture."""
    hass = call.hass
    # One after the other: each is held to the pictures of all who are enrolled.
    async with hass.data.setdefault(_LOCK, asyncio.Lock()):
        entry = async_entry(call)
        name: str = call.data[CONF_NAME]
        found = async_find_person(entry, name)
        person = uuid4().hex if found is None else found[0]
        if found is None:
            _check_rate(entry)
        before = entry.runtime_data.store.album(person)
        album = Album(list(before))
        async for label, data in _async_pictures(call, entry, album):
            await _async_examine(hass, entry, person, album, label, data)
        kept = album.portraits[len(before) :]
        if kept:
            async with Reload(hass, entry) as reload:
                name = _keep(hass, entry, person, name, kept)
                await reload.async_wait()
        elif not call.return_response:
            reasons = ", ".join(f"{label}: {reason}" for label, reason in album.refused)
            raise refusal("no_picture_kept", person=name, reasons=reasons)
    return {
        "person": name,
        "person_id": person if kept or found is not None else None,
        "created": bool(kept) and found is None,
        "kept": len(kept),
        "pictures": len(album.portraits),
        "refused": [{"picture": label, "reason": reason} for label, reason in album.refused],
    }


def _check_rate(entry: FaceLockConfigEntry) -> None:
    """Refuse somebody with whom the door could not start again."""
    door = entry.runtime_data
    try:
        door.bundle.thresholds.operating_point(
            door.settings.false_positive_rate, len(people_of(entry)) + 1
        )
    except ValueError as error:
        raise refusal("rate_unavailable") from error


async def _async_pictures(
    call: ServiceCall, entry: FaceLockConfigEntry, album: Album
) -> AsyncIterator[tuple[str, bytes]]:
    """Read the given files, then take pictures with the camera; name each."""
    files: list[str] = call.data[ATTR_FILES]
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
    until, enough = monotonic() + CAPTURE_TIMEOUT, len(album.portraits) + CAPTURE_PICTURES
    number = 0
    while len(album.portraits) < min(enough, MAX_PICTURES) and monotonic() < until:
        number += 1
        label = f"camera {number}"
        try:
            picture = await async_take_picture(call.hass, entry.data[CONF_CAMERA])
        except CameraError as error:
            album.refused.append((label, error.key))
        else:
            yield label, picture.data
        await asyncio.sleep(CAPTURE_INTERVAL)


async def _async_examine(
    hass: HomeAssistant,
    entry: FaceLockConfigEntry,
    person: str,
    album: Album,
    label: str,
    data: bytes,
) -> None:
    """Hold a picture to the same as the dialogue does, and keep it or note why not."""
    if len(album.portraits) >= MAX_PICTURES:
        album.refused.append((label, "too_many_pictures"))
        return
    try:
        album.portraits.append(await _async_portrait(hass, entry, person, album, data))
    except RefusedError as error:
        album.refused.append((label, error.key))


async def _async_portrait(
    hass: HomeAssistant, entry: FaceLockConfigEntry, person: str, album: Album, data: bytes
) -> Portrait:
    """Have a picture looked at by the door that runs; raises RefusedError."""
    while True:
        door = await async_running(hass, entry)
        others = {p: pictures for p, pictures in door.store.gallery().items() if p != person}
        try:
            return await door.worker.async_run(
                examine_upload,
                Standard(door.bundle, others, door.settings.false_positive_rate),
                data,
                tuple(album.portraits),
            )
        except RuntimeError:
            if await async_running(hass, entry) is door:
                raise
            # It was loaded anew before the picture had its turn.


def _keep(
    hass: HomeAssistant,
    entry: FaceLockConfigEntry,
    person: str,
    name: str,
    kept: list[Portrait],
) -> str:
    """Put the pictures into the store and the person into the entry; return the person's name.

    Nothing is awaited, so that both change together; the entry's update listener writes both.
    """
    door, known = entry.runtime_data, people_of(entry).get(person)
    data = {CONF_ENROLLED_AT: dt_util.utcnow().isoformat()}
    album = [*door.store.album(person), *kept][:MAX_PICTURES]
    if known is not None:
        door.store.put(person, album)
        hass.config_entries.async_update_subentry(entry, known, data={**known.data, **data})
        return known.title
    if async_find_person(entry, name) is not None:
        raise refusal("name_taken", person=name)
    door.store.put(person, album)
    hass.config_entries.async_add_subentry(
        entry,
        ConfigSubentry(
            data=MappingProxyType(data),
            subentry_type=SUBENTRY_PERSON,
            title=name,
            unique_id=person,
        ),
    )
    return name
