"""Whose face must not open the door again now: people who were let in, or who came out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

NEVER: Final = float("-inf")


@dataclass(slots=True)
class _Guest:
    let_in_at: float
    seen_at: float
    held_at: float = NEVER
    settled: bool = False
    """Whether it holds until the person has gone, and not just for the cool-down."""


class CoolDown:
    """Shared by the deciders of one door, one for each camera. Times are monotonic seconds."""

    def __init__(self) -> None:
        self._guests: dict[str, _Guest] = {}
        self._last_face_at = NEVER
        self.granted_at = NEVER
        """When a grant was made that no closing door has used up."""

    def begin(self, person: str, now: float) -> None:
        """Note that a person was let in."""
        self.granted_at = now
        self._guests[person] = _Guest(now, now, now)

    def hold(self, person: str, now: float) -> None:
        """Note that a person who was let in still holds the door, before some camera."""
        if person in self._guests:
            self._guests[person].held_at = now

    def release(self, person: str) -> None:
        """Note that the person does not hold it any more."""
        self.hold(person, NEVER)

    def settle(self, person: str, now: float) -> None:
        """Note that a person has to leave before being let in again."""
        guest = self._guests.setdefault(person, _Guest(NEVER, now))
        guest.seen_at, guest.settled = now, True

    def face(self, now: float) -> None:
        """Note that some camera sees a face."""
        self._last_face_at = max(self._last_face_at, now)

    def tick(self, now: float, absence: float) -> None:
        """Let time pass: forget who was not seen for ``absence`` seconds, and all if nobody was."""
        if now - self._last_face_at >= absence:
            self._guests = {}
        self._guests = {
            person: guest
            for person, guest in self._guests.items()
            if not guest.settled or now - guest.seen_at < absence
        }

    def start_again(self, now: float) -> None:
        """Count from ``now``, to which the clock stepped back."""
        self._last_face_at = now
        self.granted_at = NEVER
        for guest in self._guests.values():
            guest.let_in_at, guest.seen_at, guest.held_at = now, now, NEVER

    def let_in_at(self, person: str) -> float | None:
        """When a person who may still be there was let in."""
        guest = self._guests.get(person)
        return None if guest is None else guest.let_in_at

    def meet(self, person: str, now: float, cool_down: float, absence: float) -> bool:
        """Note that a camera sees a person; return whether they must not be let in now."""
        guest = self._guests.get(person)
        if guest is None:
            return False
        guest.seen_at = now
        return guest.settled or now - guest.let_in_at < cool_down or now - guest.held_at < absence
