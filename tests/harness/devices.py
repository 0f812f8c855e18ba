"""The camera and the lock of the tests' doors, and the scene that the camera sees."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, Final

import numpy as np
from homeassistant.components.camera import Camera
from homeassistant.components.lock import LockEntity, LockEntityFeature
from homeassistant.core import callback
from PIL import Image

from custom_components.face_lock import vision

PICTURES: Final = Path(__file__).resolve().parents[1] / "pictures"
WIDTH, HEIGHT = 640, 480


@cache
def portrait(name: str) -> Image.Image:
    """One of the tests' pictures."""
    with Image.open(PICTURES / f"{name}.jpg") as image:
        return image.convert("RGB")


def jpeg(image: Image.Image) -> bytes:
    """Encode a picture as a camera does."""
    return vision.encode_jpeg(np.asarray(image))


class Scene:
    """What the camera sees: nobody, or people who never hold quite still."""

    def __init__(self) -> None:
        self._rng = np.random.default_rng(20261123)
        wall = np.linspace(90, 150, WIDTH)[None, :, None] + np.zeros((HEIGHT, 1, 3))
        self._wall = Image.fromarray(wall.astype(np.uint8))

    def picture(self, *names: str, height: float = 400) -> bytes:
        """Draw the named portraits side by side, each a little shifted, scaled and turned."""
        canvas = self._wall.copy()
        for index, name in enumerate(names):
            image = portrait(name)
            scale = height / image.height * self._rng.uniform(0.95, 1.05)
            size = (round(image.width * scale), round(image.height * scale))
            moved = image.resize(size, Image.Resampling.BILINEAR).rotate(
                self._rng.uniform(-4, 4), Image.Resampling.BILINEAR, fillcolor=(110, 110, 110)
            )
            middle = WIDTH * (index + 1) / (len(names) + 1)
            x = middle - size[0] / 2 + self._rng.uniform(-8, 8)
            y = (HEIGHT - size[1]) / 2 + self._rng.uniform(-8, 8)
            canvas.paste(moved, (round(x), round(y)))
        noise = self._rng.normal(0, 2, (HEIGHT, WIDTH, 3))
        return jpeg(Image.fromarray((np.asarray(canvas) + noise).clip(0, 255).astype(np.uint8)))


class DoorCamera(Camera):
    """Asks ``source`` for every picture, which may also raise, hang, or return anything else."""

    _attr_name = "Front door"
    _attr_unique_id = "front_door"

    def __init__(self, source: Callable[[], Any] | None = None) -> None:
        """Serve ``source``, by default a scene without anybody."""
        super().__init__()
        self.scene = Scene()
        self.source: Callable[[], Any] = self.scene.picture if source is None else source
        self.requests = 0
        self.hanging = 0

    def show(self, *names: str, height: float = 400) -> None:
        """Let people stand before it."""
        self.source = lambda: self.scene.picture(*names, height=height)

    def freeze(self, data: bytes) -> None:
        """Serve one picture from now on."""
        self.source = lambda: data

    def fail(self, error: Exception | None = None) -> None:
        """Raise for every picture."""

        def source() -> bytes:
            raise error or OSError("camera broken")

        self.source = source

    def hang(self) -> None:
        """Never answer."""

        async def source() -> bytes:
            self.hanging += 1
            try:
                await asyncio.Event().wait()
            finally:
                self.hanging -= 1

        self.source = source

    async def async_camera_image(
        self, width: int | None = None, height: int | None = None
    ) -> bytes | None:
        """Serve one picture."""
        self.requests += 1
        answer = self.source()
        return await answer if asyncio.iscoroutine(answer) else answer

    @callback
    def set_available(self, available: bool) -> None:
        """Come or go."""
        self._attr_available = available
        self.async_write_ha_state()


class Deadbolt(LockEntity):
    """The owner's lock."""

    _attr_name = "Deadbolt"
    _attr_unique_id = "deadbolt"
    _attr_is_locked = True
    _attr_supported_features = LockEntityFeature.OPEN

    def __init__(self, on_command: Callable[[], None] = lambda: None) -> None:
        """Call ``on_command`` whenever it is told to unlock or open."""
        self._on_command = on_command
        self.calls: list[tuple[str, Any]] = []
        """What it was told, each with the code that came along."""
        self.error: Exception | None = None
        """Raised in place of obeying."""
        self.wait: asyncio.Event | None = None
        """Waited for before it obeys."""
        self.answer: Callable[[], Any] | None = None
        """Called in place of obeying; may raise, wait, or put the lock into a state."""

    async def _work(self, name: str, code: Any, **state: Any) -> None:
        self.calls.append((name, code))
        if name != "lock":
            self._on_command()
        if self.wait is not None:
            await self.wait.wait()
        if self.error is not None:
            raise self.error
        if self.answer is None:
            self.put(**state)
            return
        result = self.answer()
        if asyncio.iscoroutine(result):
            await result

    async def async_lock(self, **kwargs: Any) -> None:
        """Lock."""
        await self._work("lock", kwargs.get("code"), is_locked=True)

    async def async_unlock(self, **kwargs: Any) -> None:
        """Unlock."""
        await self._work("unlock", kwargs.get("code"), is_locked=False)

    async def async_open(self, **kwargs: Any) -> None:
        """Pull the latch."""
        await self._work("open", kwargs.get("code"), is_open=True)

    @callback
    def put(self, **state: Any) -> None:
        """Set the given attributes and clear the other states."""
        for key in ("is_jammed", "is_opening", "is_locking", "is_open", "is_unlocking"):
            setattr(self, f"_attr_{key}", False)
        for key, value in state.items():
            setattr(self, f"_attr_{key}", value)
        self.async_write_ha_state()

    @callback
    def set_available(self, available: bool) -> None:
        """Come or go."""
        self._attr_available = available
        self.async_write_ha_state()
