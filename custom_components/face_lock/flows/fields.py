"""Fields of the door's forms, and what may be put into them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

import probatio
from homeassistant.components.camera.const import DOMAIN as CAMERA_DOMAIN
from homeassistant.components.lock.const import DOMAIN as LOCK_DOMAIN
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers import entity_registry as er
from homeassistant.helpers.selector import (
    EntitySelector,
    EntitySelectorConfig,
    SelectSelector,
    SelectSelectorConfig,
)

from ..const import CONF_CAMERA, CONF_LOCK, DOMAIN
from ..own_models import models_folder
from ..rates import UNKNOWN, rate_costs
from ..settings import (
    BUNDLED,
    CONF_FALSE_POSITIVE_RATE,
    CONF_TRIGGERS,
    DEFAULT_FALSE_POSITIVE_RATE,
    FALSE_POSITIVE_RATES,
)
from ..source import async_entity_reference, async_resolve
from ..vision import BundleError, Thresholds, load_thresholds

TRIGGER_DOMAINS: Final = ("binary_sensor", "event", "input_boolean")

RATE_SELECTOR = SelectSelector(
    SelectSelectorConfig(
        options=list(FALSE_POSITIVE_RATES), translation_key=CONF_FALSE_POSITIVE_RATE
    )
)
RATE_FIELD = probatio.Required(CONF_FALSE_POSITIVE_RATE, default=DEFAULT_FALSE_POSITIVE_RATE)
TRIGGERS_FIELD = probatio.Optional(CONF_TRIGGERS)


@callback
def own_entities(hass: HomeAssistant) -> list[str]:
    """List the entities of all doors: none of them may lead back into a door."""
    entities = er.async_get(hass).entities.values()
    return [entity.entity_id for entity in entities if entity.platform == DOMAIN]


@callback
def entities(
    hass: HomeAssistant, domains: Iterable[str], *, multiple: bool = False
) -> EntitySelector:
    """Offer the entities of some domains, but none of ours."""
    return EntitySelector(
        EntitySelectorConfig(
            domain=list(domains), exclude_entities=own_entities(hass), multiple=multiple
        )
    )


@callback
def door_schema(hass: HomeAssistant) -> probatio.Schema:
    """Ask for the camera and the lock."""
    return probatio.Schema(
        {
            probatio.Required(CONF_CAMERA): EntitySelector(
                EntitySelectorConfig(domain=CAMERA_DOMAIN)
            ),
            probatio.Optional(CONF_LOCK): entities(hass, [LOCK_DOMAIN]),
        }
    )


@callback
def door_data(hass: HomeAssistant, user_input: Mapping[str, Any]) -> dict[str, str]:
    """Return what a config entry keeps of the camera and the lock."""
    return {
        key: async_entity_reference(hass, user_input[key])
        for key in (CONF_CAMERA, CONF_LOCK)
        if user_input.get(key)
    }


@callback
def references(hass: HomeAssistant, entity_ids: Iterable[str]) -> list[str]:
    """Name entities so that the names survive renaming."""
    return [async_entity_reference(hass, entity_id) for entity_id in entity_ids]


@callback
def resolved(hass: HomeAssistant, named: Iterable[str]) -> list[str]:
    """Return the entity ids of those references whose entity still exists."""
    found = (async_resolve(hass, reference) for reference in named)
    return [entity_id for entity_id in found if entity_id is not None]


@callback
def exists(hass: HomeAssistant, entity_id: str) -> bool:
    """Whether there is such an entity; that it is none of ours the fields see to."""
    return hass.states.get(entity_id) is not None


async def async_check_rate(
    hass: HomeAssistant, rate: float, people: int, bundle: str = BUNDLED
) -> str | None:
    """Say, as a translation key, what is wrong with a rate for a number of people."""
    try:
        thresholds = await _async_thresholds(hass, bundle)
        thresholds.operating_point(rate, people)
    except BundleError:
        return "models_damaged" if bundle == BUNDLED else "own_models_damaged"
    except ValueError:
        return "rate_unavailable"
    return None


async def async_rate_costs(
    hass: HomeAssistant, people: int, bundle: str = BUNDLED
) -> dict[str, str]:
    """Return the placeholders that say what each rate costs the enrolled."""
    try:
        return rate_costs(await _async_thresholds(hass, bundle), people)
    except BundleError:
        # The form's own check says what is wrong.
        times = ("day", "night")
        return {f"{rate}_{time}": UNKNOWN for rate in FALSE_POSITIVE_RATES for time in times}


async def _async_thresholds(hass: HomeAssistant, bundle: str) -> Thresholds:
    try:
        folder = models_folder(hass, bundle)
    except ValueError as error:
        raise BundleError(str(error)) from error
    return await hass.async_add_executor_job(load_thresholds, folder)
