"""Kill a real Home Assistant while it writes, at random moments, and see what is left.

    python -m tests.harness.kill_home_assistant [--kills 100] [--seed 20261124]

A real process with a real door is operated over HTTP by an owner (``owner``) who enrols and forgets
people, suspends them, changes options, enters codes and gives feedback on visits. After SIGKILL, in
the middle of an answer or of core's delayed write, the files are read, and Home Assistant is
started on them again. Then

- the door runs and is locked, and no traceback of ours was logged;
- what is ours to keep (pictures, feedback, the count of failures) is exactly what was confirmed, or
  that and the one thing that was in progress;
- what core keeps for us (who is enrolled, who is suspended, the options) is as old as its own delay
  explains and no older: core writes a second after the last change (``config_entries.SAVE_DELAY``);
- everybody whom core still knows has all pictures, or is named in a repair issue; nothing of
anybody
  else is kept.

It prints one line, and exits with 1 if a round failed. The signal only ends a process: unlike
after a power cut, what was handed to the kernel is on the disk.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import random
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import replace
from typing import Any, Final

import aiohttp

from demo import control, door, visit
from demo.camera import PictureServer
from demo.client import ApiError, Client, Json
from demo.process import ProcessError

from .owner import CODE, DOMAIN, LOCK, Held, Owner, Version
from .remains import (
    SAVE_DELAY,
    Files,
    KilledProcess,
    compare_cores,
    compare_ours,
    read,
)

START_WITHIN: Final = 120.0
MAX_WORKS: Final = 5
"""A process is killed after at most this many answers."""
KILL_WITHIN: Final = 0.5
"""Seconds within which it is killed when it is to be killed in the middle of work."""
VISITOR: Final = visit.Visitor("hopper.webp", "Grace Hopper", face_px=173, nose_x=260)
COUNTS: Final = (
    "kills",
    "in the middle of work",
    "cut writes",
    "answered",
    "visits",
    "done though not answered",
    "changes lost to core's delay",
    "of them enrolments",
    "of them removals",
    "of them suspensions",
    "people reported without pictures",
)


@asynccontextmanager
async def connected(client: Client, process: KilledProcess) -> AsyncIterator[None]:
    """Connect to it once it runs."""
    until = time.monotonic() + START_WITHIN
    async with AsyncExitStack() as stack:
        while True:
            process.check()
            try:
                await stack.enter_async_context(client.websocket())
                break
            except aiohttp.ClientError:
                if time.monotonic() > until:
                    raise
                await asyncio.sleep(0.1)
        while (await client.command("get_config"))["state"] != "RUNNING":  # noqa: ASYNC110
            await asyncio.sleep(0.1)
        yield


class Killer:
    """One Home Assistant, killed over and over."""

    def __init__(self, process: KilledProcess, session: aiohttp.ClientSession, seed: int) -> None:
        self._process = process
        self._client = Client(session, process.url)
        self._rng = random.Random(seed)  # noqa: S311 - moments to kill at
        self._server = PictureServer()
        self._visit = visit.render(VISITOR, seed=1, timeline=visit.Timeline(0.2, 1, 3, 0.5, 0.5))
        self._entry_id = ""
        self._owner: Owner
        self.counts: Counter[str] = Counter(dict.fromkeys(COUNTS, 0))

    async def async_prepare(self) -> None:
        """Set the door up as an owner would, and let everything be written."""
        await self._server.start()
        client = self._client
        await client.wait_until_up(self._process.check)
        await client.onboard("Owner", "owner", "not a secret")
        async with client.websocket():
            await door.confirm_address(client)
            await door.add_camera(client, self._server.url)

            async def user(form: Json) -> Json:
                defaults = {f["name"]: f["default"] for f in form["data_schema"] if "default" in f}
                return {**defaults, "cameras": [door.CAMERA]}

            answers = {"user": user, "check": {"next_step_id": "finish"}}
            result = await client.flow(DOMAIN, answers)
            self._entry_id = result["result"]["entry_id"]
            self._owner = Owner(client, self._entry_id, Held(), self._rng)
            await self._owner.async_options(
                security={"code": CODE, "attempts": 10}, privacy={"keep_last_visit": True}
            )
            token = await client.command(
                "auth/long_lived_access_token", client_name="owner", lifespan=2
            )
        client.sign_in(token)
        await self._process.stop()
        await self._process.start()

    async def async_end(self) -> None:
        """Close the camera's port."""
        await self._server.stop()

    @property
    def story(self) -> str:
        """What the owner did last."""
        return ", ".join([*self._owner.answered, f"then {self._owner.doing}"])

    async def async_round(self) -> None:
        """Check what a start found, work, kill, and look at what is left."""
        async with connected(self._client, self._process):
            await self._async_check()
            killed_at = await self._async_work_and_kill()
        owner, process = self._owner, self._process
        files = await read(process, self._entry_id)
        self.counts["kills"] += 1
        self.counts["answered"] += len(owner.answered)
        self.counts["done though not answered"] += compare_ours(files, owner)
        self._count_losses(compare_cores(files, owner, killed_at), files)
        rest = list(process.storage.glob("tmp*"))
        self.counts["cut writes"] += bool(rest)
        assert not [p for p in process.storage.iterdir() if ".corrupt." in p.name]
        for path in rest:
            path.unlink()
        for line in control.complaints(process.log()):
            assert DOMAIN not in line or " WARNING " in line, line
        assert f"custom_components/{DOMAIN}" not in process.log(), process.log_tail()
        await process.start()

    def _count_losses(self, lost: list[Version], files: Files) -> None:
        """Count what was answered and core had not written yet."""
        self.counts["changes lost to core's delay"] += len(lost)
        if not lost:
            return
        now, before = dict(lost[-1].cores[0]), dict(files.cores[0])
        self.counts["of them enrolments"] += len(now.keys() - before.keys())
        self.counts["of them removals"] += len(before.keys() - now.keys())
        self.counts["of them suspensions"] += sum(
            before[name] and not allowed for name, allowed in now.items() if name in before
        )

    async def _async_check(self) -> None:
        """Compare what runs with the files that it found, and continue from there."""
        client, before = self._client, self._owner.held
        (entry,) = await client.command("config_entries/get", domain=DOMAIN)
        assert entry["state"] == "loaded", entry
        state = (await client.states())[LOCK]["state"]
        assert state == "locked", state
        files = await read(self._process, self._entry_id)
        strangers = files.pictures.keys() - files.people.keys()
        assert not strangers, ("kept of people who are not enrolled", strangers)
        blind = sorted(name for p, (name, _) in files.people.items() if not files.pictures.get(p))
        reported = await self._async_reported()
        assert reported == blind, (reported, blind)
        await self._async_check_registries(files)
        pictures = {p: n for p, n in before.pictures.items() if p in files.people}
        kept = {p: files.pictures.get(p, 0) for p in pictures}
        in_flight = self._owner.in_flight
        also = {} if in_flight is None else {p: in_flight.pictures.get(p, 0) for p in pictures}
        assert kept in (pictures, also), ("pictures were lost", kept, pictures, also)
        held = Held(
            {name: (person, allowed) for person, (name, allowed) in files.people.items()},
            files.relock,
            dict(files.pictures),
            files.failures,
            files.feedback,
        )
        self._owner = Owner(client, self._entry_id, held, self._rng)
        self.counts["people reported without pictures"] += len(blind)
        for name in blind:
            await self._owner.async_do(self._owner.forget(name))
        if blind:
            assert not await self._async_reported()

    async def _async_reported(self) -> list[str]:
        """The people named in the repair issue."""
        issues = (await self._client.command("repairs/list_issues"))["issues"]
        ours = [i for i in issues if i["domain"] == DOMAIN]
        assert all(i["translation_key"] == "pictures_missing" for i in ours), ours
        names = [i["translation_placeholders"]["people"].split(", ") for i in ours]
        return sorted(name for group in names for name in group)

    async def _async_check_registries(self, files: Files) -> None:
        """Entities and devices must exist for the enrolled people, and for nobody else."""
        for registry in ("entity", "device"):
            found = await self._client.command(f"config/{registry}_registry/list")
            if registry == "entity":
                owners = {e["config_subentry_id"] for e in found if e["platform"] == DOMAIN}
            else:
                owners = {
                    subentry
                    for d in found
                    for subentry in d["config_entries_subentries"].get(self._entry_id, ())
                }
            assert owners - {None} == files.subentries, (registry, owners, files.subentries)

    async def _async_work_and_kill(self) -> float:
        """Let the owner work, and kill; return when, in monotonic seconds."""
        owner, rng = self._owner, self._rng
        if rng.random() < 0.15:
            self._server.play(self._visit)
            await owner.async_wait_for_visit(30)
            self.counts["visits"] += 1
            files = await read(self._process, self._entry_id)
            owner.held = replace(owner.held, failures=files.failures)
        for _ in range(rng.randint(1, MAX_WORKS)):
            await owner.async_do(owner.choose())
            if rng.random() < 0.3:
                await asyncio.sleep(rng.uniform(0, 2 * SAVE_DELAY))
        if rng.random() < 0.3:
            await asyncio.sleep(rng.uniform(0.9 * SAVE_DELAY, 1.2 * SAVE_DELAY))
            await self._process.kill()
            return time.monotonic()
        self.counts["in the middle of work"] += 1
        work = asyncio.create_task(owner.async_do(owner.choose()))
        if rng.random() < 0.5:
            await asyncio.sleep(rng.uniform(0, KILL_WITHIN))
            await self._process.kill()
        else:
            await asyncio.to_thread(self._process.pounce, 2 * SAVE_DELAY)
            await self._process.killed()
        killed_at = time.monotonic()
        with suppress(ApiError, aiohttp.ClientError, OSError, TimeoutError):
            await asyncio.wait_for(work, 30)
        return killed_at


async def run(kills: int, seed: int) -> Counter[str]:
    """Kill this often; return counts of what happened. Raises AssertionError with the round."""
    async with KilledProcess() as process, aiohttp.ClientSession() as session:
        killer = Killer(process, session, seed)
        try:
            await killer.async_prepare()
            for number in range(kills):
                try:
                    await killer.async_round()
                except (AssertionError, ApiError, ProcessError, TimeoutError) as error:
                    text = f"round {number}: {killer.story}: {error!r}\n{process.log_tail()}"
                    raise AssertionError(text) from error
                if (number + 1) % 10 == 0:
                    print(dict(killer.counts), file=sys.stderr, flush=True)
        finally:
            await killer.async_end()
        return killer.counts


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=20261124)
    arguments = parser.parse_args()
    start = time.monotonic()
    logging.disable()  # of the core that only reads the files
    try:
        counts: Any = asyncio.run(run(arguments.kills, arguments.seed))
    except AssertionError as error:
        print(f"kill_home_assistant: FAILED: {error}")
        return 1
    told = ", ".join(f"{name} {counts[name]}" for name in COUNTS)
    seconds = time.monotonic() - start
    print(f"kill_home_assistant: nothing lost that was ours to keep; {told}; {seconds:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
