"""Says to whoever stands at the door where to turn: runs the actions that the owner chose."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from typing import Any, Final

from homeassistant.core import Context, HomeAssistant
from homeassistant.helpers import config_validation as cv
from homeassistant.helpers.script import Script, async_validate_actions_config

from ..const import DOMAIN

_LOGGER = logging.getLogger(__name__)

TIMEOUT: Final = 8.0
"""Seconds that the actions may take."""


class AnnouncementError(Exception):
    """The actions did not run to their end."""


async def async_checked(
    hass: HomeAssistant, actions: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """Return actions, as a form gives them, made ready to run.

    Raises:
        Exception: whatever checks them (probatio.Invalid, HomeAssistantError) objects to.

    """
    sequence: list[dict[str, Any]] = cv.SCRIPT_SCHEMA(list(actions))
    return await async_validate_actions_config(hass, sequence)


class Announcer:
    """The actions of one door."""

    def __init__(
        self, hass: HomeAssistant, door: str, actions: Sequence[Mapping[str, Any]]
    ) -> None:
        self._hass = hass
        self._door = door
        self._actions = actions
        self._script: Script | None = None

    async def async_say(self, variables: Mapping[str, Any]) -> None:
        """Run the actions with ``variables``.

        Raises:
            AnnouncementError: they cannot be run, fail, or take too long.

        """
        try:
            async with asyncio.timeout(TIMEOUT):
                if self._script is None:
                    self._script = await self._async_make()
                result = await self._script.async_run(dict(variables), Context())
        except Exception as error:  # whatever an action's integration raises
            reason = str(error) or type(error).__name__
            raise AnnouncementError(f"the announcement failed: {reason}") from error
        if result is None:
            raise AnnouncementError("the announcement was not made")

    async def async_stop(self) -> None:
        """End what is running."""
        script, self._script = self._script, None
        if script is not None:
            await script.async_unload()

    async def _async_make(self) -> Script:
        return Script(
            self._hass,
            await async_checked(self._hass, self._actions),
            f"{self._door} announcement",
            DOMAIN,
            script_mode="restart",
            log_exceptions=False,
            logger=_LOGGER,
        )
