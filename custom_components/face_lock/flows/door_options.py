"""A door's options, section by section: what each form asks, what may be wrong, what is kept."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import probatio
from homeassistant.components.binary_sensor.const import BinarySensorDeviceClass
from homeassistant.components.lock.const import LockEntityFeature
from homeassistant.const import (
    ATTR_SUPPORTED_FEATURES,
    STATE_UNAVAILABLE,
    STATE_UNKNOWN,
    Platform,
    UnitOfTime,
)
from homeassistant.core import HomeAssistant, State, callback
from homeassistant.helpers.selector import (
    ActionSelector,
    BooleanSelector,
    NumberSelector,
    NumberSelectorConfig,
    NumberSelectorMode,
    TextSelector,
    TextSelectorConfig,
    TextSelectorType,
)

from ..access.codes import hash_code
from ..challenge.announcer import async_checked
from ..const import CONF_LOCK
from ..entity_reference import async_entity_reference, async_resolve, async_state_of
from ..locking.driver import OWN_RELOCK_AFTER
from ..settings import (
    BUNDLED,
    CONF_ANNOUNCE,
    CONF_ATTEMPTS,
    CONF_CODE,
    CONF_CONTACT,
    CONF_DAYS,
    CONF_FACTOR_AFTER_RESTART,
    CONF_FACTOR_ENTITY,
    CONF_FACTOR_STATE,
    CONF_FALSE_POSITIVE_RATE,
    CONF_FLASH_LIGHT,
    CONF_HOLD,
    CONF_HOLD_LONGEST,
    CONF_KEEP_LAST_VISIT,
    CONF_LEAVE_OPEN,
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
    holds,
)
from ..vision import LivenessLevel
from .fields import (
    RATE_FIELD,
    RATE_SELECTOR,
    TRIGGER_DOMAINS,
    TRIGGERS_FIELD,
    async_check_rate,
    choice,
    entities,
    exists,
    references,
    required,
    resolved,
)

CONF_REMOVE_CODE: Final = "remove_code"
"""Only in the form: a code that is kept is never shown, so that it cannot be emptied either."""
CODE_LENGTHS: Final = range(4, 13)
ENTITIES: Final = (CONF_CONTACT, CONF_FACTOR_ENTITY, CONF_FLASH_LIGHT)
NUMBERS: Final = (CONF_RELOCK_AFTER, CONF_HOLD_LONGEST, CONF_ATTEMPTS, CONF_DAYS)
CONTACTS: Final = (
    BinarySensorDeviceClass.DOOR,
    BinarySensorDeviceClass.GARAGE_DOOR,
    BinarySensorDeviceClass.OPENING,
    BinarySensorDeviceClass.WINDOW,
)
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
DEFAULTS: Final = DoorSettings()

Values = Mapping[str, Any]


class DoorOptions:
    """The options of one door, as its subentry keeps them."""

    def __init__(
        self, hass: HomeAssistant, data: Values, people: int, bundle: str = BUNDLED
    ) -> None:
        """``people`` are enrolled, and ``bundle`` names the models that recognise them."""
        self._hass = hass
        self._data = data
        self._people = people
        self._bundle = bundle

    @callback
    def schema(self, section: str) -> probatio.Schema:
        """Make a section's form."""
        fields = {
            SECTION_RECOGNITION: self._recognition_fields,
            SECTION_GATE: self._gate_fields,
            SECTION_DOOR: self._door_fields,
            SECTION_SECURITY: self._security_fields,
            SECTION_PRIVACY: self._privacy_fields,
        }
        return probatio.Schema(fields[section]())

    @callback
    def shown(self, section: str) -> dict[str, Any]:
        """Return what the form shows: entities by entity id, and never the code."""
        shown = dict(self._data.get(section, {}))
        if CONF_TRIGGERS in shown:
            shown[CONF_TRIGGERS] = resolved(self._hass, shown[CONF_TRIGGERS])
        shown.pop(CONF_CODE, None)
        for key in ENTITIES:
            reference = shown.pop(key, None)
            if reference and (entity_id := async_resolve(self._hass, reference)) is not None:
                shown[key] = entity_id
        return shown

    async def async_problems(self, section: str, values: Values) -> dict[str, str]:
        """Return the form's errors, field -> translation key."""
        if section == SECTION_RECOGNITION:
            rate = FALSE_POSITIVE_RATES[values[CONF_FALSE_POSITIVE_RATE]]
            problem = await async_check_rate(self._hass, rate, self._people, self._bundle)
            return {} if problem is None else {CONF_FALSE_POSITIVE_RATE: problem}
        if section == SECTION_GATE:
            known = all(exists(self._hass, trigger) for trigger in values.get(CONF_TRIGGERS, ()))
            return {} if known else {CONF_TRIGGERS: "trigger_not_found"}
        if section == SECTION_DOOR:
            contact = values.get(CONF_CONTACT)
            known = contact is None or exists(self._hass, contact)
            return {} if known else {CONF_CONTACT: "contact_not_found"}
        if section == SECTION_SECURITY:
            return await self._async_challenge_problems(values) | self._factor_problems(values)
        return {}

    async def async_kept(self, section: str, values: Values) -> dict[str, Any]:
        """Return the section as it is kept: what the form did not show stays."""
        asked = {str(key) for key in self.schema(section).schema}
        before = self._data.get(section, {})
        kept = {key: value for key, value in before.items() if key not in asked}
        kept |= {key: int(v) if key in NUMBERS else v for key, v in values.items()}
        for key in ENTITIES:
            if entity_id := values.get(key):
                kept[key] = async_entity_reference(self._hass, entity_id)
        if section == SECTION_GATE:
            kept[CONF_TRIGGERS] = references(self._hass, kept.get(CONF_TRIGGERS, ()))
        if section == SECTION_SECURITY:
            await self._async_keep_security(kept, before)
        return kept

    async def _async_keep_security(self, kept: dict[str, Any], before: Values) -> None:
        kept[CONF_FACTOR_STATE] = kept[CONF_FACTOR_STATE].strip()
        stored = before.get(CONF_CODE)
        if code := kept.pop(CONF_CODE, None):
            kept[CONF_CODE] = await self._hass.async_add_executor_job(hash_code, code)
        elif stored and not kept.get(CONF_REMOVE_CODE):
            kept[CONF_CODE] = stored
        kept.pop(CONF_REMOVE_CODE, None)

    # What may be wrong

    async def _async_challenge_problems(self, security: Values) -> dict[str, str]:
        actions, light = security.get(CONF_ANNOUNCE), security.get(CONF_FLASH_LIGHT)
        if light is not None and not exists(self._hass, light):
            return {CONF_FLASH_LIGHT: "flash_light_not_found"}
        if actions:
            try:
                await async_checked(self._hass, actions)
            except Exception:  # noqa: BLE001 - whatever the actions' integrations object to
                return {CONF_ANNOUNCE: "announce_invalid"}
        asks = security[CONF_LIVENESS] == LivenessLevel.CHALLENGE
        missing = asks and not actions and light is None
        return {CONF_LIVENESS: "challenge_missing"} if missing else {}

    def _factor_problems(self, security: Values) -> dict[str, str]:
        errors: dict[str, str] = {}
        code = security.get(CONF_CODE, "")
        if code and len(code) not in CODE_LENGTHS:
            errors[CONF_CODE] = "code_length"
        elif code and security.get(CONF_REMOVE_CODE):
            errors[CONF_CODE] = "code_removed"
        factor = security.get(CONF_FACTOR_ENTITY)
        if factor is not None:
            if not exists(self._hass, factor):
                errors[CONF_FACTOR_ENTITY] = "factor_not_found"
            elif not can_be(self._hass.states.get(factor), security[CONF_FACTOR_STATE].strip()):
                errors[CONF_FACTOR_STATE] = "factor_state"
        keeps_code = code or (self._has_code and not security.get(CONF_REMOVE_CODE))
        if security[CONF_FACTOR_AFTER_RESTART] and factor is None and not keeps_code:
            errors[CONF_FACTOR_AFTER_RESTART] = "factor_missing"
        return errors

    # The fields

    def _recognition_fields(self) -> dict[probatio.Marker, Any]:
        return {RATE_FIELD: RATE_SELECTOR}

    def _gate_fields(self) -> dict[probatio.Marker, Any]:
        return {
            TRIGGERS_FIELD: entities(self._hass, TRIGGER_DOMAINS, multiple=True),
            probatio.Required(CONF_SENSITIVITY, default=DEFAULTS.sensitivity.value): choice(
                CONF_SENSITIVITY, Sensitivity
            ),
        }

    def _door_fields(self) -> dict[probatio.Marker, Any]:
        reference = self._data.get(CONF_LOCK)
        # Without a lock of the owner's nothing else could lock again; with one, 0 leaves it to it.
        least, usual = (1, OWN_RELOCK_AFTER) if reference is None else (0, 0)
        fields: dict[probatio.Marker, Any] = {
            probatio.Required(CONF_RELOCK_AFTER, default=usual): _number(
                least, 600, UnitOfTime.SECONDS
            ),
            probatio.Required(CONF_HOLD, default=holds(self._data)): BooleanSelector(),
            required(CONF_HOLD_LONGEST, DEFAULTS): _number(10, 600, UnitOfTime.SECONDS),
            probatio.Optional(CONF_CONTACT): entities(
                self._hass, [Platform.BINARY_SENSOR], device_classes=CONTACTS
            ),
        }
        if reference is not None:
            fields[required(CONF_LEAVE_OPEN, DEFAULTS)] = BooleanSelector()
        state = async_state_of(self._hass, reference)
        features = 0 if state is None else state.attributes.get(ATTR_SUPPORTED_FEATURES, 0)
        if features & LockEntityFeature.OPEN:
            fields[required(CONF_OPEN_LATCH, DEFAULTS)] = BooleanSelector()
        return fields

    def _security_fields(self) -> dict[probatio.Marker, Any]:
        fields: dict[probatio.Marker, Any] = {
            required(CONF_LIVENESS, DEFAULTS): choice(CONF_LIVENESS, LivenessLevel),
            probatio.Optional(CONF_ANNOUNCE): ActionSelector(),
            probatio.Optional(CONF_FLASH_LIGHT): entities(self._hass, [Platform.LIGHT]),
            probatio.Optional(CONF_FACTOR_ENTITY): entities(self._hass, FACTOR_DOMAINS),
            required(CONF_FACTOR_STATE, DEFAULTS): TextSelector(),
            probatio.Optional(CONF_CODE): TextSelector(
                TextSelectorConfig(type=TextSelectorType.PASSWORD, autocomplete="new-password")
            ),
        }
        if self._has_code:
            fields[probatio.Required(CONF_REMOVE_CODE, default=False)] = BooleanSelector()
        fields[required(CONF_FACTOR_AFTER_RESTART, DEFAULTS)] = BooleanSelector()
        fields[required(CONF_ATTEMPTS, DEFAULTS)] = _number(3, 10)
        return fields

    def _privacy_fields(self) -> dict[probatio.Marker, Any]:
        return {
            required(CONF_KEEP_LAST_VISIT, DEFAULTS): BooleanSelector(),
            required(CONF_DAYS, DEFAULTS): _number(1, 365, UnitOfTime.DAYS),
        }

    @property
    def _has_code(self) -> bool:
        return bool(self._data.get(SECTION_SECURITY, {}).get(CONF_CODE))


@callback
def can_be(state: State | None, wanted: str) -> bool:
    """Whether an entity may ever be in a state, as far as can be told."""
    if state is None or wanted in ("", STATE_UNAVAILABLE, STATE_UNKNOWN):
        return False
    if state.domain in ON_OFF_DOMAINS:
        return wanted in ("on", "off")
    options = state.attributes.get("options")
    return wanted in options if isinstance(options, list) else True


def _number(least: int, most: int, unit: str | None = None) -> NumberSelector:
    config = NumberSelectorConfig(min=least, max=most, step=1, mode=NumberSelectorMode.BOX)
    if unit is not None:
        config["unit_of_measurement"] = unit
    return NumberSelector(config)
