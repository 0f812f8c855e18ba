"""From a grant to a door that is known to be open, or to the reason why it is not.

A grant is a command whose result is never assumed: the ``AccessAttempt`` of a visit is final only
when the lock has confirmed, refused, or not answered by the deadline. This is a pure state machine;
the shell drives the lock::

    opening = Opening(grant, max_age=policy.max_age)
    while opening.command(now):
        ...  # unlock; then one of
        opening.confirmed(now)
        opening.failed(problem, now)
        opening.tick(now)  # while nothing is heard
    opening.outcome  # is what is reported
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from ..types import AccessAttempt, Problem

RETRIED: Final = (Problem.LOCK_UNAVAILABLE, Problem.LOCK_FAILED)
"""After these problems the lock has not moved. After a timeout it may still move late, and a jammed
bolt has been moved against something, so neither is commanded again."""
COMMANDS: Final = 2
"""The most times that the lock is commanded."""
DEADLINE: Final = 15.0
"""Seconds after a command from which silence counts as a timeout."""


class Opening:
    """A grant on its way to the lock. Times are monotonic seconds; NaN never opens."""

    def __init__(self, grant: AccessAttempt, *, max_age: float, deadline: float = DEADLINE) -> None:
        """Carry out ``grant`` as long as its newest frame is no older than ``max_age``.

        Raises:
            ValueError: the attempt is a refusal.

        """
        if not grant.granted:
            raise ValueError("only a grant opens")
        self._grant = grant
        self._max_age = max_age
        self._deadline = deadline
        self._commands = 0
        self._commanded_at: float | None = None
        self._problem: Problem | None = None
        self.outcome: AccessAttempt | None = None
        """The visit's final attempt: the grant, or a refusal with the problem that kept it shut."""

    @property
    def opening(self) -> bool:
        """Whether the lock was commanded and has not answered yet."""
        return self._commanded_at is not None

    @property
    def commanded(self) -> bool:
        """Whether the lock was ever commanded: it may have moved, whatever it reports."""
        return self._commands > 0

    def command(self, now: float) -> bool:
        """Ask to command the lock; after True it must be commanded, and its answer reported.

        False means that the outcome is known, or that an answer is still pending.
        """
        if self.outcome is not None or self.opening:
            return False
        at = self._grant.evidence_at
        taken_at = self._grant.decided_at if at is None else at
        if not 0.0 <= now - taken_at <= self._max_age:
            # The reason why a first command failed says more than that its time is up.
            self._refuse(self._problem or Problem.STALE_FRAMES)
            return False
        self._commands += 1
        self._commanded_at = now
        return True

    def confirmed(self, now: float) -> None:
        """Note that the lock reported, before the deadline, that it is open."""
        self.tick(now)
        if self.opening:
            self._commanded_at = None
            self.outcome = self._grant

    def failed(self, problem: Problem, now: float) -> None:
        """Note why the lock did not open, or why it must not be commanded (any more)."""
        self.tick(now)
        if self.outcome is not None:
            return
        commanded = self.opening
        self._commanded_at = None
        self._problem = problem
        if not commanded or problem not in RETRIED or self._commands >= COMMANDS:
            self._refuse(problem)

    def tick(self, now: float) -> None:
        """Let time pass: silence until the deadline is a timeout."""
        at = self._commanded_at
        # Written so that a clock that steps back, or is not a number, confirms nothing.
        if at is not None and not 0.0 <= now - at < self._deadline:
            self._commanded_at = None
            self._refuse(Problem.LOCK_TIMEOUT)

    def _refuse(self, problem: Problem) -> None:
        self.outcome = replace(self._grant, granted=False, problem=problem)
