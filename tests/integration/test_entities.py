"""What a door and its people show, and what their switches do."""

from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace

import pytest
from homeassistant.auth.const import GROUP_ID_USER
from homeassistant.const import STATE_UNAVAILABLE
from homeassistant.core import Context, State
from homeassistant.exceptions import Unauthorized
from homeassistant.helpers import entity_registry as er, issue_registry as ir
from homeassistant.util import dt as dt_util
from pytest_homeassistant_custom_component.common import (
    async_fire_time_changed,
    mock_restore_cache_with_extra_data,
    snapshot_platform,
)
from pytest_homeassistant_custom_component.syrupy import HomeAssistantSnapshotExtension
from syrupy.assertion import SnapshotAssertion

from custom_components import face_lock
from custom_components.face_lock import coordinator
from custom_components.face_lock.const import DOMAIN
from custom_components.face_lock.locking import auto_lock as relock
from custom_components.face_lock.people import people_of
from custom_components.face_lock.recognition import metrics as meter, models as runtime
from custom_components.face_lock.vision import decode_rgb

from .conftest import FRONT, LOCK, MOTION, TARGET

BARACK = {"Barack": ("obama", "obama2")}
FACE = "binary_sensor.front_door_face"
LAST_PERSON = "sensor.front_door_last_person"
RECOGNITION = "switch.front_door_recognition"
ALLOWED = "switch.barack_allowed"
LAST_SEEN = "sensor.barack_last_seen"
BELL = "event.bell"
PIR = "binary_sensor.porch"


@pytest.fixture
def entity_registry_enabled_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    """Enable what is disabled by default, to see it."""
    monkeypatch.setattr("homeassistant.helpers.entity.Entity.entity_registry_enabled_default", True)


@pytest.fixture
def snapshot(snapshot: SnapshotAssertion) -> SnapshotAssertion:
    """As core's own tests have it: what differs from run to run is left out."""
    return snapshot.use_extension(HomeAssistantSnapshotExtension)


async def turn(hass, entity_id: str, on: bool) -> None:
    service = "turn_on" if on else "turn_off"
    await hass.services.async_call("switch", service, {"entity_id": entity_id}, blocking=True)


async def after(hass, seconds: float) -> None:
    async_fire_time_changed(hass, dt_util.utcnow() + timedelta(seconds=seconds))
    await hass.async_block_till_done()


@pytest.mark.parametrize("platform", face_lock.PLATFORMS)
async def test_all_entities(
    hass,
    set_up,
    camera,
    target,
    bundle,
    entity_registry,
    entity_registry_enabled_by_default,
    snapshot: SnapshotAssertion,
    monkeypatch,
    platform,
) -> None:
    monkeypatch.setattr(face_lock, "PLATFORMS", [platform])
    # The same with other models, and before anybody has come.
    info = replace(bundle.info, version="1.0.0", runtime="ncnn", runtime_version="1.0.0")
    monkeypatch.setattr(runtime, "load_bundle", lambda: replace(bundle, info=info))
    monkeypatch.setattr(
        "homeassistant.components.image._RND", SimpleNamespace(getrandbits=lambda _: 1)
    )
    camera.hang()
    security = {"liveness": "challenge", "flash_light": "light.porch"}
    settings = {"privacy": {"keep_last_visit": True}, "security": security}
    door = await set_up(BARACK, lock=TARGET, settings=settings)
    await snapshot_platform(hass, entity_registry, snapshot, door.entry.entry_id)


async def test_diagnostic_entities_are_disabled_at_first(hass, set_up) -> None:
    door = await set_up(BARACK)
    registry = er.async_get(hass)
    entities = er.async_entries_for_config_entry(registry, door.entry.entry_id)
    disabled = {e.entity_id for e in entities if e.disabled_by is not None}
    assert disabled == {
        f"sensor.front_door_{name}"
        for name in (
            "pictures_per_second",
            "gate_open",
            "recognition_time",
            "runtime",
            "model_version",
        )
    }


async def test_performance(
    hass, set_up, camera, entity_registry_enabled_by_default, monkeypatch
) -> None:
    monkeypatch.setattr(meter, "PERIOD", 0.5)
    door = await set_up(BARACK)
    camera.show("obama3")
    await door.until(
        lambda: door.state("sensor.front_door_recognition_time") not in ("unknown", "unavailable")
    )
    assert float(door.state("sensor.front_door_recognition_time")) > 0
    assert float(door.state("sensor.front_door_pictures_per_second")) > 0
    assert 0 < float(door.state("sensor.front_door_gate_open")) <= 100
    assert door.state("sensor.front_door_runtime").startswith(("ncnn ", "onnxruntime "))


