"""Repair issues: what the owner must know and only the owner can mend."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Final

from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers import issue_registry as ir

from .const import DOMAIN

DOCUMENTATION: Final = "https://github.com/face-lock/face-lock/blob/main/docs"


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


@callback
def async_advise(hass: HomeAssistant, issue: str, key: str, page: str, **placeholders: str) -> None:
    """Raise ``issue`` as something worth mending; ``page`` of the documentation says more."""
    ir.async_create_issue(
        hass,
        DOMAIN,
        issue,
        is_fixable=False,
        learn_more_url=f"{DOCUMENTATION}/{page}",
        severity=ir.IssueSeverity.WARNING,
        translation_key=key,
        translation_placeholders=placeholders or None,
    )


@callback
def async_withdraw(hass: HomeAssistant, prefix: str, but: Collection[str] = ()) -> None:
    """Take back all issues whose id begins with ``prefix`` but some."""
    for domain, issue in list(ir.async_get(hass).issues):
        if domain == DOMAIN and issue.startswith(prefix) and issue not in but:
            ir.async_delete_issue(hass, DOMAIN, issue)


@callback
def async_report_only(
    hass: HomeAssistant,
    keys: Iterable[str],
    key: str | None,
    suffix: str = "",
    **placeholders: str,
) -> None:
    """Of the issues ``keys`` leave ``key`` alone open, or none; an issue's id is key + suffix."""
    for other in keys:
        if other != key:
            ir.async_delete_issue(hass, DOMAIN, f"{other}{suffix}")
    if key is not None:
        async_report(hass, f"{key}{suffix}", key, **placeholders)


@callback
def async_report_if(
    hass: HomeAssistant, wrong: bool, issue: str, key: str, **placeholders: str
) -> None:
    """Raise ``issue`` while something is ``wrong``, and take it back once it is not."""
    if wrong:
        async_report(hass, issue, key, **placeholders)
    else:
        ir.async_delete_issue(hass, DOMAIN, issue)
