"""Enrolling people, over Home Assistant's own HTTP interface where files are involved."""

import io
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from unittest.mock import patch

import numpy as np
import pytest
from aiohttp import FormData
from homeassistant.components import file_upload
from homeassistant.config_entries import SOURCE_USER, ConfigEntryState
from homeassistant.data_entry_flow import FlowResultType, InvalidData
from homeassistant.exceptions import ServiceValidationError
from homeassistant.helpers import (
    device_registry as dr,
    entity_registry as er,
    issue_registry as ir,
    storage,
)
from homeassistant.setup import async_setup_component
from homeassistant.util import dt as dt_util
from homeassistant.util.file import WriteError
from PIL import Image

from custom_components.face_lock import localize, vision
from custom_components.face_lock.const import DOMAIN
from custom_components.face_lock.enrollment import album
from custom_components.face_lock.flows import markdown as texts
from custom_components.face_lock.people import people_of
from custom_components.face_lock.recognition import models as runtime
from custom_components.face_lock.settings import PersonSettings
from tests.harness.devices import jpeg, portrait

from .conftest import FRONT, front_door, raw

FLOW = "/api/config/config_entries/subentries/flow"
PERSON = "person.barack"
SCHEDULE = "schedule.cleaning"

Upload = Callable[..., Awaitable[str]]


@pytest.fixture
async def upload(hass, hass_client, tmp_path, monkeypatch) -> Upload:
    """Upload a file as the frontend does; return its id."""
    # Its folder is the machine's own, which every Home Assistant here clears for itself.
    monkeypatch.setattr(file_upload, "TEMP_DIR_NAME", str(tmp_path / "upload"))
    # Before the client starts the server: no address can be added afterwards.
    assert await async_setup_component(hass, "file_upload", {})
    assert await async_setup_component(hass, "config", {})
    client = await hass_client()

    async def upload(content: bytes, name: str = "me.jpg") -> str:
        form = FormData()
        form.add_field("file", io.BytesIO(content), filename=name)
        response = await client.post("/api/file_upload", data=form)
        assert response.status == 200
        return (await response.json())["file_id"]

    return upload


@pytest.fixture(autouse=True)
def _house(hass) -> None:
    hass.states.async_set(PERSON, "home")
    hass.states.async_set(SCHEDULE, "on")


class Flow:
    """A person's flow of one door."""

    def __init__(self, hass, entry, upload: Upload | None = None) -> None:
        self._manager = hass.config_entries.subentries
        self._hass = hass
        self._entry = entry
        self._upload = upload
        self._id = ""

    async def open(self, **context: str) -> dict:
        handler = (self._entry.entry_id, "person")
        context = {"source": SOURCE_USER, **context}
        result = await self._manager.async_init(handler, context=context)
        self._id = result["flow_id"]
        return result

    async def start(self, name: str, **details: str) -> dict:
        """Begin with somebody new."""
        assert (await self.open())["step_id"] == "user"
        return await self.submit(name=name, **details)

    async def change(self, option: str | None = None) -> dict:
        """Begin to change the one person enrolled."""
        (subentry,) = people_of(self._entry).values()
        result = await self.open(source="reconfigure", subentry_id=subentry.subentry_id)
        assert result["step_id"] == "reconfigure"
        return result if option is None else await self.choose(option)

    async def submit(self, **user_input: object) -> dict:
        return await self._manager.async_configure(self._id, user_input)

    async def choose(self, option: str) -> dict:
        result = await self.submit(next_step_id=option)
        await self._hass.async_block_till_done()
        return result

    async def add(self, *contents: bytes) -> dict:
        assert (await self.choose("upload"))["step_id"] == "upload"
        files = {
            f"picture_{number}": await self._upload(content, f"file-{number}.jpg")
            for number, content in enumerate(contents, 1)
        }
        return await self.submit(**files)

    async def finish(self) -> dict:
        return await self.choose("finish")


def shown(result: dict) -> tuple[int, str]:
    """Return how many pictures the review shows as kept, and what it says of the others."""
    assert result["step_id"] == "pictures", result
    placeholders = result["description_placeholders"]
    count = int(placeholders["count"])
    assert placeholders["pictures"].count("data:image/jpeg") == count
    return count, placeholders["refused"]


def suggested(result: dict) -> dict[str, object]:
    return {
        str(key): key.description["suggested_value"]
        for key in result["data_schema"].schema
        if key.description
    }


