"""Breaks the product on purpose, to check that the schedules would notice.

    python -m tests.harness.sabotage

Prints each defect and the first violation found as JSON; exits with 1 if one went unnoticed.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from multiprocessing import get_context
from typing import Any, Final
from unittest.mock import patch

from homeassistant.helpers.storage import Store

from custom_components.face_lock.access import second_factor as factor
from custom_components.face_lock.recognition import feed
from custom_components.face_lock.storage import checked_store as disk, records
from custom_components.face_lock.vision import Decider, SeenFrames
from custom_components.face_lock.vision.decision import hold, lockout, visit, voting

from .schedules import PER_HOUSE, SEED, Case, run_cases

Defect = tuple[tuple[str, ...], list[tuple[Any, str, Any]]]
"""The faults in which a defect shows, and what is replaced: the object, the name, the value."""


def _constant(value: Any) -> Callable[..., Any]:
    return lambda *_, **__: value


def _broken(*_: Any, **__: Any) -> None:
    raise RuntimeError("sabotage")


DEFECTS: Final[dict[str, Defect]] = {
    "a frozen picture counts as many": (
        ("camera_frozen",),
        [
            (SeenFrames, "known", _constant(False)),
            (voting.Voting, "seen_before", _constant(False)),
        ],
    ),
    "a frozen picture holds the door": (
        ("frozen_while_hosted",),
        [(hold.Hold, "is_over", _constant(False))],
    ),
    "each stranger is a failure": (
        ("crowd_passes",),
        [(lockout.Lockout, "meet", lambda self, face, now, weight, alike: self.fail(now))],
    ),
    "a door contact says nothing": (
        ("comes_out",),
        [(Decider, "door_opened", _constant(None)), (Decider, "door_closed", _constant(None))],
    ),
    "pictures of before a reload count again": (
        ("camera_replays", "entry_reloaded"),
        [(SeenFrames, "known", _constant(False))],
    ),
    "one picture is enough": (
        ("camera_frozen",),
        [(visit.Visit, "agreeing", lambda self, track, since: self.votes * 3)],
    ),
    "no second factor is asked for": (
        ("factor_gone",),
        [(factor.SecondFactor, "missing", _constant(False))],
    ),
    "what a full disk refused is lost": (
        ("disk_full", "person_removed"),
        [(disk.CheckedStore, "async_write", Store.async_save)],
    ),
    "a damaged file is nobody's": (
        ("storage_truncated",),
        [(records, "load_json", _constant({}))],
    ),
    "a failing camera is asked ever less": (
        ("camera_fails",),
        [(feed, "MAX_BACKOFF", 1e6), (feed, "OPEN_INTERVAL", 60.0)],
    ),
    "an error comes out of a task": (
        ("picture_truncated",),
        [(feed.Feed, "_bad_picture", _broken)],
    ),
}
"""Each is a defect that the code could have, or once had."""


def attempt(name: str) -> str | None:
    """Run the faults in which a defect shows, in all houses; return the first violation."""
    faults, changes = DEFECTS[name]
    with ExitStack() as stack:
        for owner, what, value in changes:
            stack.enter_context(patch.object(owner, what, value))
        for number in range(0, 400, PER_HOUSE):
            if found := run_cases([Case(number, faults)], SEED).violations:
                return found[0]
    return None


def main() -> int:
    """Try each defect in a process of its own."""
    context = get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context, max_tasks_per_child=1) as pool:
        noticed = dict(zip(DEFECTS, pool.map(attempt, DEFECTS), strict=True))
    print(json.dumps(noticed, indent=1))
    return 0 if all(noticed.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
