"""Everything that may go wrong at a door, each with its beginning and its end.

The list is that of docs/security.md ("Faults"). A fault is a generator: the code before its
``yield`` breaks something, and the code after it repairs it, as the owner or the world would.
Faults that share a place cannot happen at the same time.
"""

from __future__ import annotations

import asyncio
import errno
import io
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Final
from unittest.mock import patch

from homeassistant.config_entries import ConfigEntryState, OperationNotAllowed
from homeassistant.helpers import entity_registry as er
from PIL import Image

from custom_components.face_lock.access.memory import async_forget
from custom_components.face_lock.people import people_of

from .fake_home import CAMERA, FRONT, PHONE, TARGET, FakeHome
from .fake_networks import POSTER

STRANGER: Final = 9
"""Somebody who is not enrolled."""

LONG: Final = frozenset(
    {"frozen_while_hosted", "stranger_in_place", "stays_outside", "courier_stays", "crowd_passes"}
)
"""Faults in which somebody stands in one place for longer than not."""

Course = Callable[[FakeHome], AsyncIterator[None]]


@dataclass(frozen=True)
class Fault:
    """One fault; ``says`` is what the log may contain because of it, next to a traceback."""

    name: str
    course: Course
    places: frozenset[str]
    says: tuple[str, ...] = ()


FAULTS: Final[dict[str, Fault]] = {}


def fault(*places: str, says: tuple[str, ...] = ()) -> Callable[[Course], Course]:
    """Put a course of events into ``FAULTS``."""

    def register(course: Course) -> Course:
        name = course.__name__
        FAULTS[name] = Fault(name, course, frozenset(places), says)
        return course

    return register


def _hosts(house: FakeHome) -> bool:
    with suppress(AttributeError):
        return bool(house.watcher.is_hosting)
    return False


async def _hosted(house: FakeHome) -> None:
    """Let Anna be let in, if the door is able to."""
    house.present, house.companion = (1,), None
    await house.until(lambda: _hosts(house), 6)


# The camera


@fault("camera")
async def camera_unavailable(house: FakeHome) -> AsyncIterator[None]:
    """Its entity is unavailable."""
    house.camera.set_available(False)
    yield
    house.camera.set_available(True)


@fault("camera")
async def camera_removed(house: FakeHome) -> AsyncIterator[None]:
    """Its entity goes, and its integration brings it back."""
    await house.camera.async_remove()
    yield
    house.camera = house.another_camera()
    await house.hass.data["camera"].async_add_entities([house.camera])


@fault("camera's name")
async def camera_renamed(house: FakeHome) -> AsyncIterator[None]:
    """The owner gives its entity another id."""
    registry = er.async_get(house.hass)
    registry.async_update_entity(CAMERA, new_entity_id="camera.renamed")
    yield
    registry.async_update_entity("camera.renamed", new_entity_id=CAMERA)


def _served(name: str, make: Callable[[FakeHome], Callable[[], Any]], *places: str) -> None:
    """Add a fault of the pictures themselves: ``make`` returns what the camera serves instead."""

    async def course(house: FakeHome) -> AsyncIterator[None]:
        house.serve = make(house)
        yield
        house.serve = house.paint

    course.__name__ = name
    fault("pictures", *places)(course)


def _broken(_: FakeHome) -> Callable[[], Any]:
    def serve() -> bytes:
        raise OSError("camera broken")

    return serve


def _hanging(_: FakeHome) -> Callable[[], Any]:
    async def serve() -> bytes:
        await asyncio.Event().wait()
        raise AssertionError("unreachable")

    return serve


def _slow(house: FakeHome) -> Callable[[], Any]:
    async def serve() -> bytes:
        picture = house.paint()
        await asyncio.sleep(4)
        return picture

    return serve


def _frozen(house: FakeHome) -> Callable[[], Any]:
    picture = house.paint()
    return lambda: picture


def _replayed(house: FakeHome) -> Callable[[], Any]:
    """Show the last pictures once more, in a circle and newly encoded."""
    last = [*house.last] or [house.paint()]
    number = 0

    def serve() -> bytes:
        nonlocal number
        number += 1
        with Image.open(io.BytesIO(last[number % len(last)])) as image:
            out = io.BytesIO()
            image.save(out, "PNG", compress_level=3)
        return out.getvalue()

    return serve


