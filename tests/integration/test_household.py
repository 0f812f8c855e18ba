"""Several doors with the same people: what is changed, is changed in place."""

import asyncio
from collections.abc import Callable

import pytest
from homeassistant.core import Event, State, callback
from homeassistant.helpers import device_registry as dr, entity_registry as er, issue_registry as ir
from pytest_homeassistant_custom_component.common import async_capture_events

from custom_components.face_lock import vision
from custom_components.face_lock.const import DOMAIN, EVENT_ACCESS
from custom_components.face_lock.people import doors_of, people_of
from custom_components.face_lock.recognition import models, watcher
from custom_components.face_lock.settings import MIN_SHARES, Sensitivity
from custom_components.face_lock.storage import template_format, templates
from tests.harness.devices import Deadbolt, DoorCamera

from .conftest import (
    CAMERA,
    EVENT,
    FRONT,
    LOCK,
    TARGET,
    Door,
    front_door,
    person,
    raw,
    sealed,
    stored,
    unsealed,
)

PEOPLE = {"Barack": ("obama", "obama2"), "Grace": ("hopper",), "Joe": ("biden",)}
GARAGE = "garage"
GARAGE_CAMERA = "camera.garage"
GARAGE_LOCK = "lock.garage"
GARAGE_EVENT = "event.garage_access"
GARAGE_TARGET = "lock.garage_bolt"


@pytest.fixture
async def garage_camera(hass, camera) -> DoorCamera:
    camera = DoorCamera()
    camera._attr_unique_id, camera._attr_name = "garage", "Garage"
    await hass.data["camera"].async_add_entities([camera])
    assert camera.entity_id == GARAGE_CAMERA
    return camera


@pytest.fixture
async def garage_target(hass, target) -> Deadbolt:
    lock = Deadbolt()
    lock._attr_unique_id, lock._attr_name = "garage_bolt", "Garage bolt"
    await hass.data["lock"].async_add_entities([lock])
    assert lock.entity_id == GARAGE_TARGET
    return lock


def garage(hass, **kwargs: object):
    return front_door(
        hass,
        title="Garage",
        door=GARAGE,
        lock=GARAGE_TARGET,
        **{"cameras": (GARAGE_CAMERA,), **kwargs},
    )


@pytest.fixture
def two_doors(hass, set_up, garage_camera, garage_target) -> Callable[..., object]:
    """Set up a front door and a garage for three people."""

    async def two_doors(**settings: dict[str, object]) -> Door:
        doors = (front_door(hass, lock=TARGET, settings=settings), garage(hass))
        return await set_up(PEOPLE, doors=doors)

    return two_doors


async def hold(door: Door, looking: watcher.Watcher, camera: DoorCamera, name: str) -> None:
    """Bring a visit before a camera to one frame before the grant, and hold it there."""
    decider = looking._decider
    held: list[bytes] = []

    def votes() -> int:
        return len(getattr(decider._visit, "votes", ()))

    def source() -> bytes:
        # One after the other: two on their way at once might complete the quorum.
        idle = looking.feed.is_idle
        if votes() < 2 and (idle or not held):
            held.append(camera.scene.picture(name))
        return held[-1]

    camera.source = source
    await door.until(lambda: votes() == 2)


def of_the_garage(hass) -> set[str]:
    return {state.entity_id for state in hass.states.async_all() if ".garage_" in state.entity_id}


