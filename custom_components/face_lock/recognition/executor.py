"""One thread of our own for everything that keeps a processor busy.

Home Assistant's executor is shared by all integrations: a slow network there would delay them,
and they would delay the door.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar, TypeVarTuple

from homeassistant.core import HomeAssistant

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

_LOGGER = logging.getLogger(__name__)

STOP_TIMEOUT: Final = 10.0
"""Seconds that the end of a running job is waited for."""


class Worker:
    """Runs jobs one after the other."""

    def __init__(self, hass: HomeAssistant) -> None:
        self._hass = hass
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="face_lock")

    async def async_run(self, job: Callable[[*Ts], T], *args: *Ts) -> T:
        """Run ``job(*args)``; raises what it raises, RuntimeError once the worker was stopped."""
        try:
            return await self._hass.loop.run_in_executor(self._executor, job, *args)
        except asyncio.CancelledError:
            if (task := asyncio.current_task()) is not None and task.cancelling():
                raise
            # The job was still waiting for its turn; whoever asked for it was not cancelled.
            raise RuntimeError("the worker was stopped") from None

    async def async_stop(self) -> None:
        """Take no more jobs and wait for the thread to end."""
        self._executor.shutdown(wait=False, cancel_futures=True)
        joined = self._hass.async_add_executor_job(self._executor.shutdown)
        # A thread cannot be killed; one that hangs must not keep Home Assistant from going on.
        _, hanging = await asyncio.wait({joined}, timeout=STOP_TIMEOUT)
        if hanging:
            _LOGGER.warning("A recognition does not end; its thread is left behind")
