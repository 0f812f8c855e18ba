"""What holds for all doors: the models, and whether people's pictures are kept."""

from __future__ import annotations

from typing import Any

import probatio
from homeassistant.config_entries import ConfigFlowResult, OptionsFlow
from homeassistant.helpers.selector import BooleanSelector

from ..people import doors_of, people_of
from ..recognition.own_models import async_own_models
from ..settings import BUNDLED, CONF_BUNDLE, CONF_KEEP_PICTURES, DoorSettings, HouseholdSettings
from .fields import async_check_rate, choice, required


class HouseholdOptionsFlow(OptionsFlow):
    """Changes what holds for all doors; all of them start again then."""

    async def async_step_init(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Ask for the options."""
        settings = HouseholdSettings.of(self.config_entry.options)
        errors: dict[str, str] = {}
        if user_input is not None:
            bundle = user_input.get(CONF_BUNDLE, settings.bundle)
            if problem := await self._async_problem(bundle):
                errors[CONF_BUNDLE if CONF_BUNDLE in user_input else "base"] = problem
            else:
                return self.async_create_entry(data={**self.config_entry.options, **user_input})
        fields: dict[probatio.Marker, Any] = {
            required(CONF_KEEP_PICTURES, HouseholdSettings()): BooleanSelector()
        }
        # Those that are gone but chosen are among them.
        own = {*await async_own_models(self.hass), settings.bundle} - {BUNDLED}
        if own:
            selector = choice(CONF_BUNDLE, [BUNDLED, *sorted(own)])
            fields[required(CONF_BUNDLE, HouseholdSettings())] = selector
        suggested = user_input or self.config_entry.options
        return self.async_show_form(
            step_id="init",
            data_schema=self.add_suggested_values_to_schema(probatio.Schema(fields), suggested),
            errors=errors,
        )

    async def _async_problem(self, bundle: str) -> str | None:
        """Say why the doors could not go on with these models."""
        people = len(people_of(self.config_entry))
        for subentry in doors_of(self.config_entry).values():
            try:
                rate = DoorSettings.of(subentry.data).false_positive_rate
            except (AttributeError, KeyError, TypeError, ValueError):
                continue  # that door is not running, and says so itself
            if problem := await async_check_rate(self.hass, rate, people, bundle):
                return problem
        return None
