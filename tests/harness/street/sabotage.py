"""Breaks the product on purpose, to check that the judge of the street would notice.

    python -m tests.harness.street.sabotage

Prints each defect and the first fault found as JSON; exits with 1 if one went unnoticed.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from typing import Any, Final
from unittest.mock import patch

from custom_components.face_lock.vision import Match
from custom_components.face_lock.vision.decision import crowd, hold, lockout, policy, stay, voting
from tests.harness.virtual_clock import InlineLoop

from .episodes import run_episodes

SEED: Final = 20261126


def _generous(self: voting.Voting, match: Match | None) -> bool:
    return match is not None and match.similarity >= self._threshold - 0.1


DEFECTS: Final[dict[str, tuple[str, str, Any, str, Any]]] = {
    "a courier makes one failure after the other": (
        *("courier", "failures"),
        *(lockout.Lockout, "loiter", lambda self, now: self.fail(now)),
    ),
    "passers-by are failures": (
        *("crowd", "locked the door"),
        *(lockout.Lockout, "meet", lambda self, face, now, weight, alike: self.fail(now)),
    ),
    "many pictures are no failure": (
        *("pictures", "no lockout"),
        *(crowd.Crowd, "meet", lambda self, embedding, now, weight, alike: False),
    ),
    "near misses are no failures": (
        *("near_misses", "no lockout"),
        *(stay.Stay, "is_near_miss", lambda self, quorum, now: False),
    ),
    "whoever was let in holds the door for ever": (
        *("chat", "longer than"),
        *(hold.Hold, "is_too_long", lambda self, now, policy: False),
    ),
    "a double is let in": (
        *("near_misses", "opened for nobody"),
        *(voting.Voting, "accepts", _generous),
    ),
    "the phone is not waited for": (
        *("late_phone", "not let in"),
        *(policy.DecisionPolicy, "factor_wait", property(lambda self: 0.0)),
    ),
}
"""The episode in which each shows and a part of what is said of it, and what is replaced."""


def main() -> int:
    """Try each defect."""
    logging.disable(logging.CRITICAL)
    noticed = {}
    for name, (episode, says, owner, what, value) in DEFECTS.items():
        with (
            patch.object(owner, what, value),
            asyncio.Runner(loop_factory=InlineLoop) as runner,
        ):
            (found,) = runner.run(run_episodes([episode], SEED))
        noticed[name] = next((fault for fault in found.faults if says in fault), None)
    print(json.dumps(noticed, indent=1))
    return 0 if all(noticed.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
