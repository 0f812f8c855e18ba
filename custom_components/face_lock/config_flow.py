"""Setting up the household with its first door, which leads on to the first person."""

from __future__ import annotations

from typing import Any, override
from uuid import uuid4

from homeassistant.config_entries import (
    SOURCE_USER,
    ConfigEntry,
    ConfigEntryState,
    ConfigFlow,
    ConfigFlowContext,
    ConfigFlowResult,
    ConfigSubentryData,
    ConfigSubentryFlow,
    FlowType,
    SubentryFlowContext,
)
from homeassistant.core import callback

from .const import DOMAIN, SUBENTRY_DOOR, SUBENTRY_PERSON
from .flows.door import DoorFlow
from .flows.household_options import HouseholdOptionsFlow
from .flows.person import PersonFlow
from .flows.set_up import DoorSteps, door_name, new_door_data

TITLE = "Face Lock"


class FaceLockConfigFlow(
    DoorSteps[ConfigFlowContext, ConfigFlowResult, str], ConfigFlow, domain=DOMAIN
):
    """Adds the household with its first door."""

    VERSION = 2

    @staticmethod
    @callback
    @override
    def async_get_options_flow(config_entry: ConfigEntry) -> HouseholdOptionsFlow:
        """Return the options flow."""
        return HouseholdOptionsFlow()

    @classmethod
    @callback
    @override
    def async_get_supported_subentry_types(
        cls, config_entry: ConfigEntry
    ) -> dict[str, type[ConfigSubentryFlow]]:
        """Return the kinds of subentries: doors and people."""
        return {SUBENTRY_DOOR: DoorFlow, SUBENTRY_PERSON: PersonFlow}

    @property
    @override
    def _household(self) -> None:
        return None

    @override
    async def async_step_user(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Ask for the first door."""
        return await self._async_ask_new_door(user_input)

    @override
    async def _async_keep(self) -> ConfigFlowResult:
        door = ConfigSubentryData(
            subentry_type=SUBENTRY_DOOR,
            title=door_name(self.hass, self._input),
            data=new_door_data(self.hass, self._input),
            unique_id=uuid4().hex,
        )
        return self.async_create_entry(title=TITLE, data={}, subentries=[door])

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
