"""The second factor, beside a face: an entity that must be in a state, a code, or both."""

from __future__ import annotations

from typing import Final

from homeassistant.core import HomeAssistant

from ..entity_reference import async_state_of
from ..settings import DoorSettings
from .codes import is_code
from .memory import Memory

CODE_VALID: Final = 30.0
"""Seconds for which a code is good, and for which a proven face waits for one."""
ENTITY_WAIT: Final = 120.0
"""Seconds for which a proven face waits for the entity: a phone is seen long after its owner."""


class SecondFactor:
    """What a door asks for beside a face. Times are monotonic seconds."""

    def __init__(self, hass: HomeAssistant, settings: DoorSettings, memory: Memory) -> None:
        self._hass = hass
        self._settings = settings
        self._memory = memory
        self._code_at: float | None = None

    @property
    def wait(self) -> float:
        """Seconds that a face may wait for it, while it stays in view: it may come later."""
        if self._settings.factor_entity is not None:
            return ENTITY_WAIT
        return 0.0 if self._settings.code_hash is None else CODE_VALID

    def missing(self, now: float, *, code_taken: bool = False) -> bool:
        """Whether something required was not given; who cannot be asked gives nothing.

        Where the owner wants it only after a restart, whoever came in since then has given it.
        With ``code_taken`` the code was given already, and was used for this very visit.
        """
        if self._settings.factor_after_restart and self._memory.opened:
            return False
        return self._entity_missing() or (not code_taken and self._code_missing(now))

    async def async_is_code(self, code: str) -> bool:
        """Whether ``code`` is the door's."""
        hashed = self._settings.code_hash
        return hashed is not None and await self._hass.async_add_executor_job(is_code, code, hashed)

    def take_code(self, now: float) -> None:
        """Note that the right code was given; it is good for one visit, and a while."""
        self._code_at = now

    def use(self) -> None:
        """Forget the code: it has let somebody in."""
        self._code_at = None

    def _entity_missing(self) -> bool:
        if self._settings.factor_entity is None:
            return False
        state = async_state_of(self._hass, self._settings.factor_entity)
        return state is None or state.state != self._settings.factor_state

    def _code_missing(self, now: float) -> bool:
        if self._settings.code_hash is None:
            return False
        return self._code_at is None or not 0 <= now - self._code_at < CODE_VALID