async def test_a_visit_goes_on_whatever_is_changed_elsewhere(
    hass, two_doors, call, folder, camera, target, garage_camera, garage_target, monkeypatch
) -> None:
    door = await two_doors()
    told = async_capture_events(hass, EVENT_ACCESS)
    camera.show("obama3")
    await door.access()
    await door.leave(camera)
    first = hass.states.get(EVENT)
    calls = list(target.calls)

    changes: list[State | None] = []

    @callback
    def changed(event: Event) -> None:
        if event.data["entity_id"] in watched:
            changes.append(event.data["new_state"])

    watched = of_the_garage(hass)
    assert len(watched) > 5
    hass.bus.async_listen("state_changed", changed)
    running = door.household.doors[GARAGE]
    # However long the changes take on this machine, the visit's time stands still.
    now = door.clock()
    monkeypatch.setattr(door.clock, "_real", lambda: now - door.clock._offset)
    await hold(door, running.watchers[0], garage_camera, "obama3")
    visit = running.watchers[0]._decider._visit

    # Somebody is added, somebody suspended, and an option of the other door is changed.
    (folder / "collins.jpg").write_bytes(raw("collins"))
    answer = await call("enroll", name="Eileen", files=[str(folder / "collins.jpg")])
    assert answer["created"]
    await hass.services.async_call(
        "switch", "turn_off", {"entity_id": "switch.grace_allowed"}, blocking=True
    )
    before = door.door
    door.change(door={"relock_after": 30})
    await hass.async_block_till_done()
    assert door.door is not before
    assert door.door.settings.relock_after == 30
    assert answer["person_id"] in door.household.residents.rules
    assert not door.household.residents.rules["grace"].allowed

    # The visit is the same one, and ends as it would have.
    assert door.household.doors[GARAGE] is running
    assert running.watchers[0]._decider._visit is visit
    assert garage_target.calls == []
    garage_camera.show("obama3")
    await door.until(lambda: hass.states.get(GARAGE_EVENT).state != "unknown")
    access = hass.states.get(GARAGE_EVENT).attributes
    assert (access["event_type"], access["person"]) == ("access_granted", "Barack")
    assert garage_target.calls == [("unlock", None)]
    assert target.calls == calls
    assert not [state for state in changes if state is None or state.state == "unavailable"]
    # No event came twice, not of the door that was started again either.
    assert [event.data["name"] for event in told] == ["Front door", "Garage"]
    assert hass.states.get(EVENT).state == first.state
    assert hass.states.get(EVENT).attributes["visit"] == first.attributes["visit"]


async def test_nothing_depends_on_an_entity(
    hass, hass_storage, set_up, camera, target, monkeypatch
) -> None:
    door = await set_up(
        {"Barack": PEOPLE["Barack"]}, lock=TARGET, settings={"privacy": {"keep_last_visit": True}}
    )
    registry = er.async_get(hass)
    for entry in er.async_entries_for_config_entry(registry, door.entry.entry_id):
        if entry.entity_id != LOCK:
            registry.async_update_entity(entry.entity_id, disabled_by=er.RegistryEntryDisabler.USER)
    await hass.config_entries.async_reload(door.entry.entry_id)
    await hass.async_block_till_done()
    ours = {e.entity_id for e in er.async_entries_for_config_entry(registry, door.entry.entry_id)}
    assert {i for i in ours if hass.states.get(i) is not None} == {LOCK}
    told = async_capture_events(hass, EVENT_ACCESS)
    camera.show("obama3")
    await door.until(lambda: told)
    await hass.async_block_till_done()
    assert target.calls == [("unlock", None)]
    # The logbook's line stands at the lock, the record is on the disk, the picture is kept.
    (event,) = told
    assert event.data["entity_id"] == LOCK
    assert event.data["person"] == "Barack"
    (visit,) = door.door.records.history.visits
    assert visit.id == event.data["visit"]
    assert visit.picture
    assert await door.door.records.picture.async_load(visit.id)
    await door.until(lambda: f"{DOMAIN}.{FRONT}.visits" in hass_storage)
    (written,) = unsealed(hass_storage, f"{DOMAIN}.{FRONT}.visits")["visits"]
    assert (written["id"], written["person"]) == (visit.id, "barack")


async def test_adding_somebody_decodes_and_hashes_nothing_again(
    hass, two_doors, bundle, monkeypatch
) -> None:
    door = await two_doors()
    doors = dict(door.household.doors)

    def forbidden(*_: object, **__: object) -> None:
        raise AssertionError("done again")

    encoded = []
    serialise = templates.serialise_picture
    portrait = vision.examine(bundle, vision.decode_rgb(raw("collins")))
    monkeypatch.setattr(models, "load_bundle", forbidden)
    monkeypatch.setattr(template_format, "decode_rgb", forbidden)
    monkeypatch.setattr(templates, "embed_crop", forbidden)
    monkeypatch.setattr(
        templates, "serialise_picture", lambda p: (encoded.append(p), serialise(p))[1]
    )
    door.household.store.put("eileen", [portrait])
    hass.config_entries.async_add_subentry(door.entry, person("Eileen"))
    # At once, in both doors, before anything is written.
    assert len(door.household.residents.matcher) == 4
    for running in doors.values():
        assert running.watchers[0].feed._pipeline._people[0] is door.household.residents.matcher
    await hass.async_block_till_done()
    assert door.household.doors == doors
    first = len(encoded)
    door.household.store.put("eileen", [portrait, portrait])
    hass.config_entries.async_update_subentry(
        door.entry, people_of(door.entry)["eileen"], title="Eileen C."
    )
    await hass.async_block_till_done()
    # The others' pictures are not encoded for it once more.
    assert len(encoded) == first


