"""Two questions that a picture does not answer: turn your head, and a light that flashes.

Both are small state machines. Time comes in as an argument, in seconds on one monotonic clock;
evidence is that of the one face whose quorum is complete. They end once: ``PASSED`` and ``FAILED``
stay. Nothing but an answer within the time passes, so a lost camera fails.
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
    """Where to the visitor is asked to turn, as they see it. To be drawn by chance each time."""

    LEFT = "left"
    RIGHT = "right"


class Challenge(Protocol):
    """What a shell drives: frames in, a verdict out."""

    def observe(self, evidence: Evidence, taken_at: float) -> ChallengeState:
        """Take the face of the frame asked for at ``taken_at``."""

    def tick(self, now: float) -> ChallengeState:
        """Let time pass."""

    def switched(self, at: float, *, on: bool) -> None:
        """Note that the light at the door changed at ``at``."""


SAME_FACE: Final = 0.3
"""Cosine to the face asked: strangers' are about 0 and rarely 0.3; the face's own, turned by 30
degrees, is well above. Keeps a helper from answering for a picture."""


@dataclass(frozen=True, slots=True)
class HeadTurnRules:
    """What counts as a turn there and back. Yaw in distances from eyes to mouth (``shape.pose``),
    times in seconds.
    """  # noqa: D205 - one sentence

    timeout: float = 6.0
    frontal: float = 0.25
    """Yaw within which a face looks at the door before it is asked to turn."""
    turned: float = 0.1
    """Change of yaw that is a turn, of some 20 degrees: of prints and screens that were waved about
    before a simulated door none changed by more than 0.07."""
    returned: float = 0.06
    """Change of yaw at which it is back."""
    frames: int = 2
    """Frames in which it must be turned: one may be an error of the landmarks."""
    reaction: float = 0.2
    """Time before which nobody can have heard the question: who turns earlier knew it, or chanced
    upon it."""
    baseline: int = 2
    """Frames in a row, before any turn, that agree on where the face looks by itself."""

    def __post_init__(self) -> None:
        if not (0 < self.returned < self.turned and 0 <= self.reaction < self.timeout):
            raise ValueError("a turn must be larger than a return, and fit into the time")


class _Timed:
    """What both have in common: frames of one face in order, until a verdict or the time's end."""

    def __init__(self, started_at: float, timeout: float, face: FloatArray) -> None:
        self._started_at = started_at
        self._face = face
        self._timeout = timeout
        self._last = started_at
        self._state = ChallengeState.WAITING

    def switched(self, at: float, *, on: bool) -> None:
        """Note that the light at the door changed, which says nothing unless it was asked for."""

    def tick(self, now: float) -> ChallengeState:
        """Let time pass; fails once it is over."""
        # Written so that a time that is no number is over.
        if self._state is ChallengeState.WAITING and not now - self._started_at <= self._timeout:
            self._state = ChallengeState.FAILED
        return self._state

    def _is_next(self, taken_at: float) -> bool:
        """Whether a frame may still say something: one from before, or out of order, may not."""
        if self.tick(taken_at) is not ChallengeState.WAITING or taken_at <= self._last:
            return False
        self._last = taken_at
        return True

    def _same(self, evidence: Evidence) -> bool:
        """Whether it is the face that was asked; one that could not be embedded is not."""
        seen = evidence.embedding
        return seen is not None and cosine(seen, self._face) >= SAME_FACE


class HeadTurn(_Timed):
    """Asks to turn the head to one side and back.

    A video of somebody looking about passes if it turns to the right side at the right moment; a
    flat picture, slanted, does not move its nose across the face.
    """

    def __init__(
        self,
        asked: Turn,
        asked_at: float,
        face: FloatArray,
        rules: HeadTurnRules | None = None,
    ) -> None:
        """``face`` is the embedding float32[D + 1] of who is asked, from a vote for them."""
        self._rules = rules or HeadTurnRules()
        super().__init__(asked_at, self._rules.timeout, face)
        # The visitor's left is the viewer's right.
        self._sign = 1.0 if asked is Turn.LEFT else -1.0
        self._before: list[float] = []
        self._turned = 0
        self._turned_away = 0

    def observe(self, evidence: Evidence, taken_at: float) -> ChallengeState:
        """Take one frame's face. Frames from before the question, or out of order, say nothing."""
        if not self._is_next(taken_at):
            return self._state
        looks = pose(evidence.face.landmarks)
        if looks is None or not self._same(evidence):
            return self._state
        rules = self._rules
        if len(self._before) < rules.baseline:
            # A head still on its way to the front says nothing of where it rests.
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
    """What counts as an answer to the light. Stops are powers of two, times seconds."""

    timeout: float = 8.0
    settling: float = 0.35
    """Time after a switch that says nothing: the lamp, the camera and the network take it."""
    rise: float = 0.15
    """Stops by which the face must get brighter against its background."""
    certainty: float = 3.0
    """The rise over its standard error."""
    flashes: int = 2
    """Times that the light must have been seen both off and on."""

    def __post_init__(self) -> None:
        if not (self.rise > 0 and self.flashes >= 1 and 0 <= self.settling < self.timeout):
            raise ValueError("a flash needs a rise, and must fit into the time")


class LightFlash(_Timed):
    """Flashes a light at the door; the face must get brighter with it, more than the background.

    A screen gives back a few per cent of a lamp's light, and shines by itself. *Paper answers as a
    face does*: this is no test of prints. By bright day, or with a wall close behind the visitor,
    nobody passes.
    """

    def __init__(
        self, started_at: float, face: FloatArray, rules: LightFlashRules | None = None
    ) -> None:
        """Begin with the light off; :meth:`switched` says when that changes. ``face``: see above.

        Paper answers, so a helper's face must not answer for a screen.
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
        # Each time it was on must be brighter than each time it was off: a face that merely comes
        # nearer, or a cloud that passes, is brighter once.
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
