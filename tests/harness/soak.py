"""Let a door run for a simulated day, and see whether anything grows.

    python -m tests.harness.soak [--hours 24] [--seed 20261124] [--json FILE] [--runtime NAME]

A real Home Assistant core with a real door, whose clock jumps (``virtual_clock``), and a day before
it (``scenario``) whose every picture the product's own networks may look at. Old frames and
feedback, which are bounded, are at their bounds from the beginning (that of feedback is lowered for
this). After a warm-up it measures at comparable quiet moments: nobody is there, and nothing has
happened for a while. It exits with 1 if the resident memory rises by 1 MB or more per 100,000
pictures, if a thread, a task, a listener, a timer or an open file is more than there was, if the
door opened while nobody enrolled could be seen, or if anything had a traceback.

``--leak KIND...`` makes the door leak, to show that a leak would be found.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import logging
import sys
import tempfile
import threading
import time
import tracemalloc
from collections.abc import Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final
from unittest.mock import patch

import numpy as np

from custom_components.face_lock.recognition import feed
from custom_components.face_lock.storage.feedback import Feedback, Verdict, _record
from custom_components.face_lock.vision.networks.runtime import RUNTIMES
from custom_components.face_lock.vision.tracking.seen_frames import REMEMBERED_FRAMES

from .fake_home import FRONT, FakeHome, a_home
from .fake_networks import crop
from .leaks import COUNTS, PER, Sample, Slope, faults, measure, steady_allocator
from .scenario import Scenario, hour_of
from .virtual_clock import VirtualLoop
from .visitors import RealNetworks, Visitors

POOL: Final = 4
"""Threads of core's executor, all started before anything is measured."""
QUIET: Final = 90.0
"""Quiet seconds before a measurement: longer than the delay of anything that core writes."""
FEEDBACK: Final = 20
"""The most records; a day would never reach the product's own limit."""
LEAKS: Final = ("memory", "threads", "tasks", "listeners")
LEAKED: Final = 60_000
"""Bytes that ``--leak memory`` keeps per picture."""


@contextlib.contextmanager
def leaking(kinds: Collection[str]) -> Iterator[None]:
    """Make every door that is started leak."""
    kept: list[Any] = []
    see, start = feed.Feed._look, feed.Feed.async_start

    def seeing(self: feed.Feed, picture: Any, in_visit: bool) -> Any:
        if "memory" in kinds:
            kept.append(bytearray(b"x" * LEAKED))
        return see(self, picture, in_visit)

    def starting(self: feed.Feed, create_task: Any) -> None:
        start(self, create_task)
        if "tasks" in kinds:
            kept.append(self._hass.loop.create_task(asyncio.Event().wait()))
        if "listeners" in kinds:
            self._hass.bus.async_listen("leak", kept.append)
        if "threads" in kinds:
            kept.append(ThreadPoolExecutor(1))
            kept[-1].submit(time.monotonic)

    leaks = patch.multiple(feed.Feed, _look=seeing, async_start=starting)
    with leaks if kinds else contextlib.nullcontext():
        yield
    for each in kept:
        if isinstance(each, ThreadPoolExecutor):
            each.shutdown()


@dataclass(slots=True)
class Report:
    """How a run went."""

    samples: list[Sample]
    slope: Slope
    faults: list[str]
    pictures: int
    looked_at: int
    faces: int
    runtime: str
    happened: dict[str, int]
    opened: dict[str, int]
    seconds: float = 0.0


async def _warm(loop: asyncio.AbstractEventLoop) -> None:
    """Start all threads of the executor, which would otherwise start one by one over the day."""
    loop.set_default_executor(ThreadPoolExecutor(POOL, thread_name_prefix="core"))
    together = threading.Barrier(POOL)
    await asyncio.gather(*[loop.run_in_executor(None, together.wait) for _ in range(POOL)])


async def _fill(house: FakeHome) -> None:
    """Fill what is bounded to its bound: what grows until then is no leak."""
    frames = house.door.memory.frames(house.watcher.camera)
    for number in range(REMEMBERED_FRAMES):
        frames.known(number.to_bytes(16))
    one = Feedback(
        "1", FRONT, house.utcnow(), None, Verdict.THAT_WAS_NOT_ME, "denied", 0.1, "m", crop(1, 1)
    )
    await house.household.records.feedback._async_write([_record(one, True)] * FEEDBACK)


