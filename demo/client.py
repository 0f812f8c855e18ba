"""Speaks Home Assistant's own HTTP and websocket API, as its frontend does."""

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import aiohttp

Json = dict[str, Any]
Answer = Json | Callable[[Json], Awaitable[Json]]
"""What to submit in a step of a flow: the data, or a coroutine that makes it from the form."""


class ApiError(RuntimeError):
    """Home Assistant refused something."""


class Client:
    """One user of one Home Assistant at `url`; connect() first."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        """Keep the session; it belongs to the caller."""
        self.url = url
        self._session = session
        self._token = ""
        self._socket: aiohttp.ClientWebSocketResponse | None = None
        self._ids = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._listeners: dict[int, Callable[[Json, float], None]] = {}

    async def wait_until_up(self, check: Callable[[], None], seconds: float = 120) -> None:
        """Return when onboarding answers; `check` may raise what makes waiting useless."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            check()
            with suppress(aiohttp.ClientError, TimeoutError):
                async with self._session.get(f"{self.url}/api/onboarding") as response:
                    if response.status == 200:
                        return
            await asyncio.sleep(0.25)
        raise ApiError(f"Home Assistant did not answer within {seconds:.0f} s")

    async def onboard(self, name: str, username: str, password: str) -> None:
        """Create the owner and finish onboarding; afterwards this client is that user."""
        client_id = f"{self.url}/"
        user = {"name": name, "username": username, "password": password}
        reply = await self.post(
            "/api/onboarding/users", {**user, "client_id": client_id, "language": "en"}
        )
        form = {
            "grant_type": "authorization_code",
            "code": reply["auth_code"],
            "client_id": client_id,
        }
        async with self._session.post(f"{self.url}/auth/token", data=form) as response:
            self._token = (await _json(response))["access_token"]
        await self.post("/api/onboarding/analytics", {})
        await self.post(
            "/api/onboarding/integration", {"client_id": client_id, "redirect_uri": client_id}
        )

    def sign_in(self, token: str) -> None:
        """Be the user of a long-lived access token."""
        self._token = token

    @asynccontextmanager
    async def websocket(self) -> AsyncIterator[None]:
        """Hold the websocket open; command() and subscribe() need it."""
        address = f"{self.url}/api/websocket"
        async with self._session.ws_connect(address, max_msg_size=0) as self._socket:
            await self._socket.receive_json()
            await self._socket.send_json({"type": "auth", "access_token": self._token})
            reply = await self._socket.receive_json()
            if reply["type"] != "auth_ok":
                raise ApiError(f"the websocket refused the token: {reply}")
            reader = asyncio.create_task(self._read(self._socket))
            try:
                yield
            finally:
                reader.cancel()
                with suppress(asyncio.CancelledError):
                    await reader

    async def command(self, kind: str, **fields: Any) -> Any:
        """Send a websocket command and return its result."""
        number = next(self._ids)
        return await self._send(number, kind, fields)

    async def subscribe(
        self, listener: Callable[[Json, float], None], kind: str, **fields: Any
    ) -> None:
        """Call `listener(event, monotonic seconds of arrival)` for each event of a subscription."""
        number = next(self._ids)
        self._listeners[number] = listener
        await self._send(number, kind, fields)

    async def action(self, domain: str, service: str, entity_id: str | None = None) -> None:
        """Perform an action, on one entity if given."""
        target = {"target": {"entity_id": entity_id}} if entity_id else {}
        await self.command("call_service", domain=domain, service=service, **target)

    async def states(self) -> dict[str, Json]:
        """Return all states by entity id."""
        return {state["entity_id"]: state for state in await self.command("get_states")}

    async def post(self, path: str, data: Json) -> Json:
        """POST JSON to the REST API."""
        async with self._session.post(
            f"{self.url}{path}", json=data, headers=self._headers()
        ) as response:
            return await _json(response)

    async def upload(self, file: Path) -> str:
        """Upload a file as the file selector does; returns its id."""
        with file.open("rb") as content:
            form = aiohttp.FormData()
            form.add_field("file", content, filename=file.name, content_type="image/jpeg")
            async with self._session.post(
                f"{self.url}/api/file_upload", data=form, headers=self._headers()
            ) as response:
                return str((await _json(response))["file_id"])

    async def flow(
        self,
        handler: str | list[str],
        answers: Mapping[str, Answer],
        kind: str = "",
        flow_id: str | None = None,
        subentry: str | None = None,
    ) -> Json:
        """Go through a flow ("": of a config entry, "subentries": of a subentry) to its end.

        `answers` has an answer for every step id that may be shown; a menu's answer is
        {"next_step_id": ...}. With `flow_id` a flow that Home Assistant began is taken up, and with
        `subentry` one is changed. Raises ApiError on an abort, or when a form comes back with
        errors.
        """
        path = "/api/config/config_entries" + (f"/{kind}" if kind else "") + "/flow"
        if flow_id:
            step = await self._get(f"{path}/{flow_id}")
        else:
            changed = {"subentry_id": subentry} if subentry else {}
            step = await self.post(path, {"handler": handler, **changed})
        while step["type"] != "create_entry":
            if step["type"] == "abort":
                if subentry and step["reason"] == "reconfigure_successful":
                    return step
                raise ApiError(f"the flow of {handler} ended: {step['reason']}")
            if step["type"] in ("progress", "progress_done"):
                await asyncio.sleep(0.2)
                step = await self._get(f"{path}/{step['flow_id']}")
                continue
            if step.get("errors"):
                raise ApiError(f"step {step['step_id']} of {handler}: {step['errors']}")
            answer = answers[step["step_id"]]
            data = await answer(step) if callable(answer) else answer
            step = await self.post(f"{path}/{step['flow_id']}", data)
        return step

    async def _get(self, path: str) -> Json:
        async with self._session.get(f"{self.url}{path}", headers=self._headers()) as response:
            return await _json(response)

    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._token}"} if self._token else {}

    async def _send(self, number: int, kind: str, fields: Json) -> Any:
        if self._socket is None:
            raise ApiError("no websocket")
        reply = self._waiting[number] = asyncio.get_running_loop().create_future()
        await self._socket.send_json({"id": number, "type": kind, **fields})
        return await asyncio.wait_for(reply, 30)

    async def _read(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        async for raw in socket:
            now = time.monotonic()
            if raw.type is not aiohttp.WSMsgType.TEXT:
                break
            message = raw.json()
            if message["type"] == "event":
                if listener := self._listeners.get(message["id"]):
                    listener(message["event"], now)
            elif waiting := self._waiting.pop(message["id"], None):
                _settle(waiting, message)
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_exception(ApiError("the websocket was closed"))


def _settle(waiting: asyncio.Future[Any], message: Json) -> None:
    if waiting.done():
        return
    if message.get("success", True):
        waiting.set_result(message.get("result"))
    else:
        waiting.set_exception(ApiError(str(message["error"])))


async def _json(response: aiohttp.ClientResponse) -> Json:
    if response.status >= 400:
        raise ApiError(f"{response.url.path}: {response.status} {await response.text()}")
    return dict(await response.json())
