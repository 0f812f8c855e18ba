"""Looking through a camera before it becomes a door: a few pictures, within bounds of time."""

from __future__ import annotations

import asyncio
import logging
from math import floor
from time import monotonic
from typing import Final

from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError

from ..localize import async_sentences
from ..recognition.models import async_load_bundle
from ..recognition.snapshot import CameraError, async_take_picture
from ..vision import Bundle, PictureError, Shortcoming, Survey, survey
from .markdown import live_picture, picture, plain

_LOGGER = logging.getLogger(__name__)

PICTURES: Final = 8
INTERVAL: Final = 0.3
"""Seconds between two requests; a door that is open asks no faster."""
TIME: Final = 5.0
"""Seconds for all pictures but the first, which has `snapshot.PICTURE_TIMEOUT`."""
MODELS_TIME: Final = 120.0
"""Seconds for the models: where no runtime is installed, one is downloaded first."""


class CheckError(Exception):
    """The camera cannot be used; ``key`` is a translation key."""

    def __init__(self, key: str) -> None:
        super().__init__(key)
        self.key = key


async def async_check(
    hass: HomeAssistant, entity_id: str, bundle: Bundle | None
) -> tuple[Survey, Bundle | None]:
    """Survey a camera; return what was found and the models that looked, to look again with.

    Raises:
        CheckError: it gives no picture, or none that can be read.

    """
    try:
        pictures, seconds = await _async_take(hass, entity_id)
        bundle = bundle or await _async_models(hass)
        return await hass.async_add_executor_job(survey, bundle, pictures, seconds), bundle
    except CameraError as error:
        raise CheckError(error.key) from error
    except PictureError as error:
        raise CheckError(error.problem.value) from error
    except Exception as error:  # the dialogue must go on, whatever a model or a camera raises
        _LOGGER.exception("The check of %s failed", entity_id)
        raise CheckError("check_failed") from error


async def _async_take(hass: HomeAssistant, entity_id: str) -> tuple[list[bytes], float]:
    """Take pictures; return them, and the seconds waited after the first."""
    pictures = [(await async_take_picture(hass, entity_id)).data]
    started = last = monotonic()
    while len(pictures) < PICTURES and (left := started + TIME - monotonic()) > INTERVAL:
        await asyncio.sleep(INTERVAL)
        try:
            pictures.append((await async_take_picture(hass, entity_id, left)).data)
        except CameraError:
            # The first one came: this says that the camera is slow, not that there is none.
            return pictures, monotonic() - started
        last = monotonic()
    return pictures, last - started


async def _async_models(hass: HomeAssistant) -> Bundle | None:
    try:
        async with asyncio.timeout(MODELS_TIME):
            return await async_load_bundle(hass)
    except (HomeAssistantError, TimeoutError) as error:
        # The entry will say so too, with a repair issue: it must not keep anybody from adding it.
        _LOGGER.warning("The camera's check goes on without models: %s", error)
        return None


async def async_describe(hass: HomeAssistant, entity_id: str, found: Survey) -> dict[str, str]:
    """Return the placeholders of the check's description."""
    sentences = await async_sentences(hass, "config.error", found.shortcomings)
    (verdict,) = await async_sentences(hass, "common", (_verdict(found),))
    state = hass.states.get(entity_id)
    return {
        "camera": plain(entity_id if state is None else state.name),
        "resolution": f"{found.width} x {found.height}",
        "brightness": f"{100 * found.brightness / 255:.0f} %",
        "rate": "-" if found.rate is None else f"{found.rate:.1f}",
        # Rounded down: what is shown as wide enough is.
        "face": _pixels(found.face_px),
        "least": _pixels(found.least_face_px),
        "verdict": verdict,
        "problems": "\n".join(f"- {sentence}" for sentence in sentences),
        "picture": await hass.async_add_executor_job(picture, found.preview),
        "live": live_picture(hass, entity_id),
    }


def _verdict(found: Survey) -> str:
    """Return the translation key of what the numbers come to."""
    if not found.shortcomings:
        return "check_verdict_good"
    nobody = found.shortcomings == (Shortcoming.NO_FACE,)
    return "check_verdict_nobody" if nobody else "check_verdict_change"


def _pixels(width: float | None) -> str:
    return "-" if width is None else f"{floor(width)} px"