async def test_over_http_as_the_frontend_does_it(hass, set_up, hass_client, upload) -> None:
    door = await set_up({})
    client = await hass_client()

    async def post(path: str, **body: object) -> dict:
        response = await client.post(path, json=body)
        assert response.status == 200, await response.text()
        return await response.json()

    form = await post(FLOW, handler=[door.entry.entry_id, "person"])
    names = [field["name"] for field in form["data_schema"]]
    assert names == ["name", "person_entity", "schedule", "expires"]
    path = f"{FLOW}/{form['flow_id']}"
    menu = await post(path, name="Barack")
    assert menu["step_id"] == "pictures"
    assert menu["menu_options"] == ["capture", "upload"]
    form = await post(path, next_step_id="upload")
    assert [field["name"] for field in form["data_schema"]] == [f"picture_{n}" for n in range(1, 6)]
    assert form["data_schema"][0]["selector"]["file"]["accept"].startswith("image/jpeg")
    menu = await post(
        path, picture_1=await upload(raw("obama")), picture_3=await upload(raw("obama2"))
    )
    assert menu["description_placeholders"]["count"] == "2"
    assert menu["description_placeholders"]["pictures"].count("data:image/jpeg") == 2
    result = await post(path, next_step_id="finish")
    await hass.async_block_till_done()

    assert result["type"] == "create_entry"
    assert result["title"] == "Barack"
    (subentry,) = people_of(door.entry).values()
    # Neither pictures nor templates are in the entry.
    assert list(subentry.data) == ["enrolled_at"]
    store = door.household.store
    assert len(store.album(subentry.unique_id)) == 2
    assert hass.states.get("sensor.barack_pictures").state == "2"
    assert device(hass, door, subentry.unique_id).name == "Barack"
    # The uploaded files are gone.
    assert not hass.data[file_upload._DATA].files


def device(hass, door, identifier: str) -> dr.DeviceEntry:
    registry = dr.async_get(hass)
    return registry.async_get_device_by_identifier((DOMAIN, identifier), door.entry.entry_id)


def shrunk(name: str, width: int) -> bytes:
    image = portrait(name)
    return jpeg(image.resize((width, round(image.height * width / image.width))))


def scaled(name: str, factor: float) -> bytes:
    pixels = np.asarray(portrait(name)) * factor
    return vision.encode_png(pixels.astype(np.uint8))


