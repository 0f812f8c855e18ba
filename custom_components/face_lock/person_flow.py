"""Enrolling a person: a name, and pictures that are looked at one by one.

Pictures come through Home Assistant's file upload, which hands them over once and deletes them. The
media store would keep them, and serves them to whoever knows the address.
"""

# ruff: noqa: ARG002 - Home Assistant calls the steps with fixed signatures

from __future__ import annotations

import asyncio
import base64
from time import monotonic
from typing import Any, Final
from uuid import uuid4

import probatio
from homeassistant.components.file_upload import process_uploaded_file
from homeassistant.config_entries import (
    SOURCE_RECONFIGURE,
    ConfigEntryState,
    ConfigSubentryFlow,
    SubentryFlowResult,
)
from homeassistant.const import CONF_NAME
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import AbortFlow
from homeassistant.helpers.selector import FileSelector, FileSelectorConfig, TextSelector
from homeassistant.util import dt as dt_util

from .const import CONF_CAMERA, CONF_ENROLLED_AT
from .coordinator import POLICY, FaceLockCoordinator, people_of
from .source import CameraError, async_take_picture
from .vision import (
    Bundle,
    Gallery,
    PictureError,
    Portrait,
    decode_rgb,
    encode_jpeg,
    examine,
    gallery_matcher,
)
from .vision.decode import MAX_BYTES
from .vision.types import RgbImage

CONF_PICTURE: Final = "picture"
MAX_PICTURES: Final = 10
CAPTURE_PICTURES: Final = 5
"""Pictures taken by one capture."""
CAPTURE_INTERVAL: Final = 0.7
"""Seconds between them, so that the face has moved a little."""
CAPTURE_TIMEOUT: Final = 20.0
"""Seconds after which a capture ends with what it has."""


class RefusedError(Exception):
    """A picture was refused; ``key`` is a translation key."""

    def __init__(self, key: str) -> None:
        super().__init__(key)
        self.key = key