async def test_last_person_and_face_are_never_stuck(set_up, camera) -> None:
    door = await set_up(BARACK)
    await door.recognised(1)
    assert door.state(FACE) == "off"
    assert door.state(LAST_PERSON) == "unknown"
    camera.show("obama3")
    await door.access()
    await door.until(lambda: door.state(LAST_PERSON) == "Barack")
    assert door.state(FACE) == "on"
    await door.leave(camera)
    await door.until(lambda: door.state(FACE) == "off")
    door.clock.jump(coordinator.SHOW_FOR)
    await door.until(lambda: door.state(LAST_PERSON) == "unknown")


@pytest.mark.parametrize("entity_id", [RECOGNITION, ALLOWED])
@pytest.mark.parametrize("service", ["turn_on", "turn_off"])
async def test_only_administrators_and_automations_change_who_may_come_in(
    hass, set_up, hass_admin_user, entity_id, service
) -> None:
    door = await set_up(BARACK)
    before = "off" if service == "turn_on" else "on"
    await turn(hass, entity_id, on=before == "on")
    await hass.async_block_till_done()
    await hass.auth.async_create_user("Owner")
    user = await hass.auth.async_create_user("Panel", group_ids=[GROUP_ID_USER])
    assert not user.is_admin

    async def by(who: str) -> None:
        await hass.services.async_call(
            "switch", service, {"entity_id": entity_id}, blocking=True, context=Context(user_id=who)
        )
        await hass.async_block_till_done()

    with pytest.raises(Unauthorized):
        await by(user.id)
    assert door.state(entity_id) == before
    await by(hass_admin_user.id)
    assert door.state(entity_id) != before


async def test_recognition_switched_off_opens_for_nobody(set_up, camera, target) -> None:
    door = await set_up(BARACK, lock=TARGET)
    await door.recognised(1)
    await turn(door.hass, RECOGNITION, on=False)
    assert door.state(MOTION) == STATE_UNAVAILABLE
    await door.idle()
    asked = camera.requests
    camera.show("obama3")
    door.clock.jump(20)
    for _ in range(50):
        await door.hass.async_block_till_done()
    assert camera.requests <= asked + 1
    assert door.accesses == []
    # A camera that nobody asks is not a camera that is lost.
    assert door.door.data.outage is None

    await turn(door.hass, RECOGNITION, on=True)
    assert (await door.access()).event_type == "access_granted"
    assert target.calls == [("unlock", None)]


async def test_switching_off_ends_a_running_visit(set_up, camera, target) -> None:
    door = await set_up({}, lock=TARGET)
    camera.show("obama3")
    await door.until(lambda: door.state(FACE) == "on")
    await turn(door.hass, RECOGNITION, on=False)
    assert (await door.access()).reason == "stopped"


async def test_recognition_stays_off_over_a_restart(hass, set_up, camera) -> None:
    """Kept with the door: not in restored states, which a power cut loses, and may be disabled."""
    door = await set_up(BARACK)
    await turn(door.hass, RECOGNITION, on=False)
    await hass.config_entries.async_unload(door.entry.entry_id)
    asked = camera.requests
    camera.show("obama3")
    await hass.config_entries.async_setup(door.entry.entry_id)
    await hass.async_block_till_done()
    assert door.state(RECOGNITION) == "off"
    assert camera.requests == asked
    await turn(door.hass, RECOGNITION, on=True)
    assert (await door.access()).event_type == "access_granted"


async def test_suspended_person_is_recognised_and_not_let_in(set_up, camera, target) -> None:
    door = await set_up(BARACK, lock=TARGET)
    running = door.door
    await turn(door.hass, ALLOWED, on=False)
    assert door.state(ALLOWED) == "off"
    # Suspending must not end a visit that is going on: the door is the same.
    assert door.door is running
    camera.show("obama3")
    access = await door.access()
    assert (access.event_type, access.reason) == ("access_denied", "suspended")
    assert access.person == "Barack"
    assert target.calls == []

    await turn(door.hass, ALLOWED, on=True)
    await door.leave(camera)
    camera.show("obama3")
    await door.until(lambda: target.calls)


async def test_suspension_survives_a_reload(hass, set_up, camera, target) -> None:
    door = await set_up(BARACK, lock=TARGET)
    await turn(hass, ALLOWED, on=False)
    assert await hass.config_entries.async_reload(door.entry.entry_id)
    await hass.async_block_till_done()
    assert door.state(ALLOWED) == "off"


