"""One camera of the household: its pictures are asked for and looked at once for all its doors.

Two small loops on the event loop and one thread of our own:

- *fetch* asks the camera for pictures, slowly while nothing happens and fast while the gate is
  open, and leaves each in a mailbox with one slot: the newest frame wins and nothing queues;
- *recognise* takes what is in the mailbox to the worker thread and gives the viewers, which are the
  doors' watchers, what was seen.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from time import monotonic
from typing import Final, Protocol

from homeassistant.core import HomeAssistant, callback

from ..vision import Bundle, GateSettings, Matcher, PictureError, Pipeline, Seen
from .executor import Worker
from .metrics import Meter, Performance
from .snapshot import CameraError, Picture, async_take_picture

_LOGGER = logging.getLogger(__name__)

IDLE_INTERVAL: Final = 1.0
"""Seconds from one request to the next while the gate is closed."""
OPEN_INTERVAL: Final = 0.2
"""The same while the gate is open."""
VISIT_INTERVAL: Final = 0.1
"""The same when somebody has just come to be let in."""
VISIT_BEGINS: Final = 2.0
"""Seconds for which that is so: who stays longer is no resident who looks at the camera."""
MAX_BACKOFF: Final = 10.0
"""Longest pause, in seconds, between two requests to a camera that fails."""

CreateTask = Callable[..., asyncio.Task[None]]


@dataclass(slots=True)
class Counters:
    """For diagnostics."""

    pictures: int = 0
    failed_pictures: int = 0
    spared: int = 0
    """Pictures that moved and in which the presence network saw nobody."""
    recognised: int = 0
    failed_recognitions: int = 0


@dataclass(frozen=True, slots=True)
class Wish:
    """How a door wants its camera looked at."""

    min_share: float
    """Share of changed pixels, 0..1, that opens the gate."""
    cues_from: float | None
    """The similarity from which liveness is measured, None for never."""


class Viewer(Protocol):
    """Who is given what a camera shows."""

    wish: Wish

    @property
    def is_enabled(self) -> bool:
        """Whether it wants to see anything now."""

    @property
    def in_visit(self) -> bool:
        """Whether it knows of somebody who is there, so that no picture may be spared."""

    @property
    def is_deciding(self) -> bool:
        """Whether somebody waits to be let in."""

    def see(self, seen: Seen, picture: Picture, now: float) -> None:
        """Take what a picture showed; ``now`` is the monotonic time after it was looked at."""


class Feed:
    """Looks at one camera for as long as one of its viewers is enabled.

    Viewers with different wishes share the readier gate, and liveness is measured wherever one of
    them needs it: neither is evidence by itself.
    """

    def __init__(
        self, hass: HomeAssistant, camera: str, bundle: Bundle, matcher: Callable[[], Matcher]
    ) -> None:
        """Prepare to look at ``camera`` (a registry id or an entity id).

        ``matcher`` returns what recognises everybody who is enrolled now.
        """
        self._hass = hass
        self._camera = camera
        self._matcher = matcher
        self._worker = Worker(hass)
        self._pipeline = Pipeline(bundle, matcher())
        self._viewers: list[Viewer] = []
        self._mailbox: Picture | None = None
        self._arrived = asyncio.Event()
        self._woken = asyncio.Event()
        self._wanted = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self.good_at = monotonic()
        """When the last readable picture came."""
        self.busy_since: float | None = None
        """Since when the picture is looked at that is looked at now."""
        self._visit_since: float | None = None
        self.problem: str | None = None
        """What was wrong with the last bad picture; a translation key."""
        self._readable = True
        self._failing = False
        self._meter = Meter(monotonic())
        self._performance: Performance | None = None
        self.counters = Counters()

    @property
    def is_idle(self) -> bool:
        """Whether no picture waits or is being looked at."""
        return self._mailbox is None and self.busy_since is None

    @property
    def is_unused(self) -> bool:
        """Whether nobody looks at the camera."""
        return not self._viewers

    def gate_open(self, now: float) -> bool:
        """Whether pictures are searched for faces."""
        return self._pipeline.is_open(now)

    def performance(self, now: float) -> Performance | None:
        """Return the last full period's figures; None in the first."""
        self._performance = self._meter.reading(now) or self._performance
        return self._performance

    @callback
    def async_join(self, viewer: Viewer) -> None:
        """Show the camera to one more viewer."""
        self._viewers.append(viewer)
        self.async_refresh()

    @callback
    def async_leave(self, viewer: Viewer) -> None:
        """Show it to one viewer less."""
        self._viewers.remove(viewer)
        self.async_refresh()

    @callback
    def async_refresh(self) -> None:
        """Take over what the viewers wish now, and who is enrolled, from the next picture on."""
        viewers = [viewer for viewer in self._viewers if viewer.is_enabled]
        if not viewers:
            self._wanted.clear()
            self._mailbox = None
            return
        wishes = [viewer.wish for viewer in viewers]
        cues = [wish.cues_from for wish in wishes if wish.cues_from is not None]
        gate = GateSettings(min_share=min(wish.min_share for wish in wishes))
        self._pipeline.use(self._matcher(), min(cues, default=None), gate)
        if not self._wanted.is_set():
            self.good_at = monotonic()
            self._wanted.set()

    @callback
    def async_open_gate(self) -> None:
        """Look at once, and for a while: somebody may be there who has not moved yet."""
        self._pipeline.keep_open(monotonic())
        self._woken.set()

    @callback
    def async_start(self, create_task: CreateTask) -> None:
        """Begin to look; ``create_task(hass, coroutine, name)`` makes the loops' tasks."""
        self.good_at = monotonic()
        for name, step in (("fetch", self._fetch), ("recognise", self._recognise)):
            loop = async_forever(step)
            self._tasks.append(create_task(self._hass, loop, f"face_lock {name}"))

    async def async_stop(self) -> None:
        """End the loops and the thread."""
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._worker.async_stop()

    async def _fetch(self) -> None:
        """Ask for one picture, then rest."""
        await self._wanted.wait()
        began = monotonic()
        try:
            picture = await async_take_picture(self._hass, self._camera)
        except CameraError as error:
            self._bad_picture(error.key)
            now = monotonic()
            # A request that took its whole time has been pause enough.
            pause = min(MAX_BACKOFF, (now - self.good_at) / 2) - (now - began)
            await self._rest(max(OPEN_INTERVAL, pause))
            return
        self.counters.pictures += 1
        if self._readable:
            # Set here and not after recognition: a slow processor is no fault of the camera.
            self.good_at = monotonic()
        if self._wanted.is_set():
            self._mailbox = picture
            self._arrived.set()
        # Even a camera slower than the interval leaves the event loop a moment for others.
        await self._rest(max(0.01, self._interval() - (monotonic() - began)))

    def _interval(self) -> float:
        now = monotonic()
        if not any(viewer.is_deciding for viewer in self._viewers):
            self._visit_since = None
        elif self._visit_since is None:
            self._visit_since = now
        if self._visit_since is not None and now - self._visit_since < VISIT_BEGINS:
            return VISIT_INTERVAL
        return OPEN_INTERVAL if self._pipeline.is_open(now) else IDLE_INTERVAL

    async def _rest(self, seconds: float) -> None:
        """Sleep, but not through somebody ringing the bell."""
        self._woken.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._woken.wait()

    @callback
    def _bad_picture(self, problem: str) -> None:
        self.counters.failed_pictures += 1
        self.problem = problem

    async def _recognise(self) -> None:
        """Look at the newest picture."""
        await self._arrived.wait()
        self._arrived.clear()
        picture, self._mailbox = self._mailbox, None
        if picture is None:
            return
        self.busy_since = monotonic()
        in_visit = any(viewer.in_visit for viewer in self._viewers)
        try:
            seen = await self._worker.async_run(self._look, picture, in_visit)
        except PictureError as error:
            self._readable = False
            self._bad_picture(error.problem.value)
            return
        except Exception:
            self.counters.failed_recognitions += 1
            if not self._failing:
                _LOGGER.exception("Recognition fails; what the camera shows opens nothing")
            self._failing = True
            return
        finally:
            self.busy_since = None
        now = self.good_at = monotonic()
        self._failing = False
        self._readable = True
        self._count(seen, now)
        for viewer in list(self._viewers):
            try:
                viewer.see(seen, picture, now)
            except Exception:
                # One door's defect is no other door's.
                _LOGGER.exception("Unexpected error while watching the door")

    def _look(self, picture: Picture, in_visit: bool) -> Seen:
        return self._pipeline.look(picture.data, picture.asked_at, in_visit=in_visit)

    def _count(self, seen: Seen, now: float) -> None:
        self._meter.frame(gate_open=seen.motion.open)
        self.counters.spared += seen.spared
        if seen.sighting is None:
            return
        self.counters.recognised += 1
        self._meter.inference(seen.seconds)
        if seen.sighting.evidence:
            self._pipeline.keep_open(now)


