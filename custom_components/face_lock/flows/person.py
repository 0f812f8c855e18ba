"""Enrolling a person: who it is, and pictures that are looked at one by one.

Pictures come from a door's camera, or through Home Assistant's file upload, which hands them
over once and deletes them. The media store would keep them, and serves them to whoever knows the
address.
"""

# ruff: noqa: ARG002 - Home Assistant calls the steps with fixed signatures

from __future__ import annotations

from typing import Any, Final

import probatio
from homeassistant.config_entries import (
    ConfigSubentry,
    SubentryFlowResult,
)
from homeassistant.const import CONF_NAME
from homeassistant.data_entry_flow import AbortFlow
from homeassistant.helpers.selector import (
    FileSelector,
    FileSelectorConfig,
    SelectSelector,
    SelectSelectorConfig,
    TextSelector,
)

from ..enrollment.album import RefusedError, read_upload
from ..enrollment.procedure import Enrollment, name_problem
from ..format import of_hundred
from ..localize import async_sentences
from ..settings import CONF_ALLOWED, PersonSettings
from .capture import TEXTS, CaptureFlow
from .details import details_data, details_problems, details_schema, shown_details
from .markdown import numbered, plain

CONF_PICTURES: Final = "pictures"
AT_ONCE: Final = 5
"""Pictures of one upload: the frontend's field takes one file, so there are several of it."""
TYPES: Final = "image/jpeg,image/png,image/webp"
"""A phone that is told so hands a HEIC picture over as a JPEG."""


