"""scripts/demo: set up, enrol, play the visits, print what happened."""

import argparse
import asyncio
import contextlib
import itertools
import secrets
import signal
import sys
import time

import aiohttp

from . import control, door, story
from .camera import PictureServer
from .client import ApiError, Client
from .process import HomeAssistantProcess, ProcessError
from .story import Outcome, Player

_START = time.monotonic()
USERNAME = "demo"


def say(text: str) -> None:
    """Tell progress on stderr; stdout is for the table and the address."""
    print(f"[{time.monotonic() - _START:5.1f} s] {text}", file=sys.stderr, flush=True)


async def add_camera(client: Client, still_url: str) -> None:
    """Add the camera that a door can watch with."""
    async with client.websocket():
        await door.confirm_address(client)
        say("adding the camera")
        await door.add_camera(client, still_url)


async def add_door(client: Client) -> str:
    """Add a door, a person and a second door; returns the household's config entry."""
    async with client.websocket():
        say("adding the door")
        entry_id, person_flow = await door.add_door(client)
        say(f"enrolling {story.ENROLLED.name} with {len(story.ENROLMENT_PICTURES)} pictures")
        await door.enrol(client, person_flow, story.ENROLLED.name, story.ENROLMENT_PICTURES)
        say("adding a second door")
        await door.add_second_door(client, entry_id)
    return entry_id


async def play_story(player: Player) -> list[Outcome]:
    """Play every visit of the story once."""
    outcomes = []
    for number, visit in enumerate(story.STORY, 1):
        say(f"visit {number} of {len(story.STORY)}: {visit.title}")
        outcomes.append(await player.play(visit))
        say(f"  expected: {visit.expected}; it {outcomes[-1].happened}")
    return outcomes


def print_address(url: str, password: str) -> None:
    """Say where Home Assistant is and how to log in."""
    print(
        f"\nHome Assistant: {url}\nuser name:      {USERNAME}\npassword:       {password}",
        flush=True,
    )


async def serve(player: Player, url: str, password: str, device_id: str) -> None:
    """Say where Home Assistant is and let visitors come and go until interrupted."""
    print_address(url, password)
    print(f"the door:       {url}/config/devices/device/{device_id}")
    print("Visitors come and go. Ctrl-C ends it.", flush=True)
    visits = [visit for visit in story.STORY if visit.visitor]
    for visit in itertools.cycle(visits):
        await asyncio.sleep(30)
        say(f"visit: {visit.title}")
        say(f"  it {(await player.play(visit)).happened}")


async def run(arguments: argparse.Namespace) -> int:
    """Run the demo; returns the exit status."""
    server = PictureServer()
    await server.start()
    try:
        async with HomeAssistantProcess() as process, aiohttp.ClientSession() as session:
            say("starting Home Assistant")
            client = Client(session, process.url)
            try:
                return await _demo(arguments, client, process, server)
            except (ApiError, ProcessError, TimeoutError) as error:
                say(f"failed: {error}\n\nthe end of Home Assistant's log:\n{process.log_tail()}")
                return 1
            finally:
                say("ending Home Assistant")
    finally:
        await server.stop()


async def _demo(
    arguments: argparse.Namespace,
    client: Client,
    process: HomeAssistantProcess,
    server: PictureServer,
) -> int:
    await client.wait_until_up(process.check)
    say("onboarding")
    password = secrets.token_urlsafe(9)
    await client.onboard("Demo", USERNAME, password)
    await add_camera(client, server.url)
    if arguments.no_door:
        print_address(process.url, password)
        print(f"No door is set up. Say who comes, line by line:\n{control.HELP}", flush=True)
        await control.obey(server)
        for line in control.complaints(process.log()):
            print(f"log: {line}", flush=True)
        return 0
    entry_id = await add_door(client)
    async with client.websocket():
        found = await door.find_door(client, entry_id, door.FIRST)
        second = await door.find_door(client, entry_id, door.SECOND)
        player = Player(client, server, found, second)
        await player.start()
        outcomes = [] if arguments.no_story else await play_story(player)
        if outcomes:
            print(f"\n{story.table(outcomes)}\n", flush=True)
        if arguments.serve:
            await serve(player, process.url, password, found.device_id)
    return 0 if all(outcome.as_expected for outcome in outcomes) else 1


def main() -> int:
    """Parse the command line and run until done or interrupted."""
    parser = argparse.ArgumentParser(prog="scripts/demo", description=__doc__)
    parser.add_argument("--serve", action="store_true", help="leave Home Assistant running")
    parser.add_argument(
        "--no-story", action="store_true", help="with --serve: do not play the visits first"
    )
    parser.add_argument(
        "--no-door",
        action="store_true",
        help="with --serve: leave setting the door up to you, and let stdin say who comes",
    )
    arguments = parser.parse_args()
    if arguments.no_door and not arguments.serve:
        parser.error("--no-door needs --serve")
    if arguments.no_story and not arguments.serve:
        parser.error("--no-story needs --serve")

    async def interruptible() -> int:
        task = asyncio.ensure_future(run(arguments))
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, task.cancel)
        with contextlib.suppress(asyncio.CancelledError):
            return await task
        return 0 if arguments.serve else 130

    return asyncio.run(interruptible())


if __name__ == "__main__":
    sys.exit(main())
