"""The door's lock: the owner's own, mirrored and driven, or one that is only a state."""

# ruff: noqa: ARG001 - Home Assistant calls these with fixed signatures

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, override

from homeassistant.components.lock import (
    ATTR_CHANGED_BY,
    CONF_DEFAULT_CODE,
    LockEntity,
)
from homeassistant.components.lock.const import DOMAIN, LockEntityFeature, LockState
from homeassistant.const import (
    ATTR_CODE,
    ATTR_CODE_FORMAT,
    ATTR_SUPPORTED_FEATURES,
    STATE_UNAVAILABLE,
    STATE_UNKNOWN,
)
from homeassistant.core import Event, EventStateChangedData, HomeAssistant, State, callback
from homeassistant.helpers import entity_registry as er
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback
from homeassistant.helpers.event import async_track_state_change_event

from .activity import KEY_LOCK
from .coordinator import DoorCoordinator
from .entity import DoorEntity, async_add_for_doors
from .household import FaceLockConfigEntry
from .locking.driver import OwnLock, TargetLock

PARALLEL_UPDATES = 0

NO_OPTIONS: Mapping[str, Any] = {}
CLOSED = (LockState.LOCKED, LockState.LOCKING)


async def async_setup_entry(
    hass: HomeAssistant,
    entry: FaceLockConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Add each door's lock."""
    async_add_for_doors(entry, async_add_entities, lambda door: [_lock(door)])


def _lock(door: DoorCoordinator) -> DoorLockEntity:
    lock = door.lock
    return MirroredLock(door, lock) if isinstance(lock, TargetLock) else StandaloneLock(door, lock)


class DoorLockEntity(DoorEntity, LockEntity):
    """The main entity of the door: it carries the device's name."""

    _attr_name = None
    _attr_translation_key = "door"

    def __init__(self, coordinator: DoorCoordinator, lock: TargetLock | OwnLock) -> None:
        super().__init__(coordinator, KEY_LOCK)
        self._lock = lock

    @override
    async def async_lock(self, **kwargs: Any) -> None:
        """Lock the door for a user."""
        self.coordinator.async_forget_changed_by()
        await self._lock.async_lock(self._context, kwargs.get(ATTR_CODE))

    @override
    async def async_unlock(self, **kwargs: Any) -> None:
        """Unlock the door for a user."""
        self.coordinator.async_forget_changed_by()
        await self._lock.async_unlock(self._context, kwargs.get(ATTR_CODE))


class StandaloneLock(DoorLockEntity):
    """A lock of our own."""

    _lock: OwnLock

    @property
    @override
    def is_locked(self) -> bool:
        return self._lock.is_locked

    @property
    @override
    def is_unlocking(self) -> bool:
        return self._lock.is_unlocking

    @property
    @override
    def changed_by(self) -> str | None:
        return self.coordinator.controller.opened_for


class MirroredLock(DoorLockEntity):
    """The target lock, as core's lock group mirrors its members."""

    _lock: TargetLock

    @override
    async def async_added_to_hass(self) -> None:
        """Follow the target."""
        await super().async_added_to_hass()
        if (entity_id := self._lock.entity_id) is not None:
            self.async_on_remove(
                async_track_state_change_event(self.hass, entity_id, self._target_changed)
            )
        self._mirror()

    @override
    async def async_open(self, **kwargs: Any) -> None:
        """Open the latch for a user."""
        self.coordinator.async_forget_changed_by()
        await self._lock.async_open(self._context, kwargs.get(ATTR_CODE))

    @callback
    def _target_changed(self, event: Event[EventStateChangedData]) -> None:
        old, new = event.data["old_state"], event.data["new_state"]
        if old is not None and new is not None and old.state not in CLOSED and new.state in CLOSED:
            self.coordinator.async_forget_changed_by()
        self.async_set_context(event.context)
        self._mirror()
        self.async_write_ha_state()

    @callback
    @override
    def _handle_coordinator_update(self) -> None:
        self._mirror()
        super()._handle_coordinator_update()

    @callback
    def _mirror(self) -> None:
        target = self._lock.state
        self._attr_available = target is not None and target.state != STATE_UNAVAILABLE
        state = None if target is None else target.state
        known = state not in (None, STATE_UNAVAILABLE, STATE_UNKNOWN)
        self._attr_is_jammed = state == LockState.JAMMED if known else None
        self._attr_is_opening = state == LockState.OPENING if known else None
        self._attr_is_locking = state == LockState.LOCKING if known else None
        self._attr_is_open = state == LockState.OPEN if known else None
        self._attr_is_unlocking = state == LockState.UNLOCKING if known else None
        self._attr_is_locked = state == LockState.LOCKED if known else None
        self._mirror_attributes(target)

    @callback
    def _mirror_attributes(self, target: State | None) -> None:
        attributes = {} if target is None else target.attributes
        self._attr_changed_by = self.coordinator.controller.opened_for or attributes.get(
            ATTR_CHANGED_BY
        )
        features = LockEntityFeature(attributes.get(ATTR_SUPPORTED_FEATURES, 0))
        self._attr_supported_features = features & LockEntityFeature.OPEN

    @property
    @override
    def code_format(self) -> str | None:
        """Ask for the target's code, unless core adds its default code there."""
        target = self._lock.state
        if target is None or self._has_default_code(target.entity_id):
            return None
        return target.attributes.get(ATTR_CODE_FORMAT)

    def _has_default_code(self, entity_id: str) -> bool:
        known = er.async_get(self.hass).async_get(entity_id)
        return known is not None and bool(
            known.options.get(DOMAIN, NO_OPTIONS).get(CONF_DEFAULT_CODE)
        )

    @property
    @override
    def available(self) -> bool:
        """Whether the target is; the camera has no part in that."""
        return self._attr_available
