"""Who is enrolled at a door: its entry has one subentry for each person."""

from __future__ import annotations

from typing import Any

from homeassistant.config_entries import ConfigEntry, ConfigSubentry

from .const import SUBENTRY_PERSON
from .settings import CONF_ALLOWED, PersonSettings


def people_of(entry: ConfigEntry) -> dict[str, ConfigSubentry]:
    """Person id -> subentry."""
    return {
        subentry.unique_id: subentry
        for subentry in entry.subentries.values()
        if subentry.subentry_type == SUBENTRY_PERSON and subentry.unique_id is not None
    }


def rules_of(entry: ConfigEntry) -> dict[str, PersonSettings]:
    """Person id -> when that person may come in."""
    return {person: PersonSettings.of(s) for person, s in people_of(entry).items()}


def name_of(entry: ConfigEntry, person: str | None) -> str | None:
    """Return the name of a person, by id; None for somebody who is not enrolled."""
    subentry = people_of(entry).get(person or "")
    return None if subentry is None else subentry.title


def made_from(entry: ConfigEntry) -> tuple[Any, ...]:
    """Return what a door is made from, to be compared: all of its entry but who is suspended."""
    people = {
        person: (s.title, {k: v for k, v in s.data.items() if k != CONF_ALLOWED})
        for person, s in people_of(entry).items()
    }
    return (entry.title, entry.data, entry.options, people)
