"""Enrolling people, over Home Assistant's own HTTP interface where files are involved."""

import io
from collections.abc import Awaitable, Callable
from unittest.mock import patch

import numpy as np
import pytest
from aiohttp import FormData
from homeassistant.components import file_upload
from homeassistant.config_entries import SOURCE_USER, ConfigEntryState
from homeassistant.data_entry_flow import FlowResultType
from homeassistant.helpers import device_registry as dr, issue_registry as ir, storage
from homeassistant.setup import async_setup_component
from homeassistant.util.file import WriteError
from PIL import Image

from custom_components.face_lock import person_flow, vision
from custom_components.face_lock.const import DOMAIN

from .conftest import jpeg, portrait, raw

FLOW = "/api/config/config_entries/subentries/flow"

Upload = Callable[[bytes], Awaitable[str]]


@pytest.fixture
async def upload(hass, hass_client, tmp_path, monkeypatch) -> Upload:
    """Upload a file as the frontend does; return its id."""
    # Its folder is the machine's own, which every Home Assistant here clears for itself.
    monkeypatch.setattr(file_upload, "TEMP_DIR_NAME", str(tmp_path / "upload"))
    # Before the client starts the server: no address can be added afterwards.
    assert await async_setup_component(hass, "file_upload", {})
    assert await async_setup_component(hass, "config", {})
    client = await hass_client()

    async def upload(content: bytes) -> str:
        form = FormData()
        form.add_field("file", io.BytesIO(content), filename="me.jpg")
        response = await client.post("/api/file_upload", data=form)
        assert response.status == 200
        return (await response.json())["file_id"]

    return upload


