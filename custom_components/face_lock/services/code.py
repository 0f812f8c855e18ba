"""The second factor's code, and the end of a lockout."""

from __future__ import annotations

from typing import Final

import probatio
from homeassistant.core import ServiceCall, ServiceResponse

from .common import DOOR_FIELD, async_door, refusal, text

ATTR_CODE: Final = "code"

PRESENT_SCHEMA: Final = probatio.Schema({**DOOR_FIELD, probatio.Required(ATTR_CODE): text})
CLEAR_SCHEMA: Final = probatio.Schema(DOOR_FIELD)


async def async_present_code(call: ServiceCall) -> ServiceResponse:
    """Take a code; the answer says whether it was the door's.

    While the door is locked out, a keypad (an automation, which no user runs) is not listened to:
    a right code ends the lockout, and whoever stands at the keypad could try codes without end.
    """
    door = async_door(call)
    if door.settings.code_hash is None:
        raise refusal("no_code")
    if door.controller.is_locked_out and call.context.user_id is None:
        return {"accepted": False, "locked_out": True}
    accepted = await door.controller.async_offer_code(call.data[ATTR_CODE])
    return {"accepted": accepted, "locked_out": door.controller.is_locked_out}


async def async_clear_lockout(call: ServiceCall) -> ServiceResponse:
    """Forget a door's failed visits."""
    return {"failures": await async_door(call).controller.async_end_lockout()}
