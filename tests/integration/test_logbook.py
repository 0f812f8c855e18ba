"""What the activity panel says of visits."""

import json

import pytest
from homeassistant.core import Event, callback
from homeassistant.helpers import entity_registry as er
from homeassistant.helpers.translation import async_load_integrations
from homeassistant.setup import async_setup_component
from homeassistant.util import dt as dt_util
from pytest_homeassistant_custom_component.common import async_capture_events
from pytest_homeassistant_custom_component.components.recorder.common import (
    async_wait_recording_done,
)

from custom_components.face_lock import logbook
from custom_components.face_lock.const import DOMAIN, EVENT_ACCESS
from custom_components.face_lock.visit import OUTCOMES

from .conftest import EVENT, ROOT

BARACK = {"Barack": ("obama", "obama2")}
TEXTS = json.loads(
    (ROOT / "custom_components" / "face_lock" / "translations" / "en.json").read_text()
)


@pytest.fixture(autouse=True)
def _custom_integrations(recorder_mock, enable_custom_integrations) -> None:
    """As for all tests, but with a recorder, which must be there before Home Assistant."""


def description(hass, event: Event) -> dict[str, str]:
    """Describe an event as the logbook does."""
    described = {}

    @callback
    def async_describe_event(domain, event_type, describe) -> None:
        assert domain == DOMAIN
        described[event_type] = describe

    logbook.async_describe_events(hass, async_describe_event)
    return described[event.event_type](event)


@pytest.fixture
async def describe(hass):
    """Say what the logbook shows for an access that is told so."""
    await async_load_integrations(hass, {DOMAIN})

    def describe(event_type: str, **data: object) -> str:
        event = Event(EVENT_ACCESS, {"name": "Front door", "event_type": event_type, **data})
        return description(hass, event)["message"]

    return describe


async def test_a_visit_is_told_with_the_persons_name(hass, set_up, camera) -> None:
    events = async_capture_events(hass, EVENT_ACCESS)
    door = await set_up(BARACK)
    camera.show("obama3")
    access = await door.access()
    await door.until(lambda: events)
    (event,) = events
    assert description(hass, event) == {
        "name": "Front door",
        "message": f"Barack was let in ({access.confidence} %)",
        "entity_id": EVENT,
    }
    # Nothing that the event entity would not say, but where it belongs.
    said = {"person", "person_entity", "confidence", "reason", "duration", "response_time"}
    said |= {"camera", "visit", "event_type"}
    assert set(event.data) == said | {"entity_id", "device_id", "name"}
    for key in said:
        assert event.data[key] == getattr(access, key)
    await door.leave(camera)
    camera.show("biden")
    await door.access(2)
    await door.until(lambda: len(events) == 2)
    assert description(hass, events[1])["message"] == "An unknown face was refused"


@pytest.mark.parametrize(
    ("event_type", "person", "reason", "sentence"),
    [
        ("access_granted", "Ada", None, "Ada was let in (97.2 %)"),
        ("access_denied", "Ada", "suspended", "Ada was refused: Person suspended"),
        ("access_denied", None, "too_few_frames", "Somebody was refused: Seen too briefly"),
        ("unknown_face", None, "unknown_face", "An unknown face was refused"),
        ("liveness_failed", "Ada", "not_live", "A face was refused: Not a living face"),
        (
            "locked_out",
            None,
            "locked_out",
            "A face was refused: too many failures before",
        ),
    ],
)
async def test_sentences(describe, event_type, person, reason, sentence) -> None:
    assert describe(event_type, person=person, reason=reason, confidence=97.2) == sentence


async def test_every_type_has_a_sentence_and_braces_in_names_are_harmless(describe) -> None:
    for event_type in OUTCOMES:
        assert "logbook_" not in describe(event_type, person="Ada", reason="expired")
    assert describe("access_granted", person="{reason} {0}", confidence=1.0) == (
        "{reason} {0} was let in (1.0 %)"
    )


async def test_events_of_other_versions_are_described_too(describe) -> None:
    assert describe("something_new") == "Somebody was refused: ?"
    assert describe("access_denied", person="Ada", reason="new") == "Ada was refused: new"


async def test_texts_are_those_of_the_sentences() -> None:
    sentences = {key for key in TEXTS["common"] if key.startswith("logbook_")}
    assert sentences == {*logbook._SENTENCES.values(), "logbook_somebody_denied"}


async def test_the_activity_panel_shows_it(hass, hass_ws_client, set_up, camera) -> None:
    for component in ("http", "logbook"):
        assert await async_setup_component(hass, component, {})
    door = await set_up(BARACK)
    start = dt_util.utcnow()
    camera.show("obama3")
    access = await door.access()
    await hass.async_block_till_done()
    await async_wait_recording_done(hass)
    client = await hass_ws_client()
    registry = er.async_get(hass)
    device = registry.async_get(EVENT).device_id
    for asked in ({"entity_ids": [EVENT]}, {"device_ids": [device]}, {}):
        await client.send_json_auto_id(
            {"type": "logbook/get_events", "start_time": start.isoformat(), **asked}
        )
        entries = (await client.receive_json())["result"]
        ours = [entry for entry in entries if entry.get("domain") == DOMAIN]
        assert [entry["message"] for entry in ours] == [
            f"Barack was let in ({access.confidence} %)"
        ]
        assert (ours[0]["name"], ours[0]["entity_id"]) == ("Front door", EVENT)
