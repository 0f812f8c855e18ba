"""Flashes a light at the door, tells what it really did, and gives it its state back."""

from __future__ import annotations

import asyncio
import logging
from asyncio import sleep
from collections.abc import Callable
from time import monotonic
from typing import Any, Final

from homeassistant.const import (
    ATTR_ENTITY_ID,
    SERVICE_TURN_OFF,
    SERVICE_TURN_ON,
    STATE_OFF,
    STATE_ON,
    Platform,
)
from homeassistant.core import (
    Context,
    Event,
    EventStateChangedData,
    HomeAssistant,
    State,
    callback,
)
from homeassistant.helpers.event import async_track_state_change_event
from homeassistant.helpers.state import async_reproduce_state

from ..entity_reference import async_resolve, async_state_of

_LOGGER = logging.getLogger(__name__)

FLASHES: Final = (True, False, True, False)
PHASE: Final = 1.0
"""Seconds from one switch to the next: the lamp settles, and some frames show it."""
ANSWER_TIMEOUT: Final = 3.0
"""Seconds in which the light must say that it did as told."""
RESTORE_TIMEOUT: Final = 10.0
BRIGHTEST: Final = {"brightness": 255, "transition": 0}
"""What a light cannot do of it, Home Assistant leaves out."""


class LightError(Exception):
    """The light does not do as it is told."""


class Flasher:
    """The light of one door, by registry id or entity id."""

    def __init__(self, hass: HomeAssistant, reference: str) -> None:
        self._hass = hass
        self._reference = reference
        self._changed = asyncio.Event()

    async def async_flash(
        self, started: Callable[[], None], switched: Callable[[float, bool], None]
    ) -> None:
        """Turn it off, call ``started``, flash twice, and leave it as it was whatever happens.

        ``switched`` is told each change with its monotonic time, as the light's own entity says it.

        Raises:
            LightError: it is missing, unavailable, or says nothing in time.

        """
        before = self._state()

        @callback
        def _changed(event: Event[EventStateChangedData]) -> None:
            new = event.data["new_state"]
            if new is not None and new.state in (STATE_ON, STATE_OFF):
                switched(monotonic(), new.state == STATE_ON)
            self._changed.set()

        untrack = async_track_state_change_event(self._hass, [before.entity_id], _changed)
        try:
            await self._async_switch(on=False)
            started()
            for on in FLASHES:
                await sleep(PHASE)
                await self._async_switch(on=on)
            await sleep(PHASE)
        finally:
            untrack()
            # A task of its own: who is cancelled twice still leaves the light as it was.
            await asyncio.shield(
                self._hass.async_create_task(self._async_restore(before), "face_lock light")
            )

    def _state(self) -> State:
        state = async_state_of(self._hass, self._reference)
        if state is None or state.state not in (STATE_ON, STATE_OFF):
            name = async_resolve(self._hass, self._reference) or "the light"
            raise LightError(f"{name} is missing or unavailable")
        return state

    async def _async_switch(self, *, on: bool) -> None:
        """Switch, and wait until the light says that it did."""
        wanted = STATE_ON if on else STATE_OFF
        data: dict[str, Any] = {ATTR_ENTITY_ID: self._state().entity_id}
        service = SERVICE_TURN_ON if on else SERVICE_TURN_OFF
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT):
                if self._state().state != wanted:
                    await self._hass.services.async_call(
                        Platform.LIGHT,
                        service,
                        {**data, **BRIGHTEST} if on else data,
                        blocking=True,
                        context=Context(),
                    )
                while self._state().state != wanted:
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError as error:
            raise LightError(f"{data[ATTR_ENTITY_ID]} does not turn {wanted}") from error

    async def _async_restore(self, before: State) -> None:
        try:
            async with asyncio.timeout(RESTORE_TIMEOUT):
                await async_reproduce_state(self._hass, before, context=Context())
        except Exception as error:  # noqa: BLE001 - whatever the light's integration raises
            _LOGGER.warning("%s could not be left as it was: %s", before.entity_id, error)
