"""Puts the question of a visit to whoever stands at the door, and tells the core what came of it.

Whatever fails here is a refusal there, and a warning in the log; nothing here can open a door.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic
from typing import Final

from homeassistant.config_entries import ConfigEntry
from homeassistant.core import CALLBACK_TYPE, HomeAssistant, callback
from homeassistant.helpers import sun

from ..localize import async_sentences
from ..settings import DoorSettings
from ..vision import Ask, Asking, Turn
from .announcer import Announcer
from .flasher import Flasher

_LOGGER = logging.getLogger(__name__)

STOP_TIMEOUT: Final = 15.0
"""Seconds that an action which does not end is waited for."""

EVENT_FLASH: Final = "flash"
QUESTION_TYPES: Final = (*(f"turn_{turn}" for turn in Turn), EVENT_FLASH)


@dataclass(frozen=True, slots=True)
class Question:
    """What the visitor is asked, as the owner's automations are told; without a turn both empty."""

    event_type: str
    """One of ``QUESTION_TYPES``."""
    direction: str | None = None
    """Left or right, in Home Assistant's language."""
    message: str | None = None
    """A sentence to say, in Home Assistant's language."""


class Prompter:
    """The ways of one door to ask its visitors."""

    def __init__(
        self, hass: HomeAssistant, entry: ConfigEntry, door: str, settings: DoorSettings
    ) -> None:
        """Ask at the door of the name ``door``."""
        self._hass = hass
        self._entry = entry
        self._door = door
        actions, light = settings.announce, settings.flash_light
        self._announcer = Announcer(hass, door, actions) if actions else None
        self._light = None if light is None else Flasher(hass, light)
        self._task: asyncio.Task[None] | None = None
        self._listening: list[Callable[[Question], None]] = []

    @callback
    def async_subscribe(self, listener: Callable[[Question], None]) -> CALLBACK_TYPE:
        """Call ``listener`` with each question; return how to stop that."""
        self._listening.append(listener)
        return lambda: self._listening.remove(listener)

    @callback
    def draw(self) -> Ask:
        """Draw a question by chance. By day a light shows on nobody: where both can be asked, the
        light is left to the dark.
        """  # noqa: D205 - one thought
        turns = self._announcer is not None
        return Ask(
            turn=secrets.choice(tuple(Turn)) if turns else None,
            flash=self._light is not None and not (turns and sun.is_up(self._hass)),
        )

    @callback
    def async_ask(self, asking: Asking) -> None:
        """Put a question, which ends the one before; returns at once."""
        before = self._task
        self._task = self._entry.async_create_background_task(
            self._hass, self._async_put(asking, before), "face_lock ask"
        )

    @callback
    def async_end(self) -> None:
        """Ask nothing more of the present visitors: the door opens, or is not watched."""
        if self._task is not None:
            self._task.cancel()

    async def async_stop(self) -> None:
        """End what is going on; the light is as it was then. May be called again."""
        self.async_end()
        if self._task is not None:
            _, hanging = await asyncio.wait({self._task}, timeout=STOP_TIMEOUT)
            if hanging:
                _LOGGER.warning("The announcement at %s does not end", self._door)
        if self._announcer is not None:
            await self._announcer.async_stop()

    async def _async_put(self, asking: Asking, before: asyncio.Task[None] | None) -> None:
        if before is not None:
            # It may be flashing the light, and has to leave it as it was.
            before.cancel()
            await asyncio.wait({before}, timeout=STOP_TIMEOUT)
        try:
            await self._async_say(asking)
            if self._light is None or not asking.ask.flash:
                asking.put(monotonic())
                return
            await self._light.async_flash(
                lambda: asking.put(monotonic()), lambda at, on: asking.switched(at, on=on)
            )
        except Exception as error:  # noqa: BLE001 - a light's integration raises whatever it met
            asking.lose()
            _LOGGER.warning("%s could not ask its visitor: %s", self._door, error)

    async def _async_say(self, asking: Asking) -> None:
        turn = asking.ask.turn
        question = Question(EVENT_FLASH)
        if turn is not None:
            keys = (f"challenge_{turn}", f"challenge_turn_{turn}")
            direction, message = await async_sentences(self._hass, "common", keys)
            question = Question(f"turn_{turn}", direction, message)
        for listener in list(self._listening):
            listener(question)
        if turn is not None and self._announcer is not None:
            variables = {"direction": question.direction, "message": question.message}
            await self._announcer.async_say({"turn": turn.value, **variables})
