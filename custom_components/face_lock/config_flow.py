"""Setting up a door: which camera, which lock, how strict."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, override

import probatio
from homeassistant.components.camera.const import DOMAIN as CAMERA_DOMAIN
from homeassistant.components.lock.const import DOMAIN as LOCK_DOMAIN
from homeassistant.config_entries import (
    SOURCE_USER,
    ConfigEntry,
    ConfigEntryState,
    ConfigFlow,
    ConfigFlowResult,
    ConfigSubentryFlow,
    FlowType,
    OptionsFlow,
    SubentryFlowContext,
)
from homeassistant.const import UnitOfTime
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers import entity_registry as er
from homeassistant.helpers.selector import (
    EntitySelector,
    EntitySelectorConfig,
    NumberSelector,
    NumberSelectorConfig,
    NumberSelectorMode,
    SelectSelector,
    SelectSelectorConfig,
)

from .const import (
    CONF_CAMERA,
    CONF_LOCK,
    DOMAIN,
    SUBENTRY_PERSON,
)
from .coordinator import OWN_RELOCK_AFTER, people_of
from .person_flow import PersonFlow
from .settings import (
    CONF_FALSE_POSITIVE_RATE,
    CONF_RELOCK_AFTER,
    DEFAULT_FALSE_POSITIVE_RATE,
    FALSE_POSITIVE_RATES,
    SECTION_DOOR,
    SECTION_RECOGNITION,
)
from .source import (
    CameraError,
    async_entity_reference,
    async_resolve,
    async_take_picture,
)
from .vision import BundleError, PictureError, decode_rgb, load_thresholds

RATE_SELECTOR = SelectSelector(
    SelectSelectorConfig(
        options=list(FALSE_POSITIVE_RATES), translation_key=CONF_FALSE_POSITIVE_RATE
    )
)
RATE_FIELD = probatio.Required(CONF_FALSE_POSITIVE_RATE, default=DEFAULT_FALSE_POSITIVE_RATE)


class FaceLockConfigFlow(ConfigFlow, domain=DOMAIN):
    """Adds a door, or gives it another camera or lock."""

    VERSION = 1
    MINOR_VERSION = 2

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
        """Ask for the camera, the lock and the rate."""
        errors: dict[str, str] = {}
        if user_input is not None:
            data = _door_data(self.hass, user_input)
            await self.async_set_unique_id(data[CONF_CAMERA])
            self._abort_if_unique_id_configured()
            errors = await _async_check_door(self.hass, user_input)
            rate = user_input[CONF_FALSE_POSITIVE_RATE]
            if problem := await _async_check_rate(self.hass, rate, people=1):
                errors[CONF_FALSE_POSITIVE_RATE] = problem
            if not errors:
                return self.async_create_entry(
                    title=_camera_name(self.hass, user_input[CONF_CAMERA]),
                    data=data,
                    options={SECTION_RECOGNITION: {CONF_FALSE_POSITIVE_RATE: rate}},
                )
        schema = _door_schema(self.hass).extend({RATE_FIELD: RATE_SELECTOR})
        return self.async_show_form(
            step_id="user",
            data_schema=self.add_suggested_values_to_schema(schema, user_input),
            errors=errors,
        )

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

    async def async_step_reconfigure(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Ask for another camera or lock."""
        entry = self._get_reconfigure_entry()
        errors: dict[str, str] = {}
        if user_input is not None:
            data = _door_data(self.hass, user_input)
            other = self.hass.config_entries.async_entry_for_domain_unique_id(
                DOMAIN, data[CONF_CAMERA]
            )
            if other is not None and other.entry_id != entry.entry_id:
                return self.async_abort(reason="already_configured")
            errors = await _async_check_door(self.hass, user_input)
            if not errors:
                return self.async_update_and_abort(entry, unique_id=data[CONF_CAMERA], data=data)
        suggested = user_input or {
            key: async_resolve(self.hass, reference) for key, reference in entry.data.items()
        }
        return self.async_show_form(
            step_id="reconfigure",
            data_schema=self.add_suggested_values_to_schema(_door_schema(self.hass), suggested),
            errors=errors,
        )


