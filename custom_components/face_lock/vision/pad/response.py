"""Two challenges that a picture does not answer: turning the head, and a light that flashes.

Both are small state machines. Time comes in as an argument, in seconds on one monotonic clock; the
evidence is that of one face. ``PASSED`` and ``FAILED`` are final. Only an answer in time passes, so
a lost camera fails.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import isfinite, sqrt
from statistics import fmean, median
from typing import Final, Protocol

from ..matching.similarity import cosine
from ..types import Evidence, FloatArray
from .light import contrast
from .shape import pose


class ChallengeState(StrEnum):
    """How far a challenge has come."""

    WAITING = "waiting"
    PASSED = "passed"
    FAILED = "failed"


class Turn(StrEnum):
    """Where the visitor is asked to turn, as they see it; to be drawn at random each time."""

    LEFT = "left"
    RIGHT = "right"


class Challenge(Protocol):
    """A challenge as the shell drives it: frames in, a verdict out."""

    def observe(self, evidence: Evidence, taken_at: float) -> ChallengeState:
        """Take the face of the frame that was requested at ``taken_at``."""

    def tick(self, now: float) -> ChallengeState:
        """Let time pass."""

    def switched(self, at: float, *, on: bool) -> None:
        """Note that the light at the door changed at ``at``."""


SAME_FACE: Final = 0.3
"""Cosine with the face that was asked: a stranger's is about 0 and rarely 0.3; that of the same
face, turned by 30 degrees, is well above. Keeps a helper from answering for a picture."""


@dataclass(frozen=True, slots=True)
class HeadTurnRules:
    """What counts as a turn there and back.

    Yaw is in distances from eyes to mouth (``shape.pose``), times are in seconds.
    """

    timeout: float = 6.0
    frontal: float = 0.25
    """Yaw within which a face looks at the door before it is asked to turn."""
    turned: float = 0.1
    """Change of yaw that counts as a turn, about 20 degrees: of the prints and screens that were
    waved before a simulated door, none changed by more than 0.07."""
    returned: float = 0.06
    """Change of yaw at which the head counts as back."""
    frames: int = 2
    """Frames in which it must be turned: a single one may be an error of the landmarks."""
    reaction: float = 0.2
    """Time before which nobody can have heard the question: an earlier turn is knowledge or
    chance."""
    baseline: int = 2
    """Consecutive frames before any turn that agree on where the face looks at rest."""

    def __post_init__(self) -> None:
        if not (0 < self.returned < self.turned and 0 <= self.reaction < self.timeout):
            raise ValueError("a turn must be larger than a return, and fit into the time")


class _Timed:
    """What both challenges share: frames of one face in order, until a verdict or a timeout."""

    def __init__(self, started_at: float, timeout: float, face: FloatArray) -> None:
        self._started_at = started_at
        self._face = face
        self._timeout = timeout
        self._last = started_at
        self._state = ChallengeState.WAITING

    def switched(self, at: float, *, on: bool) -> None:
        """Note that the light at the door changed, which only matters to a flash."""

    def tick(self, now: float) -> ChallengeState:
        """Let time pass; the challenge fails once its time is over."""
        # Written so that a time that is not a number counts as over.
        if self._state is ChallengeState.WAITING and not now - self._started_at <= self._timeout:
            self._state = ChallengeState.FAILED
        return self._state

    def _is_next(self, taken_at: float) -> bool:
        """Whether a frame may still count: not if it is out of order, or too early."""
        if self.tick(taken_at) is not ChallengeState.WAITING or taken_at <= self._last:
            return False
        self._last = taken_at
        return True

    def _same(self, evidence: Evidence) -> bool:
        """Whether this is the face that was asked; a face that could not be embedded is not."""
        seen = evidence.embedding
        return seen is not None and cosine(seen, self._face) >= SAME_FACE


class HeadTurn(_Timed):
    """Asks to turn the head to one side and back.

    A video of a person looking around passes if it turns to the right side at the right moment. A
    flat picture that is tilted does not move its nose across the face.
    """

    def __init__(
        self,
        asked: Turn,
        asked_at: float,
        face: FloatArray,
        rules: HeadTurnRules | None = None,
    ) -> None:
        """Ask the face with the embedding ``face`` float32[D + 1], which comes from a vote."""
        self._rules = rules or HeadTurnRules()
        super().__init__(asked_at, self._rules.timeout, face)
        # The visitor's left is the viewer's right.
        self._sign = 1.0 if asked is Turn.LEFT else -1.0
        self._before: list[float] = []
        self._turned = 0
        self._turned_away = 0

    def observe(self, evidence: Evidence, taken_at: float) -> ChallengeState:
        """Take one frame's face; frames from before the question, or out of order, are ignored."""
        if not self._is_next(taken_at):
            return self._state
        looks = pose(evidence.face.landmarks)
        if looks is None or not self._same(evidence):
            return self._state
        rules = self._rules
        if len(self._before) < rules.baseline:
            # A head that is still moving to the front does not show where it rests.
            if self._before and abs(looks.yaw - self._before[-1]) > rules.returned:
                self._before.clear()
            if abs(looks.yaw) <= rules.frontal:
                self._before.append(looks.yaw)
            return self._state
        moved = self._sign * (looks.yaw - fmean(self._before))
        self._turned += moved >= rules.turned
        self._turned_away += moved <= -rules.turned
        early = moved >= rules.turned and taken_at - self._started_at < rules.reaction
        # The other way: nobody who understood the question does that.
        if early or self._turned_away >= rules.frames:
            self._state = ChallengeState.FAILED
        elif self._turned >= rules.frames and abs(moved) <= rules.returned:
            self._state = ChallengeState.PASSED
        return self._state


