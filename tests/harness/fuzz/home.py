"""A Home Assistant for the targets that need one, kept alive from one input to the next."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import tempfile
from collections.abc import AsyncIterator, Coroutine
from pathlib import Path
from typing import Any, TypeVar

from homeassistant import loader
from homeassistant.core import HomeAssistant
from pytest_homeassistant_custom_component.common import async_test_home_assistant

T = TypeVar("T")


class Home:
    """Runs coroutines in its own loop, with a Home Assistant in its own folder."""

    def __init__(self) -> None:
        logging.disable(logging.CRITICAL)  # refusals would be logged thousands of times
        self._folder = tempfile.TemporaryDirectory(prefix="face_lock_fuzz_home_")
        self.path = Path(self._folder.name)
        self._loop = asyncio.new_event_loop()
        self._stack = contextlib.AsyncExitStack()
        self.hass: HomeAssistant = self.run(self._enter())

    async def _enter(self) -> HomeAssistant:
        hass = await self._stack.enter_async_context(_home(self.path))
        hass.data.pop(loader.DATA_CUSTOM_COMPONENTS)  # otherwise there are none
        return hass

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine to its end."""
        return self._loop.run_until_complete(work)

    def close(self) -> None:
        """Stop Home Assistant."""
        self.run(self._stack.aclose())
        self._loop.close()
        self._folder.cleanup()


@contextlib.asynccontextmanager
async def _home(folder: Path) -> AsyncIterator[HomeAssistant]:
    async with async_test_home_assistant(config_dir=str(folder)) as hass:
        yield hass
        await hass.async_stop(force=True)
