"""Carries out a grant: commands the lock and waits for what it says."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final

from ..vision import AccessAttempt, Opening, Problem
from .driver import LockFailedError

_LOGGER = logging.getLogger(__name__)

RETRY_AFTER: Final = 0.5
"""Seconds from a failed command to the next; a grant's frames are fresh for little longer."""


async def async_carry_out(
    opening: Opening,
    command: Callable[[], Awaitable[None]],
    objection: Callable[[], Problem | None],
    clock: Callable[[], float],
) -> AccessAttempt:
    """Drive ``opening`` to its end; return the attempt as it is to be reported.

    ``command`` returns once the lock is known to be open. ``objection`` is asked before each
    command: time has passed since the grant was found. On being cancelled the outcome is known too.
    """
    while opening.outcome is None:
        if (problem := objection()) is not None:
            opening.failed(problem, clock())
        elif opening.command(clock()):
            try:
                await command()
            except asyncio.CancelledError:
                opening.failed(Problem.STOPPED, clock())
                raise
            # The lock's integration raises whatever it met; its traceback is not ours to show.
            except Exception as error:  # noqa: BLE001
                _LOGGER.error("The lock did not unlock: %s", error)  # noqa: TRY400
                opening.failed(_problem(error), clock())
                if opening.outcome is None:
                    await asyncio.sleep(RETRY_AFTER)
            else:
                opening.confirmed(clock())
    return opening.outcome


def _problem(error: Exception) -> Problem:
    return error.problem if isinstance(error, LockFailedError) else Problem.LOCK_FAILED
