"""What the judge makes of the visits seen: APCER and BPCER by kind and level, with intervals.

APCER is the share of attack visits, of those in which the face was recognised, that a level lets
in; BPCER that of the living that it turns away (ISO/IEC 30107-3). Both at the first moment when a
quorum of frames agrees, as the door decides, and with all frames of the visit, as if it waited,
where they were looked at. Every visit is judged by the limits that the other half of the people
chose (see `limits.py`); `halves` has both halves apart, of which the second was judged by what the
bundle has.

    {"levels": {LEVEL: {"quorum" | "whole visit": {KIND: SHARE with "recognised", "cues" and
                                                   "halves": {"first" | "second": SHARE}}}},
     "challenges": {CHALLENGE: {KIND: SHARE with "recognised" and "reasons"}}}

The figures of a challenge are those of the whole level: quorum, judge and answer.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from training.common.split import TRAIN
from training.liveness.evaluate import share
from training.liveness.visits.limits import choose, halves
from training.liveness.visits.observe import Observed
from vision.networks.liveness import LivenessPoint
from vision.pad import Cue, LivenessLevel, denials

LEVELS = (LivenessLevel.OFF, LivenessLevel.BASIC, LivenessLevel.STRICT)
MOMENTS = ("quorum", "whole visit")
HALVES = ("first", "second")


def kind_of(one: Observed) -> str:
    """Return a visit's row: living people by light, replays by what they show, subjects by side."""
    if one.kind.startswith("real"):
        changed = f", simulated {one.light}" if one.light != "day" else ""
        changed += ", far" if one.far else ""
        return f"{one.kind}{changed}, subjects {'trained on' if one.side == TRAIN else 'held out'}"
    if one.kind == "living":
        return f"living, {one.light}"
    if one.kind == "video":
        return f"video, {'real' if one.side == 'real frames' else 'simulated'} movement"
    return one.kind


def visit_figures(seen: Sequence[Observed], points: Sequence[LivenessPoint]) -> dict[str, Any]:
    """Return the errors of each level, at each moment, of each kind."""
    half = halves(seen)
    chosen = [choose([one for one in seen if half[one.who] == number]) for number in range(2)]
    waited = any(len(one.track) > one.decided for one in seen if one.decided)
    report: dict[str, Any] = {}
    for level in LEVELS:
        report[level.value] = {}
        for moment in MOMENTS if waited else MOMENTS[:1]:
            rows: dict[str, list[tuple[Observed, frozenset[Cue]]]] = {}
            for one in seen:
                if one.decided:
                    track = one.track[: one.decided] if moment == "quorum" else one.track
                    found = denials(level, points, track, chosen[1 - half[one.who]])
                    rows.setdefault(kind_of(one), []).append((one, found))
            report[level.value][moment] = {
                kind: _row(kind, rows[kind], seen, half) for kind in sorted(rows)
            }
    return report


def _row(
    kind: str,
    row: Sequence[tuple[Observed, frozenset[Cue]]],
    seen: Sequence[Observed],
    half: Mapping[str, int],
) -> dict[str, Any]:
    denied = np.array([bool(cues) for _, cues in row])
    wrong = denied if "living" in kind else ~denied
    who = np.array([one.who for one, _ in row])
    figures = _share(wrong, who)
    figures["recognised"] = len(row) / sum(kind_of(one) == kind for one in seen)
    figures["cues"] = dict(Counter(cue.value for _, cues in row for cue in sorted(cues)))
    numbers = np.array([half[one] for one in who])
    figures["halves"] = {
        name: _share(wrong[numbers == number], who[numbers == number])
        for number, name in enumerate(HALVES)
        if (numbers == number).any()
    }
    return figures


def _share(wrong: np.ndarray, who: np.ndarray) -> dict[str, Any]:
    figures: dict[str, Any] = share(wrong, who)
    figures["visits"] = figures.pop("pictures")
    figures["people"] = figures.pop("subjects")
    return figures


def challenge_figures(asked: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return the errors of the level with each challenge, of those whose face was recognised."""
    report: dict[str, Any] = {}
    for challenge in sorted({one["challenge"] for one in asked}):
        report[challenge] = {}
        for kind, light in sorted({(one["kind"], one["light"]) for one in asked}):
            every = [
                one
                for one in asked
                if (one["challenge"], one["kind"], one["light"]) == (challenge, kind, light)
            ]
            mine = [one for one in every if one["recognised"]]
            if mine:
                wrong = np.array([one["opened"] != (kind == "living") for one in mine])
                figures = _share(wrong, np.array([one["who"] for one in mine]))
                figures["recognised"] = len(mine) / len(every)
                reasons = ("opened" if one["opened"] else one["reason"] or "left" for one in mine)
                figures["reasons"] = dict(sorted(Counter(reasons).items()))
                report[challenge][f"{kind}, {light}"] = figures
    return report


def table(report: dict[str, Any]) -> str:
    """Return the figures as Markdown, for docs/security.md."""
    levels = report["levels"]
    lines = ["| at the quorum | visits (people) | off | basic | strict |", "|---|---|---|---|---|"]
    for kind, first in levels["off"]["quorum"].items():
        cells = [_cell(levels[level.value]["quorum"][kind]) for level in LEVELS]
        name = ("BPCER " if "living" in kind else "APCER ") + kind
        lines.append(f"| {name} | {first['visits']} ({first['people']}) | {' | '.join(cells)} |")
    lines += ["", "| with a challenge | visits | wrong | reasons |", "|---|---|---|---|"]
    for challenge, kinds in report["challenges"].items():
        for kind, one in kinds.items():
            reasons = ", ".join(f"{count} {reason}" for reason, count in one["reasons"].items())
            name = ("BPCER " if "living" in kind else "APCER ") + f"{challenge}: {kind}"
            lines.append(f"| {name} | {one['visits']} | {_cell(one)} | {reasons} |")
    return "\n".join(lines)


def _cell(one: dict[str, Any]) -> str:
    value, low, high = (100 * one[key] for key in ("value", "low", "high"))
    return f"{value:.1f} [{low:.1f}, {high:.1f}]"
