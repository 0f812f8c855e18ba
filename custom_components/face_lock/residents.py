"""The people of a household while it runs: who they are, what they look like, who may come in."""

from __future__ import annotations

from collections.abc import Callable

from homeassistant.config_entries import ConfigEntry
from homeassistant.core import CALLBACK_TYPE, HomeAssistant, callback

from .entity_reference import async_resolve
from .people import people_of, rules_of
from .settings import CONF_ALLOWED
from .storage.templates import PictureStore
from .vision import Bundle, Gallery, Matcher, gallery_matcher


class Residents:
    """What every door asks of the people; it changes in place, and tells who listens."""

    def __init__(
        self, hass: HomeAssistant, entry: ConfigEntry, bundle: Bundle, store: PictureStore
    ) -> None:
        self._hass = hass
        self._entry = entry
        self._bundle = bundle
        self._store = store
        self._listening: list[Callable[[], None]] = []
        self.async_read()

    @callback
    def async_read(self) -> None:
        """Take over who is enrolled and who may come in; the pictures are those in memory."""
        self.rules = rules_of(self._entry)
        """Person id -> who that is, and where and when that person may come in."""
        self.matcher: Matcher = gallery_matcher(self._bundle, self.gallery())
        """Recognises everybody who has pictures."""
        self.async_tell()

    @callback
    def async_tell(self) -> None:
        """Tell who listens that something may have changed."""
        for listener in list(self._listening):
            listener()

    @callback
    def async_subscribe(self, listener: Callable[[], None]) -> CALLBACK_TYPE:
        """Call ``listener`` after each change; return how to stop that."""
        self._listening.append(listener)
        return lambda: self._listening.remove(listener)

    def gallery(self, but: str | None = None) -> Gallery:
        """Templates of everybody enrolled, or of everybody but one person."""
        return {
            person: templates
            for person, templates in self._store.gallery().items()
            if person in self.rules and person != but
        }

    def name_of(self, person: str | None) -> str | None:
        """Return the name of a person, by id; None for somebody who is not enrolled."""
        rules = self.rules.get(person or "")
        return None if rules is None else rules.name

    def entity_of(self, person: str | None) -> str | None:
        """Return the id of somebody's person entity now; None without one."""
        rules = self.rules.get(person or "")
        reference = None if rules is None else rules.person_entity
        return None if reference is None else async_resolve(self._hass, reference)

    @callback
    def async_set_allowed(self, person: str, *, allowed: bool) -> None:
        """Suspend a person, or let the person in again; the entry's listener reads it at once."""
        subentry = people_of(self._entry)[person]
        self._hass.config_entries.async_update_subentry(
            self._entry, subentry, data={**subentry.data, CONF_ALLOWED: allowed}
        )