def blurred(name: str) -> bytes:
    image = portrait(name)
    small = image.resize((image.width // 12, image.height // 12), Image.Resampling.BOX)
    return jpeg(small.resize(image.size, Image.Resampling.BICUBIC))


def together(*names: str) -> bytes:
    images = [portrait(name).resize((500, 625)) for name in names]
    canvas = Image.new("RGB", (500 * len(names), 625))
    for index, image in enumerate(images):
        canvas.paste(image, (500 * index, 0))
    return jpeg(canvas)


def animated(*names: str) -> bytes:
    first, *others = [portrait(name).resize((64, 80)) for name in names]
    buffer = io.BytesIO()
    first.save(buffer, "WEBP", save_all=True, append_images=others, duration=100)
    return buffer.getvalue()


REFUSED = {
    "no_face": lambda: jpeg(Image.new("RGB", (400, 400), (90, 120, 90))),
    "several_faces": lambda: together("obama", "biden"),
    "face_too_small": lambda: shrunk("obama", 120),
    "too_dark": lambda: scaled("obama", 0.08),
    "blurred": lambda: blurred("obama"),
    "turned": lambda: jpeg(portrait("obama").transpose(Image.Transpose.ROTATE_180)),
    "other_person": lambda: raw("biden"),
    "same_picture": lambda: shrunk("obama2", 300),
    "enrolled_already": lambda: raw("collins"),
    "picture_empty": lambda: b"",
    "picture_too_large": lambda: bytes(vision.imaging.decode.MAX_BYTES + 1),
    "picture_unsupported": lambda: b"GIF89a" + bytes(100),
    "picture_corrupt": lambda: raw("obama")[:4000],
    "picture_animated": lambda: animated("obama", "obama2"),
}


@pytest.mark.parametrize("reason", REFUSED)
async def test_refused_pictures(hass, set_up, upload, reason) -> None:
    door = await set_up({"Eileen": ("collins",)})
    flow = Flow(hass, door.entry, upload)
    await flow.start("Barack")
    kept = 0
    if reason in ("other_person", "same_picture"):
        kept, _ = shown(await flow.add(raw("obama2"), raw("obama3")))

    count, said = shown(await flow.add(REFUSED[reason]()))

    assert count == kept
    (why,) = await localize.async_sentences(hass, "config_subentries.person.error", [reason])
    assert why != reason
    assert said == f"Not kept:\n\n- file-1.jpg: {why}"
    # Another picture can follow at once; a refused one is named as long as it could be kept yet.
    count, said = shown(await flow.add(raw("obama")))
    assert count == kept + 1
    if reason == "several_faces":
        # The half of it that shows the person is that picture, stretched.
        assert "counts once" in said
    else:
        assert said == (f"Not kept:\n\n- file-1.jpg: {why}" if reason == "other_person" else "")


async def test_of_several_pictures_each_is_judged_for_itself(hass, set_up, upload) -> None:
    door = await set_up({})
    flow = Flow(hass, door.entry, upload)
    await flow.start("Barack")
    count, said = shown(await flow.add(raw("obama"), raw("biden"), b"", raw("obama2")))
    assert count == 2
    assert [line.partition(":")[0] for line in said.splitlines()[2:]] == [
        "- file-2.jpg",
        "- file-3.jpg",
    ]


async def test_the_first_picture_is_not_the_judge(hass, set_up, upload) -> None:
    door = await set_up({})
    flow = Flow(hass, door.entry, upload)
    await flow.start("Barack")
    assert shown(await flow.add(raw("biden"))) == (1, "")
    # One against one: neither is kept, and that is said of both.
    count, said = shown(await flow.add(raw("obama")))
    assert count == 0
    assert said.count("show different people") == 2
    result = await flow.add(raw("obama2"))
    assert shown(result)[0] == 2
    assert shown(result)[1].endswith(
        "- file-1.jpg: This face does not match the other pictures of this person."
    )
    await flow.finish()
    (subentry,) = people_of(door.entry).values()
    templates = [p.template for p in door.household.store.album(subentry.unique_id)]
    bundle = door.household.bundle
    right, wrong = (vision.examine(bundle, vision.decode_rgb(raw(n))) for n in ("obama3", "biden"))
    assert vision.is_same_person(bundle, right.template.embedding, templates)
    assert not vision.is_same_person(bundle, wrong.template.embedding, templates)


async def test_pictures_that_disagree_can_be_started_over(hass, set_up, upload) -> None:
    door = await set_up({})
    flow = Flow(hass, door.entry, upload)
    await flow.start("Barack")
    result = await flow.add(raw("biden"), raw("obama"))
    assert result["menu_options"] == ["capture", "upload", "start_over"]
    assert shown(await flow.choose("start_over")) == (0, "")
    assert shown(await flow.add(raw("obama"))) == (1, "")


async def test_who_is_beside_the_person_is_not_enrolled(hass, set_up, upload) -> None:
    def beside(name: str, width: int) -> bytes:
        canvas = Image.new("RGB", (1500, 900), (110, 115, 120))
        canvas.paste(portrait("biden").resize((720, 853)), (740, 20))
        image = portrait(name)
        canvas.paste(image.resize((width, round(image.height * width / image.width))), (60, 60))
        return jpeg(canvas)

    door = await set_up({})
    flow = Flow(hass, door.entry, upload)
    await flow.start("Barack")
    count, said = shown(await flow.add(beside("obama", 280)))
    assert count == 0
    assert "several faces" in said
    # Once another picture shows the person alone, it is known which of the two is meant.
    assert shown(await flow.add(raw("obama2"))) == (2, "")
    await flow.finish()
    (subentry,) = people_of(door.entry).values()
    bundle = door.household.bundle
    known = vision.examine(bundle, vision.decode_rgb(raw("obama3"))).template
    for one in door.household.store.album(subentry.unique_id):
        assert vision.is_same_person(bundle, one.template.embedding, [known])


async def test_taking_a_picture_out_lets_the_others_vote_again(hass, set_up, upload) -> None:
    door = await set_up({})
    flow = Flow(hass, door.entry, upload)
    await flow.start("Barack")
    assert shown(await flow.add(raw("obama"), raw("obama2"), raw("biden")))[0] == 2
    await flow.choose("remove")
    # One of each is left.
    count, said = shown(await flow.submit(pictures=["1"]))
    assert count == 0
    assert said.count("show different people") == 2


async def test_an_upload_ends_no_lockout(hass, set_up, upload) -> None:
    door = await set_up({})
    for _ in range(door.door.settings.attempts):
        await door.door.controller.async_offer_code("wrong")
    flow = Flow(hass, door.entry, upload)
    await flow.start("Barack")
    await flow.add(raw("obama"))
    assert (await flow.finish())["type"] is FlowResultType.CREATE_ENTRY
    assert door.door.controller.is_locked_out


async def test_an_upload_is_used_once(hass, set_up, upload) -> None:
    door = await set_up({})
    flow = Flow(hass, door.entry, upload)
    await flow.start("Barack")
    await flow.choose("upload")
    file_id = await upload(raw("obama"))
    assert shown(await flow.submit(picture_1=file_id))[0] == 1
    await flow.choose("upload")
    count, said = shown(await flow.submit(picture_2=file_id))
    assert count == 1
    assert said.endswith("- #1: The file did not arrive. Choose it again.")


async def test_an_upload_of_nothing(hass, set_up) -> None:
    door = await set_up({})
    flow = Flow(hass, door.entry)
    await flow.start("Barack")
    await flow.choose("upload")
    result = await flow.submit()
    assert result["step_id"] == "upload"
    assert result["errors"] == {"base": "upload_none"}


async def test_a_files_name_is_no_markdown(hass, set_up, upload) -> None:
    door = await set_up({})
    flow = Flow(hass, door.entry, upload)
    await flow.start("Barack")
    await flow.choose("upload")
    file_id = await upload(b"", "![x](javascript:alert(1))<b>`" + "y" * 200)
    _, said = shown(await flow.submit(picture_1=file_id))
    assert not set("![]()<>`") & set(said)
    assert len(said) < 120
    assert texts.plain("***") == "?"


async def test_pictures_have_an_end(hass, set_up, upload, monkeypatch) -> None:
    monkeypatch.setattr(album, "MAX_PICTURES", 3)
    door = await set_up({})
    flow = Flow(hass, door.entry, upload)
    await flow.start("Barack")
    await flow.add(raw("obama"))
    form = await flow.choose("upload")
    assert list(map(str, form["data_schema"].schema)) == ["picture_1", "picture_2"]
    result = await flow.submit(
        picture_1=await upload(raw("obama2")), picture_2=await upload(raw("obama3"))
    )
    assert shown(result) == (3, "")
    assert result["menu_options"] == ["remove", "start_over", "finish"]


async def test_single_pictures_can_be_removed(hass, set_up, upload) -> None:
    door = await set_up({"Barack": ("obama", "obama2", "obama3")})
    flow = Flow(hass, door.entry, upload)
    assert shown(await flow.change("add"))[0] == 3
    form = await flow.choose("remove")
    assert form["data_schema"].schema["pictures"].config["options"] == ["1", "2", "3"]
    assert form["description_placeholders"]["pictures"].count("data:image/jpeg") == 3
    assert shown(await flow.submit(pictures=["1", "3"]))[0] == 1
    await flow.choose("remove")
    assert shown(await flow.submit())[0] == 1
    await flow.finish()
    (kept,) = door.household.store.album("barack")
    bundle = door.household.bundle
    expected = vision.examine(bundle, vision.decode_rgb(raw("obama2")))
    assert np.array_equal(kept.crop, expected.crop)


# Who it is


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("  ", "name_missing"),
        ("\u3164\u200b", "name_missing"),
        (" barACK ", "name_taken"),
        ("Bar\u00adack", "name_taken"),
        ("Unknown", "name_reserved"),
        ("b" * 256, "name_too_long"),
    ],
)
async def test_names(hass, set_up, name, error) -> None:
    door = await set_up({"Barack": ("obama",)})
    result = await Flow(hass, door.entry).start(name, schedule=SCHEDULE)
    assert result["step_id"] == "user"
    assert result["errors"] == {"name": error}
    # Nothing that was entered is lost.
    assert suggested(result) == {"name": name, "schedule": SCHEDULE}


