"""Reference crops and templates of one door's people, in an encrypted file.

A picture is kept as its template and, where the owner allows it, its aligned crop, which lets a
later model embed it anew.
"""

from __future__ import annotations

import asyncio
import base64
import logging
from collections.abc import Collection, Sequence
from contextlib import suppress
from math import hypot
from typing import Any, Final, NotRequired, TypedDict

import numpy as np
from homeassistant.core import HomeAssistant, callback
from homeassistant.util.hass_dict import HassKey

from .const import DOMAIN
from .disk import NotSavedError
from .sealed import SealedStore
from .vault import DamagedError, Vault
from .vision import (
    MAX_CROWDING,
    Bundle,
    Gallery,
    Portrait,
    Template,
    decode_rgb,
    embed_crop,
    encode_png,
)
from .vision.imaging.align import CROP_SIZE
from .worker import Worker

_LOGGER = logging.getLogger(__name__)

LONGEST: Final = 1.01 * hypot(1.0, MAX_CROWDING)
"""More than this is the length of no embedding."""

VERSION: Final = 2
"""Version 1 was not encrypted, and every picture had its crop."""


class StoredPicture(TypedDict):
    """One picture: PNG and little-endian float32, both base64, and the model's id."""

    crop: NotRequired[str]
    embedding: str
    model: str


class StoredPerson(TypedDict):
    """One person's pictures."""

    pictures: list[StoredPicture]


class StoredData(TypedDict):
    """The whole file: person id -> person."""

    people: dict[str, StoredPerson]


Album = tuple[Portrait, ...]

Content = tuple[dict[str, Album], dict[str, list[Any]]]
"""Person id -> pictures, and person id -> what is of no use now."""

_UNSAVED: HassKey[dict[str, Content]] = HassKey(f"{DOMAIN}_unsaved")
"""File -> what it should hold and does not."""

CROP_SHAPE: Final = (CROP_SIZE, CROP_SIZE, 3)


@callback
def async_forget_unsaved(hass: HomeAssistant, entry_id: str) -> None:
    """Forget what the disk refused of a removed door."""
    hass.data.get(_UNSAVED, {}).pop(pictures_file(entry_id), None)


def pictures_file(entry_id: str) -> str:
    """Name a door's file."""
    return f"{DOMAIN}.{entry_id}"


