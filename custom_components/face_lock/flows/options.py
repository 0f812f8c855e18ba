"""A door's options, in the sections in which they are kept."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import probatio
from homeassistant.components.lock.const import LockEntityFeature
from homeassistant.config_entries import ConfigEntry, ConfigFlowResult, OptionsFlow
from homeassistant.const import (
    ATTR_SUPPORTED_FEATURES,
    STATE_UNAVAILABLE,
    STATE_UNKNOWN,
    Platform,
    UnitOfTime,
)
from homeassistant.core import HomeAssistant, State, callback
from homeassistant.data_entry_flow import section
from homeassistant.helpers.selector import (
    ActionSelector,
    BooleanSelector,
    NumberSelector,
    NumberSelectorConfig,
    NumberSelectorMode,
    SelectSelector,
    SelectSelectorConfig,
    TextSelector,
    TextSelectorConfig,
    TextSelectorType,
)

from ..announcer import async_checked
from ..codes import hash_code
from ..const import CONF_LOCK
from ..coordinator import OWN_RELOCK_AFTER
from ..own_models import async_own_models
from ..people import people_of
from ..settings import (
    BUNDLED,
    CONF_ANNOUNCE,
    CONF_ATTEMPTS,
    CONF_BUNDLE,
    CONF_CODE,
    CONF_DAYS,
    CONF_FACTOR_AFTER_RESTART,
    CONF_FACTOR_ENTITY,
    CONF_FACTOR_STATE,
    CONF_FALSE_POSITIVE_RATE,
    CONF_FLASH_LIGHT,
    CONF_HOLD,
    CONF_KEEP_LAST_VISIT,
    CONF_KEEP_PICTURES,
    CONF_LIVENESS,
    CONF_OPEN_LATCH,
    CONF_RELOCK_AFTER,
    CONF_SENSITIVITY,
    CONF_TRIGGERS,
    FALSE_POSITIVE_RATES,
    SECTION_DOOR,
    SECTION_GATE,
    SECTION_PRIVACY,
    SECTION_RECOGNITION,
    SECTION_SECURITY,
    DoorSettings,
    Sensitivity,
)
from ..source import async_entity_reference, async_resolve
from ..vision import LivenessLevel
from .fields import (
    RATE_FIELD,
    RATE_SELECTOR,
    TRIGGER_DOMAINS,
    TRIGGERS_FIELD,
    async_check_rate,
    async_rate_costs,
    entities,
    exists,
    references,
    resolved,
)

CONF_REMOVE_CODE: Final = "remove_code"
"""Only in the form: a code that is kept is never shown, so that it cannot be emptied either."""
CODE_LENGTHS: Final = range(4, 13)
ENTITIES: Final = (CONF_FACTOR_ENTITY, CONF_FLASH_LIGHT)
"""Of the section on security."""
NUMBERS: Final = (CONF_RELOCK_AFTER, CONF_ATTEMPTS, CONF_DAYS)
ON_OFF_DOMAINS: Final = ("binary_sensor", "calendar", "input_boolean", "schedule", "switch")
FACTOR_DOMAINS: Final = (
    *ON_OFF_DOMAINS,
    "alarm_control_panel",
    "device_tracker",
    "input_select",
    "lock",
    "person",
    "select",
    "sensor",
)

Sections = dict[str, dict[str, Any]]


class DoorOptionsFlow(OptionsFlow):
    """Changes everything about a door but its camera and its lock."""

    async def async_step_init(self, user_input: Sections | None = None) -> ConfigFlowResult:
        """Ask for the options."""
        entry = self.config_entry
        errors: dict[str, str] = {}
        if user_input is not None:
            errors = await self._async_check(user_input)
            if not errors:
                return self.async_create_entry(data=await self._async_kept(user_input))
        suggested = user_input or _shown(self.hass, entry.options)
        bundles = await self._async_bundles()
        return self.async_show_form(
            step_id="init",
            data_schema=self.add_suggested_values_to_schema(
                _schema(self.hass, entry, bundles, opened=errors), suggested
            ),
            errors=errors,
            description_placeholders=await async_rate_costs(
                self.hass, len(people_of(entry)), self._bundle(suggested)
            ),
        )

    def _bundle(self, sections: Mapping[str, Any]) -> str:
        """Return which models the sections choose; a form that does not ask leaves them."""
        stored = self.config_entry.options.get(SECTION_RECOGNITION, {}).get(CONF_BUNDLE, BUNDLED)
        bundle: str = sections.get(SECTION_RECOGNITION, {}).get(CONF_BUNDLE, stored)
        return bundle

    async def _async_bundles(self) -> list[str]:
        """Return the models to choose from, those that are gone but chosen among them."""
        return sorted({*await async_own_models(self.hass), self._bundle({})} - {BUNDLED})

    async def _async_check(self, user_input: Sections) -> dict[str, str]:
        """Return the form's errors: the frontend shows one for each section, above it."""
        recognition, gate = user_input[SECTION_RECOGNITION], user_input[SECTION_GATE]
        rate = FALSE_POSITIVE_RATES[recognition[CONF_FALSE_POSITIVE_RATE]]
        triggers = gate.get(CONF_TRIGGERS, ())
        found = {
            SECTION_RECOGNITION: await async_check_rate(
                self.hass, rate, len(people_of(self.config_entry)), self._bundle(user_input)
            ),
            SECTION_GATE: None
            if all(exists(self.hass, trigger) for trigger in triggers)
            else "trigger_not_found",
            SECTION_SECURITY: await self._async_challenge_problem(user_input[SECTION_SECURITY])
            or self._security_problem(user_input[SECTION_SECURITY]),
        }
        return {name: problem for name, problem in found.items() if problem is not None}

    async def _async_challenge_problem(self, security: Mapping[str, Any]) -> str | None:
        actions, light = security.get(CONF_ANNOUNCE), security.get(CONF_FLASH_LIGHT)
        if light is not None and not exists(self.hass, light):
            return "flash_light_not_found"
        if actions:
            try:
                await async_checked(self.hass, actions)
            except Exception:  # noqa: BLE001 - whatever the actions' integrations object to
                return "announce_invalid"
        asks = security[CONF_LIVENESS] == LivenessLevel.CHALLENGE
        return "challenge_missing" if asks and not actions and light is None else None

    def _security_problem(self, security: Mapping[str, Any]) -> str | None:
        code = security.get(CONF_CODE, "")
        if code and len(code) not in CODE_LENGTHS:
            return "code_length"
        if code and security.get(CONF_REMOVE_CODE):
            return "code_removed"
        factor = security.get(CONF_FACTOR_ENTITY)
        if factor is not None:
            if not exists(self.hass, factor):
                return "factor_not_found"
            if not _can_be(self.hass.states.get(factor), security[CONF_FACTOR_STATE].strip()):
                return "factor_state"
        stored = self.config_entry.options.get(SECTION_SECURITY, {}).get(CONF_CODE)
        keeps_code = code or (stored and not security.get(CONF_REMOVE_CODE))
        if security[CONF_FACTOR_AFTER_RESTART] and factor is None and not keeps_code:
            return "factor_missing"
        return None

    async def _async_kept(self, user_input: Sections) -> Sections:
        """Return the options as they are kept: what the form did not show stays."""
        kept: Sections = {}
        bundles = await self._async_bundles()
        schema = _schema(self.hass, self.config_entry, bundles).schema
        for name, values in user_input.items():
            shown = {str(key) for key in schema[name].schema.schema}
            before = self.config_entry.options.get(name, {})
            kept[name] = {key: value for key, value in before.items() if key not in shown}
            kept[name] |= {k: int(v) if k in NUMBERS else v for k, v in values.items()}
        gate, security = kept[SECTION_GATE], kept[SECTION_SECURITY]
        gate[CONF_TRIGGERS] = references(self.hass, gate.get(CONF_TRIGGERS, ()))
        for key in ENTITIES:
            if entity_id := security.get(key):
                security[key] = async_entity_reference(self.hass, entity_id)
        security[CONF_FACTOR_STATE] = security[CONF_FACTOR_STATE].strip()
        stored = self.config_entry.options.get(SECTION_SECURITY, {}).get(CONF_CODE)
        if code := security.pop(CONF_CODE, None):
            security[CONF_CODE] = await self.hass.async_add_executor_job(hash_code, code)
        elif stored and not security.get(CONF_REMOVE_CODE):
            security[CONF_CODE] = stored
        security.pop(CONF_REMOVE_CODE, None)
        return {**self.config_entry.options, **kept}


