"""Reference crops and templates: biometric data, in a private file of its own per door.

A picture is kept as its aligned crop (so that a later model can embed it anew) and its template.
"""

from __future__ import annotations

import base64
import binascii
import logging
from collections.abc import Collection, Sequence
from typing import Any, Final, TypedDict

import numpy as np
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers.storage import Store

from .const import DOMAIN
from .vision import Bundle, Gallery, Portrait, Template, decode_rgb, embed_crop, encode_png

_LOGGER = logging.getLogger(__name__)

VERSION: Final = 1


class StoredPicture(TypedDict):
    """One picture: PNG and little-endian float32, both base64, and the model's id."""

    crop: str
    embedding: str
    model: str


class StoredPerson(TypedDict):
    """One person's pictures."""

    pictures: list[StoredPicture]


class StoredData(TypedDict):
    """The whole file: person id -> person."""

    people: dict[str, StoredPerson]


Album = tuple[Portrait, ...]


def _new_store(hass: HomeAssistant, entry_id: str) -> Store[StoredData]:
    return Store(
        hass,
        VERSION,
        f"{DOMAIN}.{entry_id}",
        private=True,
        atomic_writes=True,
        serialize_in_event_loop=False,
    )


async def async_remove_store(hass: HomeAssistant, entry_id: str) -> None:
    """Delete a door's file."""
    await _new_store(hass, entry_id).async_remove()


class PictureStore:
    """The pictures of all people of one door, in memory and on disk.

    Changes are made in memory, which cannot fail half-way, and written by ``async_commit``.
    """

    def __init__(self, hass: HomeAssistant, entry_id: str) -> None:
        self._hass = hass
        self._store = _new_store(hass, entry_id)
        self._people: dict[str, Album] = {}

    async def async_load(self) -> None:
        """Read the file.

        Raises:
            UnsupportedStorageVersionError: a newer version of the integration wrote it.

        """
        stored = await self._store.async_load()
        self._people = await self._hass.async_add_executor_job(_parse, stored)

    @property
    def people(self) -> dict[str, Album]:
        """Person id -> pictures, a copy."""
        return dict(self._people)

    def album(self, person: str) -> Album:
        """All pictures of one person, empty for somebody unknown."""
        return self._people.get(person, ())

    def gallery(self) -> Gallery:
        """Templates by person, as recognition wants them."""
        return {
            person: tuple(portrait.template for portrait in album)
            for person, album in self._people.items()
        }

    def outdated(self, model: str) -> list[str]:
        """People with a template that another model made."""
        return [
            person
            for person, album in self._people.items()
            if any(portrait.template.model != model for portrait in album)
        ]

    @callback
    def put(self, person: str, album: Sequence[Portrait]) -> None:
        """Set one person's pictures; ``async_commit`` writes them."""
        self._people[person] = tuple(album)

    async def async_commit(self, people: Collection[str]) -> None:
        """Forget everybody but ``people``, at once, and write the file."""
        self._people = {p: album for p, album in self._people.items() if p in people}
        content = await self._hass.async_add_executor_job(_serialise, dict(self._people))
        await self._store.async_save(content)


def embed_anew(bundle: Bundle, album: Album) -> Album:
    """Make the templates of an album with the bundle's model; blocks."""
    return tuple(Portrait(p.crop, embed_crop(bundle, p.crop)) for p in album)


def _serialise(people: dict[str, Album]) -> StoredData:
    return {
        "people": {
            person: {"pictures": [_serialise_picture(portrait) for portrait in album]}
            for person, album in people.items()
        }
    }


def _serialise_picture(portrait: Portrait) -> StoredPicture:
    embedding = portrait.template.embedding.astype("<f4").tobytes()
    return {
        "crop": base64.b64encode(encode_png(portrait.crop)).decode(),
        "embedding": base64.b64encode(embedding).decode(),
        "model": portrait.template.model,
    }


def _parse(stored: StoredData | None) -> dict[str, Album]:
    people: dict[str, Album] = {}
    # Whatever cannot be read is left out: a person without pictures opens nothing.
    for person, content in _dict(_dict(stored).get("people")).items():
        pictures = _dict(content).get("pictures")
        album = [_parse_picture(p) for p in (pictures if isinstance(pictures, list) else [])]
        people[person] = tuple(portrait for portrait in album if portrait is not None)
    return people


def _parse_picture(stored: Any) -> Portrait | None:
    try:
        crop = decode_rgb(base64.b64decode(stored["crop"], validate=True))
        embedding = np.frombuffer(base64.b64decode(stored["embedding"], validate=True), "<f4")
        norm = float(np.linalg.norm(embedding))
        if crop.shape != (112, 112, 3) or not 0.99 < norm < 1.01:
            raise ValueError("not a crop and its embedding")  # noqa: TRY301
        return Portrait(crop, Template(embedding.astype(np.float32), str(stored["model"])))
    except (KeyError, TypeError, ValueError, binascii.Error):
        _LOGGER.warning("A stored reference picture is damaged and was left out")
        return None


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
