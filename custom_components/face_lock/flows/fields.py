"""Fields that several forms share, and what may be put into them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import probatio
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers import entity_registry as er
from homeassistant.helpers.selector import (
    EntitySelector,
    EntitySelectorConfig,
    SelectSelector,
    SelectSelectorConfig,
)

from ..const import DOMAIN
from ..entity_reference import async_entity_reference, async_resolve
from ..recognition.own_models import models_folder
from ..settings import (
    BUNDLED,
    CONF_FALSE_POSITIVE_RATE,
    CONF_TRIGGERS,
    DEFAULT_FALSE_POSITIVE_RATE,
    FALSE_POSITIVE_RATES,
)
from ..vision import BundleError, Thresholds, load_thresholds
from .rate_costs import UNKNOWN, rate_costs

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
    hass: HomeAssistant,
    domains: Iterable[str],
    *,
    device_classes: Iterable[str] = (),
    multiple: bool = False,
) -> EntitySelector:
    """Offer the entities of some domains (and classes, where some are named), but none of ours."""
    config = EntitySelectorConfig(
        domain=list(domains), exclude_entities=own_entities(hass), multiple=multiple
    )
    if classes := [str(name) for name in device_classes]:
        config["device_class"] = classes
    return EntitySelector(config)


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


def required(key: str, settings: Any) -> probatio.Marker:
    """Make a field whose default is that of the typed settings, which name it alike."""
    return probatio.Required(key, default=getattr(settings, key))


def choice(key: str, options: Iterable[Any]) -> SelectSelector:
    """Offer some options, whose texts are those of selector ``key``."""
    return SelectSelector(
        SelectSelectorConfig(options=[str(option) for option in options], translation_key=key)
    )