async def test_entities_come_and_go_with_people_and_doors(
    hass, two_doors, hass_storage, garage_camera, garage_target
) -> None:
    door = await two_doors()
    running = door.door
    garage_camera.show("collins")
    await door.recognised(4)
    await door.until(lambda: door.household.doors[GARAGE].watchers[0]._decider.in_visit)
    garage_camera.show()
    door.clock.jump(3)
    await door.until(lambda: hass.states.get(GARAGE_EVENT).state != "unknown")
    await door.until(lambda: f"{DOMAIN}.{GARAGE}.visits" in hass_storage)
    await door.household.doors[GARAGE].controller.async_offer_code("1234")
    assert f"{DOMAIN}.{GARAGE}.lockout" in hass_storage
    subentry = doors_of(door.entry)[GARAGE]
    hass.config_entries.async_remove_subentry(door.entry, subentry.subentry_id)
    await hass.async_block_till_done()
    assert of_the_garage(hass) - {GARAGE_TARGET} == set()
    assert hass.states.get(GARAGE_LOCK) is None
    registry = er.async_get(hass)
    found = er.async_entries_for_config_entry(registry, door.entry.entry_id)
    assert not [e for e in found if e.unique_id.startswith(GARAGE)]
    assert not [name for name in hass_storage if GARAGE in name and name.startswith(DOMAIN)]
    assert door.household.doors == {FRONT: running}

    hass.config_entries.async_add_subentry(door.entry, garage(hass))
    await hass.async_block_till_done()
    assert hass.states.get(GARAGE_LOCK).state == "locked"
    assert door.door is running
    joe = people_of(door.entry)["joe"]
    hass.config_entries.async_update_subentry(door.entry, joe, title="Joseph")
    hass.config_entries.async_remove_subentry(
        door.entry, people_of(door.entry)["grace"].subentry_id
    )
    await hass.async_block_till_done()
    assert hass.states.get("switch.grace_allowed") is None
    assert hass.states.get("switch.joe_allowed").name == "Joseph Allowed"
    devices = dr.async_entries_for_config_entry(dr.async_get(hass), door.entry.entry_id)
    assert {device.name for device in devices} == {"Front door", "Garage", "Barack", "Joseph"}


async def test_a_door_that_cannot_be_started_keeps_no_other_shut(
    hass, two_doors, camera, target
) -> None:
    door = await two_doors(gate={"sensitivity": "psychic"})
    assert set(door.household.doors) == {GARAGE}
    issue = ir.async_get(hass).async_get_issue(DOMAIN, f"door_unusable_{FRONT}")
    assert issue.translation_placeholders["door"] == "Front door"
    camera.show("obama3")
    await door.frames(camera, 0)
    assert target.calls == []


async def test_lockouts_passes_and_codes_are_the_doors(
    hass, two_doors, call, camera, target, garage_camera, garage_target
) -> None:
    door = await two_doors(security={"code": "c2FsdA==$aGFzaA=="})
    for _ in range(5):
        await call("present_code", door="Front door", code="1357")
    assert door.door.controller.is_locked_out
    assert not door.household.doors[GARAGE].controller.is_locked_out
    assert hass.states.get("binary_sensor.front_door_locked_out").state == "on"
    assert hass.states.get("binary_sensor.garage_locked_out").state == "off"
    garage_camera.show("obama3")
    await door.until(lambda: garage_target.calls)
    assert target.calls == []


# Several doors at one camera