def _late(house: FakeHome) -> Callable[[], Any]:
    """Serve the picture before the newest, as a stream's stills do (home-assistant/core 75930)."""
    before = house.paint()

    def serve() -> bytes:
        nonlocal before
        house.delayed_at = house.loop.time()
        picture, before = before, house.paint()
        return picture

    return serve


def _bomb() -> bytes:
    out = io.BytesIO()
    Image.new("L", (12_000, 12_000)).save(out, "PNG", compress_level=1)
    return out.getvalue()


BOMB: Final = _bomb()

_served("camera_fails", _broken)
_served("camera_hangs", _hanging)
_served("camera_slow", _slow)
_served("camera_frozen", _frozen)
# Pictures from before a restart are not known again after it: docs/security.md says so.
_served("camera_replays", _replayed, "frames before a start")
_served("camera_lags", _late)
_served("picture_larger", lambda house: lambda: house.paint(size=2))
_served("picture_infrared", lambda house: lambda: house.paint(grey=True))
_served("picture_truncated", lambda house: lambda: house.paint()[:200])
_served("picture_empty", lambda _: lambda: b"")
_served("picture_missing", lambda _: lambda: None)
_served("picture_huge", lambda _: lambda: BOMB)
_served("picture_of_other_kind", lambda _: lambda: b"GIF89a" + bytes(400))
_served("picture_no_bytes", lambda _: lambda: "not bytes")


@fault("pictures", "scene")
async def frozen_while_hosted(house: FakeHome) -> AsyncIterator[None]:
    """The camera freezes on the person whom the door was opened for."""
    await _hosted(house)
    picture = house.paint()
    house.serve = lambda: picture
    await asyncio.sleep(9)
    yield
    house.serve = house.paint


@fault("scene")
async def stranger_in_place(house: FakeHome) -> AsyncIterator[None]:
    """A stranger stands where the person stood whom the door was opened for."""
    await _hosted(house)
    house.present = (STRANGER,)
    await asyncio.sleep(9)
    yield
    house.present = ()


# Whoever is there, and the door itself


@fault("contact")
async def contact_opens(house: FakeHome) -> AsyncIterator[None]:
    """The door stands open, and is shut; for a moment everybody there may have come out of it."""
    house.contact("on")
    yield
    house.contact("off")
    await asyncio.sleep(11)


@fault("contact")
async def contact_unavailable(house: FakeHome) -> AsyncIterator[None]:
    """The contact's battery is flat."""
    house.contact("unavailable")
    yield
    house.contact("off")


SEEN: Final = (
    *("contact", "scene", "entry", "camera", "camera's name", "pictures", "networks", "executor"),
    *("switch", "storage", "people", "monotonic clock"),
)
"""What a door needs to know that somebody has not left."""


@fault(*SEEN)
async def comes_out(house: FakeHome) -> AsyncIterator[None]:
    """Anna opens the door from inside, comes out, and looks back at the camera."""
    house.present, house.companion = (), None
    for state, seconds in (("on", 1), ("off", 12)):  # whoever was let in before goes in
        house.contact(state)
        await asyncio.sleep(seconds)
    house.contact("on")
    await asyncio.sleep(1)
    house.present, house.left = (1,), {1}
    await asyncio.sleep(2)
    house.contact("off")
    await asyncio.sleep(6)
    house.present = ()
    await asyncio.sleep(4)
    house.left = set()
    yield


@fault(*SEEN)
async def stays_outside(house: FakeHome) -> AsyncIterator[None]:
    """The door is opened for Anna and closed again; she stays where she is."""
    await _hosted(house)
    house.contact("on")
    await asyncio.sleep(1)
    house.contact("off")
    house.left = {1}
    await asyncio.sleep(14)
    house.present = ()
    await asyncio.sleep(4)
    house.left = set()
    yield


# Recognition


