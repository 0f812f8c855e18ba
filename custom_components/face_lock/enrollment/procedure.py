"""Enrolling somebody, step by step: the dialogue and the action both go this way.

What is enrolled may change meanwhile, so the name and the face are checked once more at the end.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar, TypeVarTuple
from uuid import uuid4

from homeassistant.config_entries import ConfigEntry, ConfigEntryState
from homeassistant.core import callback
from homeassistant.data_entry_flow import AbortFlow
from homeassistant.util import dt as dt_util

from ..const import CONF_ENROLLED_AT
from ..household import Household
from ..names import name_objection
from ..people import find_person, people_of
from ..recognition.heic import async_read
from ..vision import HeadPose, PictureError, Portrait
from .album import (
    MAX_PICTURES,
    Album,
    Look,
    RefusedError,
    Standard,
    examine_upload,
    look,
    objections,
    resembled,
)

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


class NotLoadedError(AbortFlow):
    """The household does not run, so that nobody can be compared with who is enrolled.

    It ends a dialogue by itself.
    """

    def __init__(self) -> None:
        super().__init__("not_loaded")


def name_problem(entry: ConfigEntry[Any], name: str, person: str | None) -> str | None:
    """Say, as a translation key, why ``person``, or somebody new, cannot be called ``name``."""
    if (objection := name_objection(name)) is not None:
        return objection
    found = find_person(entry, name)
    return "name_taken" if found is not None and found[0] != person else None


class Enrollment:
    """One person's new pictures, until they are kept."""

    def __init__(self, entry: ConfigEntry[Any], person: str | None = None) -> None:
        """Enrol somebody new, or add to the pictures of ``person``."""
        self._entry = entry
        self.is_new = person is None
        self.person = uuid4().hex if person is None else person
        """The person's id."""
        self.before = () if person is None else self.household.store.album(person)
        """The pictures that were enrolled when this began."""
        self.album = Album(list(self.before))

    @property
    def household(self) -> Household:
        """The household that runs now; raises NotLoadedError."""
        if self._entry.state is not ConfigEntryState.LOADED:
            raise NotLoadedError
        household: Household = self._entry.runtime_data
        return household

    @property
    def standard(self) -> Standard:
        """What pictures are held to now."""
        household = self.household
        others = household.residents.gallery(but=self.person)
        return Standard(household.bundle, others, household.loosest_rate)

    def room_problem(self) -> str | None:
        """Say, as a translation key, why nobody else can be enrolled; None where somebody can."""
        household = self.household
        number = len(people_of(self._entry)) + 1
        try:
            for door in household.doors.values():
                household.bundle.thresholds.operating_point(
                    door.settings.false_positive_rate, number
                )
        except ValueError:
            return "rate_unavailable"
        return None

    async def async_examine(self, label: str, data: bytes) -> None:
        """Look at a picture; keep it in the album, or note there why not."""
        if not self.album.room:
            self.album.refused.append((label, "too_many_pictures"))
            return
        examine = partial(self._async_run, examine_upload, data, tuple(self.album.portraits))
        try:
            portrait = await async_read(self.household.hass, examine)
        except PictureError as error:
            self.album.refused.append((label, error.problem.value))
        except RefusedError as error:
            self.album.refused.append((label, error.key))
        else:
            self.album.portraits.append(portrait)

    async def async_look(self, data: bytes, wants: Callable[[HeadPose], bool]) -> Look:
        """Look at a camera's picture; keep it if the head is in a wanted pose.

        Raises:
            RefusedError: there is no picture to look at.

        """
        seen = await self._async_run(look, data, tuple(self.album.portraits), wants)
        if seen.portrait is not None:
            self.album.portraits.append(seen.portrait)
        return seen

    async def async_resembled(self) -> str | None:
        """Return the name of whom the album resembles, None for nobody."""
        other = await self._async_run(resembled, tuple(self.album.portraits))
        return self.household.residents.name_of(other)

    async def async_check_again(self, name: str) -> str | None:
        """Hold name and pictures to what is enrolled now; to be called under `enrolling`.

        Pictures that are refused now are taken out of the album and noted there.

        Returns:
            A translation key of what is wrong with the name or the person, None where all is well
            but for what the album says.

        """
        if self.is_new:
            if problem := name_problem(self._entry, name, None) or self.room_problem():
                return problem
        elif self.person not in people_of(self._entry):
            return "person_removed"
        portraits = self._merged()
        found = await self._async_run(objections, portraits)
        refused = [(f"#{n}", why) for n, why in enumerate(found, 1) if why is not None]
        if refused:
            self.album.refused += refused
            self.album.portraits = [
                portrait for portrait, why in zip(portraits, found, strict=True) if why is None
            ]
        return None

    @callback
    def keep(self) -> dict[str, Any]:
        """Put the album into the store; return what the subentry is to keep of that.

        Nothing may be awaited from here until the entry has the person: both change together, and
        the entry's update listener writes both.
        """
        self.household.store.put(self.person, self._merged())
        return {CONF_ENROLLED_AT: dt_util.utcnow().isoformat()}

    async def _async_run(self, job: Callable[[Standard, *Ts], T], *args: *Ts) -> T:
        """Have a job done that holds pictures to the standard, by the household that runs."""
        while True:
            household = self.household
            try:
                return await household.worker.async_run(job, self.standard, *args)
            except RuntimeError:
                # Where it was stopped before the job had its turn, the next one does it.
                async with self._entry.setup_lock:
                    if self.household is household:
                        raise

    def _merged(self) -> tuple[Portrait, ...]:
        """Return the album, and what others added since this began."""
        mine = self.album.portraits
        known = {_key(portrait) for portrait in (*self.before, *mine)}
        added = [p for p in self.household.store.album(self.person) if _key(p) not in known]
        return (*mine, *added)[:MAX_PICTURES]


def _key(portrait: Portrait) -> bytes:
    """Tell pictures by their content: the household may have been reloaded meanwhile."""
    return portrait.template.embedding.tobytes()
