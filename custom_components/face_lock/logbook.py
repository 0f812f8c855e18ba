"""Sentences for the logbook ("activity").

Of an event entity the logbook shows the event's type only; an integration can describe events of
the bus, not states. So each access is told on the bus as well, for the logbook alone: automations
have the event entity. The sentence is made when it is read, in Home Assistant's language.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from homeassistant.components.logbook.const import (
    LOGBOOK_ENTRY_ENTITY_ID,
    LOGBOOK_ENTRY_MESSAGE,
    LOGBOOK_ENTRY_NAME,
)
from homeassistant.const import ATTR_ENTITY_ID, ATTR_NAME
from homeassistant.core import Event, HomeAssistant, callback
from homeassistant.helpers.translation import async_get_cached_translations

from .const import DOMAIN, EVENT_ACCESS
from .visit import (
    EVENT_ACCESS_DENIED,
    EVENT_ACCESS_GRANTED,
    EVENT_LIVENESS_FAILED,
    EVENT_LOCKED_OUT,
    EVENT_UNKNOWN_FACE,
)

_SENTENCES = {
    EVENT_ACCESS_GRANTED: "logbook_access_granted",
    EVENT_ACCESS_DENIED: "logbook_access_denied",
    EVENT_UNKNOWN_FACE: "logbook_unknown_face",
    EVENT_LIVENESS_FAILED: "logbook_liveness_failed",
    EVENT_LOCKED_OUT: "logbook_locked_out",
}


@callback
def async_describe_events(
    hass: HomeAssistant,
    async_describe_event: Callable[[str, str, Callable[[Event], dict[str, Any]]], None],
) -> None:
    """Tell the logbook how to describe an access."""

    @callback
    def async_describe(event: Event) -> dict[str, Any]:
        data = event.data
        return {
            LOGBOOK_ENTRY_NAME: data.get(ATTR_NAME),
            LOGBOOK_ENTRY_MESSAGE: _sentence(hass, data),
            LOGBOOK_ENTRY_ENTITY_ID: data.get(ATTR_ENTITY_ID),
        }

    async_describe_event(DOMAIN, EVENT_ACCESS, async_describe)


def _sentence(hass: HomeAssistant, data: Mapping[str, Any]) -> str:
    """Say what happened; whatever an older version wrote is described as well as it can be."""
    event_type = data.get("event_type", "")
    key = _SENTENCES.get(event_type, "logbook_access_denied")
    if key == "logbook_access_denied" and data.get("person") is None:
        key = "logbook_somebody_denied"
    told = {
        "person": data.get("person"),
        "confidence": data.get("confidence"),
        "reason": _reason(hass, data.get("reason")),
    }
    text = _text(hass, "common", key) or ""
    return text.format(**{name: "?" if value is None else value for name, value in told.items()})


def _reason(hass: HomeAssistant, reason: str | None) -> str | None:
    if reason is None:
        return None
    key = f"event.access.state_attributes.reason.state.{reason}"
    return _text(hass, "entity", key) or reason


def _text(hass: HomeAssistant, category: str, key: str) -> str | None:
    """Return a text in Home Assistant's language, or in English where it has none."""
    texts = async_get_cached_translations(hass, hass.config.language, category, DOMAIN)
    return texts.get(f"component.{DOMAIN}.{category}.{key}")
