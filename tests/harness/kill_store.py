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
import base64
import json
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

from custom_components.face_lock.feedback import Feedback, Verdict
from custom_components.face_lock.records import DoorRecords, async_open_records
from custom_components.face_lock.vault import KEY_FILE
from custom_components.face_lock.vision import (
    Portrait,
    Template,
    encode_jpeg,
    encode_png,
)

DOOR = "killed"
NAME = f"face_lock.{DOOR}"
PEOPLE = ("anna", "ben", "chloe")
COUNTS = ("kills", "from_nothing", "from_version_1", "generations", "cut_writes", "ahead")
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


async def open_records(folder: Path) -> tuple[HomeAssistant, DoorRecords]:
    """Start a core far enough that its storage works, and open the door's records."""
    hass = HomeAssistant(str(folder))
    # Core's list of entries is not read; without it the store sees no other door.
    hass.config_entries = type("Entries", (), {"async_entries": lambda *_: []})()
    return hass, await async_open_records(hass, DOOR, keep_pictures=True, visit_days=7)


@dataclass(frozen=True)
class Progress:
    """The pictures' generation, whether a visit's picture is there, how many feedback records."""

    generation: int = 0
    visit: bool = False
    feedback: int = 0


async def write(folder: Path, report: int, generation: int) -> None:
    """Write generations endlessly; report each file as soon as it counts as written."""
    _, records = await open_records(folder)
    while True:
        generation += 1
        for number, person in enumerate(PEOPLE):
            records.pictures.put(person, [portrait(generation, number)])
        await records.async_commit(PEOPLE)
        os.write(report, b"p")
        crop = portrait(generation, 0).crop
        await records.visit.async_save(encode_jpeg(crop), datetime.now(UTC), PEOPLE[:1])
        os.write(report, b"v")
        await records.feedback.async_add(
            Feedback(datetime.now(UTC), "anna", Verdict.THAT_WAS_ME, "x", 0.5, "model", crop)
        )
        os.write(report, b"f")


async def check(folder: Path, least: Progress) -> Progress:
    """Return what lies on the disk; raises AssertionError if it is not whole, or too little."""
    hass, records = await open_records(folder)
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
        visit = await records.visit.async_load() is not None
        feedback = await records.feedback.async_count()
    finally:
        await hass.async_stop(force=True)
    there = Progress(found, visit, feedback)
    assert least.generation <= found <= least.generation + 1, (least, there)
    assert visit >= least.visit, (least, there)
    assert least.feedback <= feedback <= least.feedback + 1, (least, there)
    return there


def look(folder: Path) -> None:
    """Every file is private, none but the key can be read, none was set aside as broken."""
    for path in (folder / ".storage").iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
        assert ".corrupt." not in path.name, path
        assert path.name == KEY_FILE or b'"pictures"' not in path.read_bytes(), path


def version_1(folder: Path) -> None:
    """Write a file of generation 1 as version 1 did."""
    people = {
        person: {
            "pictures": [
                {
                    "crop": base64.b64encode(encode_png(p.crop)).decode(),
                    "embedding": base64.b64encode(p.template.embedding.tobytes()).decode(),
                    "model": p.template.model,
                }
                for p in [portrait(1, number)]
            ]
        }
        for number, person in enumerate(PEOPLE)
    }
    (folder / ".storage").mkdir()
    file = folder / ".storage" / NAME
    file.write_text(json.dumps({"version": 1, "key": NAME, "data": {"people": people}}))
    file.chmod(0o600)


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
        before.visit or b"v" in reported,
        before.feedback + reported.count(b"f"),
    )


def run(kills: int, seed: int) -> dict[str, int]:
    """Kill this often; return counts of what happened. Raises AssertionError with the round."""
    rng = random.Random(seed)  # noqa: S311 - moments to kill at
    counts = dict.fromkeys(COUNTS, 0)
    folder = Path(tempfile.mkdtemp(prefix="face_lock_kill_"))
    there = Progress()
    for number in range(kills):
        if number % 4 < 2:
            shutil.rmtree(folder)
            folder.mkdir()
            there = Progress(number % 4)
            counts["from_version_1" if there.generation else "from_nothing"] += 1
            if there.generation:
                version_1(folder)
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
