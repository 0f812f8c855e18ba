"""What it takes to open, and the circumstances that only the shell can know."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, TypeAlias

from ..types import Evidence, Problem

Judge: TypeAlias = Callable[[Sequence[Evidence]], Problem | None]
"""Looks at one face's evidence, in order of time, and may object; pure, and can only deny."""


@dataclass(frozen=True, slots=True)
class DecisionPolicy:
    """What it takes to open, and when a visit is over. Times are seconds.

    What a visit keeps of the table's rate q (one try against one person; the union bound over the
    enrolled people is in ``matching/thresholds.py``). Each distinct usable frame of a face is
    one try: the frame by itself, or the stack that ends with it, which calibration counts at the
    same rate.
    Tries are correlated, frames through the face they show and stacks through the frames they
    share, so their rates must not be multiplied; but a long visit consists of many tries, so one
    rate does not simply hold either. Of n tries n q pass on average, and therefore ``quorum`` of
    them with a probability of up to n q / quorum (Markov): 17 q for ten seconds at five frames per
    second. Hence ``share``: at any moment at least that share of *all* tries of the face must have
    agreed. If no moment of the visit is special (the tries are stationary), the probability that
    the running share ever reaches ``share`` is at most q / ``share``, however long the visit lasts:
    the maximal ergodic theorem (Garsia 1965), which requires neither independence nor
    exchangeability. That is 2 q with the default, and an upper bound:
    `training/verifier/visits.py` counts strangers' visits, stacks included. What exceeds it: a face
    that leaves its track starts a new one, and one that stays starts a new visit every
    ``max_duration``; each is a new chance, and no visit knows the tries of another. And the
    argument is about stationary tries: if single moments may be special, bursts of doubling length
    of which each is as rare as q reach (2 + log2(n / 6)) q over n tries. ``docs/security.md`` turns
    this into strangers per year; ``crowd`` and ``attempts`` bound how many there can be.
    """

    quorum: int = 3
    """Distinct frames of one face that must agree."""
    share: float = 0.5
    """Share, above 0 to 1, of a face's distinct usable frames of the visit that must agree."""
    margin: float = 0.05
    """Smallest gap in similarity to the second-best person, who must also be below the threshold: a
    face that resembles another person nearly as much is not known to be either. It costs little: a
    face at the threshold comes that near to a given other person at most as often as the table says
    for a threshold lower by the margin, about once in 2000 frames. It matters for relatives."""
    window: float = 3.0
    """Time within which the frames of a quorum must have been taken."""
    max_age: float = 2.0
    """Age from which a frame is too old to count."""
    absence: float = 2.0
    """Time without a face after which the visit is over."""
    max_duration: float = 10.0
    """Time after which a visit that opened nothing is refused; a person who stays starts a new
    one."""
    same_frame: float = 0.9995
    """Cosine from which two embeddings show the same picture: two frames of a living face differ
    more (0.98 to 0.995 was measured), while a frozen picture in a new JPEG does not."""
    cool_down: float = 10.0
    """Time after a grant in which a person who was let in and did not leave is not let in again."""
    hold_unseen: float = 3.0
    """Time for which a face that cannot be compared (turned away, blurred) holds the door open
    after the last frame that showed the person."""
    hold_longest: float = 120.0
    """Longest time for which a person who was let in holds the door open by staying in view."""
    factor_wait: float = 0.0
    """Time for which a complete quorum waits for the second factor."""
    put_within: float = 10.0
    """Time within which the shell has to put a question to the visitor."""
    ask_again: float = 30.0
    """Time from one question to the next for a visitor who stays, known or not. It is longer than
    any visit in which nobody answers, so that a second question reveals nothing about the first."""
    attempts: int = 5
    """Failures that cause a lockout."""
    failure_fades: float = 3600.0
    """Time in which one failure is forgotten."""
    crowd: float = 28.0
    """Different faces within ``crowd_window`` that cause a lockout; 200 people an hour who pass by
    are 17, and half of that where they cross the picture."""
    crowd_window: float = 300.0
    lockout_base: float = 30.0
    """Duration of the first lockout; each further failure doubles it."""
    lockout_max: float = 3600.0
    """Longest lockout."""

    def __post_init__(self) -> None:
        times = (self.window, self.max_age, self.absence, self.max_duration)
        # Written so that a value that is not a number is refused.
        if not (
            self.quorum >= 1
            and all(time > 0 for time in times)
            and 0 < self.share <= 1
            and all(value >= 0 for value in (self.margin, self.cool_down, self.factor_wait))
            and self.put_within > 0
            and self.ask_again >= 0
            and self.attempts >= 1
            and 0 < self.lockout_base <= self.lockout_max
            and all(
                value > 0
                for value in (
                    self.hold_unseen,
                    self.hold_longest,
                    self.failure_fades,
                    self.crowd,
                    self.crowd_window,
                )
            )
        ):
            raise ValueError("a policy needs a quorum, a share, attempts and positive times")


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What applies at the door now, by the calendars and entities that the shell evaluates.

    ``barred``: person id -> why that person may not come in now (suspended, outside the schedule,
    expired). ``factor_missing``: a second factor is required and has not been given.
    """

    barred: Mapping[str, Problem] = field(default_factory=lambda: MappingProxyType({}))
    factor_missing: bool = False


CLEAR: Final = Circumstances()
"""Nobody is barred and no second factor is required."""
