"""What opens the gate besides moving pictures: motion sensors and doorbells."""

from __future__ import annotations

from homeassistant.components.event import DOMAIN as EVENT_DOMAIN
from homeassistant.const import STATE_ON, STATE_UNAVAILABLE, STATE_UNKNOWN
from homeassistant.core import Event, EventStateChangedData, callback

_IGNORED = (STATE_UNAVAILABLE, STATE_UNKNOWN)


@callback
def tells_of_somebody(event: Event[EventStateChangedData]) -> bool:
    """Whether a motion sensor went on, or a doorbell rang."""
    old, new = event.data["old_state"], event.data["new_state"]
    if old is None or new is None or old.state in _IGNORED or new.state in _IGNORED:
        return False
    return new.domain == EVENT_DOMAIN or new.state == STATE_ON != old.state
