"""Reference crops and templates of the household's people, in an encrypted file.

A picture is kept as its template and, where the owner allows it, its aligned crop, which lets a
later model embed it anew.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Sequence
from contextlib import suppress
from typing import Any, Final

from homeassistant.core import HomeAssistant, callback
from homeassistant.util.hass_dict import HassKey

from ..const import DOMAIN
from ..recognition.executor import Worker
from ..vision import (
    Bundle,
    Gallery,
    Portrait,
    embed_crop,
)
from .checked_store import NotSavedError
from .encrypted_store import EncryptedStore
from .key import Vault
from .template_format import (
    Album,
    StoredData,
    StoredPicture,
    has_crop,
    parse,
    serialise_picture,
    without_crop,
)

_LOGGER = logging.getLogger(__name__)

VERSION: Final = 2
"""Version 1 was not encrypted: it is not read any more."""


Content = tuple[dict[str, Album], dict[str, list[Any]]]
"""Person id -> pictures, and person id -> what is of no use now."""

_UNSAVED: HassKey[dict[str, Content]] = HassKey(f"{DOMAIN}_unsaved")
"""File -> what it should hold and does not."""


@callback
def async_forget_unsaved(hass: HomeAssistant, entry_id: str) -> None:
    """Forget what the disk refused of a removed household."""
    hass.data.get(_UNSAVED, {}).pop(pictures_file(entry_id), None)


def pictures_file(entry_id: str) -> str:
    """Name a household's file."""
    return f"{DOMAIN}.{entry_id}"


class PictureStore:
    """The pictures of all people of a household, in memory and on disk.

    Changes are made in memory, which cannot fail half-way, and written by ``async_commit``.

    A stored picture that is of no use now (damaged, or of another model and without its crop) opens
    nothing, and is written back as it was found until its person is enrolled anew or removed: an
    earlier version may still be able to read it.

    What the disk refused is kept in memory, also when the household is loaded again, until it is
    written or Home Assistant ends.
    """

    def __init__(
        self, hass: HomeAssistant, vault: Vault, entry_id: str, *, keep_pictures: bool = True
    ) -> None:
        """Keep crops only with ``keep_pictures``; those stored already go with the next write."""
        self._hass = hass
        self._keep_pictures = keep_pictures
        self._file = EncryptedStore(
            hass,
            vault,
            pictures_file(entry_id),
            version=VERSION,
        )
        self._people: dict[str, Album] = {}
        self._aside: dict[str, list[Any]] = {}
        self._unsaved = hass.data.setdefault(_UNSAVED, {})
        self._damaged = 0
        self._encoded: dict[bytes, StoredPicture] = {}
        """Embedding -> what is written of its picture, so that no crop is encoded twice."""
        self._loaded = False
        self._dirty = False
        self._writing = asyncio.Lock()

    async def async_load(self) -> None:
        """Read the file.

        Raises:
            VaultError: it cannot be decrypted; it is left as it is.
            UnsupportedStorageVersionError: a newer version of the integration wrote it.
            DamagedError: it does not hold people and their pictures; it is left as it is.

        """
        stored = await self._file.async_load()
        self._people, self._aside = await self._hass.async_add_executor_job(parse, stored)
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
        """Bring what was loaded in line with the people, the model and the options.

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
            self._aside.setdefault(person, []).extend(map(serialise_picture, lost))
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
    def is_committed(self) -> bool:
        """Whether nothing was changed since the last commit."""
        return not self._dirty

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
        # Compared by content: the household may have been reloaded since the album was read.
        before = {old.template.embedding.tobytes() for old in self.album(person)}
        if before.isdisjoint(new.template.embedding.tobytes() for new in album):
            self._aside.pop(person, None)
        self._people[person] = tuple(self._allowed(portrait) for portrait in album)
        self._dirty = True

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
            person: pictures if self._keep_pictures else list(map(without_crop, pictures))
            for person, pictures in self._aside.items()
            if person in people
        }
        self._dirty = False
        # Of two commits, the later one must be the last to be written.
        async with self._writing:
            now = dict(self._people), dict(self._aside)
            content = await self._hass.async_add_executor_job(self._serialise, *now)
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

    def _serialise(self, people: dict[str, Album], aside: dict[str, list[Any]]) -> StoredData:
        written: dict[bytes, StoredPicture] = {}
        for album in people.values():
            for portrait in album:
                key = portrait.template.embedding.tobytes()
                known = self._encoded.get(key)
                if known is None or ("crop" in known) != (portrait.crop is not None):
                    known = serialise_picture(portrait)
                written[key] = known
        self._encoded = written
        return {
            "people": {
                person: {
                    "pictures": [
                        *(written[p.template.embedding.tobytes()] for p in album),
                        *aside.get(person, []),
                    ]
                }
                for person, album in people.items()
            }
        }

    def _allowed(self, portrait: Portrait) -> Portrait:
        return portrait if self._keep_pictures else Portrait(None, portrait.template)

    def _has_forbidden_crops(self) -> bool:
        return not self._keep_pictures and (
            any(p.crop is not None for album in self._people.values() for p in album)
            or any(has_crop(p) for pictures in self._aside.values() for p in pictures)
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
