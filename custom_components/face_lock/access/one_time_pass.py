"""Leave for one visit, given by the owner to somebody who may not come in at that time.

It is kept in memory only, so that a restart takes it back.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Final, TypeVar

T = TypeVar("T")

MAX_SECONDS: Final = 24 * 3600.0


@dataclass(frozen=True, slots=True)
class _Pass:
    rules: Hashable
    since: float
    until: float


class Passes:
    """Who may come in once although the rules bar them. Times are monotonic seconds.

    A pass is an exception to a person's rules as they were when it was given: it no longer holds
    once the rules were changed (the person suspended, given other hours). It answers for nothing
    else: recognition, liveness, second factor and lockout are as for everybody.
    """

    def __init__(self) -> None:
        self._passes: dict[str, _Pass] = {}

    def give(self, person: str, rules: Hashable, seconds: float, now: float) -> None:
        """Let ``person`` in once within ``seconds``; this replaces an earlier pass.

        Raises:
            ValueError: a time that is not finite, or not within a day.

        """
        if not (isfinite(now) and 0 < seconds <= MAX_SECONDS):
            raise ValueError("a pass is for up to a day")
        self._passes[person] = _Pass(rules, now, now + seconds)

    def take_back(self, person: str) -> bool:
        """End a person's pass; return whether there was one."""
        return self._passes.pop(person, None) is not None

    def holds(self, person: str, rules: Hashable, now: float) -> bool:
        """Whether ``person``, whose rules are now ``rules``, has a pass that was not used."""
        given = self._passes.get(person)
        # A clock that stepped back, or is no number, finds no pass.
        return given is not None and given.rules == rules and given.since <= now < given.until

    def use(self, person: str, rules: Hashable, now: float) -> bool:
        """Take the pass of somebody who is let in on it; return whether it held."""
        held = self.holds(person, rules, now)
        self._passes.pop(person, None)
        return held

    def lift(
        self, barred: Mapping[str, T], rules: Mapping[str, Hashable], now: float
    ) -> dict[str, T]:
        """Return those of ``barred`` (person id -> why) whom no pass lets in; none is used up."""
        return {
            person: why
            for person, why in barred.items()
            if person not in rules or not self.holds(person, rules[person], now)
        }
