"""After too many failed visits nothing opens for a while, longer each time."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, isfinite

from .policy import DecisionPolicy

MAX_DOUBLINGS = 64
"""More would overflow long after any maximum."""


@dataclass(frozen=True, slots=True)
class LockoutState:
    """What survives a restart: consecutive failures, and the seconds that a lockout still lasts."""

    failures: int = 0
    remaining: float = 0.0

    def __post_init__(self) -> None:
        if self.failures < 0 or not (isfinite(self.remaining) and self.remaining >= 0):
            raise ValueError("a lockout needs failures and finite seconds, none below zero")


class Lockout:
    """Counts consecutive failures; from ``policy.attempts`` on, each one locks out.

    A failure is what a stranger at the door can cause and repeat, see ``Decider``; the shell adds
    wrong codes. Times are monotonic seconds. A clock that steps back restarts a running lockout,
    and at a time that is not a finite number the door counts as locked out if it has been since the
    last success.
    """

    def __init__(self, policy: DecisionPolicy) -> None:
        self._policy = policy
        self._failures = 0
        self._since = 0.0
        self._duration = 0.0

    @property
    def failures(self) -> int:
        """Failures since the last success."""
        return self._failures

    def locked(self, now: float) -> bool:
        """Whether nothing may open."""
        if not isfinite(now):
            return self._duration > 0
        self._since = min(self._since, now)
        return now - self._since < self._duration

    def fail(self, now: float) -> None:
        """Count one failed visit or wrong code, also while locked out."""
        self._failures += 1
        further = self._failures - self._policy.attempts
        if further >= 0:
            doubled = self._policy.lockout_base * 2.0 ** min(further, MAX_DOUBLINGS)
            self._begin(min(doubled, self._policy.lockout_max), now)

    def clear(self) -> None:
        """Forget all failures: a person was let in, a code was right, or the owner cleared them."""
        self._failures = 0
        self._duration = 0.0

    def remaining(self, now: float) -> float:
        """Seconds until something may open again."""
        # In this order rounding cannot make it longer than the lockout is.
        return self._duration - (now - self._since) if self.locked(now) else 0.0

    def snapshot(self, now: float) -> LockoutState:
        """Return what :meth:`restore` needs after a restart, at a finite ``now``."""
        return LockoutState(self._failures, self.remaining(now))

    def restore(self, state: LockoutState, now: float) -> None:
        """Continue from a snapshot; its remaining time starts again in full.

        How long the restart took does not count: only a wall clock could tell, and that can be set.
        """
        self._failures = state.failures
        self._begin(min(state.remaining, self._policy.lockout_max), now)

    def _begin(self, duration: float, now: float) -> None:
        # A time that is not a number is only known not to have passed yet.
        self._since = now if isfinite(now) else inf
        self._duration = duration