@pytest.fixture
def one_camera(hass, set_up, camera, garage_target) -> Callable[..., object]:
    """Set up a front door, and a garage door that the same camera sees."""

    async def one_camera(**of_the_garage: dict[str, object]) -> Door:
        shared = garage(hass, cameras=(CAMERA,), settings=of_the_garage)
        return await set_up(PEOPLE, doors=(front_door(hass, lock=TARGET), shared))

    return one_camera


async def test_doors_share_a_camera_s_pictures(one_camera, camera, target, garage_target) -> None:
    door = await one_camera()
    first, second = (running.watchers[0] for running in door.household.doors.values())
    assert first.feed is second.feed
    before = camera.requests - first.counters.pictures
    camera.show("obama3")
    await door.until(lambda: target.calls and garage_target.calls)
    # Each picture was asked for once, and nothing was looked at twice.
    assert camera.requests - first.counters.pictures - before in (0, 1)
    assert first.counters.recognised <= first.counters.pictures
    assert (target.calls, garage_target.calls) == ([("unlock", None)], [("unlock", None)])


async def test_a_shared_camera_serves_the_doors_that_are_left(
    hass, one_camera, camera, target, garage_target
) -> None:
    door = await one_camera()
    front, other = door.household.doors.values()
    feed = front.watchers[0].feed
    # Switched off: the other door goes on, and the camera does.
    front.async_enable(enabled=False)
    await hass.async_block_till_done()
    camera.show("obama3")
    await door.until(lambda: garage_target.calls)
    assert target.calls == []
    camera.show()
    door.clock.jump(vision.DecisionPolicy().absence)
    # Both off: it is left alone.
    other.async_enable(enabled=False)
    await door.until(lambda: feed.is_idle)
    asked = camera.requests
    await asyncio.sleep(0.2)
    assert camera.requests - asked in (0, 1)
    # Started again, or removed: the other door keeps it.
    front.async_enable(enabled=True)
    await hass.async_block_till_done()
    door.change(gate={"sensitivity": "low"})
    await hass.async_block_till_done()
    assert door.door is not front
    assert door.door.watchers[0].feed is other.watchers[0].feed is feed
    subentry = doors_of(door.entry)[GARAGE]
    hass.config_entries.async_remove_subentry(door.entry, subentry.subentry_id)
    await hass.async_block_till_done()
    camera.show("obama3")
    await door.until(lambda: target.calls)
    assert door.door.watchers[0].feed is feed


async def test_the_readier_gate_and_the_stricter_liveness_are_shared(
    hass, one_camera, camera, bundle
) -> None:
    door = await one_camera(
        gate={"sensitivity": "high"},
        recognition={"false_positive_rate": "one_in_1000"},
        security={"liveness": "strict"},
    )
    feed = door.watcher.feed
    loose = bundle.thresholds.operating_point(1e-3, len(PEOPLE)).threshold
    assert feed._pipeline._people[1] == loose
    assert feed._pipeline._gate._settings.min_share == MIN_SHARES[Sensitivity.HIGH]
    door.household.doors[GARAGE].async_enable(enabled=False)
    # The front door measures none.
    assert feed._pipeline._people[1] is None
    assert feed._pipeline._gate._settings.min_share == MIN_SHARES[Sensitivity.NORMAL]