@fault("networks")
async def inference_slow(house: FakeHome) -> AsyncIterator[None]:
    """Each look takes two and a half seconds."""
    house.networks.before = lambda: house.loop.pause(2.5, "inference")
    yield
    house.networks.before = lambda: None


@fault("networks", says=("Recognition fails",))
async def inference_raises(house: FakeHome) -> AsyncIterator[None]:
    """The runtime gives up."""

    def raise_it() -> None:
        raise RuntimeError("runtime broken")

    house.networks.before = raise_it
    yield
    house.networks.before = lambda: None


@fault("networks")
async def inference_hangs(house: FakeHome) -> AsyncIterator[None]:
    """A look does not end."""
    house.networks.before = lambda: house.loop.pause(None, "inference")
    yield
    house.networks.before = lambda: None
    house.loop.release("inference")


@fault("executor")
async def executor_full(house: FakeHome) -> AsyncIterator[None]:
    """Other integrations block every thread of core's pool."""
    jobs = [
        house.hass.async_add_executor_job(house.loop.pause, None, "executor") for _ in range(64)
    ]
    yield
    while not all(job.done() for job in jobs):
        house.loop.release("executor")
        await asyncio.sleep(0.01)


# Time


@fault("wall clock")
async def clock_forward(house: FakeHome) -> AsyncIterator[None]:
    """The wall clock is set a day ahead, and back."""
    house.wall_offset += timedelta(days=1)
    yield
    house.wall_offset -= timedelta(days=1)


@fault("wall clock")
async def clock_back(house: FakeHome) -> AsyncIterator[None]:
    """The wall clock is set a day back, and ahead."""
    house.wall_offset -= timedelta(days=1)
    yield
    house.wall_offset += timedelta(days=1)


@fault("monotonic clock")
async def computer_slept(house: FakeHome) -> AsyncIterator[None]:
    """Nothing runs for a minute, whatever was going on."""
    house.loop.advance(60)
    yield


# The entry


async def _unload(house: FakeHome) -> None:
    # It may be being set up, or have failed to unload: the owner sees that.
    with suppress(OperationNotAllowed):
        await house.hass.config_entries.async_unload(house.entry.entry_id)


async def _reload(house: FakeHome) -> None:
    with suppress(OperationNotAllowed):
        await house.hass.config_entries.async_reload(house.entry.entry_id)


@fault("entry")
async def entry_reloaded(house: FakeHome) -> AsyncIterator[None]:
    """The owner, or a change of the options, reloads the entry."""
    house.later(_reload(house))
    yield


@fault("entry")
async def entry_unloaded(house: FakeHome) -> AsyncIterator[None]:
    """The owner disables the entry for a while."""
    house.later(_unload(house))
    yield
    house.later(_reload(house))


@fault("entry", "frames before a start")
async def restarted(house: FakeHome) -> AsyncIterator[None]:
    """Home Assistant restarts: only what is on the disk is known afterwards."""

    async def restart() -> None:
        await _unload(house)
        async_forget(house.hass, FRONT)
        await _reload(house)

    house.later(restart())
    yield


@fault("entry", "storage")
async def model_swapped(house: FakeHome) -> AsyncIterator[None]:
    """An update brings another verifier, whose embeddings are not comparable; then it is undone."""
    house.networks.model = "beta"
    house.later(_reload(house))
    yield
    house.networks.model = "alpha"
    house.later(_reload(house))


# The lock


@fault("lock's answer")
async def lock_times_out(house: FakeHome) -> AsyncIterator[None]:
    """It never answers."""
    house.deadbolt.answer = lambda: asyncio.Event().wait()
    yield
    house.deadbolt.answer = None


@fault("lock's answer")
async def lock_says_nothing(house: FakeHome) -> AsyncIterator[None]:
    """It takes the command, and its state does not change."""
    house.deadbolt.answer = lambda: None
    yield
    house.deadbolt.answer = None


@fault("lock's answer")
async def lock_slow(house: FakeHome) -> AsyncIterator[None]:
    """It obeys after six seconds."""

    async def obey() -> None:
        await asyncio.sleep(6)
        house.deadbolt.put(is_locked=False)

    house.deadbolt.answer = obey
    yield
    house.deadbolt.answer = None


