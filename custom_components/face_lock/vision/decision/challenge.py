"""One question to the people at the door, and who answered it.

The shell puts the question (it says "turn your head", or flashes a light) and reports back; faces
answer. It is put when the first usable face of a visit appears, whoever that is, and again only
after a fixed time: neither being asked nor the time of it reveals whether a face resembles an
enrolled person. An answer opens nothing; it is one more thing without which a proven face is
refused.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite

from ..pad import (
    Challenge,
    ChallengeState,
    HeadTurn,
    HeadTurnRules,
    LightFlash,
    LightFlashRules,
    Turn,
)
from ..types import Evidence, FloatArray, Problem


@dataclass(frozen=True, slots=True)
class Ask:
    """What the visitor is asked for; every part has to be answered."""

    turn: Turn | None = None
    flash: bool = False

    def __post_init__(self) -> None:
        if self.turn is None and not self.flash:
            raise ValueError("a question must ask for something")

    @property
    def patience(self) -> float:
        """Seconds after the question was put from which no answer counts any more."""
        turning = 0.0 if self.turn is None else HeadTurnRules().timeout
        return max(turning, LightFlashRules().timeout if self.flash else 0.0)

    def begin(self, put_at: float, face: FloatArray) -> tuple[Challenge, ...]:
        """Begin the challenges for one face, given its embedding float32[D + 1]."""
        challenges: list[Challenge] = []
        if self.turn is not None:
            challenges.append(HeadTurn(self.turn, put_at, face))
        if self.flash:
            challenges.append(LightFlash(put_at, face))
        return tuple(challenges)


class Asking:
    """A question on its way. Times are monotonic seconds; one that is not a number loses it."""

    def __init__(self, ask: Ask, asked_at: float, put_within: float) -> None:
        """Expect ``ask`` to be put within ``put_within`` seconds of ``asked_at``."""
        self.ask = ask
        self._asked_at = asked_at
        self._put_within = put_within
        self._put_at: float | None = None
        self._lost = False
        self._switches: list[tuple[float, bool]] = []
        self._answers: dict[tuple[int, str], tuple[Challenge, ...]] = {}

    def put(self, now: float) -> None:
        """Note that the visitors were asked: answers count from now on. The light is off."""
        if self._put_at is not None or self._lost:
            return
        if isfinite(now) and 0.0 <= now - self._asked_at <= self._put_within:
            self._put_at = now
        else:
            self._lost = True

    def lose(self) -> None:
        """Note that the question cannot be put, or that the light does not obey."""
        self._lost = True

    def switched(self, at: float, *, on: bool) -> None:
        """Note that the light went on or off at ``at``."""
        self._switches.append((at, on))
        for challenges in self._answers.values():
            for challenge in challenges:
                challenge.switched(at, on=on)

    def meet(self, track: int, person: str, face: FloatArray) -> None:
        """Ask the face of a track that was taken for a person; nobody else can answer for them."""
        if self._put_at is None or (track, person) in self._answers:
            return
        challenges = self._answers[track, person] = self.ask.begin(self._put_at, face)
        for challenge in challenges:
            for at, on in self._switches:
                challenge.switched(at, on=on)

    def observe(self, track: int, evidence: Evidence, taken_at: float) -> None:
        """Take what a distinct fresh frame shows of a track."""
        for (answering, _), challenges in self._answers.items():
            if answering == track:
                for challenge in challenges:
                    challenge.observe(evidence, taken_at)

    def is_open(self, now: float) -> bool:
        """Whether the question may still be put, or answered."""
        if self._lost:
            return False
        if self._put_at is None:
            return 0.0 <= now - self._asked_at <= self._put_within
        return 0.0 <= now - self._put_at <= self.ask.patience

    def state(self, track: int, person: str, now: float) -> ChallengeState:
        """Say how far the face of a track, taken for a person, has come."""
        challenges = self._answers.get((track, person), ())
        states = [challenge.tick(now) for challenge in challenges]
        if states and all(state is ChallengeState.PASSED for state in states):
            return ChallengeState.PASSED
        if ChallengeState.FAILED in states or not self.is_open(now):
            return ChallengeState.FAILED
        return ChallengeState.WAITING

    @property
    def shortcoming(self) -> Problem:
        """Why a face lacks an answer: it did not give one, or it was never asked."""
        asked = self._put_at is not None and not self._lost
        return Problem.CHALLENGE_FAILED if asked else Problem.CHALLENGE_UNAVAILABLE
