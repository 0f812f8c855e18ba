"""Pictures from a door's camera, taken while the dialogue says what to do.

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

import probatio
from homeassistant.config_entries import ConfigSubentryFlow, SubentryFlowResult
from homeassistant.core import callback
from homeassistant.helpers.selector import SelectOptionDict, SelectSelector, SelectSelectorConfig

from ..enrollment.album import Album, RefusedError
from ..enrollment.pose_guide import Guide, Seen
from ..enrollment.procedure import Enrollment
from ..entity_reference import async_resolve
from ..household import Household
from ..localize import async_sentences
from ..recognition.snapshot import CameraError, async_take_picture
from ..vision import Pose
from .markdown import picture

_LOGGER = logging.getLogger(__name__)

INTERVAL: Final = 0.5
"""Seconds between two looks, so that the face has moved a little."""
CONF_CAMERA: Final = "camera"
PICTURE_TIME: Final = 5.0
"""Seconds for one picture; the next one may come faster."""
TEXTS: Final = "config_subentries.person.error"


class CaptureFlow(ConfigSubentryFlow):
    """The steps that take pictures with a door's camera."""

    def __init__(self) -> None:
        self._enrollment: Enrollment | None = None
        self._camera: str | None = None
        self._camera_name = ""
        self._guide: Guide | None = None
        self._looking: asyncio.Task[None] | None = None
        self._seen = ""

    async def async_step_capture(
        self, user_input: dict[str, Any] | None = None
    ) -> SubentryFlowResult:
        """Ask for the camera if there are several; then say what to do until it has pictures."""
        if self._guide is None:
            cameras = self._cameras()
            if user_input is not None:
                self._camera = user_input.get(CONF_CAMERA)
            elif len(cameras) == 1:
                (self._camera,) = cameras
            if self._camera not in cameras or (user_input is None and len(cameras) > 1):
                return self._ask_camera(cameras)
            self._camera_name = cameras[self._camera]
            self._guide = Guide(monotonic(), self._album.room)
            self._album.forget_refused()
            self._seen = ""
        guide = self._guide
        if self._looking is not None and self._looking.done():
            task, self._looking = self._looking, None
            if not task.cancelled() and (error := task.exception()) is not None:
                _LOGGER.error("Taking pictures failed", exc_info=error)
                return self._captured("capture_failed")
        if guide.is_done:
            return self._captured()
        if guide.is_waiting:
            return self.async_show_progress_done(next_step_id="missed")
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
                "seconds": str(guide.left(monotonic())),
                "picture": self._seen,
            },
        )

    async def async_step_missed(
        self, user_input: dict[str, Any] | None = None
    ) -> SubentryFlowResult:
        """Say which pose did not come, and ask how to go on."""
        guide = self._guide
        if guide is None or guide.pose is None:
            return await self.async_step_pictures()
        keys = [_missed(guide.pose), *([] if guide.problem is None else [guide.problem])]
        sentences = await async_sentences(self.hass, TEXTS, keys)
        return self.async_show_menu(
            step_id="missed",
            menu_options=["again", "skip", "stop"],
            description_placeholders={
                "name": self._name,
                "why": " ".join(sentences),
                "kept": str(guide.kept),
                "wanted": str(guide.wanted),
                "picture": self._seen,
            },
        )

    async def async_step_again(
        self, user_input: dict[str, Any] | None = None
    ) -> SubentryFlowResult:
        """Ask for the pose once more."""
        if self._guide is not None:
            self._guide.again(monotonic())
        return await self.async_step_capture()

    async def async_step_skip(self, user_input: dict[str, Any] | None = None) -> SubentryFlowResult:
        """Leave the pose out."""
        if self._guide is not None:
            self._guide.skip(monotonic())
            if self._guide.is_done:
                return await self._async_review()
        return await self.async_step_capture()

    async def async_step_stop(self, user_input: dict[str, Any] | None = None) -> SubentryFlowResult:
        """Take no more pictures."""
        if self._guide is not None:
            self._guide.stop()
        return await self._async_review()

    def _ask_camera(self, cameras: dict[str, str]) -> SubentryFlowResult:
        options = [SelectOptionDict(value=value, label=name) for value, name in cameras.items()]
        default = self._camera if self._camera in cameras else next(iter(cameras), None)
        field = probatio.Required(CONF_CAMERA, default=default)
        return self.async_show_form(
            step_id="capture",
            data_schema=probatio.Schema(
                {field: SelectSelector(SelectSelectorConfig(options=options))}
            ),
            description_placeholders={"name": self._name},
            last_step=False,
        )

    def _captured(self, problem: str | None = None) -> SubentryFlowResult:
        """Go on to the review."""
        self._end(problem)
        return self.async_show_progress_done(next_step_id="pictures")

    async def _async_review(self) -> SubentryFlowResult:
        self._end(None)
        return await self.async_step_pictures()

    def _end(self, problem: str | None) -> None:
        """Note for the review which poses are missing, and why if not a single one came."""
        guide, self._guide = self._guide, None
        if guide is None:
            return
        if not guide.kept and (why := problem or guide.problem) is not None:
            self._album.refuse(self._camera_name, why)
        else:
            for pose in guide.missed:
                self._album.refuse(self._camera_name, _missed(pose))

    async def _async_look(self, guide: Guide) -> None:
        """Look until there is something else to say."""
        before = guide.instruction, guide.kept, guide.left(monotonic())
        seen = ""
        while (guide.instruction, guide.kept, guide.left(monotonic())) == before:
            await asyncio.sleep(INTERVAL)
            seen = await self._async_look_once(guide)
            if guide.is_done or guide.is_waiting:
                break
        # Only now: whoever asks for the step meanwhile must be shown the same.
        self._seen = seen
        self.async_update_progress(guide.kept / guide.wanted)

    async def _async_look_once(self, guide: Guide) -> str:
        """Take one picture, keep it if it will do, and return how to show it."""
        self._running.async_set_aside(self._camera or "")
        try:
            taken = await async_take_picture(self.hass, self._camera or "", PICTURE_TIME)
            seen = await self._enrolled.async_look(self._camera_name, taken.data, guide.wants)
        except (CameraError, RefusedError) as error:
            guide.note(Seen(error.key), monotonic())
            return ""
        guide.note(Seen(seen.problem, seen.pose, seen.faces is not None), monotonic())
        return await self.hass.async_add_executor_job(picture, seen.preview)

    @abstractmethod
    async def async_step_pictures(
        self, user_input: dict[str, Any] | None = None
    ) -> SubentryFlowResult:
        """Show what was kept."""

    # What the steps share

    @property
    @abstractmethod
    def _name(self) -> str:
        """The person's name."""

    @property
    def _enrolled(self) -> Enrollment:
        """What this dialogue enrols; a new person's begins with the first use."""
        if self._enrollment is None:
            self._enrollment = Enrollment(self._get_entry())
        return self._enrollment

    @property
    def _album(self) -> Album:
        return self._enrolled.album

    @property
    def _running(self) -> Household:
        """The household, which may have been reloaded since the last step."""
        return self._enrolled.household

    @callback
    def _cameras(self) -> dict[str, str]:
        """Return reference -> name, of all cameras of all doors."""
        found: dict[str, str] = {}
        for door in self._running.doors.values():
            for camera in door.settings.cameras:
                entity_id = async_resolve(self.hass, camera)
                state = self.hass.states.get(entity_id or "")
                found[camera] = door.title if state is None else state.name
        return found


def _action(instruction: str) -> str:
    """Say the same, while somebody stands at the door, for whatever is wrong with the camera."""
    return "no_picture" if instruction.startswith(("camera_", "picture_")) else instruction


def _missed(pose: Pose) -> str:
    """Return the translation key of a pose that did not come."""
    return f"missed_{pose}"
