"""After too many attempts nothing opens for a while, longer each time.

What counts is what an attacker does, not that somebody is there: see ``Decider``.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, isfinite

from ..types import FloatArray
from .crowd import Crowd
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
    """Counts failures; from ``policy.attempts`` on, each one locks out, and they fade one by one.

    A failure is what an attacker at the door can cause and repeat, see ``Decider``; the shell adds
    wrong codes. Times are monotonic seconds. A clock that steps back restarts a running lockout,
    and at a time that is not a finite number the door counts as locked out if it has been since the
    last success.
    """

    def __init__(self, policy: DecisionPolicy) -> None:
        self._policy = policy
        self._crowd = Crowd(policy)
        self._failures = 0
        self._faded_at = 0.0
        self._since = 0.0
        self._duration = 0.0

    @property
    def failures(self) -> int:
        """Failures since the last success that had not faded when the lockout was last asked."""
        return self._failures

    def locked(self, now: float) -> bool:
        """Whether nothing may open."""
        if not isfinite(now):
            return self._duration > 0
        self._fade(now)
        self._since = min(self._since, now)
        return now - self._since < self._duration

    def fail(self, now: float) -> None:
        """Count one attempt or wrong code, also while locked out."""
        self._raise(1, now)
        further = self._failures - self._policy.attempts
        if further >= 0:
            doubled = self._policy.lockout_base * 2.0 ** min(further, MAX_DOUBLINGS)
            self._begin(min(doubled, self._policy.lockout_max), now)

    def loiter(self, now: float) -> None:
        """Note that a stranger stayed. However many do, it is one failure and locks nothing out."""
        if self._failures == 0 and self._policy.attempts > 1:
            self._raise(1, now)

    def meet(self, face: FloatArray, now: float, weight: float, alike: float) -> None:
        """Note a face float32[D + 1] that might have opened; too many different ones lock out.

        ``weight`` is what it counts for, and ``alike`` the score from which two are one person.
        """
        if self._crowd.meet(face, now, weight, alike):
            self._raise(max(0, self._policy.attempts - 1 - self._failures), now)
            self.fail(now)

    def clear(self) -> None:
        """Forget all failures: a person was let in, a code was right, or the owner cleared them."""
        self._failures = 0
        self._duration = 0.0
        self._crowd.clear()

    def remaining(self, now: float) -> float:
        """Seconds until something may open again."""
        # In this order rounding cannot make it longer than the lockout is.
        return self._duration - (now - self._since) if self.locked(now) else 0.0

    def snapshot(self, now: float) -> LockoutState:
        """Return what :meth:`restore` needs after a restart, at a finite ``now``."""
        remaining = self.remaining(now)
        return LockoutState(self._failures, remaining)

    def restore(self, state: LockoutState, now: float) -> None:
        """Continue from a snapshot; its remaining time starts again in full.

        How long the restart took does not count: only a wall clock could tell, and that can be set.
        """
        self._failures, self._faded_at = state.failures, now
        self._begin(min(state.remaining, self._policy.lockout_max), now)

    def _raise(self, failures: int, now: float) -> None:
        if isfinite(now):
            self._fade(now)
            if not self._failures:
                self._faded_at = now
        self._failures += failures

    def _fade(self, now: float) -> None:
        """Forget one failure for each ``policy.failure_fades`` seconds."""
        self._faded_at = min(self._faded_at, now)
        faded = int((now - self._faded_at) // self._policy.failure_fades)
        self._failures = max(0, self._failures - faded)
        self._faded_at += faded * self._policy.failure_fades

    def _begin(self, duration: float, now: float) -> None:
        # A time that is not a number is only known not to have passed yet.
        self._since = now if isfinite(now) else inf
        self._duration = duration
