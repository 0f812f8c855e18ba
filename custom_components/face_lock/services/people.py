"""Forget somebody, or let somebody in once."""

from __future__ import annotations

from datetime import timedelta
from time import monotonic
from typing import Final

import probatio
from homeassistant.core import ServiceCall, ServiceResponse
from homeassistant.exceptions import HomeAssistantError
from homeassistant.util import dt as dt_util

from ..access.one_time_pass import MAX_SECONDS
from ..access.rules import objection
from ..household import Household
from .common import DOOR_FIELD, async_door, async_household, async_person, async_settled, text

ATTR_PERSON: Final = "person"
ATTR_MINUTES: Final = "minutes"

FORGET_SCHEMA: Final = probatio.Schema({probatio.Required(ATTR_PERSON): text})
UNLOCK_FOR_SCHEMA: Final = FORGET_SCHEMA.extend(
    {
        **DOOR_FIELD,
        probatio.Required(ATTR_MINUTES): probatio.All(
            probatio.Coerce(int), probatio.Range(min=0, max=int(MAX_SECONDS / 60))
        ),
    }
)


async def async_forget(call: ServiceCall) -> ServiceResponse:
    """Remove a person and everything that is kept of that person."""
    household = async_household(call)
    person, subentry = async_person(household, call.data[ATTR_PERSON])
    feedback = await _async_feedback(household)
    pictures = len(household.store.album(person))
    household = await async_settled(call)
    # Who was removed meanwhile is gone already.
    if subentry.subentry_id in household.entry.subentries:
        # Its devices and entities go with it.
        call.hass.config_entries.async_remove_subentry(household.entry, subentry.subentry_id)
    await household.async_changed()
    left = await _async_feedback(household)
    return {
        "person": subentry.title,
        "person_id": person,
        "pictures": pictures,
        "feedback": None if feedback is None or left is None else feedback - left,
    }


async def _async_feedback(household: Household) -> int | None:
    """Count what was said of visits, None where that cannot be read: nobody is kept for it."""
    try:
        return await household.records.feedback.async_count()
    except HomeAssistantError:
        return None


async def async_unlock_for(call: ServiceCall) -> ServiceResponse:
    """Let a person in once although that person may not come in now."""
    household, door = async_household(call), async_door(call)
    person, subentry = async_person(household, call.data[ATTR_PERSON])
    minutes: int = call.data[ATTR_MINUTES]
    rules, passes = household.residents.rules[person], door.controller.passes
    if minutes:
        passes.give(person, rules, 60.0 * minutes, monotonic())
    else:
        passes.take_back(person)
    problem = objection(call.hass, rules, door.id)
    until = dt_util.utcnow() + timedelta(minutes=minutes)
    return {
        "door": door.title,
        "person": subentry.title,
        "person_id": person,
        "until": dt_util.as_local(until).isoformat() if minutes else None,
        "barred": None if problem is None else problem.value,
    }