@fault("lock's answer")
async def lock_refuses(house: FakeHome) -> AsyncIterator[None]:
    """Its integration raises."""

    def refuse() -> None:
        raise RuntimeError("no connection")

    house.deadbolt.answer = refuse
    yield
    house.deadbolt.answer = None


@fault("lock's answer")
async def lock_jams(house: FakeHome) -> AsyncIterator[None]:
    """The bolt does not move."""
    house.deadbolt.answer = lambda: house.deadbolt.put(is_jammed=True)
    yield
    house.deadbolt.answer = None
    house.deadbolt.put(is_locked=True)


@fault("lock's state")
async def lock_already_open(house: FakeHome) -> AsyncIterator[None]:
    """A person has opened it with a key."""
    house.deadbolt.put(is_locked=False)
    yield
    house.deadbolt.put(is_locked=True)


@fault("lock's state")
async def lock_unavailable(house: FakeHome) -> AsyncIterator[None]:
    """Its entity is unavailable."""
    house.deadbolt.set_available(False)
    yield
    house.deadbolt.set_available(True)


@fault("lock's state", "lock's answer")
async def lock_removed(house: FakeHome) -> AsyncIterator[None]:
    """Its entity goes, with its place in the registry, and its integration brings it back."""
    er.async_get(house.hass).async_remove(TARGET)
    await asyncio.sleep(0)
    yield
    house.deadbolt = house.another_deadbolt()
    await house.hass.data["lock"].async_add_entities([house.deadbolt])


# The storage


def _file(house: FakeHome) -> Path:
    return Path(house.hass.config.path(".storage", f"face_lock.{house.entry.entry_id}"))


def _damaged(name: str, damage: Callable[[Path, bytes], None]) -> None:
    """Add a fault of the pictures' file: the door is loaded with it, and once it is mended."""

    async def course(house: FakeHome) -> AsyncIterator[None]:
        path = _file(house)
        content = path.read_bytes()
        damage(path, content)
        left = path.read_bytes() if path.exists() else None
        house.later(_reload(house))
        yield
        if left is not None and not (path.exists() and path.read_bytes() == left):
            house.violations.append(f"{name}: the file was changed")
        path.write_bytes(content)
        house.later(_reload(house))

    course.__name__ = name
    says = ("Could not parse JSON", "Error setting up entry")
    fault("storage", "people", "entry", says=says)(course)


