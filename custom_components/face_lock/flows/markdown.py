"""What a dialogue's description shows besides its translated text: pictures, and sentences.

The frontend renders descriptions as Markdown. It lets pictures in as data, and from addresses of
this Home Assistant (the white list of its Markdown worker).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from homeassistant.components.camera.const import CameraEntityStateAttribute
from homeassistant.const import ATTR_ENTITY_PICTURE
from homeassistant.core import HomeAssistant, callback

from ..format import data_url
from ..vision.types import RgbImage

_MARKDOWN: Final = re.compile(r"[^\w .,-]")


def picture(rgb: RgbImage) -> str:
    """Embed uint8[H, W, 3]; blocks for a millisecond."""
    return f"![]({data_url(rgb)})"


def numbered(pictures: Iterable[RgbImage | None]) -> str:
    """Embed several pictures with their numbers; of one that is not kept only the number."""
    return " ".join(
        f"{number}: {'' if rgb is None else picture(rgb)}" for number, rgb in enumerate(pictures, 1)
    )


@callback
def live_picture(hass: HomeAssistant, entity_id: str) -> str:
    """Embed the camera as it is now: core's own view, which asks for the camera's current token."""
    state = hass.states.get(entity_id)
    attributes = {} if state is None else state.attributes
    address, token = (
        attributes.get(ATTR_ENTITY_PICTURE),
        attributes.get(CameraEntityStateAttribute.ACCESS_TOKEN),
    )
    if not isinstance(address, str) or not address.startswith("/api/camera_proxy/"):
        return ""
    # Not that address itself: after the camera was renamed it keeps the old name for a while.
    return f"![](/api/camera_proxy_stream/{entity_id}?token={token})"


def plain(text: str) -> str:
    """Take from a file's name what Markdown would act upon."""
    return _MARKDOWN.sub(" ", text).strip()[:60] or "?"
