"""Kill a process that writes the store, at random moments, and see what is left on the disk.

    python -m tests.harness.kill_store [--kills 100] [--seed 20261124]

A real process with a real Home Assistant core writes one generation after the other: the reference
pictures of three people, the last visit's picture, feedback. Each round starts either with nothing,
with a file of version 1, which is encrypted on the way, or with what the last round left. After
SIGKILL, all files must open, and hold exactly the last generation that was reported as written or
the one that was being written. It prints one line, and exits with 1 if a round failed.
"""

import argparse
import asyncio
import os
import random
import shutil
import signal
import stat
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from homeassistant.core import HomeAssistant

from custom_components.face_lock.settings import DoorSettings
from custom_components.face_lock.storage.feedback import Feedback, Verdict
from custom_components.face_lock.storage.history import MAX_VISITS
from custom_components.face_lock.storage.key import KEY_FILE
from custom_components.face_lock.storage.records import (
    DoorRecords,
    HouseholdRecords,
    async_open_records,
)
from custom_components.face_lock.vision import Portrait, Template, encode_jpeg
from custom_components.face_lock.visit import EVENT_UNKNOWN_FACE, Visit

HOUSEHOLD, DOOR = "killed", "front"
PEOPLE = ("anna", "ben", "chloe")
COUNTS = ("kills", "from_nothing", "generations", "cut_writes", "ahead")
"""``cut_writes``: rounds that left a temporary file; ``ahead``: rounds in
which more lay on the disk than had been reported."""
MAX_WRITES = 5
"""A process is killed after at most this many written files..."""
KILL_WITHIN = 0.06
"""...and at most this many seconds, about as long as one file takes."""


def portrait(generation: int, person: int) -> Portrait:
    """A picture that says which generation it belongs to."""
    rng = np.random.default_rng((generation, person))
    embedding = rng.normal(size=128).astype(np.float32)
    crop = rng.integers(0, 255, (112, 112, 3), dtype=np.uint8)
    crop[0, :4] = np.frombuffer(generation.to_bytes(12, "big"), np.uint8).reshape(4, 3)
    return Portrait(crop, Template(embedding / np.linalg.norm(embedding), "model"))


def generation_of(found: Portrait) -> int:
    """The generation that a picture says it belongs to."""
    return int.from_bytes(found.crop[0, :4].tobytes(), "big")


async def open_records(folder: Path) -> tuple[HomeAssistant, HouseholdRecords, DoorRecords]:
    """Start a core far enough that its storage works, and open all records."""
    hass = HomeAssistant(str(folder))
    # The core's list of entries is not read; without it the store sees no other household.
    hass.config_entries = type("Entries", (), {"async_entries": lambda *_: []})()
    records = await async_open_records(hass, HOUSEHOLD, [DOOR], keep_pictures=True)
    door = await records.async_open_door(DOOR, DoorSettings(keep_last_visit=True))
    return hass, records, door


def visit(number: int, ended: datetime) -> Visit:
    """A visit of nobody in particular."""
    return Visit(
        id=str(number),
        door=DOOR,
        camera="camera.front_door",
        began=ended,
        ended=ended,
        began_at=0.0,
        ended_at=0.0,
        outcome=EVENT_UNKNOWN_FACE,
        person=None,
        name=None,
        reason="unknown_face",
        confidence=0.0,
        response_time=None,
    )


@dataclass(frozen=True)
class Progress:
    """The pictures' generation, whether a visit's picture is there, how many records of each."""

    generation: int = 0
    picture: bool = False
    feedback: int = 0
    visits: int = 0


async def write(folder: Path, report: int, generation: int) -> None:
    """Write generations for ever; report each file as soon as it counts as written."""
    _, records, door = await open_records(folder)
    while True:
        generation += 1
        for number, person in enumerate(PEOPLE):
            records.pictures.put(person, [portrait(generation, number)])
        await records.async_commit(PEOPLE)
        os.write(report, b"p")
        crop = portrait(generation, 0).crop
        now = datetime.now(UTC)
        await door.picture.async_save(encode_jpeg(crop), "1", now, PEOPLE[:1])
        os.write(report, b"v")
        await records.feedback.async_add(
            Feedback("1", DOOR, now, "anna", Verdict.THAT_WAS_ME, "x", 0.5, "model", crop)
        )
        os.write(report, b"f")
        door.history.add(visit(generation, now))
        await door.history.async_save()
        os.write(report, b"h")


