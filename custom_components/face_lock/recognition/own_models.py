"""Models that the owner brought: each folder of them below the configuration is a bundle."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from homeassistant.core import HomeAssistant

from ..const import DOMAIN
from ..settings import BUNDLED

DESCRIPTION: Final = "models.json"


def models_folder(hass: HomeAssistant, name: str) -> Path | None:
    """Return where a door's models lie; None for Face Lock's own.

    Raises:
        ValueError: the name is none of a folder just below ``face_lock/models``.

    """
    if name == BUNDLED:
        return None
    if not name or Path(name).name != name or name == "..":
        raise ValueError(f"{name!r} is not the name of a folder")
    return _root(hass) / name


async def async_own_models(hass: HomeAssistant) -> list[str]:
    """Return the names of the folders that hold models, in order."""
    return await hass.async_add_executor_job(_names, _root(hass))


def _root(hass: HomeAssistant) -> Path:
    return Path(hass.config.path(DOMAIN, "models"))


def _names(root: Path) -> list[str]:
    try:
        folders = sorted(root.iterdir())
    except OSError:  # usually there is none
        return []
    # One of that name could not be told from Face Lock's own.
    return [f.name for f in folders if f.name != BUNDLED and (f / DESCRIPTION).is_file()]
