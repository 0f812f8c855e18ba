"""Faults at a door, alone, in pairs, and in random schedules; nothing may open it but its people.

    python -m tests.harness.schedules [--schedules 300] [--pairs N] [--seed 20261124]
        [--workers 1] [--only alone|pairs|random] [--number N] [--json FILE]

A schedule is a seeded sequence of events of about half a minute: people come and go, faults begin
and end, and the owner does things in between. While it runs, every command to the lock is compared
with what the camera really took (``Checks``). Afterwards everything is repaired, and the door must
be watched again within one polling interval, open for an enrolled person, shut again, hold its
people's pictures as before, and leave no task, thread or error behind.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import random
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import AsyncGenerator
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import combinations
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Final, Self

from homeassistant.components.lock import LockState
from homeassistant.config_entries import ConfigEntryState

from custom_components.face_lock.locking import driver as door_lock
from custom_components.face_lock.people import people_of
from custom_components.face_lock.recognition import feed

from .checks import EXCUSED, POLICY, Checks
from .fake_home import CONTACT, LOCK, PHONE, TARGET, FakeHome, a_home
from .fake_networks import portraits
from .faults import FAULTS, LONG, STRANGER, Fault
from .virtual_clock import StuckError, VirtualLoop

SEED: Final = 20261124
POLLING: Final = feed.MAX_BACKOFF + feed.IDLE_INTERVAL
"""Longest time, in seconds, from one request for a picture to the next, and to its answer."""
MEND: Final = 60.0
"""Seconds within which the owner's own repairs must end: reloads, and what they wait for."""
OPENS: Final = 6.0
"""Seconds within which a healthy door opens for an enrolled person."""
AFTER_REPAIR: Final = 60.0
"""Seconds after a repair in which a lock may still be asked again."""
CALMS: Final = 60.0
"""Seconds without anybody after which a person who does not approach is noticed again."""
QUIET: Final = 2 * door_lock.CALL_TIMEOUT
"""Seconds within which a grant that is on its way to the lock must have come to its end."""
LOOPS: Final = ["face_lock fetch", "face_lock recognise", "face_lock tick"]
"""Tasks of a door at which nothing happens."""
PEOPLE: Final = {"Anna": 1, "Ben": 2}
SCENES: Final = ((), (1,), (1,), (1,), (2,), (STRANGER,), (1, 2), (1, STRANGER), (STRANGER, 2))
HOUSES: Final[tuple[tuple[bool, dict[str, dict[str, Any]]], ...]] = (
    (True, {"door": {"contact": CONTACT}}),
    (True, {"security": {"factor_entity": PHONE, "factor_state": "on"}}),
    (True, {"door": {"relock_after": 5, "contact": CONTACT}, "security": {"attempts": 3}}),
    (False, {}),
    (
        False,
        {
            "door": {"contact": CONTACT},
            "security": {"factor_entity": PHONE, "factor_state": "on", "attempts": 3},
        },
    ),
)
"""Doors: with the owner's lock or one of our own, and the options by section."""
PER_HOUSE: Final = 20
"""Schedules that one core runs before it is replaced."""


@dataclass
class Outcome:
    """What happened, summed over schedules."""

    schedules: int = 0
    openings: int = 0
    simulated: float = 0.0
    """Seconds."""
    faults: Counter[str] = field(default_factory=Counter)
    recovery: list[float] = field(default_factory=list)
    """Seconds from the last repair until a picture was recognised again."""
    violations: list[str] = field(default_factory=list)

    def __iadd__(self, other: Outcome) -> Self:
        """Add another's."""
        self.schedules += other.schedules
        self.openings += other.openings
        self.simulated += other.simulated
        self.faults += other.faults
        self.recovery += other.recovery
        self.violations += other.violations
        return self