async def test_expired_guest(hass, set_up, camera, target) -> None:
    door = await set_up(BARACK, lock=TARGET)
    (subentry,) = people_of(door.entry).values()
    over = (dt_util.utcnow() - timedelta(minutes=1)).isoformat()
    hass.config_entries.async_update_subentry(
        door.entry, subentry, data={**subentry.data, "expires": over}
    )
    await hass.async_block_till_done()
    camera.show("obama3")
    assert (await door.access()).reason == "expired"
    assert target.calls == []


@pytest.mark.parametrize("expires", ["sunday", 12, "2026-13-01T00:00:00", ""])
async def test_an_expiry_that_cannot_be_read_has_passed(
    hass, set_up, camera, target, expires
) -> None:
    door = await set_up(BARACK, lock=TARGET)
    (subentry,) = people_of(door.entry).values()
    hass.config_entries.async_update_subentry(
        door.entry, subentry, data={**subentry.data, "expires": expires}
    )
    await hass.async_block_till_done()
    camera.show("obama3")
    assert (await door.access()).reason == "expired"


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        ("on", None),
        ("off", "outside_schedule"),
        ("unavailable", "outside_schedule"),
        (None, "outside_schedule"),
    ],
)
async def test_schedule(hass, set_up, camera, target, state, reason) -> None:
    if state is not None:
        hass.states.async_set("schedule.cleaning", state)
    door = await set_up(BARACK, lock=TARGET)
    (subentry,) = people_of(door.entry).values()
    hass.config_entries.async_update_subentry(
        door.entry, subentry, data={**subentry.data, "schedule": "schedule.cleaning"}
    )
    await hass.async_block_till_done()
    camera.show("obama3")
    access = await door.access()
    assert access.reason == reason
    assert (target.calls == []) is (reason is not None)


async def test_last_seen(hass, set_up, camera) -> None:
    door = await set_up(BARACK)
    assert door.state(LAST_SEEN) == "unknown"
    camera.show("obama3")
    await door.access()
    seen = dt_util.parse_datetime(door.state(LAST_SEEN))
    assert abs(dt_util.utcnow() - seen) < timedelta(minutes=1)


async def test_last_seen_is_remembered(hass, set_up) -> None:
    when = dt_util.utcnow().replace(microsecond=0) - timedelta(days=3)
    stored = {
        "native_value": {"__type": "<class 'datetime.datetime'>", "isoformat": when.isoformat()},
        "native_unit_of_measurement": None,
    }
    mock_restore_cache_with_extra_data(hass, [(State(LAST_SEEN, when.isoformat()), stored)])
    door = await set_up(BARACK)
    assert dt_util.parse_datetime(door.state(LAST_SEEN)) == when


# What opens the gate


@pytest.mark.parametrize(
    ("entity_id", "states", "opens"),
    [
        (PIR, ("off", "on"), True),
        (PIR, ("on", "off"), False),
        (PIR, ("unavailable", "on"), False),
        (BELL, ("2026-11-24T10:00:00+00:00", "2026-11-24T10:05:00+00:00"), True),
        (BELL, ("unknown", "2026-11-24T10:05:00+00:00"), False),
    ],
)
async def test_triggers_open_the_gate(hass, set_up, camera, entity_id, states, opens) -> None:
    hass.states.async_set(entity_id, states[0])
    door = await set_up(BARACK, settings={"gate": {"triggers": [entity_id]}})
    camera.freeze(camera.scene.picture())
    await door.frames(camera, 2)
    await door.wait(camera, 8)
    await door.until(lambda: door.state(MOTION) == "off")
    hass.states.async_set(entity_id, states[1])
    await hass.async_block_till_done()
    await door.frames(camera, 3)
    assert (door.state(MOTION) == "on") is opens


# Locking again


async def test_target_is_locked_again(hass, set_up, camera, target) -> None:
    door = await set_up(BARACK, lock=TARGET, settings={"door": {"relock_after": 20, "hold": False}})
    camera.show("obama3")
    await door.access()
    await after(hass, 15)
    assert [name for name, _ in target.calls] == ["unlock"]
    await after(hass, 21)
    assert [name for name, _ in target.calls] == ["unlock", "lock"]
    assert door.state(LOCK) == "locked"


async def test_target_is_left_alone_without_a_time(hass, set_up, camera, target) -> None:
    door = await set_up(BARACK, lock=TARGET)
    camera.show("obama3")
    await door.access()
    await after(hass, 4000)
    assert [name for name, _ in target.calls] == ["unlock"]


