"""What several actions share: which door, which person, which file, and how they fail."""

from __future__ import annotations

import asyncio
import os
import stat
from pathlib import Path
from typing import Final, Self

import probatio
from homeassistant.config_entries import (
    SIGNAL_CONFIG_ENTRY_CHANGED,
    ConfigEntry,
    ConfigEntryChange,
    ConfigEntryState,
    ConfigSubentry,
)
from homeassistant.const import ATTR_CONFIG_ENTRY_ID
from homeassistant.core import HomeAssistant, ServiceCall, callback
from homeassistant.exceptions import ServiceValidationError
from homeassistant.helpers import config_validation as cv, selector, service
from homeassistant.helpers.dispatcher import async_dispatcher_connect

from ..const import DOMAIN
from ..coordinator import FaceLockConfigEntry, FaceLockCoordinator
from ..people import people_of
from ..vision.imaging.decode import MAX_BYTES

RELOAD_TIMEOUT: Final = 30.0
"""Seconds for which an answer waits until the door runs again with what was changed."""
_SETTLED: Final = (
    ConfigEntryState.LOADED,
    ConfigEntryState.SETUP_ERROR,
    ConfigEntryState.SETUP_RETRY,
    ConfigEntryState.FAILED_UNLOAD,
)


def text(value: object) -> str:
    """Take text that can be written down; raises Invalid or ValueError for anything else.

    Half of a surrogate pair cannot, and core's reader of dates ends the process for it.
    """
    found: str = cv.string(value)
    found.encode()
    return found


DOOR_FIELD: Final = {
    probatio.Optional(ATTR_CONFIG_ENTRY_ID): selector.ConfigEntrySelector({"integration": DOMAIN})
}
"""Which door; with a single one it need not be said."""


def refusal(key: str, **placeholders: str) -> ServiceValidationError:
    """Make the error whose text is translation ``key``."""
    return ServiceValidationError(
        translation_domain=DOMAIN,
        translation_key=key,
        translation_placeholders=placeholders or None,
    )


@callback
def async_entry(call: ServiceCall) -> FaceLockConfigEntry:
    """Return the running door that a call means; raises ServiceValidationError."""
    return service.async_get_config_entry(call.hass, DOMAIN, call.data.get(ATTR_CONFIG_ENTRY_ID))


@callback
def async_door(call: ServiceCall) -> FaceLockCoordinator:
    """Return the same as its coordinator."""
    return async_entry(call).runtime_data


async def async_running(hass: HomeAssistant, entry: FaceLockConfigEntry) -> FaceLockCoordinator:
    """Return the door of an entry, once it runs where it is just being loaded anew.

    Raises:
        ServiceValidationError: it does not run.

    """
    async with entry.setup_lock:
        found: FaceLockConfigEntry = service.async_get_config_entry(hass, DOMAIN, entry.entry_id)
        return found.runtime_data


@callback
def async_find_person(entry: ConfigEntry, wanted: str) -> tuple[str, ConfigSubentry] | None:
    """Find an enrolled person by id or, in any case, by name."""
    people = people_of(entry)
    if wanted in people:
        return wanted, people[wanted]
    name = wanted.strip().casefold()
    return next((found for found in people.items() if found[1].title.casefold() == name), None)


@callback
def async_person(entry: ConfigEntry, wanted: str) -> tuple[str, ConfigSubentry]:
    """Return the enrolled person who is meant; raises ServiceValidationError."""
    found = async_find_person(entry, wanted)
    if found is None:
        raise refusal("person_not_enrolled", person=wanted, door=entry.title)
    return found


async def async_read_picture(hass: HomeAssistant, path: str) -> bytes:
    """Read a picture file from a folder that Home Assistant may use.

    Raises:
        ServiceValidationError: it lies elsewhere, is too large, or cannot be read.

    """
    return await hass.async_add_executor_job(_read_picture, hass, path)


def allowed_path(hass: HomeAssistant, path: str) -> Path:
    """Resolve ``path`` with all its links, and check that it lies where it may; blocks.

    Raises:
        ServiceValidationError: it does not, whether it exists or not.

    """
    try:
        resolved = Path(path).resolve()
        allowed = Path(path).is_absolute() and hass.config.is_allowed_path(str(resolved))
    except (OSError, ValueError, RuntimeError) as error:
        raise refusal("path_not_allowed", path=path) from error
    if not allowed:
        raise refusal("path_not_allowed", path=path)
    return resolved


def _read_picture(hass: HomeAssistant, path: str) -> bytes:
    resolved = allowed_path(hass, path)
    try:
        # Neither a link that was put there meanwhile nor a pipe that never ends.
        descriptor = os.open(resolved, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        with os.fdopen(descriptor, "rb") as file:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise refusal("file_unreadable", path=path)
            if status.st_size > MAX_BYTES:
                raise refusal("file_too_large", path=path)
            # A file may have grown: one byte too many is enough to refuse it later.
            return file.read(MAX_BYTES + 1)
    except OSError as error:
        raise refusal("file_unreadable", path=path) from error


class Reload:
    """Changes the people of a door that runs, and waits until it runs again with them.

    ::

        async with Reload(hass, entry) as reload:
            ...  # change the store and the entry, at once
            await reload.async_wait()

    A door that is just being loaded anew has read its files already, or will write no more.
    """

    def __init__(self, hass: HomeAssistant, entry: FaceLockConfigEntry) -> None:
        self._hass = hass
        self._entry = entry
        self._done = asyncio.Event()

    async def __aenter__(self) -> Self:
        """Wait until the door runs, and begin to listen.

        Raises:
            ServiceValidationError: it does not run.

        """
        self._before = await async_running(self._hass, self._entry)
        # Nothing is awaited from here to the change.
        self._disconnect = async_dispatcher_connect(
            self._hass, SIGNAL_CONFIG_ENTRY_CHANGED, self._changed
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        """Listen no more."""
        self._disconnect()

    @callback
    def _changed(self, change: ConfigEntryChange, entry: ConfigEntry) -> None:
        if entry is not self._entry:
            return
        gone = change is ConfigEntryChange.REMOVED
        anew = entry.state in _SETTLED and entry.runtime_data is not self._before
        if gone or anew or (entry.state in _SETTLED and entry.state is not ConfigEntryState.LOADED):
            self._done.set()

    async def async_wait(self) -> None:
        """Wait; who waits too long goes on, the change itself is made already."""
        try:
            async with asyncio.timeout(RELOAD_TIMEOUT):
                await self._done.wait()
        except TimeoutError:
            return
