"""What is known of a door only while Home Assistant runs, also when the door is started again."""

from __future__ import annotations

from dataclasses import dataclass, field

from homeassistant.core import HomeAssistant, callback
from homeassistant.util.hass_dict import HassKey

from ..const import DOMAIN
from ..vision import SeenFrames
from .one_time_pass import Passes


@dataclass(slots=True)
class Memory:
    """A door's passes and its cameras' frames."""

    passes: Passes = field(default_factory=Passes)
    opened: bool = False
    """Whether a face opened it since the start."""
    _frames: dict[str, SeenFrames] = field(default_factory=dict)

    def frames(self, camera: str) -> SeenFrames:
        """So that a camera's old pictures are not new ones to a door that was started again."""
        return self._frames.setdefault(camera, SeenFrames())


_MEMORIES: HassKey[dict[str, Memory]] = HassKey(f"{DOMAIN}_memories")


@callback
def async_memory(hass: HomeAssistant, door: str) -> Memory:
    """Return a door's memory."""
    return hass.data.setdefault(_MEMORIES, {}).setdefault(door, Memory())


@callback
def async_forget(hass: HomeAssistant, door: str) -> None:
    """Forget a removed door."""
    hass.data.get(_MEMORIES, {}).pop(door, None)