async def test_a_guest_until_sunday(hass, set_up, upload) -> None:
    await hass.config.async_set_time_zone("America/New_York")
    registry = er.async_get(hass)
    schedule = registry.async_get_or_create("schedule", "test", "cleaning").entity_id
    hass.states.async_set(schedule, "on")
    until = dt_util.now().replace(microsecond=0) + timedelta(days=3)
    text = until.strftime("%Y-%m-%d %H:%M:%S")
    door = await set_up({})
    flow = Flow(hass, door.entry, upload)
    await flow.start(" Barack ", person_entity=PERSON, schedule=schedule, expires=text)
    await flow.add(raw("obama"))
    await flow.finish()

    (subentry,) = people_of(door.entry).values()
    assert PersonSettings.of(subentry) == PersonSettings(
        name="Barack",
        person_entity=PERSON,
        schedule=registry.async_get(schedule).id,
        expires=until,
    )

    # The form shows all of it again, entities by their present names.
    registry.async_update_entity(schedule, new_entity_id="schedule.guests")
    hass.states.async_set("schedule.guests", "on")
    form = await flow.change("details")
    assert suggested(form) == {
        "name": "Barack",
        "person_entity": PERSON,
        "schedule": "schedule.guests",
        "expires": text,
    }
    result = await flow.submit(name="Barry", expires=text, no_end=True)
    await hass.async_block_till_done()
    assert result["reason"] == "reconfigure_successful"
    (subentry,) = people_of(door.entry).values()
    assert PersonSettings.of(subentry) == PersonSettings(name="Barry")
    assert "enrolled_at" in subentry.data
    assert len(door.household.store.album(subentry.unique_id)) == 1
    assert device(hass, door, subentry.unique_id).name == "Barry"
    assert "no_end" not in (await flow.change("details"))["data_schema"].schema


