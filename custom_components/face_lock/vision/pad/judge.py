"""Judges a face that was followed over some frames, and refuses it if it is a picture of one.

Each cue may deny by itself, and no number of cues speaks for a face: nothing is summed, averaged,
or weighed against how well the face matches. The limits come from training/liveness/visits, which
measured what they let through and whom they refuse.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from statistics import median
from typing import Final

from ..networks.liveness import LivenessPoint
from ..networks.score_limits import NetworkLimits, ScoreLimits
from ..types import Cues, Evidence, Face, Problem
from .outline import outline
from .shape import flatness
from .still import SAME_PICTURE, stillness
from .surroundings import surroundings

Judge = Callable[[Sequence[Evidence]], Problem | None]


class LivenessLevel(StrEnum):
    """How much a face has to do to be taken for alive. The values are translation keys."""

    OFF = "off"
    BASIC = "basic"
    STRICT = "strict"
    CHALLENGE = "challenge"
    """The cues of basic, and an answer to a challenge, which :mod:`.response` judges."""


class Cue(StrEnum):
    """What gave a picture away; for measurements and the owner's log, never for the visitor."""

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
    """The value from which each cue denies."""

    moire: float
    """``Cues.moire`` of the median frame from which it shows a raster."""
    carried: float
    """Share of the surroundings that moved with the face."""
    outline: float
    """Completeness of a pair of edges that moved with the face."""
    flat: float
    """``shape.flatness`` below which a turned face is flat."""
    clipped: float
    """Share of the view that lies outside the picture, in the median frame."""
    infrared: float
    """Factor on the network's threshold for a picture without colours."""
    measured: bool
    """Whether the network's answer and a view of the surroundings are required."""


BASIC: Final = Limits(
    moire=2.4, carried=0.72, outline=0.78, flat=0.03, clipped=1.1, infrared=0.25, measured=False
)
STRICT: Final = Limits(
    moire=2.1, carried=0.5, outline=0.74, flat=0.04, clipped=0.72, infrared=0.65, measured=True
)
_MOST_FRAMES: Final = 16
"""Frames of a long track, evenly spread: more would add nothing and delay the decision."""
_LEAST_MEASURED: Final = 3
"""Frames in which the network must have answered where that is required: a quorum."""


_UNMEASURED: Final = NetworkLimits()


def judge(
    level: LivenessLevel,
    points: Sequence[LivenessPoint] = (),
    limits: NetworkLimits = _UNMEASURED,
) -> Judge:
    """Return the judge of ``level``, for a bundle whose networks have these limits.

    ``points`` are the liveness network's thresholds for a size or light that ``limits`` does not
    cover. The judge takes the evidence of one face in the order of its frames, at the moment when
    everything else is ready to open, and answers ``Problem.NOT_LIVE`` or ``None``. It has no state.
    """

    def decide(track: Sequence[Evidence]) -> Problem | None:
        return Problem.NOT_LIVE if denials(level, points, track, limits) else None

    return decide


def denials(
    level: LivenessLevel,
    points: Sequence[LivenessPoint],
    track: Sequence[Evidence],
    measured: NetworkLimits = _UNMEASURED,
) -> frozenset[Cue]:
    """Return the cues that deny the face of a track; ``judge`` denies if there are any."""
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
        Cue.NETWORK: _refused_by_network(track, point, limits, measured.live, strict=strict),
        Cue.SECOND: _refused_by_second(track, measured.second, strict=strict),
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
    """Whether a measured value reaches its limit; a value that is not a number does."""
    return value is not None and not value < limit


def _middle(values: Sequence[float | None]) -> float | None:
    measured = [value for value in values if value is not None]
    return median(measured) if measured else None


def _static(track: Sequence[Evidence]) -> bool:
    still = stillness([one.embedding for one in track if one.embedding is not None])
    return _from(still, SAME_PICTURE)


def _refused_by_network(
    track: Sequence[Evidence],
    point: LivenessPoint | None,
    limits: Limits,
    measured: ScoreLimits,
    *,
    strict: bool,
) -> bool:
    """Whether the median frame is refused, each frame by the limit for its size and light.

    Where there is none, the threshold for any face applies.
    """
    above = []
    for one in track:
        if one.cues is None or one.cues.live is None:
            continue
        threshold = _threshold(one, measured, strict=strict)
        if threshold is None and point is not None:
            threshold = point.threshold * (limits.infrared if one.cues.infrared else 1.0)
        if threshold is not None:
            above.append(one.cues.live - threshold)
    return _mostly_below(above)


def _refused_by_second(track: Sequence[Evidence], measured: ScoreLimits, *, strict: bool) -> bool:
    """Whether the median of the frames whose size and light were measured is refused."""
    limits = [(one, _threshold(one, measured, strict=strict)) for one in track]
    return _mostly_below(
        [
            one.cues.second - limit
            for one, limit in limits
            if limit is not None and one.cues is not None and one.cues.second is not None
        ]
    )


def _threshold(one: Evidence, measured: ScoreLimits, *, strict: bool) -> float | None:
    if one.cues is None:
        return None
    brightness, infrared = one.quality.brightness, one.cues.infrared
    limit = measured.of(one.face.width, brightness, infrared=infrared)
    if limit is None:
        return None
    return limit.strict if strict else limit.basic


def _mostly_below(above: Sequence[float]) -> bool:
    """Whether the median is below zero; written so that a value that is not a number counts."""
    return bool(above) and not median(above) >= 0.0


def _flat(faces: Sequence[Face], limits: Limits) -> bool:
    moved = flatness([face.landmarks for face in faces])
    return moved is not None and not moved >= limits.flat


def _unmeasured(cues: Sequence[Cues]) -> bool:
    return sum(one.live is not None for one in cues) < _LEAST_MEASURED
