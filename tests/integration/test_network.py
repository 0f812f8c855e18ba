"""What others on the network meet: nothing of ours listens, and core's doors ask for a password."""

import re
import threading
from pathlib import Path

import pytest
from homeassistant.components.websocket_api.const import DOMAIN as WEBSOCKET
from homeassistant.exceptions import ServiceValidationError
from homeassistant.setup import async_setup_component

from .conftest import CAMERA, TARGET

REFUSED = (401, 403)
IMAGE = "image.front_door_last_visit"


def listening() -> set[str]:
    """Return the sockets of this process that take connections or datagrams."""
    inodes = set()
    for link in Path("/proc/self/fd").iterdir():
        try:
            inodes.update(re.findall(r"socket:\[(\d+)\]", str(link.readlink())))
        except FileNotFoundError:  # that of the listing itself
            continue
    found = set()
    for table, states in (("tcp", {"0A"}), ("tcp6", {"0A"}), ("udp", {"07"}), ("udp6", {"07"})):
        for line in Path(f"/proc/self/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] in states and fields[9] in inodes:
                found.add(f"{table} {fields[1]}")
    return found


def routes(hass) -> set[tuple[str, str]]:
    return {
        (route.method, route.resource.canonical)
        for route in hass.http.app.router.routes()
        if route.resource is not None
    }


@pytest.fixture
async def door(hass, hass_client_no_auth, set_up, target, camera):
    """A door as an owner has it, and what there was before."""
    for domain in ("api", "websocket_api", "webhook", "file_upload", "image", "lock"):
        assert await async_setup_component(hass, domain, {})
    # As core's own server does: routes may come while it runs.
    hass.http.app._router.freeze = lambda: None
    client = await hass_client_no_auth()
    assert listening(), "the server itself was not seen"
    before = listening(), routes(hass), dict(hass.data[WEBSOCKET])
    camera.show("obama3")
    found = await set_up(
        {"Barack": ("obama", "obama2")},
        lock=TARGET,
        settings={"privacy": {"keep_last_visit": True}},
    )
    await found.access()
    await hass.async_block_till_done()
    return found, client, before


async def test_nothing_of_ours_listens(hass, door) -> None:
    _, _, (sockets, paths, commands) = door
    assert any(thread.name.startswith("face_lock") for thread in threading.enumerate())
    assert listening() == sockets
    assert routes(hass) == paths
    assert not hass.data.get("webhook")
    # The platforms of the door's entities are core's, and bring commands of their own.
    added = {name: hass.data[WEBSOCKET][name][0] for name in hass.data[WEBSOCKET].keys() - commands}
    assert all(handler.__module__.startswith("homeassistant.") for handler in added.values())
    assert not [name for name in added if "face_lock" in name]


async def test_the_last_visits_picture_asks_for_its_token(hass, door, hass_client) -> None:
    _, stranger, _ = door
    picture = hass.states.get(IMAGE).attributes["entity_picture"]
    path, _, token = picture.partition("?token=")
    assert len(token) >= 32
    # The owner, and whoever the owner's frontend hands the token to.
    shown = await stranger.get(picture)
    assert (shown.status, shown.content_type) == (200, "image/jpeg")
    assert (await (await hass_client()).get(path)).status == 200
    for address in (path, f"{path}?token=", f"{path}?token={'0' * len(token)}"):
        answer = await stranger.get(address)
        assert answer.status in REFUSED, address
        assert not (await answer.read()).startswith(b"\xff\xd8")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("get", f"/api/states/{IMAGE}"),
        ("get", "/api/states"),
        ("get", f"/api/camera_proxy/{CAMERA}"),
        ("post", "/api/file_upload"),
        ("post", "/api/services/face_lock/verify"),
        ("post", "/api/services/face_lock/unlock_for"),
        ("post", "/api/services/face_lock/present_code"),
        ("post", "/api/services/lock/unlock"),
    ],
)
async def test_a_stranger_is_refused(door, target, method, path) -> None:
    _, stranger, _ = door
    calls = list(target.calls)
    answer = await getattr(stranger, method)(path, json={} if method == "post" else None)
    assert answer.status in REFUSED
    assert target.calls == calls


# Core's server ends its heartbeat with the connection, a moment later.
@pytest.mark.parametrize("expected_lingering_timers", [True])
async def test_a_websocket_without_a_password_takes_no_command(door) -> None:
    _, stranger, _ = door
    socket = await stranger.ws_connect("/api/websocket")
    assert (await socket.receive_json())["type"] == "auth_required"
    await socket.send_json({"id": 1, "type": "call_service", "domain": "face_lock"})
    assert (await socket.receive_json())["type"] == "auth_invalid"
    assert (await socket.receive()).data in (None, 1000)
    assert socket.closed


async def test_exported_feedback_is_served_nowhere(hass, door, call, folder) -> None:
    _, stranger, _ = door
    await call("feedback", verdict="that_was_me")
    answer = await call("export_feedback", folder=str(folder / "export"))
    assert answer["number"] == 1
    for root in ("/local", "/api", "", "/media/local"):
        found = await stranger.get(f"{root}/{folder.name}/export/feedback.csv")
        assert found.status in (401, 403, 404)
    with pytest.raises(ServiceValidationError):
        await call("export_feedback", folder=hass.config.path("www", "export"))
