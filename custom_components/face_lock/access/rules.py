"""Who may come in at this moment and at this door, of those who are enrolled."""

from __future__ import annotations

from collections.abc import Iterable

from homeassistant.const import STATE_ON
from homeassistant.core import HomeAssistant
from homeassistant.util import dt as dt_util

from ..entity_reference import async_state_of
from ..settings import PersonSettings
from ..vision import Problem


def objection(hass: HomeAssistant, person: PersonSettings, door: str) -> Problem | None:
    """Say why ``person`` may not come in now; a schedule that is unavailable denies access."""
    if not person.allowed:
        return Problem.SUSPENDED
    if person.doors is not None and door not in person.doors:
        return Problem.OTHER_DOOR
    if person.expires is not None and dt_util.utcnow() >= person.expires:
        return Problem.EXPIRED
    if person.schedule is not None and not _is_on(hass, person.schedule):
        return Problem.OUTSIDE_SCHEDULE
    return None


def barred(
    hass: HomeAssistant, people: Iterable[tuple[str, PersonSettings]], door: str
) -> dict[str, Problem]:
    """Person id -> why not, for those who may not come in now."""
    return {
        identifier: problem
        for identifier, person in people
        if (problem := objection(hass, person, door)) is not None
    }


def _is_on(hass: HomeAssistant, reference: str) -> bool:
    state = async_state_of(hass, reference)
    return state is not None and state.state == STATE_ON