class Schedule:
    """A sequence of events at a door that is healthy at the beginning and again at the end."""

    def __init__(self, house: FakeHome, checks: Checks, rng: random.Random) -> None:
        """Draw from ``rng``."""
        self._house = house
        self._checks = checks
        self._rng = rng
        self._active: dict[str, tuple[Fault, AsyncGenerator[None]]] = {}
        self.outcome = Outcome(schedules=1)

    async def async_random(self) -> None:
        """A few scenes and faults in random order, some of them at the same time."""
        rng = self._rng
        for _ in range(rng.randint(4, 10)):
            match rng.random():
                case x if x < 0.40:
                    self._house.present = rng.choice(SCENES)
                case x if x < 0.75:
                    await self.async_begin(rng.choice(list(FAULTS.values())))
                case x if x < 0.92 and self._active:
                    await self.async_end(rng.choice(list(self._active)))
                case _:
                    await self._async_owner()
            await self._async_pass(rng.choice((0.05, 0.3, 0.7, 1.5, 3.0, 5.0)))

    async def async_of(self, *faults: Fault) -> None:
        """Let the given faults begin and end one after the other, in mid-visit."""
        house, rng = self._house, self._rng
        house.present = rng.choice(((1,), ()))
        await self._async_pass(rng.uniform(0, 2))
        for fault in faults:
            await self.async_begin(fault)
            await self._async_pass(rng.uniform(0.1, 4))
        for present in (rng.choice(SCENES), (), (1,)):
            house.present = present
            await self._async_pass(rng.uniform(2, 8))
        for fault in rng.sample(faults, len(faults)):
            await self.async_end(fault.name)
            await self._async_pass(rng.uniform(0, 1))

    async def async_begin(self, fault: Fault) -> None:
        """Let a fault begin, unless one of its places is already broken."""
        taken = frozenset().union(*(f.places for f, _ in self._active.values()))
        if taken & fault.places:
            return
        if not await self._possible(fault):
            return
        self.outcome.faults[fault.name] += 1
        says = {text for f, _ in self._active.values() for text in f.says}
        self._house.errors.allowed = (*says, *fault.says, *self._house.errors.allowed)
        course = fault.course(self._house)
        self._active[fault.name] = (fault, course)
        self._excuse(fault)
        await anext(course)

    async def _possible(self, fault: Fault) -> bool:
        """Some faults need a door that is loaded, and files that are written."""
        if not fault.places & {"storage", "people"}:
            return True
        if "executor" in {p for f, _ in self._active.values() for p in f.places}:
            return False
        if not await self._house.until(lambda: not self._house.works, 5):
            return False
        return self._house.entry.state is ConfigEntryState.LOADED

    async def async_end(self, name: str) -> None:
        """Repair what a fault broke."""
        if name not in self._active:
            return
        ended, course = self._active.pop(name)
        with suppress(StopAsyncIteration):
            await anext(course)
            raise AssertionError(f"{name} goes on")
        self._excuse(ended)

    def _excuse(self, changed: Fault) -> None:
        broken = {place for fault, _ in self._active.values() for place in fault.places}
        if EXCUSED & (broken | changed.places):
            self._checks.excuse(broken, AFTER_REPAIR)

    async def _async_owner(self) -> None:
        """The owner operates the lock, or clears a lockout."""
        house = self._house
        if not house.runs:
            return
        if self._rng.random() < 0.5:
            await house.door.controller.async_end_lockout()
            self._checks.cleared()
        elif "lock" not in house.settings:
            await house.door.lock.async_lock()

    async def _async_pass(self, seconds: float) -> None:
        """Let time pass."""
        end = self._house.loop.time() + seconds
        while self._house.loop.time() < end:
            self._checks.note()
            await asyncio.sleep(min(0.25, max(0.01, end - self._house.loop.time())))
        self._checks.note()

    # Afterwards

    async def async_mend(self) -> None:
        """End what is left, and check that nothing of it remains."""
        house = self._house
        for name in self._rng.sample(list(self._active), len(self._active)):
            await self.async_end(name)
        house.present, house.companion, house.left = (), None, set()
        await self._async_set_up()
        if house.works or not house.runs:
            self._fail(f"the entry stays {house.entry.state}, {house.entry.reason}: {house.works}")
            return
        house.door.async_enable(enabled=True)
        if LONG.intersection(self.outcome.faults):
            # The gate takes a place where something changes most of the time for a restless one.
            await asyncio.sleep(CALMS)
        await self._async_recover()
        await self._async_opens()
        await self._async_compare()
        await self._async_check_left_over()

    async def _async_set_up(self) -> None:
        """Load the entry, as the owner would after a repair, until nothing is left to do."""
        house, end = self._house, self._house.loop.time() + MEND
        broken = (ConfigEntryState.SETUP_ERROR, ConfigEntryState.NOT_LOADED)
        while house.loop.time() < end:
            if house.entry.state in broken:
                await house.hass.config_entries.async_reload(house.entry.entry_id)
            elif not house.works and house.runs:
                return
            await asyncio.sleep(0.5)

    async def _async_recover(self) -> None:
        """A picture must be recognised again in time."""
        house = self._house
        mended = house.loop.time()
        seen: Counter[int] = Counter()

        def watching() -> bool:
            with suppress(AttributeError):  # a reload may be on its way
                watching = house.watcher
                seen.setdefault(id(watching), watching.counters.pictures)
                more = watching.counters.pictures - seen[id(watching)]
                return house.door.data.outage is None and more > 1
            return False

        if not await house.until(watching, POLLING + 1):
            self._fail(f"not watched again: {house.door.data}, {house.watcher.counters}")
        self.outcome.recovery.append(house.loop.time() - mended)
        if not await house.until(lambda: self._tasks() == LOOPS, QUIET):
            self._fail(f"tasks: {self._tasks()}")
        await asyncio.sleep(POLICY.absence + 0.5)
        await house.door.controller.async_end_lockout()
        self._checks.cleared()

    async def _async_opens(self) -> None:
        """The door opens for Anna, says so, and is shut again."""
        house = self._house
        heard: list[Any] = []
        stop = house.door.async_subscribe_visits(heard.append)
        await self._async_lock()
        before = self._checks.openings
        house.present = (1,)
        await house.until(lambda: any(visit.reason is None for visit in heard), OPENS)
        opened = self._checks.openings - before
        granted = [visit for visit in heard if visit.reason is None]
        if opened != 1 or [visit.name for visit in granted] != ["Anna"]:
            why = [visit.reason for visit in heard]
            self._fail(f"opened {opened} times for Anna: {why}, {house.door.data}")
        house.present = ()
        await asyncio.sleep(POLICY.absence + 1)
        stop()
        if house.watcher.is_hosting or house.door.data.face:
            self._fail("the visit does not end")
        await self._async_lock()
        if house.state(LOCK) != LockState.LOCKED:
            self._fail(f"the door stays {house.state(LOCK)} ({house.state(TARGET)})")

    async def _async_lock(self) -> None:
        """A person locks the door by hand."""
        house = self._house
        if house.settings.get("lock"):
            house.deadbolt.put(is_locked=True)
        else:
            await house.door.lock.async_lock()
        await asyncio.sleep(0)

    async def _async_compare(self) -> None:
        """The file must hold everybody whom the entry names, with the pictures as enrolled."""
        house = self._house
        people = people_of(house.entry)
        if set(people) != {"anna", "ben"}:
            self._fail(f"the entry names {sorted(people)}")
        if not await house.until(lambda: not house.works, MEND):
            self._fail("something does not end")
        if not house.household.store.is_saved:
            # There is room again; the next start writes it, or a timer some minutes later.
            await house.hass.config_entries.async_reload(house.entry.entry_id)
        if not house.household.store.is_saved:
            self._fail("what the disk refused is not written once there is room")
        stored = (await house.async_records()).pictures.people
        for name, identity in PEOPLE.items():
            album = stored.get(name.lower(), ())
            wanted = portraits(identity, "alpha", house.pictures[name])
            same = [
                a.crop is not None
                and (a.crop == b.crop).all()
                and (a.template.embedding == b.template.embedding).all()
                for a, b in zip(album, wanted, strict=False)
            ]
            if len(album) != len(wanted) or not all(same):
                self._fail(f"{name}'s pictures are lost: {len(album)} of {len(wanted)}, {same}")

    async def _async_check_left_over(self) -> None:
        # A write to the disk may be under way at any moment.
        if not await self._house.until(lambda: self._tasks() == LOOPS, QUIET):
            self._fail(f"tasks: {self._tasks()}")
        threads = [t.name for t in threading.enumerate() if t.name.startswith("face_lock")]
        # The door's, and the household's once there was something to embed or to enrol.
        if len(threads) > 2:
            self._fail(f"threads: {threads}")

    @staticmethod
    def _tasks() -> list[str]:
        names = (task.get_name() for task in asyncio.all_tasks())
        return sorted(name for name in names if name.startswith("face_lock"))

    def _fail(self, text: str) -> None:
        self._house.violations.append(text)


