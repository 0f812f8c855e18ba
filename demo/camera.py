"""The door's camera: an HTTP server on 127.0.0.1 that shows one frame after the other."""

import time
from collections.abc import Sequence

from aiohttp import web

from . import visit
from .visit import Frame


class PictureServer:
    """Serves `/still.jpg`: the frame whose time it is, and when nothing plays the empty door."""

    def __init__(self) -> None:
        """Render the empty door; start() opens the port."""
        self._idle: Sequence[Frame] = visit.render(
            None, seed=0, timeline=visit.Timeline(2, 0, 0, 0, 0)
        )
        self._frames: Sequence[Frame] = ()
        self._start = 0.0
        self._runner: web.AppRunner | None = None
        self.url = ""

    async def start(self) -> None:
        """Listen on a free port of 127.0.0.1; `url` is then the address of the picture."""
        app = web.Application()
        app.router.add_get("/still.jpg", self._still)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        host, port = self._runner.addresses[0][:2]
        self.url = f"http://{host}:{port}/still.jpg"

    async def stop(self) -> None:
        """Close the port."""
        if self._runner:
            await self._runner.cleanup()

    def play(self, frames: Sequence[Frame]) -> float:
        """Show `frames` from now on, FRAME_PERIOD apart; returns how many seconds that takes."""
        self._frames, self._start = frames, time.monotonic()
        return len(frames) * visit.FRAME_PERIOD

    def rest(self, frames: Sequence[Frame]) -> None:
        """End what plays, and show `frames` over and over whenever nothing does."""
        self._frames, self._idle = (), frames

    def first_shown(self, min_face_px: float) -> float | None:
        """When (monotonic seconds) this play first shows so wide a face, fetched or not."""
        for index, frame in enumerate(self._frames):
            if frame.face_px >= min_face_px:
                return self._start + index * visit.FRAME_PERIOD
        return None

    def shown(self) -> Frame:
        """Return the frame whose time it is."""
        index = int((time.monotonic() - self._start) / visit.FRAME_PERIOD)
        playing = index < len(self._frames)
        return self._frames[index] if playing else self._idle[index % len(self._idle)]

    async def _still(self, _request: web.Request) -> web.Response:
        headers = {"Cache-Control": "no-store"}
        jpeg = self.shown().jpeg
        return web.Response(body=jpeg, content_type="image/jpeg", headers=headers)
