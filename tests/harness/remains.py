"""A Home Assistant process that is killed, and what it leaves on the disk."""

from __future__ import annotations

import json
import os
import signal
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from homeassistant.core import HomeAssistant

from custom_components.face_lock.storage.records import async_open_records
from demo.process import HomeAssistantProcess

from .owner import DOMAIN, PICTURES, Held, Owner, Version

CONFIGURATION: Final = """\
homeassistant:
  name: Killed
  country: US
  language: en
  time_zone: UTC
  unit_system: metric
  latitude: 0
  longitude: 0
  elevation: 0
  allowlist_external_dirs:
    - {pictures}
frontend:
config:
http:
  server_host: 127.0.0.1
  server_port: {port}
logger:
  default: warning
"""
SAVE_DELAY: Final = 1.0
"""The delay of core, in seconds."""
WRITTEN_WITHIN: Final = 1.5
"""Seconds after it within which even a busy machine has written a small file."""


class KilledProcess(HomeAssistantProcess):
    """A Home Assistant that starts again on what was left of it."""

    def _write_configuration(self) -> None:
        super()._write_configuration()
        text = CONFIGURATION.format(port=self.port, pictures=PICTURES)
        (self.config / "configuration.yaml").write_text(text)

    def _environment(self) -> dict[str, str]:
        # It starts a hundred times, so compiled files are kept for the life of this process.
        compiled = {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": str(self.config / "pyc")}
        return super()._environment() | compiled

    async def stop(self) -> None:
        """Stop it properly."""
        await self._stop()

    async def start(self) -> None:
        """Start it again."""
        await self._start()

    async def kill(self) -> None:
        """Kill it."""
        assert self._process is not None
        assert self._process.returncode is None, f"it ended by itself\n{self.log_tail()}"
        os.killpg(self._process.pid, signal.SIGKILL)
        await self.killed()

    async def killed(self) -> None:
        """Wait until it has ended, by the signal alone."""
        assert self._process is not None
        assert await self._process.wait() == -signal.SIGKILL, self.log_tail()

    def pounce(self, seconds: float) -> None:
        """Kill it once a file is being written, or after this long; blocks."""
        assert self._process is not None
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if any(name.startswith("tmp") for name in os.listdir(self.storage)):  # noqa: PTH208
                break
        os.killpg(self._process.pid, signal.SIGKILL)

    @property
    def storage(self) -> Path:
        """Where the files lie."""
        return self.config / ".storage"


DEFAULT_RELOCK: Final = 5
"""Seconds, of a door whose owner chose none."""


@dataclass(frozen=True, slots=True)
class Files:
    """What lies on the disk; ``people``: id -> (name, whether allowed)."""

    people: dict[str, tuple[str, bool]]
    subentries: frozenset[str]
    relock: int
    pictures: dict[str, int]
    failures: int
    feedback: Counter[str | None]

    @property
    def cores(self) -> tuple[frozenset[tuple[str, bool]], int]:
        """What core keeps of it, without the ids."""
        return frozenset(self.people.values()), self.relock


async def read(process: KilledProcess, entry_id: str) -> Files:
    """Read the files with our own code, and core's as JSON; changes nothing."""
    stored = json.loads((process.storage / "core.config_entries").read_text())["data"]["entries"]
    (entry,) = (entry for entry in stored if entry["entry_id"] == entry_id)
    people = [s for s in entry["subentries"] if s["subentry_type"] == "person"]
    (door,) = (s for s in entry["subentries"] if s["subentry_type"] == "door")
    hass = HomeAssistant(str(process.config))
    # The core's list of entries is not read; without it the store sees no other household.
    hass.config_entries = type("Entries", (), {"async_entries": lambda *_: []})()
    try:
        records = await async_open_records(hass, entry_id, [door["unique_id"]], keep_pictures=True)
        assert records.pictures.damaged == 0, "damaged pictures"
        pictures = {p: len(album) for p, album in records.pictures.people.items()}
        feedback = Counter(record["person"] for record in await records.feedback._async_read())
    finally:
        await hass.async_stop(force=True)
    lockout = process.storage / f"{DOMAIN}.{door['unique_id']}.lockout"
    failures = json.loads(lockout.read_text())["data"]["failures"] if lockout.exists() else 0
    return Files(
        {s["unique_id"]: (s["title"], s["data"].get("allowed", True)) for s in people},
        frozenset(s["subentry_id"] for s in entry["subentries"]),
        int(door["data"].get("door", {}).get("relock_after", DEFAULT_RELOCK)),
        pictures,
        failures,
        feedback,
    )


def compare_ours(files: Files, owner: Owner) -> bool:
    """Check what is ours to keep; return whether the unanswered work had been done.

    Each file is checked on its own, because a person is removed from one after the other.
    """

    def fitting(held: Held) -> tuple[bool, bool, bool]:
        known = {p: n for p, n in held.pictures.items() if p is not None}
        new = {p: n for p, n in files.pictures.items() if p not in known}
        return (
            files.pictures == known | new
            and list(new.values()) == [n for p, n in held.pictures.items() if p is None],
            files.feedback.total() == held.feedback.total(),
            files.failures == held.failures,
        )

    answered = fitting(owner.held)
    if all(answered):
        return False
    assert owner.in_flight is not None, (files, owner.held)
    either = zip(answered, fitting(owner.in_flight), strict=True)
    assert all(any(each) for each in either), (files, owner.held, owner.in_flight)
    return True


def compare_cores(files: Files, owner: Owner, killed_at: float) -> list[Version]:
    """Check what core keeps for us; return the confirmed versions that are lost."""
    versions = owner.versions
    begun = [v.began for v in versions[1:]]
    if owner.in_flight is not None:
        begun.append(killed_at)
    # Another change postpones the write, so only what was left alone long enough is safe.
    safe = 0
    for number, version in enumerate(versions):
        until = begun[number] if number < len(begun) else killed_at
        if until - version.answered > SAVE_DELAY + WRITTEN_WITHIN:
            safe = number
    found = [n for n, v in enumerate(versions) if v.cores == files.cores]
    if owner.in_flight is not None and owner.in_flight.cores == files.cores:
        found.append(len(versions))
    assert found, ("core holds what never was", files, owner.held, owner.in_flight)
    assert found[-1] >= safe, ("core lost what it had time to write", files, versions)
    return versions[found[-1] + 1 :]
