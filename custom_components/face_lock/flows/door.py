"""Adding a door to the household, and changing one: each section of its options is a step."""

# ruff: noqa: ARG002 - Home Assistant calls the steps with fixed signatures

from __future__ import annotations

from typing import Any, Final
from uuid import uuid4

from homeassistant.config_entries import (
    SOURCE_RECONFIGURE,
    ConfigEntry,
    ConfigSubentry,
    ConfigSubentryFlow,
    SubentryFlowContext,
    SubentryFlowResult,
)
from homeassistant.data_entry_flow import AbortFlow

from ..const import CONF_CAMERAS, CONF_LOCK
from ..people import people_of
from ..settings import (
    CONF_FALSE_POSITIVE_RATE,
    FALSE_POSITIVE_RATES,
    SECTION_DOOR,
    SECTION_GATE,
    SECTION_PRIVACY,
    SECTION_RECOGNITION,
    SECTION_SECURITY,
    SECTIONS,
    HouseholdSettings,
)
from .door_options import DoorOptions
from .fields import async_rate_costs, async_warning
from .set_up import (
    DoorSteps,
    door_data,
    door_name,
    door_problems,
    door_schema,
    new_door_data,
    shown_door,
)

STEP_DEVICES: Final = "devices"


class DoorFlow(
    DoorSteps[SubentryFlowContext, SubentryFlowResult, tuple[str, str]], ConfigSubentryFlow
):
    """Adds a door, or changes one; that door alone starts again."""

    _confirmed: dict[str, Any] | None = None
    """A form whose rate is meant as it is."""

    @property
    def _household(self) -> ConfigEntry:
        return self._get_entry()

    # Another door

    async def async_step_user(self, user_input: dict[str, Any] | None = None) -> SubentryFlowResult:
        """Ask for the new door."""
        return await self._async_ask_new_door(user_input)

    async def _async_keep(self) -> SubentryFlowResult:
        entry, name = self._get_entry(), door_name(self.hass, self._input)
        if self.source == SOURCE_RECONFIGURE:
            subentry = self._subentry
            devices = door_data(self.hass, self._input)
            others = {k: v for k, v in subentry.data.items() if k not in (CONF_CAMERAS, CONF_LOCK)}
            return self.async_update_and_abort(
                entry, subentry, title=name, data={**others, **devices}
            )
        # Another dialogue may have taken the name meanwhile.
        self._errors = door_problems(self.hass, self._input, entry, None)
        if self._errors:
            return await self.async_step_user()
        return self.async_create_entry(
            title=name, data=new_door_data(self.hass, self._input), unique_id=uuid4().hex
        )

    # A door that there is

    async def async_step_reconfigure(
        self, user_input: dict[str, Any] | None = None
    ) -> SubentryFlowResult:
        """Ask what to change."""
        return self.async_show_menu(
            step_id="reconfigure",
            menu_options=[STEP_DEVICES, *SECTIONS],
            description_placeholders={"name": self._subentry.title},
        )

    async def async_step_devices(
        self, user_input: dict[str, Any] | None = None
    ) -> SubentryFlowResult:
        """Ask for another name, other cameras or another lock."""
        self._form = STEP_DEVICES
        subentry = self._subentry
        if user_input is not None:
            self._input = user_input
            self._errors = door_problems(
                self.hass, user_input, self._get_entry(), subentry.unique_id
            )
            if not self._errors:
                same = door_data(self.hass, user_input)[CONF_CAMERAS] == list(
                    subentry.data.get(CONF_CAMERAS, ())
                )
                # The cameras that are there already need no second look.
                return await (self._async_keep() if same else self._async_check(user_input))
        suggested = self._input or shown_door(self.hass, subentry.title, subentry.data)
        return self.async_show_form(
            step_id=STEP_DEVICES,
            data_schema=self.add_suggested_values_to_schema(door_schema(self.hass), suggested),
            errors=self._errors,
            last_step=False,
        )

    async def async_step_recognition(
        self, user_input: dict[str, Any] | None = None
    ) -> SubentryFlowResult:
        """Ask how strict the door is."""
        return await self._async_section(SECTION_RECOGNITION, user_input)

    async def async_step_gate(self, user_input: dict[str, Any] | None = None) -> SubentryFlowResult:
        """Ask when to look for faces."""
        return await self._async_section(SECTION_GATE, user_input)

    async def async_step_door(self, user_input: dict[str, Any] | None = None) -> SubentryFlowResult:
        """Ask what happens after a door was opened."""
        return await self._async_section(SECTION_DOOR, user_input)

    async def async_step_security(
        self, user_input: dict[str, Any] | None = None
    ) -> SubentryFlowResult:
        """Ask for more proof than a face."""
        return await self._async_section(SECTION_SECURITY, user_input)

    async def async_step_privacy(
        self, user_input: dict[str, Any] | None = None
    ) -> SubentryFlowResult:
        """Ask what is kept of visits."""
        return await self._async_section(SECTION_PRIVACY, user_input)

    async def async_step_anyway(
        self, user_input: dict[str, Any] | None = None
    ) -> SubentryFlowResult:
        """Go on with a rate that would refuse nearly everybody."""
        if self._form != SECTION_RECOGNITION:
            return await super().async_step_anyway(user_input)
        self._confirmed = self._input
        return await self._async_section(SECTION_RECOGNITION, self._confirmed)

    async def _async_section(
        self, section: str, user_input: dict[str, Any] | None
    ) -> SubentryFlowResult:
        entry, subentry = self._get_entry(), self._subentry
        people, bundle = len(people_of(entry)), HouseholdSettings.of(entry.options).bundle
        options = DoorOptions(self.hass, subentry.data, people, bundle)
        errors: dict[str, str] = {}
        if user_input is not None:
            errors = await options.async_problems(section, user_input)
            if not errors:
                self._warning = None
                if section == SECTION_RECOGNITION and user_input is not self._confirmed:
                    rate = FALSE_POSITIVE_RATES[user_input[CONF_FALSE_POSITIVE_RATE]]
                    self._warning = await async_warning(self.hass, rate, people, bundle)
                if self._warning is not None:
                    self._form, self._input = section, user_input
                    return await self.async_step_strict()
                kept = await options.async_kept(section, user_input)
                return self.async_update_and_abort(entry, subentry, data_updates={section: kept})
        costs = None
        if section == SECTION_RECOGNITION:
            costs = await async_rate_costs(self.hass, people, bundle)
        return self.async_show_form(
            step_id=section,
            data_schema=self.add_suggested_values_to_schema(
                options.schema(section), user_input or options.shown(section)
            ),
            errors=errors,
            description_placeholders=costs,
        )

    @property
    def _subentry(self) -> ConfigSubentry:
        """The door that is changed; somebody may have removed it meanwhile."""
        subentry = self._get_entry().subentries.get(self._reconfigure_subentry_id)
        if subentry is None:
            raise AbortFlow("door_removed")
        return subentry
