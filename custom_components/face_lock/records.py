"""Everything that is kept of one door and its people, opened, cleaned and deleted together."""

from __future__ import annotations

import logging
from collections.abc import Collection
from dataclasses import dataclass

from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers.storage import STORAGE_DIR
from homeassistant.util.json import load_json

from .const import DOMAIN
from .feedback import FeedbackStore, feedback_file
from .store import PictureStore, async_forget_unsaved, pictures_file
from .vault import async_erase, async_load_vault, async_remove_key
from .vision import Bundle
from .visit_picture import VisitPicture, async_remove_visit_picture, visit_file
from .worker import Worker

_LOGGER = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class DoorRecords:
    """A door's reference pictures, feedback, and last visit's picture (None: not wanted)."""

    pictures: PictureStore
    feedback: FeedbackStore
    visit: VisitPicture | None

    async def async_settle(self, people: Collection[str], bundle: Bundle, worker: Worker) -> int:
        """Bring what was loaded in line with the door's people, model and options.

        Returns:
            How many people's templates a new model made anew.

        """
        renewed = await self.pictures.async_settle(people, bundle, worker)
        await self._async_forget_all_but(people)
        return renewed

    async def async_commit(self, people: Collection[str]) -> None:
        """Write the pictures, and forget everybody but ``people`` everywhere.

        Raises:
            NotSavedError: the disk refused the pictures, see ``PictureStore``.

        """
        try:
            await self.pictures.async_commit(people)
        finally:
            await self._async_forget_all_but(people)

    async def _async_forget_all_but(self, people: Collection[str]) -> None:
        try:
            if self.visit is not None:
                await self.visit.async_forget_all_but(people)
            await self.feedback.async_settle(people)
        except HomeAssistantError as error:
            # No door stays shut for them, and nothing of them is overwritten.
            _LOGGER.error(  # noqa: TRY400
                "The last visit's picture or the feedback cannot be read or written: %s", error
            )


async def async_open_records(
    hass: HomeAssistant, entry_id: str, *, keep_pictures: bool, visit_days: float | None
) -> DoorRecords:
    """Read a door's pictures; delete the last visit's where ``visit_days`` is None.

    Raises:
        VaultError: the key is missing, or the pictures cannot be decrypted; nothing was changed.
        UnsupportedStorageVersionError: a newer version of the integration wrote them.
        HomeAssistantError, ValueError: the pictures' file is not what it should be, or unreadable.

    """
    # Core would set a file that is no JSON aside and go on without it, and the next change would be
    # written as if nobody had ever been enrolled.
    pictures_path = hass.config.path(STORAGE_DIR, pictures_file(entry_id))
    await hass.async_add_executor_job(load_json, pictures_path)
    doors = {entry_id, *(entry.entry_id for entry in hass.config_entries.async_entries(DOMAIN))}
    vault = await async_load_vault(hass, [name for door in doors for name in _files(door)])
    pictures = PictureStore(hass, vault, entry_id, keep_pictures=keep_pictures)
    await pictures.async_load()
    visit = None
    if visit_days is None:
        await async_remove_visit_picture(hass, entry_id)
    else:
        visit = VisitPicture(hass, vault, entry_id, visit_days)
    feedback = FeedbackStore(hass, vault, entry_id, keep_pictures=keep_pictures)
    return DoorRecords(pictures, feedback, visit)


async def async_remove_records(hass: HomeAssistant, entry_id: str) -> None:
    """Delete everything of a door, and with the last door the key."""
    async_forget_unsaved(hass, entry_id)
    for name in _files(entry_id):
        await async_erase(hass, name)
    await async_remove_key(hass)


def _files(entry_id: str) -> tuple[str, ...]:
    return pictures_file(entry_id), feedback_file(entry_id), visit_file(entry_id)
