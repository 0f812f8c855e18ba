"""The contact that says whether the door itself, and not its lock, is open."""

from __future__ import annotations

from collections.abc import Callable

from homeassistant.const import STATE_OFF, STATE_ON
from homeassistant.core import (
    CALLBACK_TYPE,
    Event,
    EventStateChangedData,
    HomeAssistant,
    callback,
)

from ..entity_reference import async_follow


@callback
def async_follow_contact(
    hass: HomeAssistant,
    contact: str | None,
    *,
    opened: Callable[[], None],
    closed: Callable[[], None],
) -> CALLBACK_TYPE:
    """Call ``opened`` and ``closed`` as the door is; return how to stop that.

    Only a door that was seen to be closed was opened: a contact that comes back from unavailable
    does not say when, nor by whom. One that is closed when it comes back ends what an open door
    allows.
    """

    @callback
    def changed(event: Event[EventStateChangedData]) -> None:
        old, new = (
            None if state is None else state.state
            for state in (event.data["old_state"], event.data["new_state"])
        )
        if new == STATE_OFF != old:
            closed()
        elif (old, new) == (STATE_OFF, STATE_ON):
            opened()

    return async_follow(hass, () if contact is None else (contact,), changed)