class DoorOptionsFlow(OptionsFlow):
    """Changes how strict a door is, and when its own lock locks again."""

    async def async_step_init(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Ask for the options."""
        entry = self.config_entry
        errors: dict[str, str] = {}
        if user_input is not None:
            rate = user_input[CONF_FALSE_POSITIVE_RATE]
            if problem := await _async_check_rate(self.hass, rate, len(people_of(entry))):
                errors[CONF_FALSE_POSITIVE_RATE] = problem
            else:
                door = {k: v for k, v in user_input.items() if k == CONF_RELOCK_AFTER}
                recognition = {CONF_FALSE_POSITIVE_RATE: rate}
                changed = {SECTION_RECOGNITION: recognition, SECTION_DOOR: door}
                return self.async_create_entry(data={**entry.options, **changed})
        fields: dict[probatio.Marker, Any] = {RATE_FIELD: RATE_SELECTOR}
        if CONF_LOCK not in entry.data:
            seconds = NumberSelector(
                NumberSelectorConfig(
                    min=1,
                    max=600,
                    step=1,
                    mode=NumberSelectorMode.BOX,
                    unit_of_measurement=UnitOfTime.SECONDS,
                )
            )
            fields[probatio.Required(CONF_RELOCK_AFTER, default=OWN_RELOCK_AFTER)] = seconds
        return self.async_show_form(
            step_id="init",
            data_schema=self.add_suggested_values_to_schema(
                probatio.Schema(fields), user_input or _flat(entry.options)
            ),
            errors=errors,
        )


def _flat(options: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for section in options.values() for key, value in section.items()}


def _door_schema(hass: HomeAssistant) -> probatio.Schema:
    ours = [
        entity.entity_id
        for entity in er.async_get(hass).entities.values()
        if entity.platform == DOMAIN and entity.domain == LOCK_DOMAIN
    ]
    lock = EntitySelectorConfig(domain=LOCK_DOMAIN, exclude_entities=ours)
    return probatio.Schema(
        {
            probatio.Required(CONF_CAMERA): EntitySelector(
                EntitySelectorConfig(domain=CAMERA_DOMAIN)
            ),
            probatio.Optional(CONF_LOCK): EntitySelector(lock),
        }
    )


def _door_data(hass: HomeAssistant, user_input: Mapping[str, Any]) -> dict[str, str]:
    return {
        key: async_entity_reference(hass, user_input[key])
        for key in (CONF_CAMERA, CONF_LOCK)
        if user_input.get(key)
    }


async def _async_check_door(hass: HomeAssistant, user_input: Mapping[str, Any]) -> dict[str, str]:
    """Take a picture and look for the lock; return the form's errors."""
    errors: dict[str, str] = {}
    try:
        picture = await async_take_picture(hass, user_input[CONF_CAMERA])
        await hass.async_add_executor_job(decode_rgb, picture.data)
    except CameraError as error:
        errors[CONF_CAMERA] = error.key
    except PictureError as error:
        errors[CONF_CAMERA] = error.problem.value
    lock = user_input.get(CONF_LOCK)
    if lock and hass.states.get(lock) is None:
        errors[CONF_LOCK] = "lock_not_found"
    return errors


async def _async_check_rate(hass: HomeAssistant, rate: str, people: int) -> str | None:
    """Say what is wrong with a rate for a number of people."""
    try:
        thresholds = await hass.async_add_executor_job(load_thresholds)
        thresholds.operating_point(FALSE_POSITIVE_RATES[rate], people)
    except BundleError:
        return "models_damaged"
    except ValueError:
        return "rate_unavailable"
    return None


def _camera_name(hass: HomeAssistant, entity_id: str) -> str:
    state = hass.states.get(entity_id)
    return entity_id if state is None else state.name
