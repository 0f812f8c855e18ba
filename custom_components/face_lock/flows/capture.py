"""Pictures from the door's own camera, taken while the dialogue says what to do.

A dialogue's progress can only change its text from one task to the next: each task here ends as
soon as there is something else to say.
"""

# ruff: noqa: ARG002 - Home Assistant calls the steps with fixed signatures

from __future__ import annotations

import asyncio
import logging
from abc import abstractmethod
from time import monotonic
from typing import Any, Final

from homeassistant.config_entries import ConfigEntryState, ConfigSubentryFlow, SubentryFlowResult
from homeassistant.data_entry_flow import AbortFlow

from ..const import CONF_CAMERA
from ..coordinator import FaceLockCoordinator
from ..source import CameraError, async_resolve, async_take_picture
from .album import Album, Look, RefusedError, Standard, look
from .guide import Guide, Seen
from .texts import picture

_LOGGER = logging.getLogger(__name__)

INTERVAL: Final = 0.5
"""Seconds between two looks, so that the face has moved a little."""
PICTURE_TIME: Final = 5.0
"""Seconds for one picture; the next one may come faster."""


class CaptureFlow(ConfigSubentryFlow):
    """The steps that take pictures with the door's camera."""

    def __init__(self) -> None:
        self._album = Album()
        self._person = ""
        self._guide: Guide | None = None
        self._looking: asyncio.Task[None] | None = None
        self._seen = ""
        self._was_before_camera = False

    async def async_step_capture(
        self, user_input: dict[str, Any] | None = None
    ) -> SubentryFlowResult:
        """Say what to do before the camera, until the pictures are taken."""
        if self._guide is None:
            self._guide = Guide(monotonic(), self._album.room)
            self._album.refused = []
            self._seen = ""
        guide = self._guide
        if self._looking is not None and self._looking.done():
            task, self._looking = self._looking, None
            if not task.cancelled() and (error := task.exception()) is not None:
                _LOGGER.error("Taking pictures failed", exc_info=error)
                return self._captured("capture_failed")
        if guide.is_done:
            return self._captured(guide.problem or "pose_missed")
        if self._looking is None:
            self._looking = self.hass.async_create_task(
                self._async_look(guide), "face_lock capture", eager_start=False
            )
        return self.async_show_progress(
            step_id="capture",
            progress_action=_action(guide.instruction),
            progress_task=self._looking,
            description_placeholders={
                "name": self._name,
                "kept": str(guide.kept),
                "wanted": str(guide.wanted),
                "picture": self._seen,
            },
        )

    def _captured(self, problem: str) -> SubentryFlowResult:
        """Go on to the review, which says why if not a single picture was kept."""
        guide, self._guide = self._guide, None
        if guide is not None and guide.kept:
            self._was_before_camera = True
        elif guide is not None:
            self._album.refused = [(self._camera_name, problem)]
        return self.async_show_progress_done(next_step_id="pictures")

    async def _async_look(self, guide: Guide) -> None:
        """Look until there is something else to say."""
        before = guide.instruction, guide.kept
        seen = ""
        while (guide.instruction, guide.kept) == before and not guide.is_done:
            await asyncio.sleep(INTERVAL)
            seen = await self._async_look_once(guide)
        # Only now: whoever asks for the step meanwhile must be shown the same.
        self._seen = seen
        self.async_update_progress(guide.kept / guide.wanted)

    async def _async_look_once(self, guide: Guide) -> str:
        """Take one picture, keep it if it will do, and return how to show it."""
        entry, door = self._get_entry(), self._door
        try:
            taken = await async_take_picture(self.hass, entry.data[CONF_CAMERA], PICTURE_TIME)
            seen: Look = await door.worker.async_run(
                look, self._standard, taken.data, tuple(self._album.portraits), guide.wants
            )
        except (CameraError, RefusedError) as error:
            guide.note(Seen(error.key), monotonic())
            return ""
        if seen.portrait is not None:
            self._album.portraits.append(seen.portrait)
        guide.note(Seen(seen.problem, seen.pose, seen.portrait is not None), monotonic())
        return await self.hass.async_add_executor_job(picture, seen.preview)

    # What the steps share

    @property
    @abstractmethod
    def _name(self) -> str:
        """The person's name."""

    @property
    def _camera_name(self) -> str:
        entity_id = async_resolve(self.hass, self._get_entry().data[CONF_CAMERA])
        state = self.hass.states.get(entity_id or "")
        return self._get_entry().title if state is None else state.name

    @property
    def _standard(self) -> Standard:
        door = self._door
        others = {p: album for p, album in door.store.gallery().items() if p != self._person}
        return Standard(door.bundle, others, door.settings.false_positive_rate)

    @property
    def _door(self) -> FaceLockCoordinator:
        """The running door; it may have been reloaded since the last step."""
        entry = self._get_entry()
        if entry.state is not ConfigEntryState.LOADED:
            raise AbortFlow("not_loaded")
        door: FaceLockCoordinator = entry.runtime_data
        return door


def _action(instruction: str) -> str:
    """Say the same, while somebody stands at the door, for whatever is wrong with the camera."""
    return "no_picture" if instruction.startswith(("camera_", "picture_")) else instruction
