"""The visits of the demo: what is played, what must happen, what did."""

import asyncio
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from . import visit
from .camera import PictureServer
from .client import Client, Json
from .door import TARGET_LOCK, Door
from .process import ROOT
from .visit import Frame, Visitor

ENROLLED = Visitor("obama2.webp", "Barack Obama", face_px=182, nose_x=186)
STRANGERS = (
    Visitor("biden.webp", "Joe Biden", face_px=201, nose_x=400),
    Visitor("collins.webp", "Eileen Collins", face_px=92, nose_x=210),
    Visitor("hopper.webp", "Grace Hopper", face_px=173, nose_x=260),
)
ENROLMENT_PICTURES = [ROOT / "tests" / "pictures" / name for name in ("obama.jpg", "obama3.jpg")]

_PATIENCE = 20.0  # seconds to wait for what is expected after the last frame


class Expected(StrEnum):
    """What must happen at the lock and in the event entity."""

    NOTHING = "nothing"
    OPENS = "opens"
    STAYS_LOCKED = "stays locked"


@dataclass(frozen=True)
class Visit:
    """One visit to play; `frozen` is a camera that hangs while the person is near."""

    title: str
    expected: Expected
    visitor: Visitor | None = None
    frozen: bool = False

    def frames(self, seed: int) -> list[Frame]:
        """Render the visit."""
        frames = visit.render(self.visitor, seed)
        return visit.freeze(frames) if self.frozen else frames


@dataclass(frozen=True)
class Outcome:
    """What happened: `events` are the attributes of the event entity, in order.

    `second_opened`: whether the second door's lock, for which nobody was enrolled again, opened.
    """

    visit: Visit
    opened: bool
    milliseconds: float | None
    events: tuple[Json, ...]
    second_opened: bool = False

    @property
    def as_expected(self) -> bool:
        """Whether both locks and the events agree with what must happen."""
        if self.second_opened != (self.visit.expected is Expected.OPENS):
            return False
        kinds = [event["event_type"] for event in self.events]
        match self.visit.expected:
            case Expected.NOTHING:
                return not self.opened and not kinds
            case Expected.OPENS:
                person = self.events[-1].get("person") if self.events else None
                known = self.visit.visitor is not None and person == self.visit.visitor.name
                return self.opened and kinds == ["access_granted"] and known
            case Expected.STAYS_LOCKED:
                return not self.opened and "access_granted" not in kinds

    @property
    def happened(self) -> str:
        """In words: lock, then reason if access was denied."""
        if self.opened:
            return "opened"
        reasons = [str(event.get("reason") or event["event_type"]) for event in self.events]
        return "stayed locked" + (f" ({', '.join(reasons)})" if reasons else "")


STORY = (
    Visit("nobody", Expected.NOTHING),
    Visit("enrolled person, new picture", Expected.OPENS, ENROLLED),
    Visit("stranger: Joe Biden", Expected.STAYS_LOCKED, STRANGERS[0]),
    Visit("stranger: Eileen Collins", Expected.STAYS_LOCKED, STRANGERS[1]),
    Visit("frozen picture of the enrolled", Expected.STAYS_LOCKED, ENROLLED, frozen=True),
)


def smallest_face() -> float:
    """Width of face in pixels from which a frame is usable, as the bundled models say."""
    path = ROOT / "custom_components" / "face_lock" / "models" / "models.json"
    verifier = json.loads(path.read_text())["models"]["verifier"]
    return float(verifier["quality"]["min_face_px"])


class Player:
    """Plays visits before the camera and watches the lock and the event entity."""

    def __init__(self, client: Client, server: PictureServer, door: Door, second: Door) -> None:
        """Use an open websocket; call start() once."""
        self._second = second
        self._second_opened = False
        self._client = client
        self._server = server
        self._door = door
        self._seed = 0
        self._unlocked_at: float | None = None
        self._locked = True
        self._events: list[Json] = []
        self._changed = asyncio.Event()

    async def start(self) -> None:
        """Subscribe to the states of the real lock and of the event entity."""
        self._locked = (await self._client.states())[TARGET_LOCK]["state"] == "locked"
        await self._client.subscribe(
            self._on_change, "subscribe_events", event_type="state_changed"
        )

    async def play(self, play: Visit) -> Outcome:
        """Play one visit from a locked door and return what happened."""
        await self._lock()
        self._seed += 1
        frames = await asyncio.to_thread(play.frames, self._seed)
        self._unlocked_at, self._events, self._second_opened = None, [], False
        seconds = self._server.play(frames)
        await asyncio.sleep(seconds)
        await self._settle(play.expected)
        return self._outcome(play)

    async def _settle(self, expected: Expected) -> None:
        """Wait for the visit's one event; where none is due, long enough to see a wrong one."""
        if expected is Expected.NOTHING:
            await asyncio.sleep(2)
            return
        await self._wait(lambda: bool(self._events), _PATIENCE)
        if expected is Expected.OPENS:
            await self._wait(lambda: self._second_opened, _PATIENCE)
        await asyncio.sleep(1)

    def _outcome(self, play: Visit) -> Outcome:
        first = self._server.first_shown(smallest_face())
        milliseconds = None
        if self._unlocked_at is not None and first is not None:
            milliseconds = (self._unlocked_at - first) * 1000
        opened = self._unlocked_at is not None
        return Outcome(play, opened, milliseconds, tuple(self._events), self._second_opened)

    async def _lock(self) -> None:
        if not self._locked:
            await self._client.action("lock", "lock", self._door.lock)
            await self._wait(lambda: self._locked, _PATIENCE)

    async def _wait(self, condition: Callable[[], bool], seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while not condition() and (left := deadline - time.monotonic()) > 0:
            self._changed.clear()
            try:
                await asyncio.wait_for(self._changed.wait(), left)
            except TimeoutError:
                return

    def _on_change(self, event: Json, at: float) -> None:
        entity, state = event["data"]["entity_id"], event["data"]["new_state"]
        before = event["data"]["old_state"]
        if state is None or before is None or state["state"] == before["state"]:
            return  # an event entity's state is the time of its last event
        if entity == TARGET_LOCK:
            self._locked = state["state"] == "locked"
            if not self._locked and self._unlocked_at is None:
                self._unlocked_at = at
        elif entity == self._second.lock:
            self._second_opened |= state["state"] == "unlocked"
        elif entity == self._door.event and state["attributes"].get("event_type"):
            self._events.append(state["attributes"])
        self._changed.set()


def table(outcomes: Sequence[Outcome]) -> str:
    """Format the outcomes as a plain text table."""
    titles = ("visit", "expected", "happened", "second door", "person", "confidence")
    rows = [("", *titles, "ms to unlock")]
    for outcome in outcomes:
        event = outcome.events[-1] if outcome.events else {}
        confidence, ms = event.get("confidence"), outcome.milliseconds
        rows.append(
            (
                "ok" if outcome.as_expected else "WRONG",
                outcome.visit.title,
                outcome.visit.expected.value,
                outcome.happened,
                "opened" if outcome.second_opened else "-",
                str(event.get("person") or "-"),
                "-" if confidence is None else f"{confidence:.1f} %",
                "-" if ms is None else f"{ms:.0f}",
            )
        )
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)) for row in rows]
    lines.insert(1, "  ".join("-" * width for width in widths))
    return "\n".join(line.rstrip() for line in lines)
