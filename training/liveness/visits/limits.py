"""From which scores the antispoofing network refuses a face: chosen from visits of the living.

People are dealt into two halves. Limits are chosen on one and reported on the other; the first
half's are the bundle's. For each size of the face and each light, it may refuse so many of
the living's visits (`BUDGETS`), of real frames, of simulated heads, and of single pictures by many
cameras each, wherever enough of them were seen. Attacks have no say in it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path
from statistics import NormalDist, median
from typing import Any, Final

import numpy as np

from training.common import bundle
from training.common.split import TRAIN
from training.liveness.antispoofing import ROLE
from training.liveness.settings import LivenessConfig
from training.liveness.visits.observe import Observed
from training.liveness.visits.run import read_visits
from vision.networks.score_limits import Light, NetworkLimits, ScoreLimit, ScoreLimits

DIM_BELOW: Final = 60.0
"""Mean luma of a face, 0..255: living subjects before the webcam, in a lit room, have 66 to 155."""
SIZES: Final = (40.0, 64.0, 4096.0)
"""Widths of a face in pixels. Above some 100 both networks see it scaled down to one size."""
BUDGETS: Final = {"basic": 0.01, "strict": 0.05}
"""Share of the living's visits that a level may refuse; each of the two networks has its part."""
LEAST: Final = 20
"""Visits without which a size and light counts as not measured."""
NETWORKS: Final = 2
"""How many share a level's budget. Ours keeps its thresholds for one picture: limits of visits,
which were tried, are lower and let more pictures of people in."""
NEEDED: Final = "real living"
"""The network takes many simulated heads for pictures: they cannot stand in for real ones."""
_SURE = 1e-4
"""Probabilities nearer to 0 or 1 than this are as good as that."""


def halves(seen: Iterable[Observed]) -> dict[str, int]:
    """Return the half, 0 or 1, of everybody who was seen, by a hash of their name.

    Real subjects are so few that they are dealt out in the order of it: as many of those whom our
    network was trained on to either half, and of the others.
    """
    real: dict[str, bool] = {}
    found: dict[str, int] = {}
    for one in seen:
        if one.kind.startswith("real"):
            real[one.who] = one.side == TRAIN
        else:
            found[one.who] = _digest(one.who)[0] % 2
    for trained in (False, True):
        dealt = sorted((who for who, mine in real.items() if mine is trained), key=_digest)
        # The odd one of either goes to another half.
        found |= {who: (place + trained) % 2 for place, who in enumerate(dealt)}
    return found


def _digest(who: str) -> bytes:
    return hashlib.sha256(f"half/{who}".encode()).digest()


def install(config: LivenessConfig) -> NetworkLimits:
    """Choose the limits on the first half and write them into the bundle; return them."""
    seen = read_visits(config)
    half = halves(seen)
    limits = choose([one for one in seen if half[one.who] == 0])
    bundle.update_entry(Path(config.models), ROLE, visits=_described(limits.second))
    return limits


def _described(limits: ScoreLimits) -> dict[str, Any]:
    cells = [{**asdict(cell), "light": cell.light.value} for cell in limits.cells]
    return {"refused": BUDGETS, "dim_below": limits.dim_below, "limits": cells}


def choose(seen: Sequence[Observed]) -> NetworkLimits:
    """Return the limits by the living among the visits seen."""
    alive = [one for one in seen if "living" in one.kind and one.decided]
    return NetworkLimits(second=ScoreLimits(DIM_BELOW, _cells(alive)))


def _cells(alive: Sequence[Observed]) -> tuple[ScoreLimit, ...]:
    cells = []
    for light in Light:
        for smallest, largest in pairwise(SIZES):
            crowds: dict[str, list[float]] = {}
            for one in alive:
                value = _middle(one, light, smallest, largest)
                if value is not None:
                    crowds.setdefault(one.kind, []).append(value)
            enough = {kind: values for kind, values in crowds.items() if len(values) >= LEAST}
            if NEEDED in enough:
                basic, strict = (
                    min(quantile(values, budget / NETWORKS) for values in enough.values())
                    for budget in BUDGETS.values()
                )
                cells.append(ScoreLimit(light, smallest, largest, basic, max(basic, strict)))
    return tuple(cells)


def _middle(one: Observed, light: Light, smallest: float, largest: float) -> float | None:
    """Return the median score of a visit of that size and light, as judged; else None."""
    frames = [evidence for evidence in one.track[: one.decided] if evidence.cues is not None]
    values = [frame.cues.second for frame in frames if frame.cues and frame.cues.second is not None]
    if not values:
        return None
    infrared = sum(frame.cues.infrared for frame in frames if frame.cues) * 2 > len(frames)
    brightness = median(frame.quality.brightness for frame in frames)
    seen_by = ScoreLimits(DIM_BELOW).light(brightness, infrared=infrared)
    width = median(frame.face.width for frame in frames)
    return median(values) if seen_by is light and smallest <= width < largest else None


def quantile(values: Sequence[float], share: float) -> float:
    """Return the score that at most `share` of the living's visits are below, of few of them.

    The lower of two: what is counted, and the quantile of a normal distribution of the log-odds
    that has their mean and deviation, which reaches further than the lowest of some dozens. Rounded
    down to four digits.
    """
    counted = sorted(values)[int(share * len(values))]
    clipped = np.clip(values, _SURE, 1 - _SURE)
    odds = np.log(clipped / (1 - clipped))
    fitted = NormalDist(float(odds.mean()), max(float(odds.std(ddof=1)), 1e-6)).inv_cdf(share)
    return float(np.floor(min(counted, 1 / (1 + np.exp(-fitted))) * 1e4) / 1e4)