@pytest.mark.parametrize(
    ("details", "errors"),
    [
        ({"person_entity": "person.gone"}, {"person_entity": "person_not_found"}),
        ({"schedule": "schedule.gone"}, {"schedule": "schedule_not_found"}),
        ({"expires": "2020-01-01 12:00:00"}, {"expires": "expires_past"}),
    ],
)
async def test_details_that_cannot_be(hass, set_up, details, errors) -> None:
    door = await set_up({})
    flow = Flow(hass, door.entry)
    result = await flow.start("Barack", **details)
    assert result["errors"] == errors
    assert suggested(result) == {"name": "Barack", **details}
    assert (await flow.submit(name="Barack"))["step_id"] == "pictures"


async def test_a_date_that_is_none(hass, set_up) -> None:
    door = await set_up({})
    with pytest.raises(InvalidData):
        await Flow(hass, door.entry).start("Barack", expires="next Sunday")


async def test_somebody_whose_time_is_over_can_be_renamed(hass, set_up) -> None:
    door = await set_up({"Barack": ("obama",)})
    (subentry,) = people_of(door.entry).values()
    past = dt_util.utcnow() - timedelta(days=1)
    hass.config_entries.async_update_subentry(
        door.entry, subentry, data={**subentry.data, "expires": past.isoformat()}
    )
    await hass.async_block_till_done()
    flow = Flow(hass, door.entry)
    before = suggested(await flow.change("details"))
    await flow.submit(**before | {"name": "Obama"})
    await hass.async_block_till_done()
    (subentry,) = people_of(door.entry).values()
    assert subentry.title == "Obama"
    assert PersonSettings.of(subentry).expires == past.replace(microsecond=0)
    # Another moment that has passed is refused.
    await flow.change("details")
    result = await flow.submit(name="Obama", expires="2020-01-01 12:00:00")
    assert result["errors"] == {"expires": "expires_past"}


async def test_suspend_and_allow(hass, set_up) -> None:
    door = await set_up({"Barack": ("obama",)})
    flow = Flow(hass, door.entry)
    result = await flow.change()
    assert result["menu_options"] == ["add", "replace", "details", "suspend"]
    result = await flow.choose("suspend")
    assert result["reason"] == "reconfigure_successful"
    (subentry,) = people_of(door.entry).values()
    assert PersonSettings.of(subentry).allowed is False
    assert len(door.household.store.album("barack")) == 1

    # It holds through a change of other things.
    await flow.change("details")
    await flow.submit(name="Obama")
    await hass.async_block_till_done()
    result = await flow.change()
    assert result["menu_options"][-1] == "allow"
    await flow.choose("allow")
    (subentry,) = people_of(door.entry).values()
    assert PersonSettings.of(subentry).allowed is True


async def test_suspend_at_a_door_that_does_not_run(hass, set_up) -> None:
    door = await set_up({"Barack": ("obama",)})
    await hass.config_entries.async_unload(door.entry.entry_id)
    await Flow(hass, door.entry).change("suspend")
    (subentry,) = people_of(door.entry).values()
    assert PersonSettings.of(subentry).allowed is False


async def test_one_person_too_many_for_the_rate(hass, set_up) -> None:
    door = await set_up({"Barack": ("obama",)})
    rows = [vision.OperatingPoint(1e-4, 0.6, 0.0, 1e-4, True, 1.0)]
    short = vision.Thresholds(rows, slope=1, offset=0)
    door.household.bundle = replace(door.household.bundle, thresholds=short)
    result = await Flow(hass, door.entry).open()
    assert result["type"] is FlowResultType.ABORT
    assert result["reason"] == "rate_unavailable"


def misses(*shares: float) -> vision.Thresholds:
    """A table in which two people, three, and so on, cost these shares by day."""
    rows = [
        vision.OperatingPoint(1e-4 / n, 0.3 + n / 100, 0.0, 1e-4 / n, True, 1.0, share, 0.995)
        for n, share in enumerate(shares, 2)
    ]
    return vision.Thresholds(
        [vision.OperatingPoint(1e-3, 0.26, 0, 1e-3, True, 1.0), *rows], slope=1, offset=0
    )


