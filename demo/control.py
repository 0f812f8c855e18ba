"""Sets who stands before the demo's camera, line by line; the browser test uses it."""

import asyncio
import sys
from collections.abc import Iterator
from dataclasses import replace
from itertools import count

from . import story, visit
from .camera import PictureServer
from .visit import Frame, Visitor

HELP = """\
visit NAME               NAME comes, stays for some seconds and leaves
stand NAME [left|right]  NAME stands there from now on, with the head turned
empty                    nobody is there"""

_TURNS = {"left": -0.3, "right": 0.3}
_STAY = visit.Timeline(0, 0, 5, 0, 0)  # two sways: the end fits the beginning


class CommandError(ValueError):
    """A line with an unknown command."""


def visitors() -> dict[str, Visitor]:
    """Everybody who can come, by the name of the cut-out."""
    return {each.file.split(".")[0]: each for each in (story.ENROLLED, *story.STRANGERS)}


def perform(server: PictureServer, line: str, seed: int) -> None:
    """Do what a line says; renders for some seconds.

    Each line needs a ``seed`` of its own: the pixels of an earlier visit are a replay, and a door
    that has seen them lets nobody in for them.

    Raises:
        CommandError: the line is not in HELP.

    """
    match line.split():
        case ["empty"]:
            server.rest(visit.render(None, seed, _STAY))
        case ["visit", name]:
            server.rest(visit.render(None, seed, _STAY))
            server.play(visit.render(_visitor(name), seed))
        case ["stand", name]:
            server.rest(_standing(_visitor(name), seed))
        case ["stand", name, turn] if turn in _TURNS:
            server.rest(_standing(replace(_visitor(name), turn=_TURNS[turn]), seed))
        case _:
            raise CommandError(f"not understood: {line!r}; one of\n{HELP}")


def _visitor(name: str) -> Visitor:
    try:
        return visitors()[name]
    except KeyError:
        raise CommandError(f"nobody is called {name!r}: {', '.join(visitors())}") from None


def _standing(visitor: Visitor, seed: int) -> list[Frame]:
    return visit.render(visitor, seed, _STAY)


async def obey(server: PictureServer) -> None:
    """Read lines from stdin until it ends; answer each with `done` or `error:` on stdout."""
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    for seed in count(1):
        line = (await reader.readline()).decode(errors="replace")
        if not line:
            return
        try:
            await asyncio.to_thread(perform, server, line, seed)
        except CommandError as error:
            print(f"error: {error}", flush=True)
        else:
            print(f"done: {line.strip()}", flush=True)


def complaints(log: str) -> Iterator[str]:
    """Yield the lines of Home Assistant's log that warn of something or report an error, once."""
    for line in dict.fromkeys(log.splitlines()):
        if " WARNING " in line or " ERROR " in line or " CRITICAL " in line:
            yield line
