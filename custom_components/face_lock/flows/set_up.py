"""The steps that make a door, the first one or another: what it is, then the cameras' check."""

# ruff: noqa: ARG002 - Home Assistant calls the steps with fixed signatures

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Final, TypeVar

import probatio
from homeassistant.components.camera.const import DOMAIN as CAMERA_DOMAIN
from homeassistant.components.lock.const import DOMAIN as LOCK_DOMAIN
from homeassistant.config_entries import ConfigEntry, ConfigEntryState
from homeassistant.const import CONF_NAME
from homeassistant.core import HomeAssistant, callback
from homeassistant.data_entry_flow import FlowContext, FlowHandler, FlowResult
from homeassistant.helpers.selector import EntitySelector, EntitySelectorConfig, TextSelector

from ..const import CONF_CAMERAS, CONF_LOCK
from ..entity_reference import async_entity_reference, async_resolve
from ..household import Household
from ..names import folded
from ..people import find_door, people_of
from ..settings import (
    BUNDLED,
    CONF_FALSE_POSITIVE_RATE,
    CONF_TRIGGERS,
    FALSE_POSITIVE_RATES,
    SECTION_GATE,
    SECTION_RECOGNITION,
    HouseholdSettings,
)
from ..vision import Bundle, Fixture, Survey
from .camera_check import CheckError, async_check, async_describe
from .fields import (
    RATE_FIELD,
    RATE_SELECTOR,
    TRIGGER_DOMAINS,
    TRIGGERS_FIELD,
    async_check_rate,
    async_rate_costs,
    async_warning,
    entities,
    exists,
    references,
    resolved,
)

MAX_NAME: Final = 100

ContextT = TypeVar("ContextT", bound=FlowContext)
ResultT = TypeVar("ResultT", bound=FlowResult[Any, Any])
HandlerT = TypeVar("HandlerT")


class DoorSteps(FlowHandler[ContextT, ResultT, HandlerT]):
    """Asks for a door's cameras and lock, and looks through the cameras before it is kept."""

    _form = "user"
    """The step with the form from which the check was begun."""

    def __init__(self) -> None:
        self._input: dict[str, Any] = {}
        self._errors: dict[str, str] = {}
        self._checking: asyncio.Task[tuple[Survey, Bundle | None]] | None = None
        self._found: Survey | None = None
        self._bundle: Bundle | None = None
        self._warning: dict[str, str] | None = None
        self._camera = 0
        """Number of the camera that is looked through."""

    @property
    def _household(self) -> ConfigEntry | None:
        """The entry that the door is for; None for the first door."""
        raise NotImplementedError

    async def _async_keep(self) -> ResultT:
        """Keep the door."""
        raise NotImplementedError

    async def _async_ask_new_door(self, user_input: dict[str, Any] | None) -> ResultT:
        """Ask for the cameras, the lock, what else opens the gate, and the rate."""
        entry = self._household
        people = 1 if entry is None else max(1, len(people_of(entry)))
        bundle = BUNDLED if entry is None else HouseholdSettings.of(entry.options).bundle
        if user_input is not None:
            self._errors = door_problems(self.hass, user_input, entry, None)
            rate = FALSE_POSITIVE_RATES[user_input[CONF_FALSE_POSITIVE_RATE]]
            if problem := await async_check_rate(self.hass, rate, people, bundle):
                self._errors[CONF_FALSE_POSITIVE_RATE] = problem
            self._input = user_input
            if not self._errors:
                self._warning = await async_warning(self.hass, rate, people, bundle)
                if self._warning is not None:
                    return await self.async_step_strict()
                return await self._async_check(user_input)
        triggers = entities(self.hass, TRIGGER_DOMAINS, multiple=True)
        schema = door_schema(self.hass).extend(
            {TRIGGERS_FIELD: triggers, RATE_FIELD: RATE_SELECTOR}
        )
        return self.async_show_form(
            step_id=self._form,
            data_schema=self.add_suggested_values_to_schema(schema, self._input),
            errors=self._errors,
            description_placeholders=await async_rate_costs(self.hass, people, bundle),
            last_step=False,
        )

    async def async_step_strict(self, user_input: dict[str, Any] | None = None) -> ResultT:
        """Ask whether a rate is meant that would refuse nearly everybody."""
        return self.async_show_menu(
            step_id="strict",
            menu_options=["anyway", self._form],
            description_placeholders=self._warning,
        )

    async def async_step_anyway(self, user_input: dict[str, Any] | None = None) -> ResultT:
        """Go on with the rate."""
        return await self._async_check(self._input)

    async def _async_check(self, user_input: dict[str, Any]) -> ResultT:
        """Look through the cameras with what was entered."""
        self._input = user_input
        self._found, self._camera = None, 0
        return await self.async_step_check()

    async def async_step_look(self, user_input: dict[str, Any] | None = None) -> ResultT:
        """Look through a camera for some seconds."""
        if self._checking is None:
            camera = self._input[CONF_CAMERAS][self._camera]
            self._checking = self.hass.async_create_task(
                async_check(self.hass, camera, self._bundle, self._hanging(camera)),
                "face_lock check",
                eager_start=False,
            )
        if not self._checking.done():
            return self.async_show_progress(
                step_id="look", progress_action="look", progress_task=self._checking
            )
        task, self._checking = self._checking, None
        try:
            self._found, self._bundle = task.result()
        except CheckError as error:
            self._errors = {CONF_CAMERAS: error.key}
            return self.async_show_progress_done(next_step_id=self._form)
        return self.async_show_progress_done(next_step_id="check")

    def _hanging(self, camera: str) -> tuple[Fixture, ...]:
        """Return what is known to hang in a camera's view."""
        entry = self._household
        if entry is None or entry.state is not ConfigEntryState.LOADED:
            return ()
        household: Household = entry.runtime_data
        return household.records.scenes.hanging(async_entity_reference(self.hass, camera))

    async def async_step_check(self, user_input: dict[str, Any] | None = None) -> ResultT:
        """Show what the camera shows, and what is not good enough about it."""
        if self._found is None:
            return await self.async_step_look()
        cameras = self._input[CONF_CAMERAS]
        last = self._camera + 1 >= len(cameras)
        return self.async_show_menu(
            step_id="check",
            menu_options=["finish" if last else "next_camera", "look", self._form],
            description_placeholders=await async_describe(
                self.hass, cameras[self._camera], self._found
            ),
        )

    async def async_step_next_camera(self, user_input: dict[str, Any] | None = None) -> ResultT:
        """Look through the next camera."""
        self._camera += 1
        return await self.async_step_look()

    async def async_step_finish(self, user_input: dict[str, Any] | None = None) -> ResultT:
        """Keep the door."""
        return await self._async_keep()