async def test_what_one_person_more_costs_is_said(hass, set_up) -> None:
    door = await set_up({"Barack": ("obama",), "Grace": ("hopper",)})
    thresholds = misses(0.1, 0.31, 0.5)
    door.household.bundle = replace(door.household.bundle, thresholds=thresholds)
    form = await Flow(hass, door.entry).open()
    assert form["step_id"] == "user"
    # With three: by day, and at night.
    assert form["description_placeholders"]["costs"] == "| Front door | 31 | >99 |"


async def test_one_person_more_who_shuts_nearly_everybody_out_must_be_meant(
    hass, set_up, call, folder
) -> None:
    door = await set_up({"Barack": ("obama",), "Grace": ("hopper",)})
    thresholds = misses(0.1, 0.85, 1.0)
    door.household.bundle = replace(door.household.bundle, thresholds=thresholds)
    flow = Flow(hass, door.entry)
    result = await flow.open()
    assert (result["type"], result["step_id"]) == (FlowResultType.MENU, "strict")
    assert result["description_placeholders"]["costs"] == "| Front door | 85 | >99 |"
    assert (await flow.choose("anyway"))["step_id"] == "user"
    assert (await flow.submit(name="Joe"))["step_id"] == "pictures"
    # An action cannot ask: it refuses.
    (folder / "biden.jpg").write_bytes(raw("biden"))
    files = [str(folder / "biden.jpg")]
    with pytest.raises(ServiceValidationError) as error:
        await call("enroll", name="Joe", files=files)
    assert error.value.translation_key == "rate_refuses_most"
    assert error.value.translation_placeholders["day"] == "85"
    assert len(people_of(door.entry)) == 2
    # More pictures of somebody who is enrolled make nothing stricter.
    (folder / "obama2.jpg").write_bytes(raw("obama2"))
    assert (await call("enroll", name="Barack", files=[str(folder / "obama2.jpg")]))["kept"] == 1


async def test_a_household_that_grows_too_large_for_its_rate_is_told(
    hass, set_up, upload, bundle, monkeypatch
) -> None:
    measured = replace(bundle, thresholds=misses(0.1, 0.85, 1.0))
    monkeypatch.setattr(runtime, "load_bundle", lambda *_: measured)
    door = await set_up({"Barack": ("obama",), "Grace": ("hopper",)})
    issues, issue = ir.async_get(hass), (DOMAIN, f"rate_refuses_most_{FRONT}")
    assert issue not in issues.issues
    flow = Flow(hass, door.entry, upload)
    await flow.open()
    await flow.choose("anyway")
    await flow.submit(name="Joe")
    await flow.add(raw("biden"))
    await flow.finish()
    await hass.async_block_till_done()
    assert issues.issues[issue].translation_placeholders == {
        "door": "Front door",
        "people": "3",
        "day": "85",
        "night": ">99",
    }
    # A higher rate mends it.
    door.change(recognition={"false_positive_rate": "one_in_1000"})
    await hass.async_block_till_done()
    assert issue not in issues.issues


# Somebody like another


def alike(bundle, similarity: float):
    """Make an examination whose template resembles an enrolled one by so much."""

    def examine(standard, data) -> vision.Faces:
        (template,) = next(iter(standard.others.values()))
        rng = np.random.default_rng(0)
        known, crowding = template.embedding[:-1], template.embedding[-1]
        other = rng.normal(size=known.shape).astype(np.float32)
        other -= (other @ known) * known
        other /= np.linalg.norm(other)
        # Of a face that is not crowded at all.
        cosine = similarity + crowding
        direction = cosine * known + np.sqrt(1 - cosine**2) * other
        embedding = np.append(direction, 0.0).astype(np.float32)
        crop = np.full((112, 112, 3), 128, np.uint8)
        kept = vision.Portrait(crop, vision.Template(embedding, template.model))
        face = vision.Face((0, 0, 90, 100), np.zeros((5, 2), np.float32), 0.9)
        return vision.Faces((vision.Candidate(face, kept),))

    return examine


async def test_somebody_like_another_is_asked_for_again(
    hass, set_up, upload, bundle, monkeypatch
) -> None:
    loose, strict = (bundle.thresholds.operating_point(r).threshold for r in (1e-3, 1e-4))
    assert loose < strict
    monkeypatch.setattr(
        "custom_components.face_lock.enrollment.procedure.examine_upload",
        alike(bundle, (loose + strict) / 2),
    )
    door = await set_up({"Barack": ("obama",)})
    flow = Flow(hass, door.entry, upload)
    await flow.start("Malik")
    await flow.add(b"picture")

    result = await flow.finish()
    assert result["step_id"] == "resembles"
    assert result["menu_options"] == ["keep", "pictures"]
    assert result["description_placeholders"] == {"name": "Malik", "other": "Barack"}
    assert shown(await flow.choose("pictures"))[0] == 1
    await flow.finish()
    # Loading the step anew, as a second browser does, asks the same.
    again = await hass.config_entries.subentries.async_configure(flow._id)
    assert again["step_id"] == "resembles"
    assert (await flow.choose("keep"))["type"] is FlowResultType.CREATE_ENTRY
    assert {s.title for s in people_of(door.entry).values()} == {"Barack", "Malik"}


