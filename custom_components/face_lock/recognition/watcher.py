"""Watches one camera for a door: frames in, access attempts out.

Three small loops on the event loop and one thread of our own:

- *fetch* asks the camera for pictures, slowly while nothing happens and fast while the gate is
  open, and leaves each in a mailbox with one slot: the newest frame wins and nothing queues;
- *recognise* takes what is in the mailbox to the worker thread and gives the decider what was seen;
- *tick* lets time pass, also while the camera or the worker hangs.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from time import monotonic
from typing import Final

from homeassistant.core import CoreState, HomeAssistant, callback

from ..vision import (
    AccessAttempt,
    Asking,
    Decider,
    Matcher,
    OperatingPoint,
    PictureError,
    Pipeline,
    Problem,
    Seen,
    Sighting,
)
from .executor import Worker
from .host import CameraState, Counters, Decided, Host
from .metrics import Meter, Performance
from .snapshot import CameraError, Picture, async_take_picture

_LOGGER = logging.getLogger(__name__)

IDLE_INTERVAL: Final = 1.0
"""Seconds from one request to the next while the gate is closed."""
OPEN_INTERVAL: Final = 0.2
"""The same while the gate is open."""
TICK_INTERVAL: Final = 0.25
PATIENCE: Final = 1.7
"""Seconds without a picture that end a running visit; below the decision's own ``absence``, so
that the visit is refused for what happened and not for too few frames."""
OUTAGE_AFTER: Final = 15.0
"""Seconds without a picture after which the camera counts as lost."""
MAX_BACKOFF: Final = 10.0
"""Longest pause, in seconds, between two requests to a camera that fails."""


class Watcher:
    """Turns one camera's pictures into access attempts."""

    def __init__(
        self,
        hass: HomeAssistant,
        host: Host,
        camera: str,
        worker: Worker,
        pipeline: Pipeline,
        decider: Decider,
        *,
        keep_picture: bool,
    ) -> None:
        """Prepare to watch ``camera`` (a registry id or an entity id) for ``host``.

        The visit's best picture is handed on where ``keep_picture`` asks for it.
        """
        self._hass = hass
        self._host = host
        self.camera = camera
        self._worker = worker
        self._pipeline = pipeline
        self._decider = decider
        self._asked: Asking | None = None
        self._keep_picture = keep_picture
        self._mailbox: Picture | None = None
        self._arrived = asyncio.Event()
        self._woken = asyncio.Event()
        self._enabled = asyncio.Event()
        self._enabled.set()
        self._tasks: list[asyncio.Task[None]] = []
        self.state = CameraState()
        self._good_at = monotonic()
        self._aside_until = float("-inf")
        self._readable = True
        self._busy_since: float | None = None
        self._problem: str | None = None
        self._best: tuple[float, bytes] | None = None
        self._failing = False
        self._meter = Meter(monotonic())
        self._performance: Performance | None = None
        self.counters = Counters()

    @callback
    def async_use(
        self, matcher: Matcher, operating_point: OperatingPoint, cues_from: float | None
    ) -> None:
        """Recognise other people from the next picture on; a running visit goes on."""
        self._pipeline.use(matcher, cues_from)
        self._decider.use(operating_point)

    @callback
    def async_start(self, create_task: Callable[..., asyncio.Task[None]]) -> None:
        """Begin to watch; ``create_task(hass, coroutine, name)`` makes the loops' tasks."""
        self._good_at = monotonic()
        for name, step in (
            ("fetch", self._fetch),
            ("recognise", self._recognise),
            ("tick", self._tick),
        ):
            loop = self._forever(step)
            self._tasks.append(create_task(self._hass, loop, f"face_lock {name}"))

    @property
    def is_enabled(self) -> bool:
        """Whether the door is watched at all."""
        return self._enabled.is_set()

    @property
    def is_hosting(self) -> bool:
        """Whether somebody who was let in is still in view."""
        return self._decider.is_hosting

    @callback
    def async_enable(self, *, enabled: bool) -> None:
        """Watch, or stop looking: a running visit then ends, and no picture is asked for."""
        if enabled == self.is_enabled:
            return
        if enabled:
            self._good_at = monotonic()
            self._enabled.set()
        else:
            self._enabled.clear()
            self._mailbox = None
            self._attempt(self._decider.stop(Problem.STOPPED, monotonic()))
        self._publish(motion=False)

    @callback
    def async_open_gate(self) -> None:
        """Look at once, and for a while: somebody may be there who has not moved yet."""
        self._pipeline.keep_open(monotonic())
        self._woken.set()

    @callback
    def async_set_aside(self, seconds: float) -> None:
        """Decide nothing by pictures of the next seconds: somebody is being enrolled.

        That is no visit: one that is running ends without a word, nobody holds the door any more,
        and nothing opens.
        """
        now = monotonic()
        if now >= self._aside_until:
            self._decider.stop(Problem.STOPPED, now)
            self._best = None
        self._aside_until = now + seconds

    async def async_stop(self) -> None:
        """End all loops, then the visit that is running."""
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._attempt(self._decider.stop(Problem.STOPPED, monotonic()))

    async def _forever(self, step: Callable[[], Awaitable[None]]) -> None:
        while True:
            try:
                await step()
            except Exception:
                # No defect may end the watching; and what did not come to its end is no evidence.
                _LOGGER.exception("Unexpected error while watching the door")
                await asyncio.sleep(IDLE_INTERVAL)

    # Frames in

    async def _fetch(self) -> None:
        """Ask for one picture, then rest."""
        await self._enabled.wait()
        began = monotonic()
        try:
            picture = await async_take_picture(self._hass, self.camera)
        except CameraError as error:
            self._bad_picture(error.key)
            now = monotonic()
            # A request that took its whole time has been pause enough.
            pause = min(MAX_BACKOFF, (now - self._good_at) / 2) - (now - began)
            await self._rest(max(OPEN_INTERVAL, pause))
            return
        self.counters.pictures += 1
        if self._readable:
            # Set here and not after recognition: a slow processor is no fault of the camera.
            self._good_at = monotonic()
        self._mailbox = picture
        self._arrived.set()
        interval = OPEN_INTERVAL if self._pipeline.is_open(monotonic()) else IDLE_INTERVAL
        # Even a camera slower than the interval leaves the event loop a moment for others.
        await self._rest(max(0.01, interval - (monotonic() - began)))

    async def _rest(self, seconds: float) -> None:
        """Sleep, but not through somebody ringing the bell."""
        self._woken.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._woken.wait()

    @callback
    def _bad_picture(self, problem: str) -> None:
        self.counters.failed_pictures += 1
        self._problem = problem

    # Evidence out

    async def _recognise(self) -> None:
        """Look at the newest picture."""
        await self._arrived.wait()
        self._arrived.clear()
        picture, self._mailbox = self._mailbox, None
        if picture is None:
            return
        self._busy_since = monotonic()
        try:
            seen = await self._worker.async_run(self._look, picture, self._decider.in_visit)
        except PictureError as error:
            self._readable = False
            self._bad_picture(error.problem.value)
            return
        except Exception:
            self.counters.failed_recognitions += 1
            if not self._failing:
                _LOGGER.exception("Recognition fails; the door stays shut")
            self._failing = True
            return
        finally:
            self._busy_since = None
        now = monotonic()
        self._failing = False
        self._readable = True
        self._good_at = now
        if not self.is_enabled:
            return  # switched off while the picture was looked at
        self._meter.frame(gate_open=seen.motion.open)
        self.counters.spared += seen.spared
        if seen.sighting is not None:
            self.counters.recognised += 1
            self._meter.inference(seen.seconds)
            if seen.sighting.evidence:
                self._pipeline.keep_open(now)
        if seen.sighting is not None and picture.asked_at >= self._aside_until:
            self._attempt(self._decider.tick(now))
            self._remember(seen.sighting, picture)
            attempt = self._decider.observe(seen.sighting, now, self._host.circumstances())
            self._question()
            self._attempt(attempt)
        self._publish(motion=seen.motion.open)

    def _look(self, picture: Picture, in_visit: bool) -> Seen:
        return self._pipeline.look(picture.data, picture.asked_at, in_visit=in_visit)

    def _remember(self, sighting: Sighting, picture: Picture) -> None:
        """Keep the frame with the widest face of the visit that is not decided yet."""
        if not self._decider.in_visit:
            self._best = None
        hosting = self._decider.is_hosting and not self._decider.is_deciding
        if not self._keep_picture or not sighting.evidence or hosting:
            return
        width = max(evidence.face.width for evidence in sighting.evidence)
        if self._best is None or width > self._best[0]:
            self._best = (width, picture.data)

    async def _tick(self) -> None:
        """Let time pass."""
        await asyncio.sleep(TICK_INTERVAL)
        now = monotonic()
        silent = now - self._good_at
        if self._decider.in_visit and silent >= PATIENCE:
            self._attempt(self._decider.stop(Problem.CAMERA_LOST, now))
        self._attempt(self._decider.tick(now))
        self._performance = self._meter.reading(now) or self._performance
        self._publish(motion=self._pipeline.is_open(now))

    # What others are told

    @callback
    def _question(self) -> None:
        """Have a new question put, also where the same frame decided the visit."""
        asking = self._decider.asking
        if asking is not None and asking is not self._asked:
            self._host.ask(asking)
        self._asked = asking

    @callback
    def _attempt(self, attempt: AccessAttempt | None) -> None:
        if attempt is None:
            return
        self.counters.visits += 1
        best, self._best = self._best, None
        picture = None if best is None else best[1]
        self._host.decided(Decided(attempt, self.camera, picture, self._decider.conclude))

    @callback
    def _publish(self, *, motion: bool) -> None:
        outage = self._outage(monotonic())
        self.state = CameraState(
            motion=motion and outage is None and self.is_enabled,
            face=self._decider.in_visit,
            confidence=self._decider.confidence,
            outage=outage,
            performance=self._performance,
        )
        self._host.camera_changed()

    @callback
    def _outage(self, now: float) -> str | None:
        if self._hass.state is not CoreState.running or not self.is_enabled:
            return None  # while Home Assistant starts, cameras are still being set up
        if now - self._good_at >= OUTAGE_AFTER:
            return self._problem or "camera_timeout"
        if self._busy_since is not None and now - self._busy_since >= OUTAGE_AFTER:
            return "recognition_hangs"
        return None