@pytest.fixture(autouse=True)
def _quick_capture(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(person_flow, "CAPTURE_INTERVAL", 0.01)


@pytest.fixture
def _short_capture(monkeypatch: pytest.MonkeyPatch) -> None:
    """For captures that cannot succeed."""
    monkeypatch.setattr(person_flow, "CAPTURE_TIMEOUT", 1.0)


class Flow:
    """A person's flow of one door."""

    def __init__(self, hass, entry, upload: Upload | None = None) -> None:
        self._manager = hass.config_entries.subentries
        self._hass = hass
        self._entry = entry
        self._upload = upload
        self._id = ""

    async def start(self, name: str, **context: str) -> dict:
        context = {"source": SOURCE_USER, **context}
        handler = (self._entry.entry_id, "person")
        result = await self._manager.async_init(handler, context=context)
        assert result["type"] is FlowResultType.FORM, result
        self._id = result["flow_id"]
        return await self.submit(name=name)

    async def submit(self, **user_input: str) -> dict:
        return await self._manager.async_configure(self._id, user_input)

    async def choose(self, option: str) -> dict:
        result = await self.submit(next_step_id=option)
        if result["type"] is FlowResultType.SHOW_PROGRESS:
            await self._hass.async_block_till_done()
            result = await self._manager.async_configure(self._id)
        return result

    async def add(self, content: bytes) -> dict:
        assert (await self.choose("upload"))["step_id"] == "upload"
        return await self.submit(picture=await self._upload(content))

    async def finish(self) -> dict:
        result = await self.choose("finish")
        await self._hass.async_block_till_done()
        return result


async def test_over_http_as_the_frontend_does_it(hass, set_up, hass_client, upload) -> None:
    door = await set_up({})
    client = await hass_client()

    async def post(path: str, **body: object) -> dict:
        response = await client.post(path, json=body)
        assert response.status == 200, await response.text()
        return await response.json()

    form = await post(FLOW, handler=[door.entry.entry_id, "person"])
    assert form["data_schema"][0]["name"] == "name"
    path = f"{FLOW}/{form['flow_id']}"
    menu = await post(path, name="Barack")
    assert menu["step_id"] == "pictures"
    assert menu["menu_options"] == ["upload", "capture"]
    for number, name in enumerate(("obama", "obama2"), 1):
        form = await post(path, next_step_id="upload")
        assert form["data_schema"][0]["selector"]["file"]["accept"].startswith("image/jpeg")
        menu = await post(path, picture=await upload(raw(name)))
        assert menu["description_placeholders"]["count"] == str(number)
        assert menu["description_placeholders"]["pictures"].count("data:image/jpeg") == number
    result = await post(path, next_step_id="finish")
    await hass.async_block_till_done()

    assert result["type"] == "create_entry"
    assert result["title"] == "Barack"
    (subentry,) = door.entry.subentries.values()
    # Neither pictures nor templates are in the entry.
    assert list(subentry.data) == ["enrolled_at"]
    store = door.entry.runtime_data.store
    assert len(store.album(subentry.unique_id)) == 2
    assert hass.states.get("sensor.barack_pictures").state == "2"
    person = device(hass, door, subentry.unique_id)
    assert person.name == "Barack"
    assert person.via_device_id == device(hass, door, door.entry.entry_id).id


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


REFUSED = {
    "no_face": lambda: jpeg(Image.new("RGB", (400, 400), (90, 120, 90))),
    "several_faces": lambda: together("obama", "biden"),
    "face_too_small": lambda: shrunk("obama", 120),
    "too_dark": lambda: scaled("obama", 0.15),
    "blurred": lambda: blurred("obama"),
    "other_person": lambda: raw("biden"),
    "same_picture": lambda: raw("obama2"),
    "enrolled_already": lambda: raw("collins"),
    "picture_empty": lambda: b"",
    "picture_too_large": lambda: bytes(vision.decode.MAX_BYTES + 1),
    "picture_unsupported": lambda: b"GIF89a" + bytes(100),
    "picture_corrupt": lambda: raw("obama")[:4000],
}


@pytest.mark.parametrize("reason", REFUSED)
async def test_refused_pictures(hass, set_up, upload, reason) -> None:
    door = await set_up({"Eileen": ("collins",)})
    flow = Flow(hass, door.entry, upload)
    await flow.start("Barack")
    if reason in ("other_person", "same_picture"):
        await flow.add(raw("obama2"))

    result = await flow.add(REFUSED[reason]())

    assert result["type"] is FlowResultType.FORM
    assert result["step_id"] == "upload"
    assert result["errors"] == {"picture": reason}
    # Another picture can follow at once, and the refused one left nothing behind.
    result = await flow.submit(picture=await upload(raw("obama")))
    assert result["type"] is FlowResultType.MENU
    kept = 2 if reason in ("other_person", "same_picture") else 1
    assert result["description_placeholders"]["count"] == str(kept)


async def test_an_upload_is_used_once(hass, set_up, upload) -> None:
    door = await set_up({})
    flow = Flow(hass, door.entry, upload)
    await flow.start("Barack")
    await flow.choose("upload")
    file_id = await upload(raw("obama"))
    await flow.submit(picture=file_id)
    await flow.choose("upload")
    assert (await flow.submit(picture=file_id))["errors"] == {"picture": "upload_missing"}


@pytest.mark.parametrize(("name", "error"), [("  ", "name_missing"), (" barACK ", "name_taken")])
async def test_names(hass, set_up, name, error) -> None:
    door = await set_up({"Barack": ("obama",)})
    result = await Flow(hass, door.entry).start(name)
    assert result["step_id"] == "user"
    assert result["errors"] == {"name": error}


# With the door's camera


async def test_capture(hass, set_up, camera) -> None:
    door = await set_up({})
    camera.show("obama")
    progress = []
    hass.bus.async_listen("data_entry_flow_progress_update", lambda e: progress.append(e.data))
    flow = Flow(hass, door.entry)
    await flow.start("Barack")

    result = await flow.choose("capture")

    assert result["type"] is FlowResultType.MENU, result
    assert result["description_placeholders"]["count"] == "5"
    assert [round(p["progress"], 1) for p in progress] == [0.2, 0.4, 0.6, 0.8, 1.0]
    assert (await flow.finish())["type"] is FlowResultType.CREATE_ENTRY
    assert hass.states.get("sensor.barack_pictures").state == "5"

    # There is an end to pictures: five more, and then only finishing is left.
    (subentry,) = door.entry.subentries.values()
    await flow.start("Barack", source="reconfigure", subentry_id=subentry.subentry_id)
    result = await flow.choose("capture")
    assert result["menu_options"] == ["start_over", "finish"]
    assert result["description_placeholders"]["count"] == "10"


@pytest.mark.usefixtures("_short_capture")
async def test_capture_keeps_one_of_a_frozen_camera(hass, set_up, camera) -> None:
    door = await set_up({})
    camera.freeze(camera.scene.picture("obama"))
    flow = Flow(hass, door.entry)
    await flow.start("Barack")
    result = await flow.choose("capture")
    assert result["description_placeholders"]["count"] == "1"
    # Once more there is nothing new to see.
    result = await flow.choose("capture")
    assert result["step_id"] == "capture_failed"
    assert result["errors"] == {"base": "same_picture"}


@pytest.mark.usefixtures("_short_capture")
@pytest.mark.parametrize(
    ("act", "error"),
    [
        (lambda camera: camera.show(), "no_face"),
        (lambda camera: camera.show("obama", "biden", height=350), "several_faces"),
        (lambda camera: camera.show("obama", height=100), "face_too_small"),
        (lambda camera: camera.fail(), "camera_failed"),
        (lambda camera: camera.freeze(b"nonsense"), "picture_unsupported"),
        (lambda camera: camera.set_available(False), "camera_unavailable"),
    ],
)
async def test_capture_that_fails_says_why(hass, set_up, camera, act, error) -> None:
    door = await set_up({})
    act(camera)
    flow = Flow(hass, door.entry)
    await flow.start("Barack")

    result = await flow.choose("capture")

    assert result["type"] is FlowResultType.FORM
    assert result["step_id"] == "capture_failed"
    assert result["errors"] == {"base": error}
    result = await flow.submit()
    assert result["step_id"] == "pictures"
    assert result["menu_options"] == ["upload", "capture"]


async def test_capture_that_breaks(hass, set_up, camera, monkeypatch) -> None:
    door = await set_up({})
    flow = Flow(hass, door.entry)
    await flow.start("Barack")
    monkeypatch.setattr(person_flow, "examine", lambda *_: 1 / 0)
    assert (await flow.choose("capture"))["errors"] == {"base": "capture_failed"}


async def test_closing_the_dialogue_ends_the_capture(hass, set_up, camera) -> None:
    door = await set_up({})
    flow = Flow(hass, door.entry)
    await flow.start("Barack")
    result = await flow.submit(next_step_id="capture")
    assert result["type"] is FlowResultType.SHOW_PROGRESS
    again = await hass.config_entries.subentries.async_configure(result["flow_id"])
    assert again["type"] is FlowResultType.SHOW_PROGRESS
    hass.config_entries.subentries.async_abort(result["flow_id"])
    await hass.async_block_till_done()


# Changes


async def test_reconfigure_renames_and_adds(hass, set_up, upload) -> None:
    door = await set_up({"Barack": ("obama",)})
    (subentry,) = door.entry.subentries.values()
    flow = Flow(hass, door.entry, upload)
    result = await flow.start("Obama", source="reconfigure", subentry_id=subentry.subentry_id)
    assert result["description_placeholders"]["count"] == "1"
    result = await flow.add(raw("obama2"))
    result = await flow.finish()

    assert result["type"] is FlowResultType.ABORT
    assert result["reason"] == "reconfigure_successful"
    (subentry,) = door.entry.subentries.values()
    assert subentry.title == "Obama"
    assert len(door.entry.runtime_data.store.album("barack")) == 2
    assert device(hass, door, "barack").name == "Obama"


async def test_reconfigure_replaces_only_when_finished(hass, set_up, upload) -> None:
    door = await set_up({"Barack": ("obama", "obama2")})
    (subentry,) = door.entry.subentries.values()
    flow = Flow(hass, door.entry, upload)
    await flow.start("Barack", source="reconfigure", subentry_id=subentry.subentry_id)
    result = await flow.choose("start_over")
    assert result["menu_options"] == ["upload", "capture"]
    assert len(door.entry.runtime_data.store.album("barack")) == 2
    await flow.add(raw("obama3"))
    await flow.finish()
    (kept,) = door.entry.runtime_data.store.album("barack")
    expected = vision.examine(door.entry.runtime_data.bundle, vision.decode_rgb(raw("obama3")))
    assert np.array_equal(kept.crop, expected.crop)


async def test_person_removed_in_mid_flow(hass, set_up, upload) -> None:
    door = await set_up({"Barack": ("obama",)})
    (subentry,) = door.entry.subentries.values()
    flow = Flow(hass, door.entry, upload)
    await flow.start("Barack", source="reconfigure", subentry_id=subentry.subentry_id)
    hass.config_entries.async_remove_subentry(door.entry, subentry.subentry_id)
    await hass.async_block_till_done()
    result = await flow.finish()
    assert result["type"] is FlowResultType.ABORT
    assert result["reason"] == "person_removed"
    assert door.entry.runtime_data.store.people == {}


async def test_full_disk_is_an_issue(hass, set_up, upload) -> None:
    door = await set_up({})
    flow = Flow(hass, door.entry, upload)
    await flow.start("Barack")
    await flow.add(raw("obama"))
    with patch.object(storage.Store, "_async_write_data", side_effect=WriteError("disk full")):
        await flow.finish()
    assert door.entry.state is ConfigEntryState.LOADED
    assert hass.states.get("sensor.barack_pictures").state == "0"
    issue = f"pictures_missing_{door.entry.entry_id}"
    assert ir.async_get(hass).async_get_issue(DOMAIN, issue)


async def test_a_door_that_does_not_run_enrols_nobody(hass, set_up) -> None:
    door = await set_up({})
    await hass.config_entries.async_unload(door.entry.entry_id)
    assert door.entry.state is ConfigEntryState.NOT_LOADED
    result = await hass.config_entries.subentries.async_init(
        (door.entry.entry_id, "person"), context={"source": SOURCE_USER}
    )
    assert result["type"] is FlowResultType.ABORT
    assert result["reason"] == "not_loaded"


async def test_unloaded_in_mid_flow(hass, set_up, upload) -> None:
    door = await set_up({})
    flow = Flow(hass, door.entry, upload)
    await flow.start("Barack")
    await hass.config_entries.async_unload(door.entry.entry_id)
    result = await flow.add(raw("obama"))
    assert result["type"] is FlowResultType.ABORT
    assert result["reason"] == "not_loaded"
    assert not door.entry.subentries