async def async_forever(step: Callable[[], Awaitable[None]]) -> None:
    """Repeat ``step`` until cancelled."""
    while True:
        try:
            await step()
        except Exception:
            # No defect may end the watching; and what did not come to its end is no evidence.
            _LOGGER.exception("Unexpected error while watching the door")
            await asyncio.sleep(IDLE_INTERVAL)


class Feeds:
    """The cameras that are looked at, by reference; doors that share a camera share its feed."""

    def __init__(
        self,
        hass: HomeAssistant,
        bundle: Bundle,
        matcher: Callable[[], Matcher],
        create_task: CreateTask,
    ) -> None:
        self._hass = hass
        self._bundle = bundle
        self._matcher = matcher
        self._create_task = create_task
        self._feeds: dict[str, Feed] = {}

    @callback
    def async_get(self, camera: str) -> Feed:
        """Return a camera's feed, which begins with its first user."""
        feed = self._feeds.get(camera)
        if feed is None:
            feed = self._feeds[camera] = Feed(self._hass, camera, self._bundle, self._matcher)
            feed.async_start(self._create_task)
        return feed

    async def async_stop_unused(self) -> None:
        """Stop looking at cameras that nobody looks at any more."""
        unused = [camera for camera, feed in self._feeds.items() if feed.is_unused]
        await asyncio.gather(*(self._feeds.pop(camera).async_stop() for camera in unused))