@callback
def door_schema(hass: HomeAssistant) -> probatio.Schema:
    """Ask for the name, the cameras and the lock."""
    return probatio.Schema(
        {
            probatio.Required(CONF_CAMERAS): EntitySelector(
                EntitySelectorConfig(domain=CAMERA_DOMAIN, multiple=True)
            ),
            probatio.Optional(CONF_NAME): TextSelector(),
            probatio.Optional(CONF_LOCK): entities(hass, [LOCK_DOMAIN]),
        }
    )


@callback
def door_problems(
    hass: HomeAssistant,
    user_input: Mapping[str, Any],
    entry: ConfigEntry | None,
    door: str | None,
) -> dict[str, str]:
    """Return the form's errors for ``door``, or a new one."""
    errors: dict[str, str] = {}
    if not user_input[CONF_CAMERAS]:
        errors[CONF_CAMERAS] = "camera_none"
        return errors
    name = door_name(hass, user_input)
    found = None if entry is None else find_door(entry, name)
    if found is not None and found[0] != door:
        errors[CONF_NAME] = "door_name_taken"
    lock = user_input.get(CONF_LOCK)
    if lock and not exists(hass, lock):
        errors[CONF_LOCK] = "lock_not_found"
    if not all(exists(hass, trigger) for trigger in user_input.get(CONF_TRIGGERS, ())):
        errors[CONF_TRIGGERS] = "trigger_not_found"
    return errors


@callback
def door_name(hass: HomeAssistant, user_input: Mapping[str, Any]) -> str:
    """Return the door's name: as entered, or that of its first camera."""
    name = str(user_input.get(CONF_NAME, "")).strip()
    if folded(name):
        return name[:MAX_NAME]
    entity_id: str = user_input[CONF_CAMERAS][0]
    state = hass.states.get(entity_id)
    return entity_id if state is None else state.name


@callback
def door_data(hass: HomeAssistant, user_input: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a subentry keeps of the cameras and the lock."""
    data: dict[str, Any] = {CONF_CAMERAS: references(hass, dict.fromkeys(user_input[CONF_CAMERAS]))}
    if lock := user_input.get(CONF_LOCK):
        data[CONF_LOCK] = async_entity_reference(hass, lock)
    return data


@callback
def new_door_data(hass: HomeAssistant, user_input: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a new door's subentry keeps."""
    rate = user_input[CONF_FALSE_POSITIVE_RATE]
    data = door_data(hass, user_input) | {SECTION_RECOGNITION: {CONF_FALSE_POSITIVE_RATE: rate}}
    if triggers := references(hass, user_input.get(CONF_TRIGGERS, ())):
        data[SECTION_GATE] = {CONF_TRIGGERS: triggers}
    return data


@callback
def shown_door(hass: HomeAssistant, title: str, data: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the form shows of a door that there is."""
    shown: dict[str, Any] = {
        CONF_NAME: title,
        CONF_CAMERAS: resolved(hass, data.get(CONF_CAMERAS, ())),
    }
    lock = data.get(CONF_LOCK)
    if lock and (entity_id := async_resolve(hass, lock)):
        shown[CONF_LOCK] = entity_id
    return shown
