"""What opens the gate besides moving pictures: motion sensors and doorbells."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from homeassistant.components.event import DOMAIN as EVENT_DOMAIN
from homeassistant.const import STATE_ON, STATE_UNAVAILABLE, STATE_UNKNOWN
from homeassistant.core import (
    CALLBACK_TYPE,
    Event,
    EventStateChangedData,
    HomeAssistant,
    callback,
)

from ..entity_reference import async_follow

_IGNORED = (STATE_UNAVAILABLE, STATE_UNKNOWN)


@callback
def async_follow_triggers(
    hass: HomeAssistant, triggers: Iterable[str], look: Callable[[], None]
) -> CALLBACK_TYPE:
    """Call ``look`` whenever a motion sensor goes on or a doorbell rings; return how to stop."""

    @callback
    def changed(event: Event[EventStateChangedData]) -> None:
        if _tells_of_somebody(event):
            look()

    return async_follow(hass, triggers, changed)


def _tells_of_somebody(event: Event[EventStateChangedData]) -> bool:
    old, new = event.data["old_state"], event.data["new_state"]
    if old is None or new is None or old.state in _IGNORED or new.state in _IGNORED:
        return False
    return new.domain == EVENT_DOMAIN or new.state == STATE_ON != old.state