async def test_somebody_unlike_all_others_is_not_asked_for(
    hass, set_up, upload, bundle, monkeypatch
) -> None:
    loose = bundle.thresholds.operating_point(1e-3).threshold
    monkeypatch.setattr(
        "custom_components.face_lock.enrollment.procedure.examine_upload",
        alike(bundle, loose - 0.02),
    )
    door = await set_up({"Barack": ("obama",)})
    flow = Flow(hass, door.entry, upload)
    await flow.start("Malik")
    await flow.add(b"picture")
    assert (await flow.finish())["type"] is FlowResultType.CREATE_ENTRY


def test_templates_of_another_model_resemble_nobody(bundle) -> None:
    template = vision.Template(np.ones(512, np.float32), "another model")
    standard = album.Standard(bundle, {"barack": (template,)}, 1e-4)
    strange = vision.Portrait(np.zeros((112, 112, 3), np.uint8), template)
    assert album.resembled(standard, (strange,)) is None


# Changes


async def test_adding_pictures(hass, set_up, upload) -> None:
    door = await set_up({"Barack": ("obama",)})
    flow = Flow(hass, door.entry, upload)
    assert shown(await flow.change("add"))[0] == 1
    await flow.add(raw("obama2"))
    result = await flow.finish()

    assert result["type"] is FlowResultType.ABORT
    assert result["reason"] == "reconfigure_successful"
    (subentry,) = people_of(door.entry).values()
    assert subentry.title == "Barack"
    assert len(door.household.store.album("barack")) == 2


@pytest.mark.parametrize("way", ["replace", "start_over"])
async def test_pictures_are_replaced_only_when_finished(hass, set_up, upload, way) -> None:
    door = await set_up({"Barack": ("obama", "obama2")})
    flow = Flow(hass, door.entry, upload)
    if way == "replace":
        result = await flow.change("replace")
    else:
        await flow.change("add")
        result = await flow.choose("start_over")
    assert result["menu_options"] == ["capture", "upload"]
    assert result["description_placeholders"]["name"] == "Barack"
    assert len(door.household.store.album("barack")) == 2
    await flow.add(raw("obama3"))
    await flow.finish()
    (kept,) = door.household.store.album("barack")
    expected = vision.examine(door.household.bundle, vision.decode_rgb(raw("obama3")))
    assert np.array_equal(kept.crop, expected.crop)


async def test_person_removed_in_mid_flow(hass, set_up, upload) -> None:
    door = await set_up({"Barack": ("obama",)})
    (subentry,) = people_of(door.entry).values()
    flow = Flow(hass, door.entry, upload)
    await flow.change("add")
    hass.config_entries.async_remove_subentry(door.entry, subentry.subentry_id)
    await hass.async_block_till_done()
    result = await flow.finish()
    assert result["type"] is FlowResultType.ABORT
    assert result["reason"] == "person_removed"
    assert door.household.store.people == {}


async def test_full_disk_is_an_issue_and_the_person_can_come_in(hass, set_up, upload) -> None:
    door = await set_up({})
    flow = Flow(hass, door.entry, upload)
    await flow.start("Barack")
    await flow.add(raw("obama"))
    with patch.object(storage.Store, "_async_write_data", side_effect=WriteError("disk full")):
        await flow.finish()
    assert door.entry.state is ConfigEntryState.LOADED
    assert hass.states.get("sensor.barack_pictures").state == "1"
    issues = {issue for domain, issue in ir.async_get(hass).issues if domain == DOMAIN}
    assert issues == {f"pictures_not_saved_{door.entry.entry_id}"}


async def test_a_door_that_does_not_run_enrols_nobody(hass, set_up) -> None:
    door = await set_up({})
    await hass.config_entries.async_unload(door.entry.entry_id)
    assert door.entry.state is ConfigEntryState.NOT_LOADED
    result = await hass.config_entries.subentries.async_init(
        (door.entry.entry_id, "person"), context={"source": SOURCE_USER}
    )
    assert result["type"] is FlowResultType.ABORT
    assert result["reason"] == "not_loaded"


