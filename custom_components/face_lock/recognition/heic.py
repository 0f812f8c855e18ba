"""Installs what reads HEIC, the pictures of phones, once somebody has one."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from homeassistant.core import HomeAssistant

from ..vision import PictureError, Problem
from ..vision.imaging.heic import REQUIREMENT
from .models import async_install

T = TypeVar("T")

_LOGGER = logging.getLogger(__name__)

TIME: Final = 60.0
"""Seconds that a dialogue waits for it; it goes on after that, for the next picture."""


async def async_read(hass: HomeAssistant, read: Callable[[], Awaitable[T]]) -> T:
    """Return what ``read`` makes of a picture; after a HEIC picture, make sure that it can.

    What cannot be installed, as where there is no network, is not tried again until Home Assistant
    is restarted.

    Raises:
        PictureError: as ``read``.

    """
    try:
        return await read()
    except PictureError as error:
        if error.problem is not Problem.PICTURE_HEIC:
            raise
        installing = hass.async_create_background_task(
            async_install(hass, REQUIREMENT), "face_lock heic"
        )
        done, _ = await asyncio.wait({installing}, timeout=TIME)
        if not done or not installing.result():
            _LOGGER.info("HEIC pictures cannot be read: %s is not installed", REQUIREMENT)
            raise
    return await read()
