"""Texts of this integration, looked up where no frontend translates them."""

from __future__ import annotations

from collections.abc import Iterable

from homeassistant.core import HomeAssistant
from homeassistant.helpers.translation import async_get_translations

from .const import DOMAIN


async def async_sentences(hass: HomeAssistant, path: str, keys: Iterable[str]) -> list[str]:
    """Look texts of this integration up, in Home Assistant's language.

    The frontend translates one text per place into the user's own; a list of several can only be
    put together here. ``path`` is for example ``config.error``.
    """
    category = path.split(".", maxsplit=1)[0]
    texts = await async_get_translations(hass, hass.config.language, category, [DOMAIN])
    return [texts.get(f"component.{DOMAIN}.{path}.{key}", key) for key in keys]
