"""One grant on its way to the lock: what must still hold, and what it uses up."""

from __future__ import annotations

from homeassistant.core import HomeAssistant

from ..residents import Residents
from ..settings import PersonSettings
from ..vision import AccessAttempt, Problem
from .one_time_pass import Passes
from .rules import objection
from .second_factor import SecondFactor


class Grant:
    """Asked before each command to the lock, since time has passed since the face was proven.

    The code and a pass are used up by the first command, whatever comes of it: also a lock that
    reports a failure may have opened. A second command for the same grant needs no other ones, but
    everything else again. Times are monotonic seconds.
    """

    def __init__(
        self,
        hass: HomeAssistant,
        door: str,
        attempt: AccessAttempt,
        residents: Residents,
        passes: Passes,
        factor: SecondFactor,
    ) -> None:
        self._hass = hass
        self._door = door
        self._person = attempt.person or ""
        self._residents = residents
        self._passes = passes
        self._factor = factor
        self._commanded = False
        self._passed: PersonSettings | None = None
        """The rules to which a pass that this grant used up was an exception."""

    def objection(self, now: float) -> Problem | None:
        """Say why the grant does not hold now, None while it does."""
        rules = self._residents.rules.get(self._person)
        if rules is None:
            return Problem.UNKNOWN_FACE
        problem = objection(self._hass, rules, self._door)
        if problem is not None and not self._is_excepted(rules, now):
            return problem
        if self._factor.missing(now, code_taken=self._commanded):
            return Problem.SECOND_FACTOR_MISSING
        return None

    def command(self, now: float) -> None:
        """Note that the lock is told to open now."""
        if self._commanded:
            return
        self._commanded = True
        self._factor.use()
        rules = self._residents.rules.get(self._person)
        barred = rules is not None and objection(self._hass, rules, self._door) is not None
        if rules is not None and barred and self._passes.use(self._person, rules, now):
            self._passed = rules

    def _is_excepted(self, rules: PersonSettings, now: float) -> bool:
        """Whether a pass lets the person in, be it one that this grant has used."""
        return self._passed == rules or self._passes.holds(self._person, rules, now)
