"""A week at a street door: when who comes, and what is done to the camera."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

DAY: Final = 86_400.0
NAMES: Final = ("Anna", "Ben", "Chloe", "David", "Erik")
"""Who is enrolled; the last one may not come in any more."""
BARRED: Final = "Erik"
DARK: Final = (21, 7)
"""Hours in which the light at the door is off."""
BUSY: Final = (
    *(0.1,) * 6,
    *(0.5, 1.5, 2.0, 1.2, 1.0, 1.0, 1.4, 1.2, 1.0, 1.2, 1.6, 2.0, 1.8, 1.2, 0.8, 0.5, 0.3, 0.2),
)
"""How many pass in each hour, relative to one another."""


@dataclass(frozen=True)
class Entry:
    """Something that happens ``at`` so many seconds after Monday, midnight."""

    at: float
    what: str
    who: tuple[str, ...] = ()
    seconds: float = 0.0
    """How long it takes, where the calendar says so."""


WORKDAY: Final = (
    (7.4, "leave", ("Ben",)),
    (7.6, "leave", ("Anna", "Chloe")),
    (10.0, "leave", ("David",)),
    (11.1, "come", ("David",)),
    (13.6, "come", ("Chloe",)),
    (15.0, "leave", ("David",)),
    (15.7, "come", ("David",)),
    (16.9, "come", ("Anna",)),
    (17.7, "come", ("Ben",)),
    (18.2, "leave", ("Chloe",)),
    (19.9, "come", ("Chloe",)),
)
WEEKEND: Final = (
    (9.2, "leave", ("Ben",)),
    (9.6, "come", ("Ben",)),
    (10.5, "leave", ("Anna", "Ben", "Chloe")),
    (12.4, "come", ("Anna", "Ben", "Chloe")),
    (14.0, "leave", ("David", "Anna")),
    (15.3, "leave", ("Chloe",)),
    (16.8, "come", ("David", "Anna")),
    (18.0, "come", ("Chloe",)),
    (19.5, "leave", ("Anna", "Ben")),
    (22.8, "come", ("Anna", "Ben")),
)


def week(seed: int, passers_by: int) -> list[Entry]:
    """Draw a week from Monday, midnight, in order of time."""
    entries = [entry for day in range(7) for entry in _day(day, seed, passers_by)]
    hour = 3600.0
    entries += [
        Entry(2 * DAY + 9.65 * hour, "poster up"),
        Entry(4 * DAY + 12.0 * hour, "poster down"),
        # With whoever is let in next, and while the rest of the family comes home.
        Entry(4 * DAY + 16.5 * hour, "freeze", seconds=3.5 * hour),
        Entry(5 * DAY + 8.0 * hour, "ask for a phone"),
        Entry(5 * DAY + 20.0 * hour, "ask for no phone"),
        Entry(3 * DAY + 14.4 * hour, "barred", (BARRED,), seconds=90.0),
        Entry(6 * DAY + 11.2 * hour, "barred", (BARRED,), seconds=240.0),
    ]
    return sorted(entries, key=lambda entry: (entry.at, entry.what))


def _day(day: int, seed: int, passers_by: int) -> Iterator[Entry]:
    rng = random.Random(f"{seed}/{day}")  # noqa: S311 - a course of events
    midnight = day * DAY
    for hours, what, who in WEEKEND if day >= 5 else WORKDAY:
        yield Entry(midnight + (hours + rng.uniform(-0.2, 0.2)) * 3600, what, who)
    chatter = rng.choice(("Anna", "Ben", "David"))
    yield Entry(midnight + rng.uniform(15.8, 16.4) * 3600, "chat", (chatter,), 360.0)
    for number in range(rng.randint(4, 7)):
        stays = 600.0 if number == 0 else 60.0 * 10 ** rng.uniform(0, 0.95)
        yield Entry(midnight + rng.uniform(9, 19) * 3600, "courier", seconds=stays)
    for _ in range(rng.randint(1, 3)):
        at = midnight + rng.uniform(10, 21) * 3600
        yield Entry(at, "visitor", seconds=rng.uniform(20, 120))
    for _ in range(passers_by):
        (hour,) = rng.choices(range(24), BUSY)
        at = midnight + (hour + rng.random()) * 3600
        # One in twelve stops to look at a phone, or waits for the dog.
        stops = rng.random() < 1 / 12
        yield Entry(at, "linger" if stops else "pass", seconds=rng.uniform(15, 45) if stops else 0)


def is_dark(seconds: float) -> bool:
    """Whether it is dark so many seconds after Monday, midnight."""
    hour = seconds % DAY / 3600
    return hour >= DARK[0] or hour < DARK[1]
