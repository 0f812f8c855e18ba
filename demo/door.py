"""Sets the demo's door up, step by step as a person would do in Home Assistant's frontend."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .client import ApiError, Client, Json

DOMAIN = "face_lock"
TARGET_LOCK = "lock.front_door"
CAMERA = "camera.front_door"


@dataclass(frozen=True)
class Door:
    """What the visits are watched by: entity ids of the door that was set up."""

    entry_id: str
    device_id: str
    lock: str
    event: str
    confidence: str


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
        name="Front door camera",
    )


async def add_door(client: Client) -> str:
    """Go through Face Lock's config flow; returns the config entry's id."""

    async def user(form: Json) -> Json:
        return _fill(form, {"camera": CAMERA, "lock": TARGET_LOCK, "name": "Front door"})

    result = await client.flow(DOMAIN, {"user": user})
    return str(result["result"]["entry_id"])


async def enrol(client: Client, entry_id: str, name: str, pictures: list[Path]) -> None:
    """Add a person to the door with pictures from files."""
    raise NotImplementedError


async def find_door(client: Client, entry_id: str) -> Door:
    """Look the door's entities up in the registry."""
    ids = {
        domain: await _one_entity(client, entry_id, domain)
        for domain in ("lock", "event", "sensor")
    }
    return Door(
        entry_id,
        ids["lock"]["device_id"],
        ids["lock"]["entity_id"],
        ids["event"]["entity_id"],
        ids["sensor"]["entity_id"],
    )


async def _one_entity(client: Client, entry_id: str, domain: str) -> Json:
    entities = [
        entity
        for entity in await client.command("config/entity_registry/list")
        if entity["config_entry_id"] == entry_id and entity["entity_id"].startswith(f"{domain}.")
    ]
    if not entities:
        raise ApiError(f"entry {entry_id} has no {domain} entity")
    return dict(entities[0])


def _fill(form: Json, values: dict[str, Any]) -> Json:
    """Answer those of `values` that the form asks for; other fields keep their defaults."""
    asked = {field["name"] for field in form["data_schema"]}
    return {name: value for name, value in values.items() if name in asked}