class PersonFlow(ConfigSubentryFlow):
    """Adds a person to a door, or changes the person's name and pictures."""

    def __init__(self) -> None:
        self._name = ""
        self._person = uuid4().hex
        self._album: list[Portrait] = []
        self._capture: asyncio.Task[None] | None = None
        self._problem = ""

    async def async_step_user(self, user_input: dict[str, Any] | None = None) -> SubentryFlowResult:
        """Ask for the new person's name."""
        return await self._async_ask_name("user", user_input)

    async def async_step_reconfigure(
        self, user_input: dict[str, Any] | None = None
    ) -> SubentryFlowResult:
        """Ask for the name again; the pictures so far are kept unless they are replaced."""
        if user_input is None:
            subentry = self._get_reconfigure_subentry()
            self._name = subentry.title
            self._person = subentry.unique_id or self._person
            self._album = list(self._door.store.album(self._person))
        return await self._async_ask_name("reconfigure", user_input)

    async def _async_ask_name(
        self, step_id: str, user_input: dict[str, Any] | None
    ) -> SubentryFlowResult:
        errors: dict[str, str] = {}
        _ = self._door
        if user_input is not None:
            self._name = user_input[CONF_NAME].strip()
            if not self._name:
                errors[CONF_NAME] = "name_missing"
            elif self._name_taken():
                errors[CONF_NAME] = "name_taken"
            else:
                return await self.async_step_pictures()
        schema = probatio.Schema({probatio.Required(CONF_NAME): TextSelector()})
        return self.async_show_form(
            step_id=step_id,
            data_schema=self.add_suggested_values_to_schema(schema, {CONF_NAME: self._name}),
            errors=errors,
        )

    def _name_taken(self) -> bool:
        return any(
            subentry.title.casefold() == self._name.casefold()
            for person, subentry in people_of(self._get_entry()).items()
            if person != self._person
        )

    async def async_step_pictures(
        self, user_input: dict[str, Any] | None = None
    ) -> SubentryFlowResult:
        """Show what was kept, and offer more."""
        options = [] if len(self._album) >= MAX_PICTURES else ["upload", "capture"]
        if self._album:
            options += ["start_over", "finish"]
        return self.async_show_menu(
            step_id="pictures",
            menu_options=options,
            description_placeholders={
                "name": self._name,
                "count": str(len(self._album)),
                "pictures": " ".join(_markdown(p.crop) for p in self._album if p.crop is not None),
            },
        )

    async def async_step_start_over(
        self, user_input: dict[str, Any] | None = None
    ) -> SubentryFlowResult:
        """Let go of all pictures of this flow; those enrolled before stay until it is finished."""
        self._album = []
        return await self.async_step_pictures()

    async def async_step_upload(
        self, user_input: dict[str, Any] | None = None
    ) -> SubentryFlowResult:
        """Take one uploaded picture."""
        errors: dict[str, str] = {}
        if user_input is not None:
            try:
                data = await self.hass.async_add_executor_job(
                    _read_upload, self.hass, user_input[CONF_PICTURE]
                )
                await self._async_add(data)
            except RefusedError as error:
                errors[CONF_PICTURE] = error.key
            else:
                return await self.async_step_pictures()
        selector = FileSelector(FileSelectorConfig(accept="image/jpeg,image/png,image/webp"))
        return self.async_show_form(
            step_id="upload",
            data_schema=probatio.Schema({probatio.Required(CONF_PICTURE): selector}),
            errors=errors,
            description_placeholders={"name": self._name},
        )

    async def async_step_capture(
        self, user_input: dict[str, Any] | None = None
    ) -> SubentryFlowResult:
        """Take pictures with the door's camera."""
        if self._capture is None:
            self._capture = self.hass.async_create_task(
                self._async_capture(), "face_lock capture", eager_start=False
            )
        if not self._capture.done():
            return self.async_show_progress(
                step_id="capture",
                progress_action="capture",
                progress_task=self._capture,
                description_placeholders={"name": self._name},
            )
        task, self._capture = self._capture, None
        if task.cancelled() or task.exception() is not None:
            self._problem = "capture_failed"
        return self.async_show_progress_done(
            next_step_id="capture_failed" if self._problem else "pictures"
        )

    async def async_step_capture_failed(
        self, user_input: dict[str, Any] | None = None
    ) -> SubentryFlowResult:
        """Say why a capture gave no picture."""
        if user_input is not None:
            self._problem = ""
            return await self.async_step_pictures()
        return self.async_show_form(
            step_id="capture_failed",
            data_schema=probatio.Schema({}),
            errors={"base": self._problem},
            description_placeholders={"name": self._name},
        )

    async def async_step_finish(
        self, user_input: dict[str, Any] | None = None
    ) -> SubentryFlowResult:
        """Keep the person."""
        # No await from here on: the store in memory and the entry change together, and the entry's
        # update listener writes both.
        store, data = self._door.store, {CONF_ENROLLED_AT: dt_util.utcnow().isoformat()}
        if self.source == SOURCE_RECONFIGURE:
            entry = self._get_entry()
            subentry = people_of(entry).get(self._person)
            if subentry is None:
                return self.async_abort(reason="person_removed")
            store.put(self._person, self._album)
            return self.async_update_and_abort(entry, subentry, title=self._name, data=data)
        store.put(self._person, self._album)
        return self.async_create_entry(title=self._name, data=data, unique_id=self._person)

    @property
    def _door(self) -> FaceLockCoordinator:
        """The running door; it may have been reloaded since the last step."""
        entry = self._get_entry()
        if entry.state is not ConfigEntryState.LOADED:
            raise AbortFlow("not_loaded")
        door: FaceLockCoordinator = entry.runtime_data
        return door

    async def _async_add(self, data: bytes) -> None:
        """Examine a picture and keep it; raises RefusedError."""
        door = self._door
        others = {person: a for person, a in door.store.gallery().items() if person != self._person}
        self._album.append(
            await door.worker.async_run(
                examine_picture,
                door.bundle,
                data,
                tuple(self._album),
                others,
                door.settings.false_positive_rate,
            )
        )

    async def _async_capture(self) -> None:
        """Take pictures until there are enough, or time is over."""
        self._problem = "camera_timeout"
        deadline = monotonic() + CAPTURE_TIMEOUT
        kept = 0
        wanted = min(CAPTURE_PICTURES, MAX_PICTURES - len(self._album))
        while kept < wanted and monotonic() < deadline:
            try:
                picture = await async_take_picture(self.hass, self._get_entry().data[CONF_CAMERA])
                await self._async_add(picture.data)
            except (CameraError, RefusedError) as error:
                self._problem = error.key
            else:
                kept += 1
                self.async_update_progress(kept / wanted)
            await asyncio.sleep(CAPTURE_INTERVAL)
        if kept:
            self._problem = ""


def _read_upload(hass: HomeAssistant, file_id: str) -> bytes:
    """Read an uploaded file, which deletes it; one byte too many is enough to refuse it."""
    try:
        with process_uploaded_file(hass, file_id) as path, path.open("rb") as file:
            return file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        raise RefusedError("upload_missing") from error


def examine_picture(
    bundle: Bundle, data: bytes, album: tuple[Portrait, ...], others: Gallery, rate: float
) -> Portrait:
    """Make a portrait of a picture, or raise RefusedError; blocks."""
    try:
        portrait = examine(bundle, decode_rgb(data), [p.template for p in album])
    except PictureError as error:
        raise RefusedError(error.problem.value) from error
    embedding = portrait.template.embedding
    if any(float(p.template.embedding @ embedding) >= POLICY.same_frame for p in album):
        raise RefusedError("same_picture")
    match = gallery_matcher(bundle, others).match(embedding)
    point = bundle.thresholds.operating_point(rate)
    if match is not None and match.similarity >= point.threshold:
        # The decision would find this face to be two people, and open for neither.
        raise RefusedError("enrolled_already")
    return portrait


def _markdown(crop: RgbImage) -> str:
    jpeg = base64.b64encode(encode_jpeg(crop)).decode()
    return f"![](data:image/jpeg;base64,{jpeg})"
