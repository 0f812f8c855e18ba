"""Sets the demo's door up, step by step as a person would do in Home Assistant's frontend."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from .client import ApiError, Client, Json

DOMAIN = "face_lock"
TARGET_LOCK = "lock.front_door_bolt"
CAMERA = "camera.front_door"
FIRST = "Front door"
SECOND = "Garden gate"

_TRIES, _PAUSE = 100, 0.2  # a dialogue ends before the entities that it makes are added


@dataclass(frozen=True)
class Door:
    """The door that was set up: its device, its lock entity, its event entity."""

    device_id: str
    lock: str
    event: str


async def confirm_address(client: Client) -> None:
    """Confirm the address of the server, as the frontend asks its first user to do.

    Otherwise Home Assistant 2026.10 goes back to its own address (port 8123, everywhere) after five
    minutes. It also reports that the address came from YAML, which is fine for a demo.
    """
    await client.command("http/config/promote")
    await client.command(
        "repairs/ignore_issue", domain="http", issue_id="deprecated_yaml", ignore=True
    )


async def add_camera(client: Client, still_url: str) -> None:
    """Add Home Assistant's generic camera for the picture at `still_url`, and name it."""
    advanced = {"framerate": 20, "verify_ssl": True, "authentication": "basic"}
    answers = {
        "user": {"still_image_url": still_url, "advanced": advanced},
        "user_confirm": {"confirmed_ok": True},
    }
    result = (await client.flow("generic", answers))["result"]
    entity = await _one_entity(client, result["entry_id"], "camera")
    await client.command(
        "config/entity_registry/update",
        entity_id=entity["entity_id"],
        new_entity_id=CAMERA,
        name="Front door",
    )
    # Until the camera restarts, the address of its picture has the former name.
    await client.post(f"/api/config/config_entries/entry/{result['entry_id']}/reload", {})


async def add_door(client: Client) -> tuple[str, str]:
    """Go through Face Lock's config flow, which makes the first door.

    Returns the config entry's id and the id of the flow that it goes on with, for a first person.
    """

    async def user(form: Json) -> Json:
        defaults = {
            field["name"]: field["default"] for field in form["data_schema"] if "default" in field
        }
        return {**defaults, "cameras": [CAMERA], "lock": TARGET_LOCK}

    result = await client.flow(DOMAIN, {"user": user, "check": {"next_step_id": "finish"}})
    if not (following := result.get("next_flow")):
        raise ApiError("the door was not set up, or does not go on with a first person")
    return result["result"]["entry_id"], following[1]


async def add_second_door(client: Client, entry_id: str) -> None:
    """Add a door with the same camera and a lock of its own; nobody is enrolled for it again."""

    async def user(form: Json) -> Json:
        defaults = {
            field["name"]: field["default"] for field in form["data_schema"] if "default" in field
        }
        return {**defaults, "cameras": [CAMERA], "name": SECOND}

    answers = {"user": user, "check": {"next_step_id": "finish"}}
    await client.flow([entry_id, "door"], answers, kind="subentries")


async def enrol(client: Client, flow_id: str, name: str, pictures: Sequence[Path]) -> None:
    """Go through the flow that adds a person, with pictures from files."""
    left = list(pictures)

    async def menu(_form: Json) -> Json:
        return {"next_step_id": "upload" if left else "finish"}

    async def upload(_form: Json) -> Json:
        chosen, left[:] = left[:5], left[5:]
        return {f"picture_{n}": await client.upload(path) for n, path in enumerate(chosen, 1)}

    answers = {"user": {"name": name}, "pictures": menu, "upload": upload}
    await client.flow("", answers, kind="subentries", flow_id=flow_id)


async def find_door(client: Client, entry_id: str, title: str) -> Door:
    """Look a door's entities up in the registry, where they are soon after it was added."""
    subentries = await client.command("config_entries/subentries/list", entry_id=entry_id)
    (door,) = (each["subentry_id"] for each in subentries if each["title"] == title)
    lock = await _one_entity(client, entry_id, "lock", door)
    event = await _one_entity(client, entry_id, "event", door)
    return Door(lock["device_id"], lock["entity_id"], event["entity_id"])


async def _one_entity(
    client: Client, entry_id: str, domain: str, subentry: str | None = None
) -> Json:
    for _ in range(_TRIES):
        for entity in await client.command("config/entity_registry/list"):
            if (
                entity["config_entry_id"] == entry_id
                and entity["entity_id"].startswith(f"{domain}.")
                and entity["config_subentry_id"] == subentry
            ):
                return dict(entity)
        await asyncio.sleep(_PAUSE)
    raise ApiError(f"entry {entry_id} has no {domain} entity")
