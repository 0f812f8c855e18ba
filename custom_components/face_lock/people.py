"""The doors and the people of a household: its config entry has one subentry for each."""

from __future__ import annotations

from homeassistant.config_entries import ConfigEntry, ConfigSubentry

from .const import SUBENTRY_DOOR, SUBENTRY_PERSON
from .names import folded
from .settings import PersonSettings


def people_of(entry: ConfigEntry) -> dict[str, ConfigSubentry]:
    """Person id -> subentry."""
    return _of_type(entry, SUBENTRY_PERSON)


def doors_of(entry: ConfigEntry) -> dict[str, ConfigSubentry]:
    """Door id -> subentry."""
    return _of_type(entry, SUBENTRY_DOOR)


def rules_of(entry: ConfigEntry) -> dict[str, PersonSettings]:
    """Person id -> who that is, and where and when that person may come in."""
    return {person: PersonSettings.of(s) for person, s in people_of(entry).items()}


def find_person(entry: ConfigEntry, wanted: str) -> tuple[str, ConfigSubentry] | None:
    """Find an enrolled person by id or by name, as it is read."""
    return _find(people_of(entry), wanted)


def find_door(entry: ConfigEntry, wanted: str) -> tuple[str, ConfigSubentry] | None:
    """Find a door by id or by name, as it is read."""
    return _find(doors_of(entry), wanted)


def _of_type(entry: ConfigEntry, kind: str) -> dict[str, ConfigSubentry]:
    return {
        subentry.unique_id: subentry
        for subentry in entry.subentries.values()
        if subentry.subentry_type == kind and subentry.unique_id is not None
    }


def _find(subentries: dict[str, ConfigSubentry], wanted: str) -> tuple[str, ConfigSubentry] | None:
    if wanted in subentries:
        return wanted, subentries[wanted]
    name = folded(wanted)
    return next((found for found in subentries.items() if folded(found[1].title) == name), None)