@callback
def _shown(hass: HomeAssistant, options: Mapping[str, Any]) -> Sections:
    """Return the options as the form shows them: entities by entity id, and never the code."""
    shown = {name: dict(values) for name, values in options.items()}
    gate, security = shown.get(SECTION_GATE, {}), shown.get(SECTION_SECURITY, {})
    if CONF_TRIGGERS in gate:
        gate[CONF_TRIGGERS] = resolved(hass, gate[CONF_TRIGGERS])
    security.pop(CONF_CODE, None)
    for key in ENTITIES:
        reference = security.pop(key, None)
        entity_id = None if reference is None else async_resolve(hass, reference)
        if entity_id is not None:
            security[key] = entity_id
    return shown


@callback
def _can_be(state: State | None, wanted: str) -> bool:
    """Whether an entity may ever be in a state, as far as can be told."""
    if state is None or wanted in ("", STATE_UNAVAILABLE, STATE_UNKNOWN):
        return False
    if state.domain in ON_OFF_DOMAINS:
        return wanted in ("on", "off")
    options = state.attributes.get("options")
    return wanted in options if isinstance(options, list) else True


@callback
def _schema(
    hass: HomeAssistant,
    entry: ConfigEntry,
    bundles: list[str],
    opened: Mapping[str, str] | None = None,
) -> probatio.Schema:
    """Make the form, with those sections unfolded that have an error."""
    fields = {
        SECTION_RECOGNITION: _recognition_fields(bundles),
        SECTION_GATE: {
            TRIGGERS_FIELD: entities(hass, TRIGGER_DOMAINS, multiple=True),
            probatio.Required(CONF_SENSITIVITY, default=DoorSettings().sensitivity.value): _choice(
                CONF_SENSITIVITY, Sensitivity
            ),
        },
        SECTION_DOOR: _door_fields(hass, entry),
        SECTION_SECURITY: _security_fields(hass, entry),
        SECTION_PRIVACY: {
            _required(CONF_KEEP_PICTURES): BooleanSelector(),
            _required(CONF_KEEP_LAST_VISIT): BooleanSelector(),
            _required(CONF_DAYS): _number(1, 365, UnitOfTime.DAYS),
        },
    }
    unfolded = opened or {SECTION_RECOGNITION: ""}
    return probatio.Schema(
        {
            probatio.Required(name): section(
                probatio.Schema(of_section), {"collapsed": name not in unfolded}
            )
            for name, of_section in fields.items()
        }
    )