async def async_run(house: FakeHome, checks: Checks, rng: random.Random, *faults: Fault) -> Outcome:
    """Run one schedule: of the given faults, or a random one."""
    schedule, begin = Schedule(house, checks, rng), house.loop.time()
    opened = checks.openings
    house.errors.allowed = ()
    checks.begin()
    if faults:
        await schedule.async_of(*faults)
    else:
        await schedule.async_random()
    await schedule.async_mend()
    outcome = schedule.outcome
    outcome.openings = checks.openings - opened
    outcome.simulated = house.loop.time() - begin
    outcome.violations = [*house.violations, *house.errors.found]
    house.violations.clear()
    house.errors.found.clear()
    return outcome


@dataclass(frozen=True)
class Case:
    """One schedule: its number, and its faults, none for a random one."""

    number: int
    faults: tuple[str, ...] = ()

    def __str__(self) -> str:
        """What to look for again."""
        return f"{self.number} ({' + '.join(self.faults) or 'random'})"


def run_cases(cases: list[Case], seed: int) -> Outcome:
    """Run cases of one house in this process; their number says which house."""
    total = Outcome()
    running = cases[0]
    logging.getLogger().addHandler(logging.NullHandler())  # what matters is in house.errors

    async def main(folder: Path) -> None:
        nonlocal total, running
        target, settings = HOUSES[(cases[0].number // PER_HOUSE) % len(HOUSES)]
        async with a_home(folder, seed + cases[0].number) as house:
            await house.async_move_in(PEOPLE, target=target, settings=settings)
            checks = Checks(house)
            for case in cases:
                running = case
                rng = random.Random(f"{seed}/{case.number}")  # noqa: S311 - a course of events
                outcome = await async_run(house, checks, rng, *(FAULTS[n] for n in case.faults))
                outcome.violations = [f"{case}: {text}" for text in outcome.violations]
                total += outcome
                if outcome.violations:
                    return  # what is broken now must not count for the next

    with (
        tempfile.TemporaryDirectory(prefix="face_lock_faults_") as name,
        asyncio.Runner(loop_factory=VirtualLoop) as runner,
    ):
        try:
            runner.run(main(Path(name)))
        except StuckError as error:
            total.violations.append(f"{running}: {error}")
    return total


def all_cases(only: str | None, schedules: int, some: int | None, seed: int) -> list[Case]:
    """Every fault alone, ``some`` of the pairs (None: all), and this many random schedules."""
    alone = [(name,) for name in FAULTS]
    pairs = [p for p in combinations(FAULTS, 2) if not FAULTS[p[0]].places & FAULTS[p[1]].places]
    if some is not None and some < len(pairs):
        pairs = random.Random(seed).sample(pairs, some)  # noqa: S311 - a choice of tests
    courses: list[tuple[str, ...]] = []
    if only in (None, "alone"):
        courses += alone
    if only in (None, "pairs"):
        courses += pairs
    if only in (None, "random"):
        courses += [()] * schedules
    return [Case(number, faults) for number, faults in enumerate(courses)]


def run(cases: list[Case], seed: int, workers: int = 1) -> Outcome:
    """Run all cases, some at the same time."""
    batches: dict[int, list[Case]] = {}
    for case in cases:
        batches.setdefault(case.number // PER_HOUSE, []).append(case)
    total = Outcome()
    # A fresh process for each batch, so that nothing left behind reaches the next one.
    context = get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context, max_tasks_per_child=10) as pool:
        for outcome in pool.map(run_cases, batches.values(), [seed] * len(batches)):
            total += outcome
            for text in outcome.violations:
                print(f"  VIOLATION in {text}", flush=True)
    return total


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--schedules", type=int, default=300, help="random schedules")
    parser.add_argument("--pairs", type=int, help="pairs of faults; all unless given")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--only", choices=("alone", "pairs", "random"))
    parser.add_argument("--number", type=int, help="only the case with this number, and its house")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    start = time.monotonic()
    cases = all_cases(arguments.only, arguments.schedules, arguments.pairs, arguments.seed)
    if arguments.number is not None:
        first = arguments.number // PER_HOUSE * PER_HOUSE
        cases = [case for case in cases if first <= case.number <= arguments.number]
    total = run(cases, arguments.seed, arguments.workers)
    seconds = time.monotonic() - start
    recovery = sorted(total.recovery) or [0.0]
    figures = {
        "schedules": total.schedules,
        "of": len(cases),
        "faults": sum(total.faults.values()),
        "kinds": len(total.faults),
        "openings": total.openings,
        "simulated_hours": round(total.simulated / 3600, 1),
        "recovery_median_s": round(recovery[len(recovery) // 2], 1),
        "recovery_worst_s": round(recovery[-1], 1),
        "violations": len(total.violations),
        "seconds": round(seconds),
    }
    print("schedules: " + ", ".join(f"{key} {value}" for key, value in figures.items()))
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(figures | {"seed": arguments.seed}) + "\n")
    return 1 if total.violations else 0


if __name__ == "__main__":
    sys.exit(main())
