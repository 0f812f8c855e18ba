"""The cameras of a household that are looked at."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from homeassistant.core import HomeAssistant, callback

from ..vision import Bundle, Matcher
from .feed import Feed
from .viewer import CreateTask, Scenery


class Feeds:
    """The cameras that are looked at, by reference; doors that share a camera share its feed."""

    def __init__(
        self,
        hass: HomeAssistant,
        bundle: Bundle,
        matcher: Callable[[], Matcher],
        scenery: Scenery,
        create_task: CreateTask,
    ) -> None:
        self._hass = hass
        self._bundle = bundle
        self._matcher = matcher
        self._scenery = scenery
        self._create_task = create_task
        self._feeds: dict[str, Feed] = {}

    @callback
    def async_get(self, camera: str) -> Feed:
        """Return a camera's feed, which begins with its first user."""
        feed = self._feeds.get(camera)
        if feed is None:
            feed = self._feeds[camera] = Feed(
                self._hass, camera, self._bundle, self._matcher, self._scenery
            )
            feed.async_start(self._create_task)
        return feed

    async def async_stop_unused(self) -> None:
        """Stop looking at cameras that nobody looks at any more."""
        unused = [camera for camera, feed in self._feeds.items() if feed.is_unused]
        await asyncio.gather(*(self._feeds.pop(camera).async_stop() for camera in unused))
