"""Tells the owner of a camera that answers and yet shows nothing: only they can mend that."""

from __future__ import annotations

from typing import Final

from homeassistant.core import HomeAssistant, callback

from ..const import ISSUE_CAMERA_FROZEN, ISSUE_CAMERA_PLACEHOLDER, ISSUE_RECOGNITION_FAILS
from ..entity_reference import async_resolve
from ..issues import async_report_only

AILMENTS: Final = (ISSUE_CAMERA_FROZEN, ISSUE_CAMERA_PLACEHOLDER, ISSUE_RECOGNITION_FAILS)


class AilmentReport:
    """The repair issue of one camera, whichever doors it serves."""

    def __init__(self, hass: HomeAssistant, camera: str) -> None:
        self._hass = hass
        self._camera = camera
        self._told: str | None = None

    @callback
    def async_tell(self, outage: str | None) -> None:
        """Raise the issue of an outage that is one of these, and take it back afterwards."""
        found = outage if outage in AILMENTS else None
        if found == self._told:
            return
        self._told = found
        entity_id = async_resolve(self._hass, self._camera)
        state = self._hass.states.get(entity_id or "")
        name = entity_id or self._camera if state is None else state.name
        async_report_only(self._hass, AILMENTS, found, f"_{self._camera}", camera=name)
