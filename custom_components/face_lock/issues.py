"""Repair issues: what the owner must know and only the owner can mend."""

from __future__ import annotations

from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers import issue_registry as ir

from .const import DOMAIN


@callback
def async_report(hass: HomeAssistant, issue: str, key: str, **placeholders: str) -> None:
    """Raise ``issue`` with the text of translation ``key``."""
    ir.async_create_issue(
        hass,
        DOMAIN,
        issue,
        is_fixable=False,
        severity=ir.IssueSeverity.ERROR,
        translation_key=key,
        translation_placeholders=placeholders or None,
    )