async def run(
    folder: Path, hours: float, seed: int, *, runtime: str | None = None, trace: bool = False
) -> Report:
    """Let the door run ``hours`` after the warm-up."""
    loop = asyncio.get_running_loop()
    await _warm(loop)
    long = hours >= 6
    pause, every, warm_up = (220.0, 1200.0, 3.0 * 3600) if long else (10.0, 30.0, 120.0)
    networks = RealNetworks(runtime)
    async with a_home(folder, seed, networks=networks) as house:
        visitors = Visitors(loop.time, lambda: hour_of(house), seed)
        scenario = Scenario(house, visitors, seed)
        await scenario.async_move_in()
        await _fill(house)

        async def go_on(seconds: float) -> None:
            end = loop.time() + seconds
            while loop.time() < end:
                await scenario.async_go_on(pause)
            if not long:
                await scenario.async_reload()  # in a long run this happens often enough by itself
            await scenario.async_settle(QUIET)

        await go_on(warm_up)
        if trace:
            tracemalloc.start(12)
            before = tracemalloc.take_snapshot()
        began = loop.time()
        samples = [measure(house, visitors.served, folder)]
        while loop.time() - began < hours * 3600 or len(samples) < 4:
            await go_on(every)
            samples.append(measure(house, visitors.served, folder))
        if trace:
            _tell(before, tracemalloc.take_snapshot())
        report = Report(
            samples,
            Slope.of(samples),
            [*faults(samples), *dict.fromkeys(scenario.wrong), *dict.fromkeys(house.errors.found)],
            visitors.served,
            networks.frames,
            networks.faces,
            networks.runtime,
            dict(scenario.happened),
            dict(scenario.opened),
        )
        if not any("obama" in cast for cast in scenario.opened):
            report.faults.append("the door opened for nobody: what was measured is not its work")
        await house.async_move_out()
    return report


def _tell(before: tracemalloc.Snapshot, after: tracemalloc.Snapshot) -> None:
    """Print what has been allocated since and is still in use."""
    mine = tracemalloc.Filter(False, tracemalloc.__file__)
    grown = after.filter_traces([mine]).compare_to(before.filter_traces([mine]), "lineno")
    print(*grown[:15], sep="\n")


def table(report: Report) -> str:
    """Describe a run."""
    samples = report.samples
    shown = [samples[i] for i in sorted({round(i) for i in np.linspace(0, len(samples) - 1, 7)})]
    names = ("hours", "pictures", "rss", *COUNTS, "store", "digests", "visits", "held")
    lines = [" ".join(f"{name:>9}" for name in names)]
    lines += [
        " ".join(
            f"{value:>9.1f}" if isinstance(value, float) else f"{value:>9}"
            for value in (getattr(sample, name) for name in names)
        )
        for sample in shown
    ]
    happened = ", ".join(f"{name} {count}" for name, count in sorted(report.happened.items()))
    opened = ", ".join(f"{name} {count}" for name, count in sorted(report.opened.items()))
    slope, span = report.slope, samples[-1].pictures - samples[0].pictures
    seen = f"{report.looked_at} pictures, {report.faces} faces"
    rise = f"{slope.value:+.2f} MB per {PER:,} pictures ({slope.low:+.2f} to {slope.high:+.2f})"
    figures = (
        "FAILED" if report.faults else "ok",
        f"{samples[-1].hours - samples[0].hours:.1f} h",
        f"{span} pictures measured of {report.pictures}",
        f"{len(samples)} samples",
        f"memory {rise}",
        f"{report.seconds:.0f} s",
    )
    lines += [
        f"happened: {happened}",
        f"opened for: {opened or 'nobody'}",
        f"looked at by the networks ({report.runtime}): {seen}",
        *(f"FAILED: {fault}" for fault in report.faults),
        f"soak: {'; '.join(figures)}",
    ]
    return "\n".join(lines)


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--hours", type=float, default=24.0)
    parser.add_argument("--seed", type=int, default=20261124)
    parser.add_argument("--json", type=Path, help="also write everything that was measured")
    parser.add_argument(
        "--runtime", choices=RUNTIMES, help="else the fastest one that is installed"
    )
    parser.add_argument("--trace", action="store_true", help="say what was allocated; slow")
    parser.add_argument("--leak", choices=LEAKS, nargs="+", default=(), help="make it leak")
    arguments = parser.parse_args()
    start = time.monotonic()
    steady_allocator()
    logging.getLogger("homeassistant").setLevel(logging.CRITICAL)
    with (
        tempfile.TemporaryDirectory(prefix="face_lock_soak_") as folder,
        leaking(arguments.leak),
        patch("custom_components.face_lock.storage.feedback.MAX_RECORDS", FEEDBACK),
        asyncio.Runner(loop_factory=VirtualLoop) as runner,
    ):
        hours, seed = arguments.hours, arguments.seed
        soaking = run(Path(folder), hours, seed, runtime=arguments.runtime, trace=arguments.trace)
        report = runner.run(soaking)
    report.seconds = time.monotonic() - start
    print(table(report))
    if arguments.json:
        arguments.json.write_text(json.dumps(asdict(report), indent=1))
    return 1 if report.faults else 0


if __name__ == "__main__":
    sys.exit(main())