async def test_door_is_held_while_the_person_is_in_view(hass, set_up, camera, target) -> None:
    door = await set_up(BARACK, lock=TARGET, settings={"door": {"relock_after": 20}})
    camera.show("obama3")
    await door.access()
    await door.recognised(2)
    await after(hass, 21)
    assert door.state(LOCK) == "unlocked"
    await door.leave(camera)
    await door.until(lambda: not door.watcher.is_hosting)
    await after(hass, 40)
    assert door.state(LOCK) == "locked"


async def test_a_stranger_does_not_hold_the_door(hass, set_up, camera, target) -> None:
    door = await set_up(BARACK, lock=TARGET, settings={"door": {"relock_after": 20}})
    camera.show("obama3")
    await door.access()
    await door.leave(camera)
    camera.show("biden")
    await door.until(lambda: door.state(FACE) == "on" and not door.watcher.is_hosting)
    await after(hass, 40)
    assert door.state(LOCK) == "locked"


async def test_lock_that_does_not_lock_again(hass, set_up, camera, target, caplog) -> None:
    door = await set_up(BARACK, lock=TARGET, settings={"door": {"relock_after": 20, "hold": False}})
    issue = (DOMAIN, f"not_relocked_{FRONT}")
    camera.show("obama3")
    await door.access()
    target.error = OSError("motor")
    await after(hass, 21)
    assert ir.async_get(hass).async_get_issue(*issue) is not None
    assert "was not locked again" in caplog.text
    target.error = None
    await after(hass, 22 + relock.RETRY_INTERVAL)
    assert door.state(LOCK) == "locked"
    assert ir.async_get(hass).async_get_issue(*issue) is None


async def test_a_failing_lock_is_not_asked_for_ever(hass, set_up, camera, target) -> None:
    door = await set_up(BARACK, lock=TARGET, settings={"door": {"relock_after": 20, "hold": False}})
    camera.show("obama3")
    await door.access()
    target.error = OSError("motor")
    for number in range(10):
        await after(hass, 21 + number * (1 + relock.RETRY_INTERVAL))
    assert len([name for name, _ in target.calls if name == "lock"]) == 1 + relock.RETRIES


async def test_door_is_locked_before_it_is_unloaded(hass, set_up, camera, target) -> None:
    """Nobody would lock it later."""
    door = await set_up(BARACK, lock=TARGET, settings={"door": {"relock_after": 600}})
    camera.show("obama3")
    await door.access()
    await hass.config_entries.async_unload(door.entry.entry_id)
    assert [name for name, _ in target.calls] == ["unlock", "lock"]


async def test_latch_is_opened_where_the_owner_wants_it(set_up, camera, target) -> None:
    door = await set_up(BARACK, lock=TARGET, settings={"door": {"open_latch": True}})
    camera.show("obama3")
    assert (await door.access()).event_type == "access_granted"
    assert target.calls == [("open", None)]


async def test_lock_without_a_latch_is_unlocked(set_up, camera, target) -> None:
    target._attr_supported_features = 0
    target.async_write_ha_state()
    door = await set_up(BARACK, lock=TARGET, settings={"door": {"open_latch": True}})
    camera.show("obama3")
    await door.access()
    assert target.calls == [("unlock", None)]


# The last visit's picture

IMAGE = "image.front_door_last_visit"


async def test_no_picture_is_kept_unless_the_owner_wants_it(hass, set_up, camera) -> None:
    door = await set_up(BARACK)
    told = []
    door.door.async_subscribe_visits(told.append)
    camera.show("obama3")
    await door.access()
    assert hass.states.get(IMAGE) is None
    assert [visit.picture for visit in told] == [False]


async def test_picture_of_the_last_visit(hass, set_up, camera, hass_storage) -> None:
    door = await set_up(BARACK, settings={"privacy": {"keep_last_visit": True}})
    assert door.state(IMAGE) == "unknown"
    camera.show("obama3")
    await door.access()
    await door.until(lambda: door.state(IMAGE) != "unknown")
    entity = hass.data["image"].get_entity(IMAGE)
    shown = decode_rgb(await entity.async_image())
    assert max(shown.shape) == 640
    first = door.state(IMAGE)

    # It survives a restart, and goes with the option.
    assert await hass.config_entries.async_reload(door.entry.entry_id)
    await hass.async_block_till_done()
    assert door.state(IMAGE) == first
    door.change(privacy={"keep_last_visit": False})
    await hass.async_block_till_done()
    assert hass.states.get(IMAGE) is None
    assert er.async_get(hass).async_get(IMAGE) is None
    assert f"face_lock.{FRONT}.visit" not in hass_storage
