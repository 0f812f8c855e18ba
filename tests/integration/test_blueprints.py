"""The blueprints: Home Assistant accepts them, and their automations do what they say."""

import asyncio
import json
from datetime import datetime
from pathlib import Path

import pytest
from homeassistant.components.automation.config import (
    AUTOMATION_BLUEPRINT_SCHEMA,
)
from homeassistant.components.blueprint.models import Blueprint
from homeassistant.const import STATE_UNAVAILABLE
from homeassistant.core import CoreState, HomeAssistant
from homeassistant.helpers import device_registry as dr, entity_registry as er
from homeassistant.setup import async_setup_component
from homeassistant.util import dt as dt_util, yaml as yaml_util
from pytest_homeassistant_custom_component.common import MockConfigEntry, async_mock_service

from custom_components.face_lock.const import DOMAIN
from custom_components.face_lock.visit import OUTCOMES

from .conftest import ROOT

FOLDER = ROOT / "blueprints" / "automation" / "face_lock"
NAMES = ("announce_who_came", "guest_hours", "notify_on_denial")
HOURS = "input_boolean.cleaning"
MANIFEST = json.loads((ROOT / "custom_components" / "face_lock" / "manifest.json").read_text())


def load(name: str) -> Blueprint:
    return Blueprint(
        yaml_util.load_yaml_dict(FOLDER / f"{name}.yaml"),
        path=f"face_lock/{name}.yaml",
        expected_domain="automation",
        schema=AUTOMATION_BLUEPRINT_SCHEMA,
    )


class House:
    """A house with an automation made from a blueprint; accesses are told by hand."""

    def __init__(self, hass: HomeAssistant) -> None:
        self._hass = hass
        self.entry = MockConfigEntry(domain=DOMAIN, title="Front door")
        self.entry.add_to_hass(hass)
        device = dr.async_get(hass).async_get_or_create(
            config_entry_id=self.entry.entry_id,
            identifiers={(DOMAIN, self.entry.entry_id)},
            name="Front door",
        )
        self.door = device.id
        self.event = (
            er.async_get(hass)
            .async_get_or_create("event", DOMAIN, "access", device_id=device.id)
            .entity_id
        )
        self._number = 0
        hass.states.async_set(self.event, "unknown")

    async def automate(self, name: str, **inputs: object) -> None:
        """Import the blueprint as Home Assistant's own files, and make an automation of it."""
        await self._hass.async_add_executor_job(self._import, name)
        config = {"use_blueprint": {"path": f"face_lock/{name}.yaml", "input": inputs}}
        assert await async_setup_component(
            self._hass, "automation", {"automation": {"alias": "test", **config}}
        )
        await self._hass.async_block_till_done()
        assert self._hass.states.get("automation.test").state == "on"

    def _import(self, name: str) -> None:
        folder = Path(self._hass.config.path("blueprints", "automation", "face_lock"))
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{name}.yaml").write_bytes((FOLDER / f"{name}.yaml").read_bytes())

    async def access(self, event_type: str, person: str | None, reason: str | None = None) -> None:
        """Tell of an access, and let what follows come to its end."""
        self.tell(event_type, person, reason)
        await self._hass.async_block_till_done()

    def tell(self, event_type: str, person: str | None, reason: str | None = None) -> None:
        self._number += 1
        when = datetime(2026, 11, 24, 12, 0, self._number, tzinfo=dt_util.UTC)
        attributes = {"event_type": event_type, "person": person, "reason": reason}
        self._hass.states.async_set(self.event, when.isoformat(), attributes)


@pytest.fixture
def house(hass, tmp_path) -> House:
    hass.config.config_dir = str(tmp_path)
    return House(hass)


