"""The integration's actions (services, to Home Assistant's core), registered once for all doors.

All but ``feedback`` and ``present_code`` are for administrators: they change who may come in, hand
out pictures, or would let somebody try pictures until one passes. Automations, which no user runs,
may call all.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Final

import probatio
from homeassistant.core import (
    HomeAssistant,
    ServiceCall,
    ServiceResponse,
    SupportsResponse,
    callback,
)
from homeassistant.helpers.service import async_register_admin_service

from ..const import DOMAIN
from . import code, enroll, feedback, people, verify


@dataclass(frozen=True, slots=True)
class Action:
    """An action: its name, what answers it, and what it takes."""

    name: str
    answer: Callable[[ServiceCall], Coroutine[Any, Any, ServiceResponse]]
    schema: probatio.Schema
    response: SupportsResponse = SupportsResponse.OPTIONAL
    admin: bool = True


ACTIONS: Final = (
    Action("verify", verify.async_verify, verify.SCHEMA, SupportsResponse.ONLY),
    Action("enroll", enroll.async_enroll, enroll.SCHEMA),
    Action("forget", people.async_forget, people.FORGET_SCHEMA),
    Action("unlock_for", people.async_unlock_for, people.UNLOCK_FOR_SCHEMA),
    Action("present_code", code.async_present_code, code.PRESENT_SCHEMA, admin=False),
    Action("clear_lockout", code.async_clear_lockout, code.CLEAR_SCHEMA),
    Action("feedback", feedback.async_feedback, feedback.SCHEMA, admin=False),
    Action("export_feedback", feedback.async_export_feedback, feedback.EXPORT_SCHEMA),
)


@callback
def async_setup_services(hass: HomeAssistant) -> None:
    """Register all actions."""
    for action in ACTIONS:
        if action.admin:
            async_register_admin_service(
                hass, DOMAIN, action.name, action.answer, action.schema, action.response
            )
        else:
            hass.services.async_register(
                DOMAIN, action.name, action.answer, action.schema, action.response
            )
