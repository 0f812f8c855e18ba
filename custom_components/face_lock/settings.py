"""What the owner chose, typed: read once from the config entry, never asked for by key elsewhere.

A door's subentry keeps its options in sections, one for each step of its dialogue. A value that is
missing has the default of the form.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, Self

from homeassistant.config_entries import ConfigSubentry
from homeassistant.util import dt as dt_util

from .const import CONF_CAMERAS, CONF_LOCK
from .vision import LivenessLevel

SECTION_RECOGNITION: Final = "recognition"
SECTION_GATE: Final = "gate"
SECTION_DOOR: Final = "door"
SECTION_SECURITY: Final = "security"
SECTION_PRIVACY: Final = "privacy"
SECTIONS: Final = (
    SECTION_RECOGNITION,
    SECTION_GATE,
    SECTION_DOOR,
    SECTION_SECURITY,
    SECTION_PRIVACY,
)

CONF_FALSE_POSITIVE_RATE: Final = "false_positive_rate"
CONF_BUNDLE: Final = "bundle"
CONF_TRIGGERS: Final = "triggers"
CONF_SENSITIVITY: Final = "sensitivity"
CONF_RELOCK_AFTER: Final = "relock_after"
CONF_HOLD: Final = "hold"
CONF_HOLD_LONGEST: Final = "hold_longest"
CONF_CONTACT: Final = "contact"
CONF_OPEN_LATCH: Final = "open_latch"
CONF_LEAVE_OPEN: Final = "leave_open"
CONF_LIVENESS: Final = "liveness"
CONF_ANNOUNCE: Final = "announce"
CONF_FLASH_LIGHT: Final = "flash_light"
CONF_FACTOR_ENTITY: Final = "factor_entity"
CONF_FACTOR_STATE: Final = "factor_state"
CONF_CODE: Final = "code"
CONF_FACTOR_AFTER_RESTART: Final = "factor_after_restart"
CONF_ATTEMPTS: Final = "attempts"
CONF_KEEP_PICTURES: Final = "keep_pictures"
CONF_KEEP_LAST_VISIT: Final = "keep_last_visit"
CONF_DAYS: Final = "days"

CONF_RECOGNIZING: Final = "recognizing"
"""Beside the sections: whether the door is watched at all, as its switch says."""

CONF_PERSON_ENTITY: Final = "person_entity"
CONF_DOORS: Final = "doors"
CONF_SCHEDULE: Final = "schedule"
CONF_EXPIRES: Final = "expires"
CONF_ALLOWED: Final = "allowed"

FALSE_POSITIVE_RATES: Final[dict[str, float]] = {
    "one_in_1000": 1e-3,
    "one_in_10000": 1e-4,
    "one_in_100000": 1e-5,
    "one_in_1000000": 1e-6,
}
"""What the owner can choose, as translation keys -> rate. A similarity is never asked for."""
DEFAULT_FALSE_POSITIVE_RATE: Final = "one_in_10000"
BUNDLED: Final = "bundled"
"""The models that come with Face Lock; any other choice is the name of a folder."""


class Sensitivity(StrEnum):
    """How much of the picture must change to open the gate; the values are translation keys."""

    LOW = "low"
    NORMAL = "normal"
    HIGH = "high"


MIN_SHARES: Final = {Sensitivity.LOW: 0.03, Sensitivity.NORMAL: 0.01, Sensitivity.HIGH: 0.003}
"""Share of the picture that must change to open the gate, 0..1."""


@dataclass(frozen=True, slots=True)
class HouseholdSettings:
    """What holds for all doors."""

    bundle: str = BUNDLED
    """Which models recognise people: Face Lock's, or those in a folder of the configuration."""
    keep_pictures: bool = True
    """Whether reference pictures are kept, or only their templates."""

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> Self:
        """Read a config entry's options."""
        return cls(
            bundle=str(options.get(CONF_BUNDLE, BUNDLED)),
            keep_pictures=bool(options.get(CONF_KEEP_PICTURES, True)),
        )


