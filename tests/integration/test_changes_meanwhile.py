"""What is changed while the household is being reloaded is neither lost nor left out."""

import asyncio
import threading

import pytest
from homeassistant.config_entries import ConfigEntryState

from custom_components.face_lock.const import DOMAIN
from custom_components.face_lock.people import people_of
from custom_components.face_lock.recognition import models as runtime
from custom_components.face_lock.recognition.executor import Worker
from custom_components.face_lock.settings import CONF_ALLOWED
from custom_components.face_lock.storage.templates import PictureStore

from .conftest import raw, real_bundle, unsealed

BARACK = {"Barack": ("obama", "obama2")}


@pytest.fixture
def slow_start(monkeypatch):
    """Let the next start of a door wait for its models until it is told to go on."""
    go_on = threading.Event()

    def load_bundle():
        go_on.wait(30)
        return real_bundle()

    def slow_start() -> threading.Event:
        monkeypatch.setattr(runtime, "load_bundle", load_bundle)
        return go_on

    yield slow_start
    go_on.set()


@pytest.fixture
def slow_platforms(hass, monkeypatch):
    """Hold the next start of a door after it was made from its entry, before it listens."""
    reached, go_on = asyncio.Event(), asyncio.Event()
    forward = hass.config_entries.async_forward_entry_setups

    async def held(entry, platforms):
        reached.set()
        await go_on.wait()
        await forward(entry, platforms)

    def slow_platforms():
        monkeypatch.setattr(hass.config_entries, "async_forward_entry_setups", held)
        return reached, go_on

    return slow_platforms


def stored(hass_storage, door) -> set[str]:
    return set(unsealed(hass_storage, f"{DOMAIN}.{door.entry.entry_id}")["people"])


async def test_enrolled_while_the_door_is_loaded_anew(
    hass, set_up, call, folder, hass_storage, slow_start, monkeypatch
) -> None:
    door = await set_up(BARACK)
    (folder / "hopper.jpg").write_bytes(raw("hopper"))
    go_on, run, entry_id = slow_start(), Worker.async_run, door.entry.entry_id
    reloading = []

    async def looked_at(self, job, *args):
        result = await run(self, job, *args)
        if job.__name__ == "examine_upload":
            # What is kept of the picture comes to a door that is in the middle of its start.
            reloading.append(hass.async_create_task(hass.config_entries.async_reload(entry_id)))
            await door.until(lambda: door.entry.state is ConfigEntryState.SETUP_IN_PROGRESS)
            hass.loop.call_later(0.2, go_on.set)
        return result

    monkeypatch.setattr(Worker, "async_run", looked_at)
    answer = await call("enroll", name="Grace", files=[str(folder / "hopper.jpg")])
    assert answer["created"]
    assert answer["person_id"] in stored(hass_storage, door)
    assert answer["person_id"] in door.household.store.gallery()


async def test_enrolled_by_the_door_that_comes_after(
    hass, set_up, call, folder, hass_storage, monkeypatch
) -> None:
    door = await set_up(BARACK)
    (folder / "hopper.jpg").write_bytes(raw("hopper"))
    run, reloading, entry_id = Worker.async_run, [], door.entry.entry_id

    async def late(self, job, *args):
        if job.__name__ == "examine_upload" and not reloading:
            # The door's thread ends before it comes to the picture.
            reloading.append(hass.async_create_task(hass.config_entries.async_reload(entry_id)))
            await door.until(lambda: self._executor._shutdown)
        return await run(self, job, *args)

    monkeypatch.setattr(Worker, "async_run", late)
    answer = await call("enroll", name="Grace", files=[str(folder / "hopper.jpg")])
    assert answer["created"]
    assert answer["person_id"] in stored(hass_storage, door)


async def test_forgotten_while_the_door_is_loaded_anew(
    hass, set_up, call, hass_storage, slow_start, monkeypatch
) -> None:
    door = await set_up(BARACK)
    go_on = slow_start()
    feedback = type(door.household.records.feedback)
    count = feedback.async_count

    async def counted(self):
        if not reloading:
            entry_id = door.entry.entry_id
            reloading.append(hass.async_create_task(hass.config_entries.async_reload(entry_id)))
            await door.until(lambda: door.entry.state is ConfigEntryState.SETUP_IN_PROGRESS)
            hass.loop.call_later(0.2, go_on.set)
        return await count(self)

    reloading = []
    monkeypatch.setattr(feedback, "async_count", counted)
    await call("forget", person="Barack")
    assert stored(hass_storage, door) == set()
    assert door.household.store.gallery() == {}


async def test_suspended_while_the_door_starts(hass, set_up, slow_platforms) -> None:
    door = await set_up(BARACK)
    reached, go_on = slow_platforms()
    reloading = hass.async_create_task(hass.config_entries.async_reload(door.entry.entry_id))
    await reached.wait()
    subentry = people_of(door.entry)["barack"]
    data = {**subentry.data, CONF_ALLOWED: False}
    hass.config_entries.async_update_subentry(door.entry, subentry, data=data)
    go_on.set()
    assert await reloading
    assert not door.household.residents.rules["barack"].allowed
    assert hass.states.get("switch.barack_allowed").state == "off"


async def test_removed_while_the_door_starts(hass, set_up, slow_platforms, hass_storage) -> None:
    door = await set_up(BARACK)
    reached, go_on = slow_platforms()
    reloading = hass.async_create_task(hass.config_entries.async_reload(door.entry.entry_id))
    await reached.wait()
    hass.config_entries.async_remove_subentry(
        door.entry, people_of(door.entry)["barack"].subentry_id
    )
    go_on.set()
    assert await reloading
    await hass.async_block_till_done()
    assert stored(hass_storage, door) == set()
    assert door.household.store.gallery() == {}


async def test_a_door_ends_only_when_its_pictures_are_written(
    hass, set_up, hass_storage, monkeypatch
) -> None:
    door = await set_up(BARACK)
    store, wait = door.household.store, asyncio.Event()
    save = type(store._file).async_save

    async def slow(self, content):
        await wait.wait()
        await save(self, content)

    monkeypatch.setattr(type(store._file), "async_save", slow)
    committing = hass.async_create_task(store.async_commit(set()))
    unloading = hass.async_create_task(hass.config_entries.async_unload(door.entry.entry_id))
    done, _ = await asyncio.wait({unloading}, timeout=2)
    assert not done
    wait.set()
    await committing
    assert await unloading
    assert isinstance(store, PictureStore)
    assert stored(hass_storage, door) == set()


async def test_a_job_that_never_had_its_turn_fails(hass) -> None:
    worker, busy = Worker(hass), threading.Event()
    first = asyncio.create_task(worker.async_run(busy.wait, 30))
    second = asyncio.create_task(worker.async_run(int))
    await asyncio.sleep(0)
    stopping = asyncio.create_task(worker.async_stop())
    with pytest.raises(RuntimeError):
        await second
    busy.set()
    await stopping
    assert await first
