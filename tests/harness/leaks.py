"""Measures what a door holds at a given moment, and whether that grows."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import gc
import os
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from .fake_home import FakeHome

LIMIT: Final = 1.0
"""Growth in MB of resident memory per 100,000 pictures that counts as a leak."""
PER: Final = 100_000
SLACK: Final = 25.0
"""MB by which a run too short for ``PER`` pictures may grow in total: its few samples cannot tell a
leak from what is allocated once."""
COUNTS: Final = ("threads", "tasks", "listeners", "timers", "files")
M_MMAP_THRESHOLD: Final = -3
M_ARENA_MAX: Final = -8
LARGE: Final = 256 * 1024
"""Bytes; see ``steady_allocator``."""


@dataclass(frozen=True, slots=True)
class Sample:
    """What was in use at a quiet moment; memory in MB, the store in bytes."""

    hours: float
    pictures: int
    rss: float
    threads: int
    tasks: int
    listeners: int
    timers: int
    files: int
    store: int
    digests: int
    visits: int
    held: int
    """Entries of the door's other containers, which nothing bounds except their own clean-up."""


@dataclass(frozen=True, slots=True)
class Slope:
    """A line through the memory's samples, MB per ``PER`` pictures, with its 95 % interval."""

    value: float
    low: float
    high: float

    @classmethod
    def of(cls, samples: list[Sample]) -> Slope:
        """Fit it by least squares, as if the samples' errors were independent."""
        x = np.array([s.pictures for s in samples]) / PER
        y = np.array([s.rss for s in samples])
        centred = x - x.mean()
        spread = float(centred @ centred)
        slope = float(centred @ (y - y.mean())) / spread
        residuals = y - y.mean() - slope * centred
        error = float(np.sqrt(residuals @ residuals / (len(samples) - 2) / spread))
        return cls(slope, slope - 1.96 * error, slope + 1.96 * error)


def faults(samples: list[Sample]) -> list[str]:
    """Say what grew and must not."""
    found = []
    first = samples[0]
    pictures = samples[-1].pictures - first.pictures
    slope = Slope.of(samples)
    limit = LIMIT if pictures >= 0.8 * PER else SLACK * PER / pictures
    if slope.value >= limit:
        found.append(f"memory grows by {slope.value:.2f} MB per {PER:,} pictures")
    for name in (*COUNTS, "held"):
        before, most = getattr(first, name), max(getattr(s, name) for s in samples)
        if most > before:
            found.append(f"{name} grow from {before} to {most}")
    return found


def measure(house: FakeHome, pictures: int, folder: Path) -> Sample:
    """Take a sample, after returning free memory to the system if the C library can."""
    gc.collect()
    with contextlib.suppress(AttributeError, OSError):
        ctypes.CDLL(None).malloc_trim(0)
    resident = int(Path("/proc/self/statm").read_text().split()[1])
    door, loop = house.door, house.loop
    watcher, memory = door.watchers[0], door.memory
    decider = watcher._decider
    return Sample(
        hours=loop.time() / 3600,
        pictures=pictures,
        rss=resident * os.sysconf("SC_PAGESIZE") / 1e6,
        threads=threading.active_count(),
        tasks=len(asyncio.all_tasks(loop)),
        listeners=sum(house.hass.bus.async_listeners().values()),
        timers=sum(not handle.cancelled() for handle in loop._scheduled),
        files=len(os.listdir("/proc/self/fd")),  # noqa: PTH208
        store=sum(path.stat().st_size for path in (folder / ".storage").iterdir()),
        digests=len(decider._frames._digests),
        visits=len(door.records.history.visits),
        held=sum(
            map(
                len,
                (
                    door._told,
                    door.controller._opening,
                    door.controller._concluding,
                    door._listeners,
                    watcher.feed._tasks,
                    watcher.feed._viewers,
                    decider._stays,
                    decider.lockout._crowd._faces,
                    memory.passes._passes,
                ),
            )
        ),
    )


def steady_allocator() -> None:
    """Have glibc keep small blocks in one place, and large ones with the system, always.

    By default its choice depends on what was freed before, so that the place of a network's 50 MB
    changes the total from one start of the door to the next by some 10 MB: more than the leaks that
    are looked for. It also keeps a heap for each of up to 16 threads (on two cores), and a reloaded
    door has a new thread, whose heap is then filled for the first time. That ends, but not within a
    day.
    """
    with contextlib.suppress(AttributeError, OSError):
        ctypes.CDLL(None).mallopt(M_MMAP_THRESHOLD, LARGE)
        ctypes.CDLL(None).mallopt(M_ARENA_MAX, 1)