class PictureStore:
    """The pictures of all people of one door, in memory and on disk.

    Changes are made in memory, which cannot fail half-way, and written by ``async_commit``.

    A stored picture that is of no use now (damaged, or of another model and without its crop) opens
    nothing, and is written back as it was found until its person is enrolled anew or removed: an
    earlier version may still be able to read it.

    What the disk refused is kept in memory, also for a door that is loaded anew, until it is
    written or Home Assistant ends.
    """

    def __init__(
        self, hass: HomeAssistant, vault: Vault, entry_id: str, *, keep_pictures: bool = True
    ) -> None:
        """Keep crops only with ``keep_pictures``; those stored already go with the next write."""
        self._hass = hass
        self._keep_pictures = keep_pictures
        self._file = SealedStore(
            hass,
            vault,
            pictures_file(entry_id),
            version=VERSION,
            last_plain_version=1,
            upgrade=_upgrade,
        )
        self._people: dict[str, Album] = {}
        self._aside: dict[str, list[Any]] = {}
        self._unsaved = hass.data.setdefault(_UNSAVED, {})
        self._damaged = 0
        self._loaded = False
        self._writing = asyncio.Lock()

    async def async_load(self) -> None:
        """Read the file; one of version 1 is encrypted.

        Raises:
            VaultError: it cannot be decrypted; it is left as it is.
            UnsupportedStorageVersionError: a newer version of the integration wrote it.
            DamagedError: it does not hold people and their pictures; it is left as it is.

        """
        stored = await self._file.async_load()
        self._people, self._aside = await self._hass.async_add_executor_job(_parse, stored)
        if (unsaved := self._unsaved.get(self._file.name)) is not None:
            self._people, self._aside = unsaved
        self._damaged = sum(map(len, self._aside.values()))
        if self._damaged:
            _LOGGER.warning(
                "%s stored reference pictures are damaged; they are kept but not used",
                self._damaged,
            )
        self._loaded = True

    async def async_settle(self, people: Collection[str], bundle: Bundle, worker: Worker) -> int:
        """Bring what was loaded in line with the door's people, model and options.

        Everybody but ``people`` is forgotten, templates of another model are made anew from their
        crops, crops that may not be kept are dropped, and the file is written if that changed it.

        Returns:
            How many people's templates were made anew.

        """
        renewed = 0
        for person in self.outdated(bundle):
            album = self.album(person)
            lost = [p for p in album if p.crop is None and not _is_current(p, bundle)]
            usable = tuple(p for p in album if p not in lost)
            renewed += not all(_is_current(p, bundle) for p in usable)
            self._people[person] = await worker.async_run(embed_anew, bundle, usable)
            self._aside.setdefault(person, []).extend(map(_serialise_picture, lost))
        gone = self._people.keys() - set(people)
        if renewed or gone or self._has_forbidden_crops() or not self.is_saved:
            with suppress(NotSavedError):  # ``is_saved`` says so
                await self.async_commit(people)
        return renewed

    @property
    def people(self) -> dict[str, Album]:
        """Person id -> pictures, a copy."""
        return dict(self._people)

    @property
    def is_saved(self) -> bool:
        """Whether the file holds what the memory does, as far as that was committed."""
        return self._file.name not in self._unsaved

    @property
    def damaged(self) -> int:
        """How many stored pictures could not be read when the file was loaded."""
        return self._damaged

    def album(self, person: str) -> Album:
        """All usable pictures of one person, empty for somebody unknown."""
        return self._people.get(person, ())

    def gallery(self) -> Gallery:
        """Templates by person, as recognition wants them."""
        return {
            person: tuple(portrait.template for portrait in album)
            for person, album in self._people.items()
        }

    def outdated(self, bundle: Bundle) -> list[str]:
        """People with a template that the bundle's model did not make."""
        return [
            person
            for person, album in self._people.items()
            if not all(_is_current(portrait, bundle) for portrait in album)
        ]

    @callback
    def put(self, person: str, album: Sequence[Portrait]) -> None:
        """Set one person's pictures; ``async_commit`` writes them.

        An album that keeps none of the earlier pictures replaces the unusable ones too.
        """
        # Compared by content: the door may have been reloaded since the album was read.
        before = {old.template.embedding.tobytes() for old in self.album(person)}
        if before.isdisjoint(new.template.embedding.tobytes() for new in album):
            self._aside.pop(person, None)
        self._people[person] = tuple(self._allowed(portrait) for portrait in album)

    async def async_commit(self, people: Collection[str]) -> None:
        """Forget everybody but ``people``, at once, and write the file.

        Raises:
            NotSavedError: the disk refused it; the pictures are in memory alone.

        """
        if not self._loaded:
            raise RuntimeError("what was not read would be overwritten")
        self._people = {
            person: tuple(self._allowed(portrait) for portrait in album)
            for person, album in self._people.items()
            if person in people
        }
        self._aside = {
            person: pictures if self._keep_pictures else list(map(_without_crop, pictures))
            for person, pictures in self._aside.items()
            if person in people
        }
        # Of two commits, the later one must be the last to be written.
        async with self._writing:
            now = dict(self._people), dict(self._aside)
            content = await self._hass.async_add_executor_job(_serialise, *now)
            try:
                await self._file.async_save(content)
            except NotSavedError:
                self._unsaved[self._file.name] = now
                raise
            self._unsaved.pop(self._file.name, None)

    async def async_flush(self) -> None:
        """Wait until everything that was committed is written."""
        async with self._writing:
            pass

    def _allowed(self, portrait: Portrait) -> Portrait:
        return portrait if self._keep_pictures else Portrait(None, portrait.template)

    def _has_forbidden_crops(self) -> bool:
        return not self._keep_pictures and (
            any(p.crop is not None for album in self._people.values() for p in album)
            or any(_has_crop(p) for pictures in self._aside.values() for p in pictures)
        )