@dataclass(frozen=True, slots=True)
class LightFlashRules:
    """What counts as an answer to the light; stops are powers of two, times are in seconds."""

    timeout: float = 8.0
    settling: float = 0.35
    """Time after a switch that is ignored: lamp, camera and network need it."""
    rise: float = 0.15
    """Stops by which the face must get brighter against its background."""
    certainty: float = 3.0
    """The rise divided by its standard error must reach this."""
    flashes: int = 2
    """Times that the light must have been seen both off and on."""

    def __post_init__(self) -> None:
        if not (self.rise > 0 and self.flashes >= 1 and 0 <= self.settling < self.timeout):
            raise ValueError("a flash needs a rise, and must fit into the time")


class LightFlash(_Timed):
    """Flashes a light at the door; the face must get brighter with it, more than the background.

    A screen reflects a few per cent of a lamp's light, and shines by itself. *Paper responds as a
    face does*, so this does not detect prints. In bright daylight, or with a wall close behind the
    visitor, nobody passes.
    """

    def __init__(
        self, started_at: float, face: FloatArray, rules: LightFlashRules | None = None
    ) -> None:
        """Begin with the light off; :meth:`switched` says when that changes.

        ``face`` is the embedding of the face that is asked: a helper's face would respond to the
        light, and must not answer for a screen.
        """
        self._rules = rules or LightFlashRules()
        super().__init__(started_at, self._rules.timeout, face)
        self._switches: list[tuple[float, bool]] = [(started_at, False)]
        self._phases: list[tuple[bool, list[float]]] = [(False, [])]

    def switched(self, at: float, *, on: bool) -> None:
        """Note that the light's entity changed at ``at``: what it did, not what it was told."""
        if at >= self._switches[-1][0] and on != self._switches[-1][1]:
            self._switches.append((at, on))
            self._phases.append((on, []))

    def observe(self, evidence: Evidence, taken_at: float) -> ChallengeState:
        """Take one frame's face, with its cues; ``taken_at`` must be close to the exposure."""
        if not self._is_next(taken_at):
            return self._state
        if not self._same(evidence):
            return self._state
        bright = contrast(evidence)
        number = max(i for i, (at, _) in enumerate(self._switches) if at <= taken_at)
        settled = taken_at - self._switches[number][0] >= self._rules.settling
        if bright is not None and isfinite(bright) and settled:
            self._phases[number][1].append(bright)
            if self._answered():
                self._state = ChallengeState.PASSED
        return self._state

    def _answered(self) -> bool:
        rules = self._rules
        seen = [(on, values) for on, values in self._phases if len(values) >= 2]
        on = [values for lit, values in seen if lit]
        off = [values for lit, values in seen if not lit]
        if min(len(on), len(off)) < rules.flashes:
            return False
        # Every phase with the light must be brighter than every one without: a face that merely
        # comes nearer, or a passing cloud, is brighter only once.
        if min(map(median, on)) <= max(map(median, off)):
            return False
        rise = fmean(map(fmean, on)) - fmean(map(fmean, off))
        return rise >= rules.rise and rise >= rules.certainty * _error(on, off)


def _error(on: Sequence[Sequence[float]], off: Sequence[Sequence[float]]) -> float:
    """Return the standard error of the difference of the means, from within the phases."""
    total = 0.0
    for phases in (on, off):
        count = sum(map(len, phases))
        spread = sum((value - fmean(phase)) ** 2 for phase in phases for value in phase)
        total += spread / max(count - len(phases), 1) / count
    return sqrt(total)
