"""Who may come in at this moment, of those who are enrolled."""

from __future__ import annotations

from collections.abc import Iterable

from homeassistant.const import STATE_ON
from homeassistant.core import HomeAssistant
from homeassistant.util import dt as dt_util

from .settings import PersonSettings
from .source import async_resolve
from .vision import Problem


def objection(hass: HomeAssistant, person: PersonSettings) -> Problem | None:
    """Say why ``person`` may not come in now; a schedule that cannot be asked does not permit."""
    if not person.allowed:
        return Problem.SUSPENDED
    if person.expires is not None and dt_util.utcnow() >= person.expires:
        return Problem.EXPIRED
    if person.schedule is not None and not _is_on(hass, person.schedule):
        return Problem.OUTSIDE_SCHEDULE
    return None


def barred(hass: HomeAssistant, people: Iterable[tuple[str, PersonSettings]]) -> dict[str, Problem]:
    """Person id -> why not, for those who may not come in now."""
    return {
        identifier: problem
        for identifier, person in people
        if (problem := objection(hass, person)) is not None
    }


def _is_on(hass: HomeAssistant, reference: str) -> bool:
    entity_id = async_resolve(hass, reference)
    state = None if entity_id is None else hass.states.get(entity_id)
    return state is not None and state.state == STATE_ON
