"""Judges a face that was followed over some frames: refuses it where it is a picture of one.

Each cue may deny by itself, and no number of them speaks for a face: nothing is summed, averaged,
or weighed against how well the face matches. The limits are those of training/liveness/visits,
where what they let through and whom they refuse was measured.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from statistics import median
from typing import Final

from ..antispoofing import ScoreLimits
from ..liveness import LivenessPoint
from ..types import Cues, Evidence, Face, Problem
from .motion import surroundings
from .outline import outline
from .shape import flatness
from .still import SAME_PICTURE, stillness

Judge = Callable[[Sequence[Evidence]], Problem | None]


class LivenessLevel(StrEnum):
    """How much a face has to do to be taken for alive. The values are translation keys."""

    OFF = "off"
    BASIC = "basic"
    STRICT = "strict"
    CHALLENGE = "challenge"
    """Basic's cues, and an answer to a challenge, which :mod:`.challenge` judges."""


class Cue(StrEnum):
    """What gave a picture away: for measurements and the owner's log, never for the visitor."""

    UNMEASURED = "unmeasured"
    NETWORK = "network"
    SECOND = "second"
    STATIC = "static"
    MOIRE = "moire"
    CARRIED = "carried"
    OUTLINE = "outline"
    FLAT = "flat"
    CLIPPED = "clipped"


@dataclass(frozen=True, slots=True)
class Limits:
    """From where each cue denies."""

    moire: float
    """``Cues.moire`` of the median frame, from which it is a raster."""
    carried: float
    """Share of the surroundings that moved with the face."""
    outline: float
    """Completeness of a pair of edges that moved with the face."""
    flat: float
    """``shape.flatness`` below which a turned face is flat."""
    clipped: float
    """Share of the view outside the picture, in the median frame."""
    infrared: float
    """The network's threshold for a picture without colours, over that for one with."""
    measured: bool
    """Whether the network, and a view of the surroundings, must be there."""


BASIC: Final = Limits(
    moire=2.4, carried=0.72, outline=0.78, flat=0.03, clipped=1.1, infrared=0.25, measured=False
)
STRICT: Final = Limits(
    moire=2.1, carried=0.5, outline=0.74, flat=0.04, clipped=0.72, infrared=0.65, measured=True
)
_MOST_FRAMES: Final = 16
"""Of a long track, evenly spread: more say nothing new and would hold up the decision."""
_LEAST_MEASURED: Final = 3
"""Frames in which the network must have answered where it must be measured: a quorum."""


def judge(
    level: LivenessLevel,
    points: Sequence[LivenessPoint] = (),
    second: ScoreLimits | None = None,
) -> Judge:
    """Return the judge of ``level``, for a bundle whose networks have these limits.

    ``points`` are those of the liveness network, ``second`` those of the antispoofing network. It
    takes the evidence of one face in the order of its frames, at the moment when everything else is
    ready to open, and answers ``Problem.NOT_LIVE`` or ``None``. It has no state.
    """

    def decide(track: Sequence[Evidence]) -> Problem | None:
        return Problem.NOT_LIVE if denials(level, points, track, second) else None

    return decide


def denials(
    level: LivenessLevel,
    points: Sequence[LivenessPoint],
    track: Sequence[Evidence],
    second: ScoreLimits | None = None,
) -> frozenset[Cue]:
    """Return the cues that deny the face of a track; ``judge`` denies if there is any."""
    if level is LivenessLevel.OFF:
        return frozenset()
    strict = level is LivenessLevel.STRICT
    limits = STRICT if strict else BASIC
    ordered = sorted(points, key=lambda point: point.bpcer)
    point = (ordered[-1] if strict else ordered[0]) if ordered else None
    track = _spread(track)
    cues = [one.cues for one in track if one.cues is not None]
    sights = [(one.face, one.cues.view) for one in track if one.cues is not None]
    found = {
        Cue.STATIC: _static(track),
        Cue.NETWORK: _refused_by_network(cues, point, limits),
        Cue.SECOND: _refused_by_second(track, second, strict=strict),
        Cue.MOIRE: _from(_middle([one.moire for one in cues]), limits.moire),
        Cue.CARRIED: _from(surroundings(sights).share, limits.carried),
        Cue.OUTLINE: _from(outline(sights), limits.outline),
        Cue.FLAT: _flat([one.face for one in track], limits),
        Cue.CLIPPED: _from(_middle([one.view.clipped for one in cues]), limits.clipped),
        Cue.UNMEASURED: limits.measured and (point is None or _unmeasured(cues)),
    }
    return frozenset(cue for cue, denied in found.items() if denied)


def _spread(track: Sequence[Evidence]) -> Sequence[Evidence]:
    if len(track) <= _MOST_FRAMES:
        return track
    last = len(track) - 1
    return [track[round(i * last / (_MOST_FRAMES - 1))] for i in range(_MOST_FRAMES)]


def _from(value: float | None, limit: float) -> bool:
    """Whether a measured value reaches its limit; one that is not a number does."""
    return value is not None and not value < limit


def _middle(values: Sequence[float | None]) -> float | None:
    measured = [value for value in values if value is not None]
    return median(measured) if measured else None


def _static(track: Sequence[Evidence]) -> bool:
    still = stillness([one.embedding for one in track if one.embedding is not None])
    return _from(still, SAME_PICTURE)


def _refused_by_network(cues: Sequence[Cues], point: LivenessPoint | None, limits: Limits) -> bool:
    """Whether the median frame is refused, each measured by the threshold for its light."""
    if point is None:
        return False
    ratios = [
        one.live / (point.threshold * (limits.infrared if one.infrared else 1.0))
        for one in cues
        if one.live is not None
    ]
    # Written so that an answer that is not a number denies.
    return bool(ratios) and not median(ratios) >= 1.0


def _refused_by_second(
    track: Sequence[Evidence], limits: ScoreLimits | None, *, strict: bool
) -> bool:
    """Whether the median frame is refused, of those of a size and light that were measured."""
    if limits is None:
        return False
    above = []
    for one in track:
        if one.cues is None or one.cues.second is None:
            continue
        limit = limits.of(one.face.width, one.quality.brightness, infrared=one.cues.infrared)
        if limit is not None:
            above.append(one.cues.second - (limit.strict if strict else limit.basic))
    # Written so that an answer that is not a number denies.
    return bool(above) and not median(above) >= 0.0


def _flat(faces: Sequence[Face], limits: Limits) -> bool:
    moved = flatness([face.landmarks for face in faces])
    return moved is not None and not moved >= limits.flat


def _unmeasured(cues: Sequence[Cues]) -> bool:
    return sum(one.live is not None for one in cues) < _LEAST_MEASURED
