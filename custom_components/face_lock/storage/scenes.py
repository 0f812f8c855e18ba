"""What is known to hang in the cameras' views, of one household: encrypted, kept over restarts."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection
from typing import Any, Final

from homeassistant.core import CALLBACK_TYPE, HomeAssistant, callback
from homeassistant.exceptions import HomeAssistantError
from homeassistant.util.hass_dict import HassKey

from ..const import DOMAIN
from ..vision import MAX_FIXTURES, Fixture, Scene
from .checked_store import NotSavedError
from .encrypted_store import EncryptedStore
from .key import Vault

_LOGGER = logging.getLogger(__name__)

MAX_CAMERAS: Final = 100

_MEMORY: HassKey[dict[str, dict[str, tuple[Fixture, ...]]]] = HassKey(f"{DOMAIN}_scenes")
"""File -> camera -> what was known last, for when the disk did not take it."""


def scenes_file(entry_id: str) -> str:
    """Name a household's file."""
    return f"{DOMAIN}.{entry_id}.scenes"


@callback
def async_forget_scenes(hass: HomeAssistant, entry_id: str) -> None:
    """Forget what is in memory only of a removed household."""
    hass.data.get(_MEMORY, {}).pop(scenes_file(entry_id), None)


class Scenes:
    """The scene of each camera, by the camera's reference.

    Faces are written down without names: nobody was asked who they are.
    """

    def __init__(self, hass: HomeAssistant, vault: Vault, entry_id: str) -> None:
        self._hass = hass
        self._file = EncryptedStore(hass, vault, scenes_file(entry_id))
        self._known: dict[str, tuple[Fixture, ...]] = {}
        """What was stored of cameras that nobody has looked at since."""
        self._scenes: dict[str, Scene] = {}
        self._versions: dict[str, int] = {}
        self._written: dict[str, Any] | None = {}
        self._listeners: list[Callable[[], None]] = []
        self._writing = asyncio.Lock()

    async def async_load(self) -> None:
        """Read the file. One that cannot be read is forgotten: a scene is learnt again."""
        try:
            stored = await self._file.async_load()
            cameras = {} if stored is None else stored["cameras"]
            self._known = await self._hass.async_add_executor_job(_parse, cameras)
            self._written = cameras
        except (AttributeError, HomeAssistantError, KeyError, TypeError, ValueError) as error:
            _LOGGER.warning(
                "What hangs before the cameras cannot be read and is learnt again: %s", error
            )
            self._written = None
        self._known |= self._hass.data.get(_MEMORY, {}).get(self._file.name, {})

    @callback
    def async_scene(self, camera: str) -> Scene:
        """Return a camera's scene, to be learnt from now on."""
        scene = self._scenes.get(camera)
        if scene is None:
            scene = self._scenes[camera] = Scene(self._known.pop(camera, ()))
            self._versions[camera] = scene.version
        return scene

    @callback
    def async_looked(self, camera: str) -> None:
        """Take note that a camera's scene may have changed."""
        scene = self._scenes.get(camera)
        if scene is not None and scene.version != self._versions[camera]:
            self._versions[camera] = scene.version
            self._async_changed()

    def hanging(self, camera: str) -> tuple[Fixture, ...]:
        """Return what is known to hang in a camera's view now."""
        return tuple(one for one in self._fixtures().get(camera, ()) if one.in_view)

    @property
    def cameras(self) -> tuple[str, ...]:
        """The cameras in whose view something is known to hang."""
        return tuple(camera for camera in self._fixtures() if self.hanging(camera))

    @callback
    def async_subscribe(self, listener: Callable[[], None]) -> CALLBACK_TYPE:
        """Call ``listener`` whenever that may have changed; return how to stop that."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    @callback
    def _async_changed(self) -> None:
        """Write down what changed, and tell of it."""
        self._hass.async_create_task(self.async_write(), "face_lock scenes")
        for listener in list(self._listeners):
            listener()

    @callback
    def async_forget_all_but(self, cameras: Collection[str]) -> None:
        """Forget cameras that no door has any more."""
        gone = (self._known.keys() | self._scenes.keys()) - set(cameras)
        for camera in gone:
            self._known.pop(camera, None)
            self._scenes.pop(camera, None)
        if gone:
            self._async_changed()

    async def async_write(self) -> None:
        """Write what changed; what the disk refuses is kept in memory until Home Assistant ends."""
        async with self._writing:
            fixtures = self._fixtures()
            self._hass.data.setdefault(_MEMORY, {})[self._file.name] = fixtures
            cameras = await self._hass.async_add_executor_job(_stored, fixtures)
            if cameras == self._written:
                return
            try:
                if cameras:
                    await self._file.async_save({"cameras": cameras})
                else:
                    await self._file.async_remove()
            except (NotSavedError, OSError) as error:
                _LOGGER.error("What hangs before the cameras cannot be stored: %s", error)  # noqa: TRY400
            else:
                self._written = cameras

    def _fixtures(self) -> dict[str, tuple[Fixture, ...]]:
        seen = {camera: scene.fixtures for camera, scene in self._scenes.items()}
        return {camera: found for camera, found in {**self._known, **seen}.items() if found}


def _stored(fixtures: dict[str, tuple[Fixture, ...]]) -> dict[str, Any]:
    return {camera: [one.as_plain() for one in found] for camera, found in fixtures.items()}


def _parse(cameras: Any) -> dict[str, tuple[Fixture, ...]]:
    """Read what `_stored` returned; raises AttributeError, TypeError or ValueError otherwise."""
    return {
        str(camera): tuple(Fixture.of(plain) for plain in found[:MAX_FIXTURES])
        for camera, found in list(cameras.items())[:MAX_CAMERAS]
    }
