"""Watches one camera for one door: what is seen in, access attempts out.

What the camera shows comes from its feed, which the doors that use it share; the evidence of a
visit, and the decision, are each door's own. *tick* lets time pass, also while the camera or the
worker hangs.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from time import monotonic
from typing import Final

from homeassistant.core import CoreState, HomeAssistant, callback

from ..vision import (
    AccessAttempt,
    Asking,
    Decider,
    OperatingPoint,
    Problem,
    Seen,
    Sighting,
)
from .feed import Counters, Feed, Feeds, Wish, async_forever
from .host import CameraState, Decided, Host
from .snapshot import Picture

TICK_INTERVAL: Final = 0.25
PATIENCE: Final = 1.7
"""Seconds without a picture that end a running visit; below the decision's own ``absence``, so
that the visit is refused for what happened and not for too few frames."""
OUTAGE_AFTER: Final = 15.0
"""Seconds without a picture after which the camera counts as lost."""


class Watcher:
    """Turns one camera's pictures into access attempts."""

    def __init__(
        self,
        hass: HomeAssistant,
        host: Host,
        camera: str,
        feeds: Feeds,
        decider: Decider,
        wish: Wish,
        *,
        keep_picture: bool,
    ) -> None:
        """Prepare to watch ``camera`` (a registry id or an entity id) for ``host``.

        The visit's best picture is handed on where ``keep_picture`` asks for it.
        """
        self._hass = hass
        self._host = host
        self.camera = camera
        self.wish = wish
        self._feeds = feeds
        self.feed: Feed | None = None
        """The camera's pictures, from the start to the stop."""
        self._decider = decider
        self._asked: Asking | None = None
        self._keep_picture = keep_picture
        self._enabled = True
        self._tick_task: asyncio.Task[None] | None = None
        self.state = CameraState()
        self._best: tuple[float, bytes] | None = None
        self.visits = 0
        """For diagnostics."""

    @callback
    def async_use(self, operating_point: OperatingPoint, wish: Wish) -> None:
        """Recognise other people from the next picture on; a running visit goes on."""
        self._decider.use(operating_point)
        self.wish = wish
        self._refresh()

    @callback
    def async_start(self, create_task: Callable[..., asyncio.Task[None]]) -> None:
        """Begin to watch; ``create_task(hass, coroutine, name)`` makes the loop's task."""
        self.feed = self._feeds.async_get(self.camera)
        self.feed.async_join(self)
        self._tick_task = create_task(self._hass, async_forever(self._tick), "face_lock tick")

    @property
    def is_enabled(self) -> bool:
        """Whether the door is watched at all."""
        return self._enabled

    @property
    def in_visit(self) -> bool:
        """Whether somebody is known to be there."""
        return self._decider.in_visit

    @property
    def is_deciding(self) -> bool:
        """Whether somebody waits to be let in."""
        return self._decider.is_deciding

    @property
    def is_hosting(self) -> bool:
        """Whether a person who was let in still holds the door."""
        return self._decider.is_hosting

    @callback
    def door_opened(self, now: float) -> None:
        """Note that the door itself opened."""
        self._decider.door_opened(now)

    @callback
    def door_closed(self, now: float) -> None:
        """Note that the door itself closed: nobody holds it any more."""
        self._decider.door_closed(now)

    @property
    def counters(self) -> Counters:
        """What became of the camera's pictures, for diagnostics."""
        return Counters() if self.feed is None else self.feed.counters

    @callback
    def async_enable(self, *, enabled: bool) -> None:
        """Watch, or stop looking: a running visit then ends, and no picture is asked for."""
        if enabled == self._enabled:
            return
        self._enabled = enabled
        self._refresh()
        if not enabled:
            self._attempt(self._decider.stop(Problem.STOPPED, monotonic()))
        self._publish(motion=False)

    @callback
    def async_open_gate(self) -> None:
        """Look at once, and for a while: somebody may be there who has not moved yet."""
        if self.feed is not None and self._enabled:
            self.feed.async_open_gate()

    async def async_stop(self) -> None:
        """Look no more, then end the visit that is running.

        The camera's feed is stopped by ``Feeds.async_stop_unused``.
        """
        if self.feed is not None:
            self.feed.async_leave(self)
            self.feed = None
        if self._tick_task is not None:
            self._tick_task.cancel()
            await asyncio.gather(self._tick_task, return_exceptions=True)
            self._tick_task = None
        self._attempt(self._decider.stop(Problem.STOPPED, monotonic()))

    @callback
    def _refresh(self) -> None:
        if self.feed is not None:
            self.feed.async_refresh()

    @callback
    def see(self, seen: Seen, picture: Picture, now: float) -> None:
        """Take what a picture showed."""
        if not self._enabled:
            return  # switched off while the picture was looked at
        if seen.sighting is not None:
            self._attempt(self._decider.tick(now))
            self._remember(seen.sighting, picture)
            attempt = self._decider.observe(seen.sighting, now, self._host.circumstances())
            self._question()
            self._attempt(attempt)
        self._publish(motion=seen.motion.open)

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
        now, feed = monotonic(), self.feed
        if feed is None:
            return
        if self._decider.in_visit and now - feed.good_at >= PATIENCE:
            self._attempt(self._decider.stop(Problem.CAMERA_LOST, now))
        self._attempt(self._decider.tick(now))
        self._publish(motion=feed.gate_open(now))

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
        self.visits += 1
        best, self._best = self._best, None
        picture = None if best is None else best[1]
        self._host.decided(Decided(attempt, self.camera, picture, self._decider.conclude))

    @callback
    def _publish(self, *, motion: bool) -> None:
        now = monotonic()
        outage = self._outage(now)
        self.state = CameraState(
            motion=motion and outage is None and self._enabled,
            face=self._decider.in_visit,
            confidence=self._decider.confidence,
            outage=outage,
            performance=None if self.feed is None else self.feed.performance(now),
        )
        self._host.camera_changed()

    @callback
    def _outage(self, now: float) -> str | None:
        feed = self.feed
        if self._hass.state is not CoreState.running or not self._enabled or feed is None:
            return None  # while Home Assistant starts, cameras are still being set up
        if now - feed.good_at >= OUTAGE_AFTER:
            return feed.problem or "camera_timeout"
        if feed.busy_since is not None and now - feed.busy_since >= OUTAGE_AFTER:
            return "recognition_hangs"
        return None