@pytest.mark.parametrize("name", NAMES)
def test_home_assistant_accepts_it(name) -> None:
    assert {path.stem for path in FOLDER.iterdir()} == set(NAMES)
    blueprint = load(name)
    assert blueprint.validate() is None
    # The import link leads to the file itself.
    assert blueprint.metadata["source_url"] == (
        f"{MANIFEST['documentation']}/blob/main/blueprints/automation/face_lock/{name}.yaml"
    )
    hacs = json.loads((ROOT / "hacs.json").read_text())
    wanted = blueprint.metadata["homeassistant"]["min_version"]
    assert tuple(map(int, wanted.split("."))) >= tuple(map(int, hacs["homeassistant"].split(".")))


# Announce who came


async def test_announces_who_came(hass, house) -> None:
    spoken = async_mock_service(hass, "tts", "speak")
    further = async_mock_service(hass, "light", "turn_on")
    await house.automate(
        "announce_who_came",
        access=[house.event],
        speakers=["media_player.kitchen", "media_player.hall"],
        voice="tts.voice",
        further=[
            {
                "action": "light.turn_on",
                "data": {"effect": "{{ person }}, {{ door }}: {{ message }}"},
            }
        ],
    )
    await house.access("access_granted", "Ada")
    (call,) = spoken
    assert call.data == {
        "entity_id": ["tts.voice"],
        "media_player_entity_id": ["media_player.kitchen", "media_player.hall"],
        "message": "Ada is at Front door",
    }
    assert further[0].data["effect"] == "Ada, Front door: Ada is at Front door"
    for event_type in set(OUTCOMES) - {"access_granted"}:
        await house.access(event_type, "Ada", "suspended")
    assert (len(spoken), len(further)) == (1, 1)


async def test_announces_without_speakers(hass, house) -> None:
    spoken = async_mock_service(hass, "tts", "speak")
    further = async_mock_service(hass, "light", "turn_on")
    await house.automate(
        "announce_who_came",
        access=[house.event],
        sentence="Welcome, PERSON!",
        further=[{"action": "light.turn_on", "data": {"effect": "{{ message }}"}}],
    )
    await house.access("access_granted", "Bob")
    assert spoken == []
    assert further[0].data["effect"] == "Welcome, Bob!"


async def test_an_access_of_before_a_restart_is_not_announced(hass, house) -> None:
    further = async_mock_service(hass, "light", "turn_on")
    await house.automate(
        "announce_who_came", access=[house.event], further=[{"action": "light.turn_on"}]
    )
    hass.states.async_set(house.event, STATE_UNAVAILABLE)
    await hass.async_block_till_done()
    await house.access("access_granted", "Ada")
    assert further == []


# A guest at hours


@pytest.fixture
def given(hass) -> list:
    return async_mock_service(hass, DOMAIN, "unlock_for")


async def hours(hass, state: str) -> None:
    hass.states.async_set(HOURS, state)
    await hass.async_block_till_done()


async def guest(house, **inputs: object) -> None:
    await house.automate(
        "guest_hours",
        door=house.door,
        access=house.event,
        guest="Ada",
        hours=HOURS,
        **inputs,
    )


def minutes(calls: list) -> list[int]:
    return [call.data["minutes"] for call in calls]


async def test_a_guest_comes_once_in_the_hours(hass, house, given) -> None:
    await hours(hass, "off")
    await guest(house, minutes=30)
    assert given == []
    await hours(hass, "on")
    (call,) = given
    assert call.data == {"door": house.door, "person": "Ada", "minutes": 30}
    await house.access("access_granted", "Ada")
    assert minutes(given) == [30]
    await hours(hass, "off")
    assert minutes(given) == [30, 0]
    await house.access("access_granted", "Ada")
    assert minutes(given) == [30, 0]


@pytest.mark.parametrize("lost", ["unavailable", "unknown"])
async def test_hours_that_come_back_give_nothing_again(hass, house, given, lost) -> None:
    await hours(hass, "off")
    await guest(house, minutes=30)
    await hours(hass, "on")
    await house.access("access_granted", "Ada")
    await hours(hass, lost)
    await hours(hass, "on")
    assert minutes(given) == [30, 0]
    # The next hours are others.
    await hours(hass, "off")
    await hours(hass, "on")
    assert minutes(given) == [30, 0, 0, 30]