def _recognition_fields(bundles: list[str]) -> dict[probatio.Marker, Any]:
    fields: dict[probatio.Marker, Any] = {RATE_FIELD: RATE_SELECTOR}
    if bundles:
        fields[_required(CONF_BUNDLE)] = _choice(CONF_BUNDLE, [BUNDLED, *bundles])
    return fields


@callback
def _door_fields(hass: HomeAssistant, entry: ConfigEntry) -> dict[probatio.Marker, Any]:
    reference = entry.data.get(CONF_LOCK)
    # Without a lock of the owner's nothing else could lock again; with one, 0 leaves it to that.
    least, usual = (1, OWN_RELOCK_AFTER) if reference is None else (0, 0)
    fields: dict[probatio.Marker, Any] = {
        probatio.Required(CONF_RELOCK_AFTER, default=usual): _number(
            least, 600, UnitOfTime.SECONDS
        ),
        _required(CONF_HOLD): BooleanSelector(),
    }
    entity_id = None if reference is None else async_resolve(hass, reference)
    state = None if entity_id is None else hass.states.get(entity_id)
    features = 0 if state is None else state.attributes.get(ATTR_SUPPORTED_FEATURES, 0)
    if features & LockEntityFeature.OPEN:
        fields[_required(CONF_OPEN_LATCH)] = BooleanSelector()
    return fields


@callback
def _security_fields(hass: HomeAssistant, entry: ConfigEntry) -> dict[probatio.Marker, Any]:
    fields: dict[probatio.Marker, Any] = {
        _required(CONF_LIVENESS): _choice(CONF_LIVENESS, LivenessLevel),
        probatio.Optional(CONF_ANNOUNCE): ActionSelector(),
        probatio.Optional(CONF_FLASH_LIGHT): entities(hass, [Platform.LIGHT]),
        probatio.Optional(CONF_FACTOR_ENTITY): entities(hass, FACTOR_DOMAINS),
        _required(CONF_FACTOR_STATE): TextSelector(),
        probatio.Optional(CONF_CODE): TextSelector(
            TextSelectorConfig(type=TextSelectorType.PASSWORD, autocomplete="new-password")
        ),
    }
    if entry.options.get(SECTION_SECURITY, {}).get(CONF_CODE):
        fields[probatio.Required(CONF_REMOVE_CODE, default=False)] = BooleanSelector()
    fields[_required(CONF_FACTOR_AFTER_RESTART)] = BooleanSelector()
    fields[_required(CONF_ATTEMPTS)] = _number(3, 10)
    return fields


def _required(key: str) -> probatio.Marker:
    """Make a field whose default is that of the typed settings, which name it alike."""
    return probatio.Required(key, default=getattr(DoorSettings(), key))


def _choice(key: str, options: Any) -> SelectSelector:
    return SelectSelector(
        SelectSelectorConfig(options=[str(option) for option in options], translation_key=key)
    )


def _number(least: int, most: int, unit: str | None = None) -> NumberSelector:
    config = NumberSelectorConfig(min=least, max=most, step=1, mode=NumberSelectorMode.BOX)
    if unit is not None:
        config["unit_of_measurement"] = unit
    return NumberSelector(config)
