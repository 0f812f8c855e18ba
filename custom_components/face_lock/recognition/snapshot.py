"""Where frames come from: one still picture of a camera entity at a time."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from time import monotonic
from typing import Final

from homeassistant.components import camera
from homeassistant.components.camera.const import DATA_COMPONENT
from homeassistant.const import STATE_UNAVAILABLE
from homeassistant.core import HomeAssistant, callback
from homeassistant.exceptions import HomeAssistantError

from ..entity_reference import async_resolve

PICTURE_TIMEOUT: Final = 10.0
"""Seconds a camera gets for one picture."""


class CameraError(HomeAssistantError):
    """The camera gave no picture; ``key`` says why and is a translation key."""

    def __init__(self, key: str) -> None:
        super().__init__(key)
        self.key = key


@dataclass(frozen=True, slots=True)
class Picture:
    """An encoded picture as the camera gave it.

    ``asked_at`` is the monotonic time, in seconds, just before it was asked for: a camera that
    answers late makes its picture older, never fresher.
    """

    data: bytes
    asked_at: float


async def async_take_picture(
    hass: HomeAssistant, reference: str, seconds: float = PICTURE_TIMEOUT
) -> Picture:
    """Ask the camera for a picture.

    Raises:
        CameraError: it is missing, unavailable, off, too slow, or has no picture.

    """
    entity_id = _check(hass, reference)
    asked_at = monotonic()
    limit = asyncio.timeout(seconds)
    try:
        async with limit:
            # Core's own limit is the longer one, so that ours can tell slow from broken.
            image = await camera.async_get_image(hass, entity_id, timeout=int(seconds) + 5)
    except Exception as error:  # a camera's integration raises whatever it met
        # Core's camera component swallows a cancellation and reports a failed picture instead.
        if (task := asyncio.current_task()) is not None and task.cancelling():
            raise asyncio.CancelledError from error
        raise CameraError("camera_timeout" if limit.expired() else "camera_failed") from error
    # Core passes on whatever a camera's integration returned.
    if not isinstance(image.content, bytes | bytearray | memoryview):
        raise CameraError("camera_failed")
    return Picture(bytes(image.content), asked_at)


@callback
def _check(hass: HomeAssistant, reference: str) -> str:
    entity_id = async_resolve(hass, reference)
    state = None if entity_id is None else hass.states.get(entity_id)
    if entity_id is None or state is None:
        raise CameraError("camera_not_found")
    entity = hass.data[DATA_COMPONENT].get_entity(entity_id)
    if entity is None or state.state == STATE_UNAVAILABLE:
        raise CameraError("camera_unavailable")
    if not entity.is_on:
        raise CameraError("camera_off")
    return entity_id