_damaged("storage_missing", lambda path, _: path.unlink())
_damaged("storage_truncated", lambda path, content: path.write_bytes(content[: len(content) // 2]))
_damaged("storage_empty", lambda path, _: path.write_bytes(b""))
_damaged(
    "storage_from_the_future",
    lambda path, content: path.write_bytes(
        content.replace(b'"version": 2', b'"version": 99').replace(b'"version":2', b'"version":99')
    ),
)
_damaged(
    "storage_tampered",
    lambda path, content: path.write_bytes(
        content[:-40] + bytes([content[-40] ^ 1]) + content[-39:]
    ),
)


@fault("disk", says=("Saving file failed",))
async def disk_full(house: FakeHome) -> AsyncIterator[None]:
    """Nothing can be written."""
    error = OSError(errno.ENOSPC, "No space left on device")
    full = patch("homeassistant.util.file.AtomicWriter", side_effect=error)
    full.start()
    yield
    full.stop()


# People


@fault("scene")
async def second_face(house: FakeHome) -> AsyncIterator[None]:
    """A stranger steps beside the people who are there."""
    house.companion = STRANGER
    yield
    house.companion = None


@fault("scene")
async def poster_in_view(house: FakeHome) -> AsyncIterator[None]:
    """A picture of a face hangs there, for hours for all that the door knows."""
    house.companion = POSTER
    await asyncio.sleep(25)
    yield
    house.companion = None


@fault("scene")
async def courier_stays(house: FakeHome) -> AsyncIterator[None]:
    """A courier waits, and looks at the camera: one failure at most."""
    house.companion = STRANGER
    before = _failures(house)
    others = bool(house.present)
    await asyncio.sleep(35)
    # Whoever else is there may fail for reasons of their own.
    if not others and _failures(house) > max(1, before):
        house.violations.append(f"a courier made {_failures(house) - before} failures")
    yield
    house.companion = None


@fault("scene")
async def crowd_passes(house: FakeHome) -> AsyncIterator[None]:
    """Ten different people pass within half a minute, and all of them look at the camera."""
    before, others = _failures(house), bool(house.present)
    for identity in range(20, 30):
        house.companion = identity
        await asyncio.sleep(1.2)
        house.companion = None
        await asyncio.sleep(1.8)
    if not others and _failures(house) > max(1, before):
        house.violations.append(f"passers-by made {_failures(house) - before} failures")
    yield
    house.companion = None


def _failures(house: FakeHome) -> int:
    with suppress(AttributeError):
        return int(house.door.controller.lockout.failures)
    return 0


@fault("people", "storage")
async def person_removed(house: FakeHome) -> AsyncIterator[None]:
    """The owner removes Anna, and enrols her again."""
    (subentry,) = (s for p, s in people_of(house.entry).items() if p == "anna")
    house.hass.config_entries.async_remove_subentry(house.entry, subentry.subentry_id)
    yield
    house.later(_enrol(house, "Anna", 1))


@fault("people", "storage")
async def person_enrolled(house: FakeHome) -> AsyncIterator[None]:
    """The owner enrols Chloe, and removes her."""
    enrolling = house.later(_enrol(house, "Chloe", 3))
    yield

    async def remove() -> None:
        await enrolling
        subentry = people_of(house.entry)["chloe"]
        house.hass.config_entries.async_remove_subentry(house.entry, subentry.subentry_id)

    house.later(remove())


async def _enrol(house: FakeHome, name: str, identity: int) -> None:
    """Enrol a person as the dialog does, which waits for a door that is set up."""
    while house.entry.state is not ConfigEntryState.LOADED:  # noqa: ASYNC110 - it sets no event
        await asyncio.sleep(0.5)
    house.household.store.put(name.lower(), house.album(name, identity))
    house.hass.config_entries.async_add_subentry(house.entry, house.subentry(name))


@fault("permission")
async def person_suspended(house: FakeHome) -> AsyncIterator[None]:
    """The owner suspends Anna."""
    _allow(house, allowed=False)
    yield
    _allow(house, allowed=True)


def _allow(house: FakeHome, *, allowed: bool) -> None:
    subentry = people_of(house.entry).get("anna")
    if subentry is None:
        return
    if house.entry.state is ConfigEntryState.LOADED:
        house.household.residents.async_set_allowed("anna", allowed=allowed)
        return
    house.hass.config_entries.async_update_subentry(
        house.entry, subentry, data={**subentry.data, "allowed": allowed}
    )


@fault("factor")
async def factor_gone(house: FakeHome) -> AsyncIterator[None]:
    """The phone leaves the house."""
    house.hass.states.async_set(PHONE, "off")
    yield
    house.hass.states.async_set(PHONE, "on")


@fault("factor")
async def factor_late(house: FakeHome) -> AsyncIterator[None]:
    """The phone is seen some seconds after its owner's face."""
    house.hass.states.async_set(PHONE, "off")
    late = house.loop.call_later(7.0, house.hass.states.async_set, PHONE, "on")
    yield
    late.cancel()
    house.hass.states.async_set(PHONE, "on")


@fault("factor")
async def factor_unavailable(house: FakeHome) -> AsyncIterator[None]:
    """The phone's entity goes."""
    house.hass.states.async_remove(PHONE)
    yield
    house.hass.states.async_set(PHONE, "on")


@fault("switch")
async def recognition_off(house: FakeHome) -> AsyncIterator[None]:
    """The owner switches recognition off."""
    _watch(house, enabled=False)
    yield
    _watch(house, enabled=True)


def _watch(house: FakeHome, *, enabled: bool) -> None:
    with suppress(AttributeError):  # it may be about to be set up
        house.door.async_enable(enabled=enabled)


def names() -> list[str]:
    """All faults, in the order of their definition."""
    return list(FAULTS)
