"""Which modules are changed, and which tests should notice it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Suite:
    """Modules whose tests need the same environment."""

    folder: str
    """Of the tests, below tests/."""
    plugins: bool
    """Whether pytest loads the installed plugins; those for Home Assistant take seconds."""
    first: tuple[str, ...]
    """Imported before anything else, as the plugins do."""
    at_least: float
    """Percentage of the mutants that must be noticed."""
    tests: Mapping[str, tuple[str, ...]]
    """Module -> the test files that should notice its mutants, the closest first."""


_DECISION: Final = tuple(
    f"decision{name}"
    for name in (
        *("", "_challenge", "_circumstances", "_lockout", "_look", "_unlock"),
        *("_hold", "_hearing", "_tracker", "_machine"),
    )
)
_RELOCK: Final = (
    *("relock", "lock", "locking", "decision_wiring", "entities"),
    *("momentary", "door_contact"),
)
_GRANT: Final = ("decision_wiring", "code", "passes", "grants", "actions_people")
_PICTURES: Final = ("watching", "visits", "household", "entities", "health", "hold")

SUITES: Final = {
    "decision": Suite(
        folder="vision",
        plugins=False,
        first=(),
        at_least=90.0,
        tests={
            **{
                f"vision/{module}": _DECISION
                for module in (
                    *("decision/decider", "decision/challenge", "decision/visit"),
                    *("decision/voting", "decision/policy", "decision/lockout"),
                    *("decision/hold", "decision/hearing", "decision/guests", "decision/stays"),
                    *("decision/stay", "decision/crowd", "decision/cool_down"),
                    *("decision/unlock", "tracking/tracker", "tracking/seen_frames"),
                )
            },
            "vision/tracking/stacking": ("stacking", *_DECISION),
            "vision/matching/similarity": ("similarity", *_DECISION),
        },
    ),
    "seeing": Suite(
        folder="vision",
        plugins=False,
        first=(),
        # What is looked at and what is left out can open nothing by itself.
        at_least=50.0,
        tests={
            "vision/tracking/focus": ("focus",),
            "vision/tracking/scene": ("scene",),
            "vision/tracking/place": ("scene",),
        },
    ),
    "shell": Suite(
        folder="integration",
        plugins=True,
        # It replaces some modules for whoever imports them later.
        first=("homeassistant",),
        at_least=85.0,
        tests={
            "access/codes": ("code",),
            "access/controller": ("decision_wiring", "code", "grants", "visits", "entities"),
            "access/door_contact": ("door_contact", "hold"),
            "access/grant": _GRANT,
            "access/memory": ("watching", "household", *_GRANT),
            "access/one_time_pass": _GRANT,
            "access/recorder": ("grants", "entities", "decision_wiring", "history"),
            "access/rules": _GRANT,
            "access/second_factor": _GRANT,
            "locking/answer": _RELOCK,
            "locking/auto_lock": _RELOCK,
            "locking/driver": (*_RELOCK, "visits"),
            "locking/moment": ("momentary", *_RELOCK),
            "locking/relock": _RELOCK,
            "locking/unlock": (*_RELOCK, "visits"),
            "recognition/feed": _PICTURES,
            "recognition/feeds": _PICTURES,
            "recognition/snapshot": _PICTURES,
            "recognition/watcher": (*_PICTURES, "challenge"),
            "storage/duties": _RELOCK,
            "storage/lockout": ("decision_wiring", "code", "grants"),
        },
    ),
}
