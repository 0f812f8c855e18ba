"""Setting up a door: which camera, which lock, how strict, and whether the camera will do."""

# ruff: noqa: ARG002 - Home Assistant calls the steps with fixed signatures

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, override

from homeassistant.config_entries import (
    SOURCE_RECONFIGURE,
    SOURCE_USER,
    ConfigEntry,
    ConfigEntryState,
    ConfigFlow,
    ConfigFlowResult,
    ConfigSubentryFlow,
    FlowType,
    SubentryFlowContext,
)
from homeassistant.core import HomeAssistant, callback

from .const import CONF_CAMERA, CONF_LOCK, DOMAIN, SUBENTRY_PERSON
from .flows.check import CheckError, async_check, async_describe
from .flows.fields import (
    RATE_FIELD,
    RATE_SELECTOR,
    TRIGGER_DOMAINS,
    TRIGGERS_FIELD,
    async_check_rate,
    async_rate_costs,
    door_data,
    door_schema,
    entities,
    exists,
    references,
)
from .flows.options import DoorOptionsFlow
from .flows.person import PersonFlow
from .settings import (
    CONF_FALSE_POSITIVE_RATE,
    CONF_TRIGGERS,
    FALSE_POSITIVE_RATES,
    SECTION_GATE,
    SECTION_RECOGNITION,
)
from .source import async_entity_reference, async_resolve
from .vision import Bundle, Survey