async def test_a_guest_comes_again_and_again(hass, house, given) -> None:
    await hours(hass, "on")
    await guest(house, again=True)
    await house.access("access_granted", "ada")
    assert minutes(given) == [240]
    for event_type, person in (
        ("access_granted", "Bob"),
        ("access_granted", None),
        ("access_denied", "Ada"),
        ("unknown_face", None),
    ):
        await house.access(event_type, person)
    assert minutes(given) == [240]
    await hours(hass, "unavailable")
    assert minutes(given) == [240, 0]
    await house.access("access_granted", "Ada")
    # What is not known to be on lets nobody in.
    assert set(minutes(given)[1:]) == {0}


@pytest.mark.parametrize(("state", "expected"), [("on", [240]), ("off", [0])])
async def test_a_restart_within_the_hours(hass, house, given, state, expected) -> None:
    hass.set_state(CoreState.not_running)
    hass.states.async_set(HOURS, state)
    await guest(house)
    await hass.async_start()
    await hass.async_block_till_done()
    assert minutes(given) == expected


# A picture on denial


@pytest.fixture
def phones(hass) -> list[str]:
    entry = MockConfigEntry(domain="mobile_app")
    entry.add_to_hass(hass)
    return [
        dr.async_get(hass)
        .async_get_or_create(
            config_entry_id=entry.entry_id, identifiers={("mobile_app", name)}, name=name
        )
        .id
        for name in ("Ada's phone", "Tablet")
    ]


@pytest.fixture
def sent(hass) -> list:
    return async_mock_service(hass, "notify", "mobile_app_ada_s_phone")


@pytest.mark.parametrize(
    ("picture", "address"),
    [
        ("image.front_door_last_visit", "/api/image_proxy/image.front_door_last_visit"),
        ("camera.front_door", "/api/camera_proxy/camera.front_door"),
    ],
)
async def test_notifies_with_a_picture(hass, house, phones, sent, picture, address) -> None:
    tablet = async_mock_service(hass, "notify", "mobile_app_tablet")
    await house.automate(
        "notify_on_denial", access=[house.event], phones=phones, picture=picture, pause=0
    )
    await house.access("access_granted", "Ada")
    assert sent == []
    await house.access("unknown_face", None, "unknown_face")
    (call,) = sent
    assert call.data == {
        "title": "Front door",
        "message": "Somebody was not let in: unknown_face",
        "data": {"image": address, "tag": f"face_lock_{house.event}"},
    }
    assert len(tablet) == 1
    await house.access("access_denied", "Bob", "suspended")
    assert sent[1].data["message"] == "Bob was not let in: suspended"


async def test_notifies_only_when_it_should(hass, house, phones, sent) -> None:
    # The tablet is gone and the phone renamed: it hears of it all the same.
    dr.async_get(hass).async_remove_device(phones[1])
    dr.async_get(hass).async_update_device(phones[0], name_by_user="Mine")
    await house.automate(
        "notify_on_denial",
        access=[house.event],
        phones=phones[::-1],
        picture="camera.front_door",
        reasons=["liveness_failed"],
        pause=30,
    )
    await house.access("unknown_face", None, "unknown_face")
    assert sent == []
    for _ in range(2):
        house.tell("liveness_failed", None, "not_live")
        async with asyncio.timeout(10):
            while not sent:  # noqa: ASYNC110 - a mocked service sets no event
                await asyncio.sleep(0)
        # Not until all is done: that would be after the pause.
        for _ in range(100):
            await asyncio.sleep(0)
    assert len(sent) == 1
    await hass.services.async_call(
        "automation", "turn_off", {"entity_id": "automation.test"}, blocking=True
    )
