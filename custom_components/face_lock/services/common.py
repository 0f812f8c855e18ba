"""What several actions share: which door, which person, which file, and how they fail."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Final

import probatio
from homeassistant.auth.models import User
from homeassistant.auth.permissions.const import POLICY_CONTROL
from homeassistant.components.lock.const import DOMAIN as LOCK_DOMAIN
from homeassistant.config_entries import ConfigSubentry
from homeassistant.core import HomeAssistant, ServiceCall, callback
from homeassistant.exceptions import ServiceValidationError, Unauthorized, UnknownUser
from homeassistant.helpers import (
    config_validation as cv,
    device_registry as dr,
    entity_registry as er,
    service,
)

from ..activity import KEY_LOCK
from ..const import DOMAIN
from ..coordinator import DoorCoordinator
from ..household import FaceLockConfigEntry, Household
from ..people import find_door, find_person
from ..vision.imaging.decode import MAX_BYTES


def text(value: object) -> str:
    """Take text that can be written down; raises Invalid or ValueError for anything else.

    Half of a surrogate pair cannot, and core's reader of dates ends the process for it.
    """
    found: str = cv.string(value)
    found.encode()
    return found


ATTR_DOOR: Final = "door"
DOOR_FIELD: Final = {probatio.Optional(ATTR_DOOR): text}
"""Which door, by device id, by name or by its own id; with a single one it need not be said."""


def refusal(key: str, **placeholders: str) -> ServiceValidationError:
    """Make the error whose text is translation ``key``."""
    return ServiceValidationError(
        translation_domain=DOMAIN,
        translation_key=key,
        translation_placeholders=placeholders or None,
    )


@callback
def async_household(call: ServiceCall) -> Household:
    """Return the household, which must be running; raises ServiceValidationError."""
    entry: FaceLockConfigEntry = service.async_get_config_entry(call.hass, DOMAIN, None)
    return entry.runtime_data


async def async_settled(call: ServiceCall) -> Household:
    """Return the same, once it runs where it is just being reloaded."""
    for entry in call.hass.config_entries.async_entries(DOMAIN):
        async with entry.setup_lock:
            pass
    return async_household(call)


@callback
def async_door(call: ServiceCall) -> DoorCoordinator:
    """Return the running door that a call means; raises ServiceValidationError."""
    household, wanted = async_household(call), call.data.get(ATTR_DOOR)
    if wanted is not None:
        return _door(household, wanted)
    if len(household.doors) != 1:
        raise refusal("door_not_given" if household.doors else "not_loaded")
    return next(iter(household.doors.values()))


@callback
def _door(household: Household, wanted: str) -> DoorCoordinator:
    device = dr.async_get(household.hass).async_get(wanted)
    ids = () if device is None else (i for domain, i in device.identifiers if domain == DOMAIN)
    found = find_door(household.entry, next(iter(ids), wanted))
    if found is None:
        raise refusal("door_unknown", door=wanted)
    door = household.doors.get(found[0])
    if door is None:
        raise refusal("door_not_running", door=found[1].title)
    return door


async def async_user(call: ServiceCall) -> User | None:
    """Return who calls, None for an automation, which nobody runs.

    Raises:
        UnknownUser: whoever called exists no more.

    """
    if call.context.user_id is None:
        return None
    user = await call.hass.auth.async_get_user(call.context.user_id)
    if user is None:
        raise UnknownUser(context=call.context)
    return user


@callback
def require_control(call: ServiceCall, user: User, door: DoorCoordinator) -> None:
    """Raise Unauthorized unless ``user`` may work the door's lock."""
    entity_id = er.async_get(call.hass).async_get_entity_id(
        LOCK_DOMAIN, DOMAIN, f"{door.id}_{KEY_LOCK}"
    )
    if not user.permissions.check_entity(entity_id or "", POLICY_CONTROL):
        raise Unauthorized(context=call.context, entity_id=entity_id, permission=POLICY_CONTROL)


@callback
def async_person(household: Household, wanted: str) -> tuple[str, ConfigSubentry]:
    """Return the enrolled person who is meant, by id or name; raises ServiceValidationError."""
    found = find_person(household.entry, wanted)
    if found is None:
        raise refusal("person_not_enrolled", person=wanted)
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