async def test_a_defect_of_one_door_keeps_no_other_shut(
    one_camera, camera, garage_target, monkeypatch, caplog
) -> None:
    door = await one_camera()

    async def defect(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(door.watcher, "see", defect)
    camera.show("obama3")
    await door.until(lambda: garage_target.calls)
    assert "Unexpected error while watching the door" in caplog.text


# Several cameras at one door


async def test_two_cameras_open_one_lock_and_only_once(
    hass, set_up, camera, target, garage_camera
) -> None:
    both = front_door(hass, lock=TARGET, cameras=(CAMERA, GARAGE_CAMERA))
    door = await set_up(PEOPLE, doors=(both,))
    first, second = door.door.watchers
    garage_camera.show("obama3")
    access = await door.access()
    assert (access.event_type, access.camera) == ("access_granted", GARAGE_CAMERA)
    # Whoever walks from one camera to the other is not let in again by that.
    camera.show("obama3")
    looked = first.counters.recognised
    await door.until(lambda: first.counters.recognised >= looked + 6)
    assert target.calls == [("unlock", None)]
    assert second.is_hosting
    assert not first.is_hosting
    # The door is held by either, and each camera has visits of its own.
    assert door.door._is_held()
    target.put(is_locked=True)
    door.clock.jump(vision.DecisionPolicy().cool_down)
    await door.until(lambda: len(target.calls) == 2)
    for looking in (first, second):
        looked = looking.counters.recognised
        await door.until(lambda n=looked, w=looking: w.counters.recognised >= n + 4)
    assert len(target.calls) == 2


async def test_one_camera_that_is_lost_does_not_make_the_door_blind(
    hass, set_up, camera, target, garage_camera
) -> None:
    both = front_door(hass, lock=TARGET, cameras=(CAMERA, GARAGE_CAMERA))
    door = await set_up(PEOPLE, doors=(both,))
    camera.set_available(False)
    first, second = door.door.watchers
    await door.until(lambda: first.counters.failed_pictures)
    door.clock.jump(watcher.OUTAGE_AFTER)
    await door.until(lambda: first.state.outage)
    await door.until(lambda: second.counters.pictures > 3)
    assert hass.states.get("binary_sensor.front_door_motion").state != "unavailable"
    garage_camera.show("obama3")
    assert (await door.access()).event_type == "access_granted"
    garage_camera.set_available(False)
    failed = second.counters.failed_pictures
    await door.until(lambda: second.counters.failed_pictures > failed)
    door.clock.jump(watcher.OUTAGE_AFTER)
    await door.until(
        lambda: hass.states.get("binary_sensor.front_door_motion").state == "unavailable"
    )


# A lock that does not obey


async def test_who_was_not_let_in_is_tried_again_after_the_cool_down(
    hass, set_up, camera, target
) -> None:
    door = await set_up({"Barack": PEOPLE["Barack"]}, lock=TARGET)
    target.error = RuntimeError("no answer")
    camera.show("obama3")
    assert (await door.access()).reason == "lock_failed"
    assert not door.watcher.is_hosting
    tried = len(target.calls)
    # Not at once: the lock is not hammered at.
    await door.recognised(5)
    assert len(target.calls) == tried
    target.error = None
    door.clock.jump(vision.DecisionPolicy().cool_down)
    assert (await door.access(2)).event_type == "access_granted"
    assert door.watcher.is_hosting


# People of Home Assistant


async def test_the_person_of_home_assistant(hass, set_up, camera, target) -> None:
    registry = er.async_get(hass)
    known = registry.async_get_or_create("person", "person", "1", suggested_object_id="barack")
    hass.states.async_set("person.barack", "home")
    door = await set_up({"Barack": PEOPLE["Barack"]}, lock=TARGET)
    issue = f"person_missing_{door.entry.entry_id}"
    subentry = people_of(door.entry)["barack"]
    hass.config_entries.async_update_subentry(
        door.entry, subentry, data={**subentry.data, "person_entity": known.id}
    )
    await hass.async_block_till_done()
    assert ir.async_get(hass).async_get_issue(DOMAIN, issue) is None
    registry.async_update_entity("person.barack", new_entity_id="person.obama")
    camera.show("obama3")
    assert (await door.access()).person_entity == "person.obama"
    assert hass.states.get("sensor.barack_last_seen").attributes["person_entity"] == "person.obama"
    # Its removal is said, and takes nobody's permission.
    registry.async_remove("person.obama")
    await hass.async_block_till_done()
    found = ir.async_get(hass).async_get_issue(DOMAIN, issue)
    assert found.translation_placeholders == {"people": "Barack"}
    await door.leave(camera)
    camera.show("obama3")
    assert (await door.access(2)).person_entity is None


async def test_a_restart_finds_what_was_written(hass, two_doors, hass_storage, bundle) -> None:
    """Both doors and all people come back from what lies on the disk."""
    door = await two_doors()
    await hass.config_entries.async_unload(door.entry.entry_id)
    key = f"{DOMAIN}.{door.entry.entry_id}"
    hass_storage[key] = sealed(stored(bundle, PEOPLE), key)
    await hass.config_entries.async_setup(door.entry.entry_id)
    await asyncio.sleep(0)
    assert set(door.household.doors) == {FRONT, GARAGE}
    assert len(door.household.residents.matcher) == 3