async def check(folder: Path, least: Progress) -> Progress:
    """Return what lies on the disk; raises AssertionError if it is not whole, or too little."""
    hass, records, door = await open_records(folder)
    try:
        found = 0
        if people := records.pictures.people:
            found = generation_of(people[PEOPLE[0]][0])
        for number, person in enumerate(PEOPLE if people else ()):
            (kept,) = people[person]
            wanted = portrait(found, number)
            assert np.array_equal(kept.crop, wanted.crop), "mixed generations"
            assert np.array_equal(kept.template.embedding, wanted.template.embedding)
        assert records.pictures.damaged == 0, "damaged pictures"
        picture = await door.picture.async_load() is not None
        feedback = await records.feedback.async_count()
        visits = len(door.history.visits)
    finally:
        await hass.async_stop(force=True)
    there = Progress(found, picture, feedback, visits)
    assert least.generation <= found <= least.generation + 1, (least, there)
    assert picture >= least.picture, (least, there)
    assert least.feedback <= feedback <= least.feedback + 1, (least, there)
    assert min(least.visits, MAX_VISITS) <= visits <= least.visits + 1, (least, there)
    return there


def look(folder: Path) -> None:
    """Every file is private, none but the key can be read, none was set aside as broken."""
    for path in (folder / ".storage").iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
        assert ".corrupt." not in path.name, path
        assert path.name == KEY_FILE or b'"pictures"' not in path.read_bytes(), path


def kill_once(folder: Path, before: Progress, rng: random.Random) -> Progress:
    """Let a process write, kill it, and return what it reported as written."""
    reading, writing = os.pipe()
    assert threading.active_count() == 1, "a fork takes no threads along"
    child = os.fork()
    if child == 0:
        os.close(reading)
        try:
            asyncio.run(write(folder, writing, before.generation))
        finally:
            os._exit(3)  # it must only end by the signal
    os.close(writing)
    with os.fdopen(reading, "rb", buffering=0) as pipe:
        reported = b""
        for _ in range(rng.randint(0, MAX_WRITES)):
            reported += pipe.read(1)
        time.sleep(rng.uniform(0, KILL_WITHIN))
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        assert os.WIFSIGNALED(status), "the writing process failed by itself"
        reported += pipe.read()
    return Progress(
        before.generation + reported.count(b"p"),
        before.picture or b"v" in reported,
        before.feedback + reported.count(b"f"),
        before.visits + reported.count(b"h"),
    )


def run(kills: int, seed: int) -> dict[str, int]:
    """Kill this often; return counts of what happened. Raises AssertionError with the round."""
    rng = random.Random(seed)  # noqa: S311 - moments to kill at
    counts = dict.fromkeys(COUNTS, 0)
    folder = Path(tempfile.mkdtemp(prefix="face_lock_kill_"))
    there = Progress()
    for number in range(kills):
        if number % 4 == 0:
            shutil.rmtree(folder)
            folder.mkdir()
            there = Progress()
            counts["from_nothing"] += 1
        before = there
        try:
            least = kill_once(folder, before, rng)
            there = asyncio.run(check(folder, least))
            look(folder)
        except Exception as error:
            raise AssertionError(f"round {number}, files in {folder}: {error!r}") from error
        counts["kills"] += 1
        counts["generations"] += there.generation - before.generation
        counts["ahead"] += there != least
        counts["cut_writes"] += any((folder / ".storage").glob("tmp*"))
        for rest in (folder / ".storage").glob("tmp*"):
            rest.unlink()
    shutil.rmtree(folder)
    return counts


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=20261124)
    arguments = parser.parse_args()
    start = time.monotonic()
    try:
        counts = run(arguments.kills, arguments.seed)
    except AssertionError as error:
        print(f"kill_store: FAILED: {error}")
        return 1
    told = ", ".join(f"{name.replace('_', ' ')} {count}" for name, count in counts.items())
    print(f"kill_store: every file whole after each kill; {told}; {time.monotonic() - start:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