@dataclass(frozen=True, slots=True)
class DoorSettings:
    """A door's options. Entities are named by registry id where they have one."""

    cameras: tuple[str, ...] = ()
    lock: str | None = None
    """The owner's lock, None for one of our own."""
    false_positive_rate: float = FALSE_POSITIVE_RATES[DEFAULT_FALSE_POSITIVE_RATE]
    sensitivity: Sensitivity = Sensitivity.NORMAL
    triggers: tuple[str, ...] = ()
    """Motion sensors and doorbells that open the gate too."""
    relock_after: int | None = None
    """Seconds after which the door is locked again. None is the lock's own way: a target lock is
    left to itself, a lock of ours locks after a few seconds."""
    hold: bool = True
    """Whether locking again waits while whoever was let in is still in view. A lock of our own,
    which a relay may follow, does not unless that was chosen: it opens for a moment."""
    hold_longest: int = 120
    """Seconds for which somebody who stays in view is waited for at most."""
    contact: str | None = None
    """The contact that says whether the door itself is open."""
    open_latch: bool = False
    """Whether a grant opens the target's latch instead of only unlocking it."""
    leave_open: bool = True
    """Whether a target lock that stood unlocked before a visit is not locked after it."""
    liveness: LivenessLevel = LivenessLevel.BASIC
    announce: tuple[Mapping[str, Any], ...] = ()
    """Actions that tell a visitor where to turn, at the level with a challenge."""
    flash_light: str | None = None
    """A light that flashes at the visitor, at that level."""
    factor_entity: str | None = None
    factor_state: str = "on"
    """The second factor: an entity that must be in this state."""
    code_hash: str | None = None
    """The second factor: a code, as `codes.hash_code` keeps it."""
    factor_after_restart: bool = False
    """Whether only the first unlock after a start needs the second factor, instead of each."""
    attempts: int = 5
    """Failures that lock out; they fade."""
    keep_last_visit: bool = False
    """Whether the picture of the last visit is kept."""
    days: int = 7
    """Days for which visits, and the picture of the last one, are kept."""

    @property
    def followed(self) -> tuple[str, ...]:
        """The entities whose changes the door follows."""
        return tuple(entity for entity in (self.lock, self.contact, *self.triggers) if entity)

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> Self:
        """Read what a door's subentry keeps.

        Raises:
            KeyError, ValueError: a choice that this version does not know, or a challenge that
                could not be put.

        """
        recognition, gate, door, security, privacy = (data.get(name, {}) for name in SECTIONS)
        rate = recognition.get(CONF_FALSE_POSITIVE_RATE, DEFAULT_FALSE_POSITIVE_RATE)
        liveness = LivenessLevel(security.get(CONF_LIVENESS, cls().liveness))
        announce = tuple(security.get(CONF_ANNOUNCE) or ())
        flash_light = security.get(CONF_FLASH_LIGHT)
        if liveness is LivenessLevel.CHALLENGE and not announce and flash_light is None:
            raise ValueError("a challenge needs an announcement or a light")
        return cls(
            cameras=tuple(data.get(CONF_CAMERAS, ())),
            lock=data.get(CONF_LOCK),
            false_positive_rate=FALSE_POSITIVE_RATES[rate],
            sensitivity=Sensitivity(gate.get(CONF_SENSITIVITY, cls().sensitivity)),
            triggers=tuple(gate.get(CONF_TRIGGERS, ())),
            relock_after=int(door[CONF_RELOCK_AFTER]) if door.get(CONF_RELOCK_AFTER) else None,
            hold=bool(door.get(CONF_HOLD, holds(data))),
            hold_longest=int(door.get(CONF_HOLD_LONGEST, cls().hold_longest)),
            contact=door.get(CONF_CONTACT),
            open_latch=bool(door.get(CONF_OPEN_LATCH, cls().open_latch)),
            leave_open=bool(door.get(CONF_LEAVE_OPEN, cls().leave_open)),
            liveness=liveness,
            announce=announce,
            flash_light=flash_light,
            factor_entity=security.get(CONF_FACTOR_ENTITY),
            factor_state=security.get(CONF_FACTOR_STATE, cls().factor_state),
            code_hash=security.get(CONF_CODE),
            factor_after_restart=bool(
                security.get(CONF_FACTOR_AFTER_RESTART, cls().factor_after_restart)
            ),
            attempts=int(security.get(CONF_ATTEMPTS, cls().attempts)),
            keep_last_visit=bool(privacy.get(CONF_KEEP_LAST_VISIT, cls().keep_last_visit)),
            days=int(privacy.get(CONF_DAYS, cls().days)),
        )


def holds(door: Mapping[str, Any]) -> bool:
    """Whether a door waits for who is in view where nothing was chosen: only with a real lock."""
    return door.get(CONF_LOCK) is not None


@dataclass(frozen=True, slots=True)
class PersonSettings:
    """An enrolled person, as the subentry says."""

    name: str
    person_entity: str | None = None
    """The `person` entity of Home Assistant, by registry id."""
    doors: frozenset[str] | None = None
    """Ids of the doors that this person may open; None for all, also those to come."""
    schedule: str | None = None
    """An entity that must be `on` (a schedule, a helper) for this person to be let in."""
    expires: datetime | None = None
    """When the permission ends, with a time zone."""
    allowed: bool = True
    """False while the person is suspended."""

    @classmethod
    def of(cls, subentry: ConfigSubentry) -> Self:
        """Read a person's subentry; a date that cannot be read has passed."""
        data = subentry.data
        expires = data.get(CONF_EXPIRES)
        return cls(
            name=subentry.title,
            person_entity=data.get(CONF_PERSON_ENTITY),
            doors=frozenset(data[CONF_DOORS]) if data.get(CONF_DOORS) else None,
            schedule=data.get(CONF_SCHEDULE),
            expires=None if expires is None else _instant(expires),
            allowed=data.get(CONF_ALLOWED, True) is True,
        )


def _instant(text: Any) -> datetime:
    """Read a date and time; one without a time zone is in Home Assistant's own."""
    try:
        parsed = dt_util.parse_datetime(text) if isinstance(text, str) else None
    except ValueError:
        parsed = None
    if parsed is None:
        return dt_util.utc_from_timestamp(0)
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=dt_util.get_default_time_zone())
