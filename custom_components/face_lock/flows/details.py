"""Who a person is, and when that person may come in: everything but the pictures."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

import probatio
from homeassistant.config_entries import ConfigEntry, ConfigSubentry
from homeassistant.const import CONF_NAME
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers.selector import (
    BooleanSelector,
    DateTimeSelector,
    EntitySelector,
    EntitySelectorConfig,
    SelectOptionDict,
    SelectSelector,
    SelectSelectorConfig,
    TextSelector,
)
from homeassistant.util import dt as dt_util

from ..entity_reference import async_entity_reference, async_resolve
from ..people import doors_of
from ..settings import (
    CONF_DOORS,
    CONF_EXPIRES,
    CONF_PERSON_ENTITY,
    CONF_SCHEDULE,
    PersonSettings,
)
from .fields import entities, exists

CONF_NO_END: Final = "no_end"
"""Only in the form: the frontend's field for a date cannot be emptied once it is filled."""
PERSON_DOMAIN: Final = "person"
SCHEDULE_DOMAINS: Final = ("schedule", "input_boolean", "binary_sensor", "calendar")
ENTITY_FIELDS: Final = {
    CONF_PERSON_ENTITY: "person_not_found",
    CONF_SCHEDULE: "schedule_not_found",
}


@callback
def details_schema(
    hass: HomeAssistant, entry: ConfigEntry, known: PersonSettings | None
) -> probatio.Schema:
    """Make the form for a new person, or one who is ``known``."""
    fields: dict[probatio.Marker, Any] = {
        probatio.Required(CONF_NAME): TextSelector(),
        probatio.Optional(CONF_PERSON_ENTITY): EntitySelector(
            EntitySelectorConfig(domain=PERSON_DOMAIN)
        ),
        probatio.Optional(CONF_SCHEDULE): entities(hass, SCHEDULE_DOMAINS),
        probatio.Optional(CONF_EXPIRES): DateTimeSelector(),
    }
    doors = doors_of(entry)
    if len(doors) > 1 or (known is not None and known.doors is not None):
        options = [
            SelectOptionDict(value=door, label=subentry.title) for door, subentry in doors.items()
        ]
        fields[probatio.Optional(CONF_DOORS)] = SelectSelector(
            SelectSelectorConfig(options=options, multiple=True)
        )
    if known is not None and known.expires is not None:
        fields[probatio.Required(CONF_NO_END, default=False)] = BooleanSelector()
    return probatio.Schema(fields)


@callback
def shown_details(hass: HomeAssistant, entry: ConfigEntry, known: PersonSettings) -> dict[str, Any]:
    """Return what the form shows of somebody who is known."""
    shown: dict[str, Any] = {CONF_NAME: known.name}
    if known.doors is not None:
        shown[CONF_DOORS] = [door for door in doors_of(entry) if door in known.doors]
    for key, reference in (
        (CONF_PERSON_ENTITY, known.person_entity),
        (CONF_SCHEDULE, known.schedule),
    ):
        if reference and (entity_id := async_resolve(hass, reference)):
            shown[key] = entity_id
    if known.expires is not None:
        shown[CONF_EXPIRES] = dt_util.as_local(known.expires).strftime("%Y-%m-%d %H:%M:%S")
    return shown


@callback
def details_problems(
    hass: HomeAssistant,
    user_input: Mapping[str, Any],
    known: PersonSettings | None,
) -> dict[str, str]:
    """Return the form's errors but for the name's."""
    errors = {
        key: problem
        for key, problem in ENTITY_FIELDS.items()
        if (entity_id := user_input.get(key)) and not exists(hass, entity_id)
    }
    if (expires := _expiry(user_input)) is not None:
        is_new = known is None or known.expires is None or expires != _seconds(known.expires)
        if is_new and expires <= dt_util.utcnow():
            errors[CONF_EXPIRES] = "expires_past"
    return errors


@callback
def details_data(
    hass: HomeAssistant, user_input: Mapping[str, Any], subentry: ConfigSubentry | None
) -> dict[str, Any]:
    """Return what the subentry keeps; what is not in the form stays as it is."""
    before = {} if subentry is None else subentry.data
    data = {
        key: before[key] for key in before if key not in {*ENTITY_FIELDS, CONF_DOORS, CONF_EXPIRES}
    }
    for key in ENTITY_FIELDS:
        if entity_id := user_input.get(key):
            data[key] = async_entity_reference(hass, entity_id)
    if doors := user_input.get(CONF_DOORS):
        data[CONF_DOORS] = sorted(doors)
    if (expires := _expiry(user_input)) is not None:
        data[CONF_EXPIRES] = expires.isoformat()
    return data


def _expiry(user_input: Mapping[str, Any]) -> datetime | None:
    """Read the end of the permission, which the form gives in Home Assistant's time zone."""
    text = user_input.get(CONF_EXPIRES)
    if not text or user_input.get(CONF_NO_END):
        return None
    parsed = dt_util.parse_datetime(text, raise_on_error=True)
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=dt_util.get_default_time_zone())


def _seconds(when: datetime) -> datetime:
    """Leave out what the form cannot show."""
    return when.replace(microsecond=0)
