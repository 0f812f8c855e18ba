"""Forget somebody, or let somebody in once."""

from __future__ import annotations

from datetime import timedelta
from time import monotonic
from typing import Final

import probatio
from homeassistant.core import HomeAssistant, ServiceCall, ServiceResponse
from homeassistant.exceptions import HomeAssistantError
from homeassistant.util import dt as dt_util

from ..coordinator import FaceLockConfigEntry
from ..passes import MAX_SECONDS
from ..permits import objection
from .common import DOOR_FIELD, Reload, async_entry, async_person, async_running, text

ATTR_PERSON: Final = "person"
ATTR_MINUTES: Final = "minutes"

FORGET_SCHEMA: Final = probatio.Schema({**DOOR_FIELD, probatio.Required(ATTR_PERSON): text})
UNLOCK_FOR_SCHEMA: Final = FORGET_SCHEMA.extend(
    {
        probatio.Required(ATTR_MINUTES): probatio.All(
            probatio.Coerce(int), probatio.Range(min=0, max=int(MAX_SECONDS / 60))
        )
    }
)


async def async_forget(call: ServiceCall) -> ServiceResponse:
    """Remove a person and everything that is kept of that person."""
    entry = async_entry(call)
    person, subentry = async_person(entry, call.data[ATTR_PERSON])
    feedback = await _async_feedback(call.hass, entry)
    async with Reload(call.hass, entry) as reload:
        async_person(entry, person)  # who may have been removed meanwhile
        door = entry.runtime_data
        pictures = len(door.store.album(person))
        door.entrance.passes.take_back(person)
        # Its devices and entities go with it; the entry's update listener deletes the rest.
        call.hass.config_entries.async_remove_subentry(entry, subentry.subentry_id)
        await reload.async_wait()
    left = await _async_feedback(call.hass, entry)
    return {
        "person": subentry.title,
        "person_id": person,
        "pictures": pictures,
        "feedback": None if feedback is None or left is None else feedback - left,
    }


async def _async_feedback(hass: HomeAssistant, entry: FaceLockConfigEntry) -> int | None:
    """Count what was said of visits, None where that cannot be read: nobody is kept for it."""
    try:
        door = await async_running(hass, entry)
        return await door.records.feedback.async_count()
    except HomeAssistantError:
        return None


async def async_unlock_for(call: ServiceCall) -> ServiceResponse:
    """Let a person in once although that person may not come in now."""
    entry = async_entry(call)
    door = entry.runtime_data
    person, subentry = async_person(entry, call.data[ATTR_PERSON])
    minutes: int = call.data[ATTR_MINUTES]
    rules = door.entrance.people[person]
    if minutes:
        door.entrance.passes.give(person, rules, 60.0 * minutes, monotonic())
    else:
        door.entrance.passes.take_back(person)
    problem = objection(call.hass, rules)
    until = dt_util.utcnow() + timedelta(minutes=minutes)
    return {
        "person": subentry.title,
        "person_id": person,
        "until": dt_util.as_local(until).isoformat() if minutes else None,
        "barred": None if problem is None else problem.value,
    }