async def test_a_household_whose_doors_cannot_run_enrols_nobody(hass, set_up, camera) -> None:
    door = await set_up({}, settings={"gate": {"sensitivity": "psychic"}})
    assert door.household.doors == {}
    result = await hass.config_entries.subentries.async_init(
        (door.entry.entry_id, "person"), context={"source": SOURCE_USER}
    )
    assert (result["type"], result["reason"]) == (FlowResultType.ABORT, "not_loaded")


async def test_unloaded_in_mid_flow(hass, set_up, upload) -> None:
    door = await set_up({})
    flow = Flow(hass, door.entry, upload)
    await flow.start("Barack")
    await hass.config_entries.async_unload(door.entry.entry_id)
    result = await flow.add(raw("obama"))
    assert result["type"] is FlowResultType.ABORT
    assert result["reason"] == "not_loaded"
    assert not people_of(door.entry)


# Two at once


async def test_two_dialogues_make_no_two_people_of_one_name(hass, set_up, upload) -> None:
    door = await set_up({})
    first, second = (Flow(hass, door.entry, upload) for _ in range(2))
    await first.start("Grace")
    await second.start("grace")
    await first.add(raw("hopper"))
    await second.add(raw("collins"))
    assert (await first.finish())["type"] is FlowResultType.CREATE_ENTRY
    result = await second.finish()
    assert (result["step_id"], result["errors"]) == ("rename", {"name": "name_taken"})
    assert (await second.submit(name=" "))["errors"] == {"name": "name_missing"}
    assert (await second.submit(name="Eileen"))["type"] is FlowResultType.CREATE_ENTRY
    assert [s.title for s in people_of(door.entry).values()] == ["Grace", "Eileen"]


async def test_two_dialogues_make_no_two_people_of_one_face(hass, set_up, upload) -> None:
    door = await set_up({})
    first, second = (Flow(hass, door.entry, upload) for _ in range(2))
    await first.start("Grace")
    await second.start("Murray")
    await first.add(raw("hopper"))
    await second.add(raw("hopper"))
    assert (await first.finish())["type"] is FlowResultType.CREATE_ENTRY
    assert (await second.finish())["step_id"] == "resembles"
    count, said = shown(await second.choose("keep"))
    assert count == 0
    assert "too much like another" in said
    assert [s.title for s in people_of(door.entry).values()] == ["Grace"]


async def test_an_old_dialogue_does_not_undo_what_was_added_since(
    hass, set_up, upload, call, folder
) -> None:
    door = await set_up({"Barack": ("obama",)})
    flow = Flow(hass, door.entry, upload)
    await flow.change("replace")
    (folder / "obama2.jpg").write_bytes(raw("obama2"))
    assert (await call("enroll", name="Barack", files=[str(folder / "obama2.jpg")]))["kept"] == 1
    await flow.add(raw("obama3"))
    await flow.finish()
    # The one that was replaced is gone; the one that was added meanwhile is there.
    kept = door.household.store.album("barack")
    wanted = [
        vision.examine(door.household.bundle, vision.decode_rgb(raw(name)))
        for name in ("obama3", "obama2")
    ]
    assert len(kept) == 2
    for one, other in zip(kept, wanted, strict=True):
        assert np.array_equal(one.crop, other.crop)


async def test_the_doors_that_a_person_may_open(hass, set_up, camera, upload, target) -> None:
    garage = front_door(hass, title="Garage", door="garage", lock="lock.deadbolt")
    door = await set_up({}, doors=(front_door(hass), garage))
    flow = Flow(hass, door.entry, upload)
    form = await flow.open()
    (options,) = (
        field.config["options"]
        for key, field in form["data_schema"].schema.items()
        if str(key) == "doors"
    )
    assert options == [
        {"value": FRONT, "label": "Front door"},
        {"value": "garage", "label": "Garage"},
    ]
    await flow.submit(name="Barack", doors=[FRONT])
    await flow.add(raw("obama"), raw("obama2"))
    await flow.finish()
    await hass.async_block_till_done()
    camera.show("obama3")
    assert (await door.access()).event_type == "access_granted"
    await door.until(lambda: hass.states.get("event.garage_access").state != "unknown")
    refused = hass.states.get("event.garage_access").attributes
    assert (refused["person"], refused["reason"]) == ("Barack", "other_door")
    assert target.calls == []
    # The dialogue shows it again, and emptied it is all doors.
    result = await flow.change("details")
    assert suggested(result)["doors"] == [FRONT]
    await flow.submit(name="Barack")
    await hass.async_block_till_done()
    (rules,) = door.household.residents.rules.values()
    assert rules.doors is None
    await door.leave(camera)
    camera.show("obama3")
    await door.until(lambda: target.calls)
