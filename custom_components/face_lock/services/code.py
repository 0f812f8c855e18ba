"""The second factor's code, and the end of a lockout."""

from __future__ import annotations

from typing import Final

import probatio
from homeassistant.core import ServiceCall, ServiceResponse

from .common import DOOR_FIELD, async_door, async_user, refusal, require_control, text

ATTR_CODE: Final = "code"

MAX_LENGTH: Final = 64
"""Of what is checked; longer than any code, and short enough to be no burden."""

PRESENT_SCHEMA: Final = probatio.Schema(
    {
        **DOOR_FIELD,
        probatio.Required(ATTR_CODE): probatio.All(text, probatio.Length(max=MAX_LENGTH)),
    }
)
CLEAR_SCHEMA: Final = probatio.Schema(DOOR_FIELD)


async def async_present_code(call: ServiceCall) -> ServiceResponse:
    """Take a code; the answer says whether it was the door's.

    While the door is locked out, only administrators are listened to: a right code ends the
    lockout, and whoever stands at a keypad or a panel could try codes without end. Who may not
    work the door's lock may try none at all, for wrong ones lock everybody out.

    Raises:
        Unauthorized: the user may not work the lock.

    """
    door = async_door(call)
    user = await async_user(call)
    if user is not None:
        require_control(call, user, door)
    if door.settings.code_hash is None:
        raise refusal("no_code")
    trusted = user is not None and user.is_admin
    accepted = await door.controller.async_offer_code(call.data[ATTR_CODE], trusted=trusted)
    return {"accepted": accepted, "locked_out": door.controller.is_locked_out}


async def async_clear_lockout(call: ServiceCall) -> ServiceResponse:
    """Forget a door's failures."""
    return {"failures": await async_door(call).controller.async_end_lockout()}
