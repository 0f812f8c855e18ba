"""A real Home Assistant core with a real household at a street door, for a simulated week."""

from __future__ import annotations

import asyncio
import random
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import numpy as np

from custom_components.face_lock import vision
from custom_components.face_lock.people import people_of
from custom_components.face_lock.recognition import watcher
from tests.harness.fake_home import CONTACT, DAY as WALL, PHONE, FakeHome, a_home

from .actors import Actors, Coming, Stay
from .calendar import BARRED, DAY, NAMES, Entry, is_dark, week
from .cast import Cast, Role
from .judge import RELOCK, Judge, Verdict
from .scene import Scene, StreetNetworks
from .scores import Scores

TICK: Final = watcher.TICK_INTERVAL
QUIET_TICK: Final = 2.0
"""Seconds between ticks while nothing goes on: most of a week, and of what it costs."""
MONDAY: Final = datetime(2026, 11, 23, tzinfo=UTC)


@dataclass
class Street:
    """A street door, everybody who comes there, and the judge."""

    house: FakeHome
    scene: Scene
    cast: Cast
    judge: Judge
    actors: Actors

    @property
    def monday(self) -> float:
        """Seconds since Monday, midnight, by the wall clock."""
        return (self.house.utcnow() - MONDAY).total_seconds()

    def so_far(self) -> str:
        """Describe what happened so far, for whoever waits for the end."""
        verdict = self.judge.verdict
        return (
            f"{self.judge.clock}: {self.scene.taken} pictures, {verdict.openings}, "
            f"{len(verdict.lockouts)} lockouts, failures at most {verdict.worst_failures}, "
            f"wrong {verdict.wrong}, strangers {verdict.mistaken}, refused for a lockout "
            f"{verdict.refused_for_lockout}, residents {len(self.actors.comings)}, of whom "
            f"{sum(c.waited is not None for c in self.actors.comings)} were let in"
        )


@asynccontextmanager
async def a_street(
    folder: Path,
    seed: int,
    *,
    start: float = 0.0,
    rate: str = "one_in_10000",
    security: dict[str, Any] | None = None,
    contact: bool = True,
) -> AsyncIterator[Street]:
    """Let the household move in, ``start`` seconds after Monday, midnight."""
    networks = StreetNetworks()
    async with a_home(folder, seed, networks=networks) as house:
        loop = house.loop
        house.wall_offset = MONDAY + timedelta(seconds=start - loop.time()) - WALL
        rng = np.random.default_rng(seed)
        scores = Scores(tuple(vision.load_bundle().thresholds))
        cast = Cast(scores, NAMES, np.random.default_rng(seed + 1))
        scene = Scene(cast, rng, loop.time)
        scene.dark = lambda: is_dark((house.utcnow() - MONDAY).total_seconds())
        networks.scene = scene
        house.serve = scene.picture
        door = {"relock_after": RELOCK, "contact": CONTACT} if contact else {"relock_after": RELOCK}
        house.hass.states.async_set(PHONE, "off")
        await house.async_move_in(
            {name: number for number, name in enumerate(NAMES)},
            settings={
                "recognition": {"false_positive_rate": rate},
                "door": door,
                "security": security or {},
            },
        )
        judge = Judge(house, scene, contact=contact)
        judge.barred.add(BARRED)
        house.household.residents.async_set_allowed(BARRED.lower(), allowed=False)
        assert BARRED.lower() in people_of(house.entry)
        await house.hass.async_block_till_done()

        def quiet(quiet: bool) -> None:
            # Nobody is there whose visit could end.
            watcher.TICK_INTERVAL = QUIET_TICK if quiet else TICK

        def is_watched() -> bool:
            feed = house.watcher.feed if house.runs else None
            return feed is not None and feed.gate_open(loop.time())

        scene.on_quiet, scene.is_watched = quiet, is_watched
        yield Street(house, scene, cast, judge, Actors(house, scene, cast, judge, contact))
        judge.end()
        quiet(False)
        await house.async_move_out()


@dataclass
class Report:
    """How a week went."""

    days: float
    seed: int
    rate: str
    threshold: float
    missed_by_day: float
    missed_by_night: float
    """Share of visits, 0..1, in which the table says that a resident is missed."""
    pictures: int
    contact: bool
    verdict: Verdict
    comings: list[Coming]
    stays: list[Stay]
    passed: dict[str, int]
    happened: dict[str, int] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def faults(self) -> list[str]:
        """Whatever is wrong."""
        verdict = self.verdict
        couriers = [
            f"a courier who stayed for {s.seconds:.0f} s made {s.failures} failures"
            for s in self.stays
            if s.role is Role.COURIER and s.failures > 1
        ]
        return [
            *verdict.wrong,
            *(f"refused for a lockout: {text}" for text in verdict.refused_for_lockout),
            *couriers,
            *self.errors,
        ]


async def run(
    folder: Path, days: float, seed: int, *, start: float, rate: str, busy: int
) -> Report:
    """Let ``days`` pass from ``start`` (seconds after Monday, midnight) on."""
    began = time.monotonic()
    async with a_street(folder, seed, start=start, rate=rate) as street:
        entries = week(seed, busy)
        # What was there before.
        for entry in entries:
            if entry.what.startswith("poster") and entry.at < start:
                await street.actors.act(entry, random.Random(seed))  # noqa: S311
        end = start + days * DAY
        entries = [entry for entry in entries if start <= entry.at < end]
        await _act_all(street, entries, seed)
        await asyncio.sleep(max(0.0, end - street.monday))
        point = street.house.door.bundle.thresholds.operating_point(
            street.house.door.settings.false_positive_rate, len(NAMES)
        )
        street.judge.end()
        actors = street.actors
        report = Report(
            days,
            seed,
            rate,
            point.threshold,
            point.miss_day or 0.0,
            point.miss_night or 0.0,
            street.scene.taken,
            actors.contact,
            street.judge.verdict,
            actors.comings,
            actors.stays,
            actors.passed,
            dict(Counter(entry.what for entry in entries)),
            [*street.house.errors.found, *street.house.violations],
        )
    report.seconds = time.monotonic() - began
    return report


async def _act_all(street: Street, entries: list[Entry], seed: int) -> None:
    """Begin everything in its time, and wait until all of it is over."""
    running: set[asyncio.Task[None]] = set()
    day = street.monday // DAY
    for entry in entries:
        if entry.at // DAY > day:
            day = entry.at // DAY
            print(street.so_far(), file=sys.stderr, flush=True)
        await asyncio.sleep(max(0.0, entry.at - street.monday))
        rng = random.Random(f"{seed}/{entry.at}/{entry.what}")  # noqa: S311 - a course of events
        task = asyncio.get_running_loop().create_task(street.actors.act(entry, rng))
        running.add(task)
        task.add_done_callback(running.discard)
        for done in [task for task in running if task.done()]:
            done.result()
    while running:
        await asyncio.gather(*list(running))