def _is_current(portrait: Portrait, bundle: Bundle) -> bool:
    """Whether the bundle's model made a template, which then has its length."""
    template, verifier = portrait.template, bundle.verifier
    return template.model == verifier.model and template.embedding.size == verifier.embedding_size


def embed_anew(bundle: Bundle, album: Album) -> Album:
    """Make the templates of an album with the bundle's model; blocks.

    A picture without a crop keeps the template that it has.
    """
    return tuple(
        p if p.crop is None else Portrait(p.crop, embed_crop(bundle, p.crop)) for p in album
    )


def _serialise(people: dict[str, Album], aside: dict[str, list[Any]]) -> StoredData:
    return {
        "people": {
            person: {"pictures": [*map(_serialise_picture, album), *aside.get(person, [])]}
            for person, album in people.items()
        }
    }


def _serialise_picture(portrait: Portrait) -> StoredPicture:
    embedding = portrait.template.embedding.astype("<f4").tobytes()
    picture: StoredPicture = {
        "embedding": base64.b64encode(embedding).decode(),
        "model": portrait.template.model,
    }
    if portrait.crop is not None:
        picture["crop"] = base64.b64encode(encode_png(portrait.crop)).decode()
    return picture


def _upgrade(_version: int, content: Any) -> StoredData:
    """Version 1 differs only in that it is not encrypted."""
    return _check(content)


def _check(content: Any) -> StoredData:
    """Return ``content`` if it holds people with lists of pictures, whatever those are.

    Raises:
        DamagedError: it does not.

    """
    people = content.get("people") if isinstance(content, dict) else None
    if not isinstance(people, dict) or not all(
        isinstance(person, dict) and isinstance(person.get("pictures"), list)
        for person in people.values()
    ):
        raise DamagedError
    return {"people": people}


def _parse(stored: Any) -> tuple[dict[str, Album], dict[str, list[Any]]]:
    """Return the readable pictures of each person, and the unreadable as they are."""
    people: dict[str, Album] = {}
    aside: dict[str, list[Any]] = {}
    if stored is None:
        return people, aside
    for person, content in _check(stored)["people"].items():
        parsed = [(picture, _parse_picture(picture)) for picture in content["pictures"]]
        people[person] = tuple(portrait for _, portrait in parsed if portrait is not None)
        if unreadable := [picture for picture, portrait in parsed if portrait is None]:
            aside[person] = unreadable
    return people, aside


def _parse_picture(stored: Any) -> Portrait | None:
    try:
        crop = decode_rgb(_bytes(stored["crop"])) if "crop" in stored else None
        embedding = np.frombuffer(_bytes(stored["embedding"]), "<f4")
        # A unit direction, with or (of an older model) without the crowding behind it.
        norm = float(np.linalg.norm(embedding))
        if (crop is not None and crop.shape != CROP_SHAPE) or not 0.99 < norm < LONGEST:
            raise ValueError("not a crop and its embedding")  # noqa: TRY301
        return Portrait(crop, Template(embedding.astype(np.float32), str(stored["model"])))
    except (KeyError, TypeError, ValueError):
        return None


def _bytes(text: str) -> bytes:
    return base64.b64decode(text, validate=True)


def _has_crop(stored: Any) -> bool:
    return isinstance(stored, dict) and "crop" in stored


def _without_crop(stored: Any) -> Any:
    return {k: v for k, v in stored.items() if k != "crop"} if _has_crop(stored) else stored