class FaceLockConfigFlow(ConfigFlow, domain=DOMAIN):
    """Adds a door, or gives it another camera or lock."""

    VERSION = 1
    MINOR_VERSION = 2

    def __init__(self) -> None:
        self._input: dict[str, Any] = {}
        self._errors: dict[str, str] = {}
        self._checking: asyncio.Task[tuple[Survey, Bundle | None]] | None = None
        self._found: Survey | None = None
        self._bundle: Bundle | None = None

    @staticmethod
    @callback
    @override
    def async_get_options_flow(config_entry: ConfigEntry) -> DoorOptionsFlow:
        """Return the options flow."""
        return DoorOptionsFlow()

    @classmethod
    @callback
    @override
    def async_get_supported_subentry_types(
        cls, config_entry: ConfigEntry
    ) -> dict[str, type[ConfigSubentryFlow]]:
        """Return the kinds of subentries: people."""
        return {SUBENTRY_PERSON: PersonFlow}

    @override
    async def async_step_user(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Ask for the camera, the lock, what else opens the gate, and the rate."""
        if user_input is not None:
            self._errors = _problems(self.hass, user_input, None)
            rate = FALSE_POSITIVE_RATES[user_input[CONF_FALSE_POSITIVE_RATE]]
            if problem := await async_check_rate(self.hass, rate, people=1):
                self._errors[CONF_FALSE_POSITIVE_RATE] = problem
            return await self._async_go_on(user_input)
        triggers = entities(self.hass, TRIGGER_DOMAINS, multiple=True)
        schema = door_schema(self.hass).extend(
            {TRIGGERS_FIELD: triggers, RATE_FIELD: RATE_SELECTOR}
        )
        return self.async_show_form(
            step_id="user",
            data_schema=self.add_suggested_values_to_schema(schema, self._input),
            errors=self._errors,
            description_placeholders=await async_rate_costs(self.hass, people=1),
            last_step=False,
        )

    async def async_step_reconfigure(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Ask for another camera or lock."""
        entry = self._get_reconfigure_entry()
        if user_input is not None:
            self._errors = _problems(self.hass, user_input, entry)
            return await self._async_go_on(user_input)
        suggested = self._input or {
            key: async_resolve(self.hass, reference) for key, reference in entry.data.items()
        }
        return self.async_show_form(
            step_id="reconfigure",
            data_schema=self.add_suggested_values_to_schema(door_schema(self.hass), suggested),
            errors=self._errors,
            last_step=False,
        )

    async def _async_go_on(self, user_input: dict[str, Any]) -> ConfigFlowResult:
        """Look through the camera, or ask again with what was entered."""
        self._input = user_input
        self._found = None
        if not self._errors:
            return await self.async_step_check()
        if self.source == SOURCE_RECONFIGURE:
            return await self.async_step_reconfigure()
        return await self.async_step_user()

    async def async_step_look(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Look through the camera for some seconds."""
        if self._checking is None:
            self._checking = self.hass.async_create_task(
                async_check(self.hass, self._input[CONF_CAMERA], self._bundle),
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
            self._errors = {CONF_CAMERA: error.key}
            return self.async_show_progress_done(next_step_id=self._back)
        return self.async_show_progress_done(next_step_id="check")

    async def async_step_check(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Show what the camera shows, and what is not good enough about it."""
        if self._found is None:
            return await self.async_step_look()
        return self.async_show_menu(
            step_id="check",
            menu_options=["finish", "look", self._back],
            description_placeholders=await async_describe(
                self.hass, self._input[CONF_CAMERA], self._found
            ),
        )

    async def async_step_finish(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Keep the door."""
        data = door_data(self.hass, self._input)
        if self.source == SOURCE_RECONFIGURE:
            entry = self._get_reconfigure_entry()
            if _is_taken(self.hass, self._input[CONF_CAMERA], entry):
                return self.async_abort(reason="already_configured")
            return self.async_update_and_abort(entry, unique_id=data[CONF_CAMERA], data=data)
        # Only now: a dialogue left open elsewhere must not keep this one from being finished.
        await self.async_set_unique_id(data[CONF_CAMERA], raise_on_progress=False)
        self._abort_if_unique_id_configured()
        options: dict[str, Any] = {
            SECTION_RECOGNITION: {CONF_FALSE_POSITIVE_RATE: self._input[CONF_FALSE_POSITIVE_RATE]}
        }
        if triggers := references(self.hass, self._input.get(CONF_TRIGGERS, ())):
            options[SECTION_GATE] = {CONF_TRIGGERS: triggers}
        return self.async_create_entry(
            title=_camera_name(self.hass, self._input[CONF_CAMERA]), data=data, options=options
        )

    @property
    def _back(self) -> str:
        """The form from which the check was begun."""
        return "reconfigure" if self.source == SOURCE_RECONFIGURE else "user"

    @override
    async def async_on_create_entry(self, result: ConfigFlowResult) -> ConfigFlowResult:
        """Go on with the first person: a door without people opens for nobody."""
        entry = result["result"]
        if entry.state is not ConfigEntryState.LOADED:
            return result
        person = await self.hass.config_entries.subentries.async_init(
            (entry.entry_id, SUBENTRY_PERSON), context=SubentryFlowContext(source=SOURCE_USER)
        )
        result["next_flow"] = (FlowType.CONFIG_SUBENTRIES_FLOW, person["flow_id"])
        return result


def _problems(
    hass: HomeAssistant, user_input: Mapping[str, Any], entry: ConfigEntry | None
) -> dict[str, str]:
    """Return the form's errors for the door ``entry``, or a new one."""
    errors: dict[str, str] = {}
    if _is_taken(hass, user_input[CONF_CAMERA], entry):
        errors[CONF_CAMERA] = "camera_taken"
    lock = user_input.get(CONF_LOCK)
    if lock and not exists(hass, lock):
        errors[CONF_LOCK] = "lock_not_found"
    if not all(exists(hass, trigger) for trigger in user_input.get(CONF_TRIGGERS, ())):
        errors[CONF_TRIGGERS] = "trigger_not_found"
    return errors


def _is_taken(hass: HomeAssistant, camera: str, entry: ConfigEntry | None) -> bool:
    """Whether another door has this camera."""
    reference = async_entity_reference(hass, camera)
    other = hass.config_entries.async_entry_for_domain_unique_id(DOMAIN, reference)
    return other is not None and (entry is None or other.entry_id != entry.entry_id)


def _camera_name(hass: HomeAssistant, entity_id: str) -> str:
    state = hass.states.get(entity_id)
    return entity_id if state is None else state.name
