"""From a grant to a door that is known to be open, or to the reason why it is not.

A grant is a command, and what comes of it is never assumed: the visit's one ``AccessAttempt`` is
final only when the lock has confirmed, refused, or said nothing until the deadline. A pure state
machine; the shell drives the lock::

    opening = Opening(grant, max_age=policy.max_age)
    while opening.command(now):
        ...  # unlock; then one of
        opening.confirmed(now)
        opening.failed(problem, now)
        opening.tick(now)  # while nothing is heard
    opening.outcome  # what is reported
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from ..types import AccessAttempt, Problem

RETRIED: Final = (Problem.LOCK_UNAVAILABLE, Problem.LOCK_FAILED)
"""After these the lock did not move. After a timeout it may still move late, and a jammed bolt has
been moved against something: neither is commanded again."""
COMMANDS: Final = 2
"""At most so many times is the lock commanded."""
DEADLINE: Final = 15.0
"""Seconds from a command until silence counts as a timeout."""


class Opening:
    """One grant on its way to the lock. Times are monotonic seconds; NaN never opens."""

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
        """The visit's attempt once it is final: the grant, or a refusal with what kept it shut."""

    @property
    def opening(self) -> bool:
        """Whether the lock was commanded and has not answered."""
        return self._commanded_at is not None

    @property
    def commanded(self) -> bool:
        """Whether the lock was ever commanded: whatever it says, it may have moved."""
        return self._commands > 0

    def command(self, now: float) -> bool:
        """Ask to command the lock; on True the lock must be commanded, and an answer be given.

        False means that the outcome is known, or that an answer is still awaited.
        """
        if self.outcome is not None or self.opening:
            return False
        at = self._grant.evidence_at
        taken_at = self._grant.decided_at if at is None else at
        if not 0.0 <= now - taken_at <= self._max_age:
            # What kept a first command from opening says more than that its time is up.
            self._refuse(self._problem or Problem.STALE_FRAMES)
            return False
        self._commands += 1
        self._commanded_at = now
        return True

    def confirmed(self, now: float) -> None:
        """Take the lock's word, given before the deadline, that it is open."""
        self.tick(now)
        if self.opening:
            self._commanded_at = None
            self.outcome = self._grant

    def failed(self, problem: Problem, now: float) -> None:
        """Say why the lock did not open, or why it must not be commanded (any more)."""
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
        # Written so that a clock that steps back, or is no number, confirms nothing.
        if at is not None and not 0.0 <= now - at < self._deadline:
            self._commanded_at = None
            self._refuse(Problem.LOCK_TIMEOUT)

    def _refuse(self, problem: Problem) -> None:
        self.outcome = replace(self._grant, granted=False, problem=problem)
