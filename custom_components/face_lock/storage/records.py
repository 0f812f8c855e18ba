"""Everything that is kept of a household and its doors, opened, cleaned and deleted together."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers.storage import STORAGE_DIR
from homeassistant.util.json import load_json

from ..recognition.executor import Worker
from ..settings import DoorSettings
from ..vision import Bundle
from .duties import Duties, duties_file
from .feedback import FeedbackStore, feedback_file
from .history import History, history_file
from .key import Vault, async_erase, async_load_vault, async_remove_key
from .lockout import LockoutStore, async_remove_lockout
from .scenes import Scenes, async_forget_scenes, scenes_file
from .templates import PictureStore, async_forget_unsaved, pictures_file
from .visit_picture import VisitPicture, visit_file

_LOGGER = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class DoorRecords:
    """A door's last visits, the last one's picture (None: not wanted), and its lockout."""

    history: History
    picture: VisitPicture | None
    lockout: LockoutStore

    async def async_forget_all_but(self, people: Collection[str]) -> None:
        """Forget the visits of everybody but ``people`` and of unknown visitors."""
        self.history.forget_all_but(people)
        await self.history.async_save()
        if self.picture is not None:
            await self.picture.async_forget_all_but(people)

    async def async_expire(self, *_: object) -> None:
        """Delete what has been kept for long enough."""
        self.history.expire()
        await self.history.async_save()
        if self.picture is not None:
            await self.picture.async_expire()


@dataclass(frozen=True, slots=True)
class HouseholdRecords:
    """The people's reference pictures, and what the owner said of visits."""

    hass: HomeAssistant
    vault: Vault
    pictures: PictureStore
    feedback: FeedbackStore
    duties: Duties
    """Which locks are to be locked again."""
    scenes: Scenes
    """What hangs in the cameras' views."""

    async def async_settle(self, people: Collection[str], bundle: Bundle, worker: Worker) -> int:
        """Bring what was loaded in line with the people, the model and the options.

        Returns:
            How many people's templates were made again for a new model.

        """
        renewed = await self.pictures.async_settle(people, bundle, worker)
        await self._async_settle_feedback(people)
        return renewed

    async def async_commit(self, people: Collection[str]) -> None:
        """Write the pictures, and forget everybody but ``people``.

        Raises:
            NotSavedError: the disk refused the pictures, see ``PictureStore``.

        """
        try:
            await self.pictures.async_commit(people)
        finally:
            await self._async_settle_feedback(people)

    async def async_open_door(self, door: str, settings: DoorSettings) -> DoorRecords:
        """Read what is kept of a door; delete the last visit's picture where none is wanted."""
        history = History(self.hass, self.vault, door, settings.days)
        await history.async_load()
        await history.async_save()
        picture = None
        if settings.keep_last_visit:
            picture = VisitPicture(self.hass, self.vault, door, settings.days)
        else:
            await async_erase(self.hass, visit_file(door))
        lockout = LockoutStore(self.hass, door)
        await lockout.async_load()
        return DoorRecords(history, picture, lockout)

    async def _async_settle_feedback(self, people: Collection[str]) -> None:
        try:
            await self.feedback.async_settle(people)
        except HomeAssistantError as error:
            # No door stays shut for it, and nothing of it is overwritten.
            _LOGGER.error("The feedback cannot be read or written: %s", error)  # noqa: TRY400


async def async_open_records(
    hass: HomeAssistant, entry_id: str, doors: Iterable[str], *, keep_pictures: bool
) -> HouseholdRecords:
    """Read the people's pictures; ``doors`` are the ids of all doors.

    Raises:
        VaultError: the key is missing, or the pictures cannot be decrypted; nothing was changed.
        UnsupportedStorageVersionError: a newer version of the integration wrote them.
        HomeAssistantError: the pictures' file is not what it should be, or unreadable.

    """
    # Core would set a file that is no JSON aside and go on without it, and the next change would be
    # written as if nobody had ever been enrolled.
    pictures_path = hass.config.path(STORAGE_DIR, pictures_file(entry_id))
    await hass.async_add_executor_job(load_json, pictures_path)
    files = [pictures_file(entry_id), feedback_file(entry_id), scenes_file(entry_id)]
    for door in doors:
        files += [history_file(door), visit_file(door)]
    vault = await async_load_vault(hass, files)
    pictures = PictureStore(hass, vault, entry_id, keep_pictures=keep_pictures)
    await pictures.async_load()
    feedback = FeedbackStore(hass, vault, entry_id, keep_pictures=keep_pictures)
    duties = Duties(hass, entry_id)
    await duties.async_load()
    scenes = Scenes(hass, vault, entry_id)
    await scenes.async_load()
    return HouseholdRecords(hass, vault, pictures, feedback, duties, scenes)


async def async_remove_records(hass: HomeAssistant, entry_id: str, doors: Iterable[str]) -> None:
    """Delete everything of a household, and the key with it."""
    async_forget_unsaved(hass, entry_id)
    async_forget_scenes(hass, entry_id)
    for file_of in (pictures_file, feedback_file, duties_file, scenes_file):
        await async_erase(hass, file_of(entry_id))
    # The first versions had one entry for each door, with its files under the entry's id.
    for door in (*doors, entry_id):
        await async_remove_door_records(hass, door)
    await async_remove_key(hass)


async def async_remove_door_records(hass: HomeAssistant, door: str) -> None:
    """Delete everything of a door but the feedback, which is the owner's word on its visits."""
    for name in (history_file(door), visit_file(door)):
        await async_erase(hass, name)
    await async_remove_lockout(hass, door)