class PersonFlow(CaptureFlow):
    """Adds a person to the household, or changes a person's pictures and permissions."""

    def __init__(self) -> None:
        super().__init__()
        self._input: dict[str, Any] = {}

    # Who it is

    async def async_step_user(self, user_input: dict[str, Any] | None = None) -> SubentryFlowResult:
        """Ask who the new person is."""
        if not self._running.doors:
            return self.async_abort(reason="not_loaded")
        if user_input is None:
            if problem := self._enrolled.room_problem():
                return self.async_abort(reason=problem)
            if any(cost.more.refuses_nearly_all for cost in self._enrolled.costs()):
                return await self.async_step_strict()
        return await self._async_ask_details("user", user_input, None)

    async def async_step_strict(
        self, user_input: dict[str, Any] | None = None
    ) -> SubentryFlowResult:
        """Ask whether another person is meant, though hardly anybody would be let in."""
        return self.async_show_menu(
            step_id="strict",
            menu_options=["anyway"],
            description_placeholders={"costs": self._costs},
        )

    async def async_step_anyway(
        self, user_input: dict[str, Any] | None = None
    ) -> SubentryFlowResult:
        """Add somebody to a household that hardly anybody of would be let in."""
        return await self._async_ask_details("user", None, None)

    async def async_step_reconfigure(
        self, user_input: dict[str, Any] | None = None
    ) -> SubentryFlowResult:
        """Ask what to change."""
        subentry = self._subentry
        allowed = PersonSettings.of(subentry).allowed
        return self.async_show_menu(
            step_id="reconfigure",
            menu_options=["add", "replace", "details", "suspend" if allowed else "allow"],
            description_placeholders={"name": subentry.title},
        )

    async def async_step_details(
        self, user_input: dict[str, Any] | None = None
    ) -> SubentryFlowResult:
        """Ask who the person is and when that person may come in."""
        return await self._async_ask_details("details", user_input, self._subentry)

    async def _async_ask_details(
        self, step_id: str, user_input: dict[str, Any] | None, subentry: ConfigSubentry | None
    ) -> SubentryFlowResult:
        known = None if subentry is None else PersonSettings.of(subentry)
        errors: dict[str, str] = {}
        if user_input is not None:
            self._input = user_input
            errors = details_problems(self.hass, user_input, known)
            person = None if subentry is None else subentry.unique_id
            if problem := name_problem(self._get_entry(), self._name, person):
                errors[CONF_NAME] = problem
            if not errors:
                if subentry is None:
                    return await self.async_step_pictures()
                return self.async_update_and_abort(
                    self._get_entry(),
                    subentry,
                    title=self._name,
                    data=details_data(self.hass, user_input, subentry),
                )
        elif known is not None:
            self._input = shown_details(self.hass, self._get_entry(), known)
        schema = details_schema(self.hass, self._get_entry(), known)
        return self.async_show_form(
            step_id=step_id,
            data_schema=self.add_suggested_values_to_schema(schema, self._input),
            errors=errors,
            description_placeholders=None if subentry is not None else {"costs": self._costs},
            last_step=subentry is not None,
        )

    async def async_step_suspend(
        self, user_input: dict[str, Any] | None = None
    ) -> SubentryFlowResult:
        """Let the person in no more."""
        return self._allow(allowed=False)

    async def async_step_allow(
        self, user_input: dict[str, Any] | None = None
    ) -> SubentryFlowResult:
        """Let the person in again."""
        return self._allow(allowed=True)

    def _allow(self, *, allowed: bool) -> SubentryFlowResult:
        return self.async_update_and_abort(
            self._get_entry(), self._subentry, data_updates={CONF_ALLOWED: allowed}
        )

    # Pictures

    async def async_step_add(self, user_input: dict[str, Any] | None = None) -> SubentryFlowResult:
        """Begin with the pictures that are enrolled."""
        self._enroll_again()
        return await self.async_step_pictures()

    async def async_step_replace(
        self, user_input: dict[str, Any] | None = None
    ) -> SubentryFlowResult:
        """Begin with none; those enrolled stay until the new ones are finished."""
        self._enroll_again().album.keep([])
        return await self.async_step_pictures()

    async def async_step_pictures(
        self, user_input: dict[str, Any] | None = None
    ) -> SubentryFlowResult:
        """Show what was kept, and what was refused and why, and offer more."""
        album = self._album
        options = ["capture", "upload"] if album.room else []
        if album.portraits:
            options += ["remove", "start_over", "finish"]
        elif album.pictures:
            options.append("start_over")
        return self.async_show_menu(
            step_id="pictures",
            menu_options=options,
            description_placeholders={
                "name": self._name,
                "count": str(len(album.portraits)),
                "pictures": await self._async_shown(),
                "refused": await self._async_refused(),
            },
        )

    async def async_step_upload(
        self, user_input: dict[str, Any] | None = None
    ) -> SubentryFlowResult:
        """Take several uploaded pictures."""
        errors: dict[str, str] = {}
        fields = [f"picture_{number + 1}" for number in range(min(AT_ONCE, self._album.room))]
        if user_input is not None:
            if files := [user_input[name] for name in fields if user_input.get(name)]:
                self._album.forget_refused()
                for number, file_id in enumerate(files, 1):
                    await self._async_take_upload(file_id, f"#{number}")
                return await self.async_step_pictures()
            errors["base"] = "upload_none"
        selector = FileSelector(FileSelectorConfig(accept=TYPES))
        return self.async_show_form(
            step_id="upload",
            data_schema=probatio.Schema({probatio.Optional(name): selector for name in fields}),
            errors=errors,
            description_placeholders={"name": self._name},
            last_step=False,
        )

    async def _async_take_upload(self, file_id: str, label: str) -> None:
        try:
            name, data = await self.hass.async_add_executor_job(read_upload, self.hass, file_id)
        except RefusedError as error:
            self._album.refuse(label, error.key)
        else:
            await self._enrolled.async_examine(plain(name), data)

    async def async_step_remove(
        self, user_input: dict[str, Any] | None = None
    ) -> SubentryFlowResult:
        """Take some pictures out again."""
        portraits = self._album.portraits
        if user_input is not None:
            self._album.leave({int(number) for number in user_input.get(CONF_PICTURES, [])})
            self._album.vote(self._running.bundle)
            return await self.async_step_pictures()
        numbers = [str(n) for n in range(1, len(portraits) + 1)]
        selector = SelectSelector(SelectSelectorConfig(options=numbers, multiple=True))
        return self.async_show_form(
            step_id="remove",
            data_schema=probatio.Schema({probatio.Optional(CONF_PICTURES): selector}),
            description_placeholders={"pictures": await self._async_shown()},
            last_step=False,
        )

    async def async_step_start_over(
        self, user_input: dict[str, Any] | None = None
    ) -> SubentryFlowResult:
        """Let go of all pictures of this flow; those enrolled before stay until it is finished."""
        self._album.keep([])
        self._album.forget_refused()
        return await self.async_step_pictures()

    async def async_step_finish(
        self, user_input: dict[str, Any] | None = None
    ) -> SubentryFlowResult:
        """Keep the person, unless there is somebody like this one already."""
        other = await self._enrolled.async_resembled()
        if other is None:
            return await self.async_step_keep()
        return self.async_show_menu(
            step_id="resembles",
            menu_options=["keep", "pictures"],
            description_placeholders={"name": self._name, "other": other},
        )

    async def async_step_resembles(
        self, user_input: dict[str, Any] | None = None
    ) -> SubentryFlowResult:
        """Ask again whether to keep somebody who resembles another; a menu's own step."""
        return await self.async_step_finish()

    async def async_step_keep(self, user_input: dict[str, Any] | None = None) -> SubentryFlowResult:
        """Keep the person, if name and face still are nobody else's."""
        household, enrollment = self._running, self._enrolled
        async with household.enrolling:
            enrollment.album.forget_refused()
            problem = await enrollment.async_check_again(self._name)
            if problem == "name_taken":
                return await self.async_step_rename()
            if problem is not None:
                return self.async_abort(reason=problem)
            if enrollment.album.has_unusable:
                return await self.async_step_pictures()
            if not enrollment.is_new:
                # The entry and the store change together: nothing is awaited in between.
                subentry, enrolled = self._subentry, enrollment.keep()
                return self.async_update_and_abort(
                    self._get_entry(), subentry, data_updates=enrolled
                )
            data = details_data(self.hass, self._input, None)
            return self.async_create_entry(
                title=self._name, data=data | enrollment.keep(), unique_id=enrollment.person
            )

    async def async_step_rename(
        self, user_input: dict[str, Any] | None = None
    ) -> SubentryFlowResult:
        """Ask for another name: somebody of this one was enrolled while pictures were taken."""
        errors = {CONF_NAME: "name_taken"}
        if user_input is not None:
            self._input = {**self._input, **user_input}
            problem = name_problem(self._get_entry(), self._name, None)
            if problem is None:
                return await self.async_step_keep()
            errors = {CONF_NAME: problem}
        schema = probatio.Schema({probatio.Required(CONF_NAME): TextSelector()})
        return self.async_show_form(
            step_id="rename",
            data_schema=self.add_suggested_values_to_schema(schema, {CONF_NAME: self._name}),
            errors=errors,
            last_step=True,
        )

    # What the steps share

    @property
    def _subentry(self) -> ConfigSubentry:
        """The person who is changed; somebody may have removed the person meanwhile."""
        subentry = self._get_entry().subentries.get(self._reconfigure_subentry_id)
        if subentry is None:
            raise AbortFlow("person_removed")
        return subentry

    @property
    def _name(self) -> str:
        if "name" in self._input:
            return str(self._input["name"]).strip()
        return self._subentry.title

    @property
    def _costs(self) -> str:
        """Rows of a table: each door, and how many of 100 tries it will miss by day and night."""
        return "\n".join(
            f"| {plain(cost.door)} | {of_hundred(cost.more.miss_day)} "
            f"| {of_hundred(cost.more.miss_night)} |"
            for cost in self._enrolled.costs()
        )

    def _enroll_again(self) -> Enrollment:
        """Begin to change somebody's pictures."""
        self._enrollment = Enrollment(self._get_entry(), self._subentry.unique_id)
        return self._enrollment

    async def _async_shown(self) -> str:
        crops = [portrait.crop for portrait in self._album.portraits]
        return await self.hass.async_add_executor_job(numbered, crops)

    async def _async_refused(self) -> str:
        if not self._album.refused:
            return ""
        keys = [key for _, key in self._album.refused]
        heading, *reasons = await async_sentences(self.hass, TEXTS, ["not_kept", *keys])
        names = [name for name, _ in self._album.refused]
        lines = [f"- {name}: {why}" for name, why in zip(names, reasons, strict=True)]
        return "\n".join([heading, "", *lines])
