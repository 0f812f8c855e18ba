"""The verifier's part of the card."""

from collections.abc import Iterator
from typing import Any

from training.common.card.figures import (
    MISSING,
    command,
    dig,
    percent,
    shown,
    small,
    table,
    value_of,
)
from training.common.card.report import Report
from training.common.card.targets import BUNDLE, WORKING_RATE

_RATES = ("1e-03", "1e-04", "1e-05")
_SIDES = ("validation", "test")


def measured(report: Report | None, entry: dict[str, Any], texts: dict[str, Any]) -> Iterator[str]:
    """Yield the Markdown of everything measured of the verifier."""
    figures = dig(report, "figures") or {}
    start = dig(figures, "evaluate-start-validation", "conditions")
    for side in _SIDES:
        found = dig(figures, f"evaluate-bundle-{side}")
        yield f"### People of the {side} side, by condition"
        options = () if side == "validation" else ("--set", f"evaluate.side={side}")
        yield f"TAR at a FAR, with 95 % intervals over people. {_by(report, *BUNDLE, *options)}"
        yield _conditions(dig(found, "conditions"), start if side == "validation" else None)
    yield from _lamps(report, figures)
    found = dig(figures, "evaluate-bundle-validation")
    yield from _operation(report, found)
    yield from _fairness(report, found, texts)
    yield from _promise(report, figures, texts)
    yield from _thresholds(report, entry, dig(figures, "calibrate"), texts)
    yield from _errors(report, dig(figures, "errors-bundle/errors"))
    yield from _files(report, figures)


def _by(report: Report | None, *options: str, step: str = "evaluate") -> str:
    made = command(report, step, *options)
    return f"Reproduce: {made}." if made else ""


def _conditions(conditions: Any, start: Any) -> str:
    rows = []
    for name, one in (conditions or {}).items():
        counts = [str(one[key]) for key in ("people", "genuine", "impostors")]
        tar = [_tar(one, rate) for rate in _RATES]
        rows.append([name, *counts, percent(one["accuracy"]), *tar, _tar(dig(start, name))])
    head = ["condition", "people", "genuine", "impostor", "accuracy"]
    head += [f"TAR at {rate}" for rate in _RATES]
    return table([*head, f"the teacher's at {WORKING_RATE}"], rows)


def _tar(condition: Any, rate: str = WORKING_RATE) -> str:
    if condition is not None and rate not in condition["tar"]:
        # The higher the threshold, the lower TAR: it cannot be above that at a rate that counts.
        looser = [one for name, one in condition["tar"].items() if float(name) > float(rate)]
        counted = [value for one in looser if (value := value_of(one)) is not None]
        few = "too few trials"
        return f"at most {percent(min(counted))} ({few})" if counted else few
    return percent(dig(condition, "tar", rate))


def _lamps(report: Report | None, figures: Any) -> Iterator[str]:
    rows = []
    for what in ("bundle", "start"):
        found = dig(figures, f"lamps-{what}")
        if found is None:
            continue
        none = found["none"]
        rows.append(
            [
                {"start": "the teacher", "bundle": "this verifier"}[what],
                percent(dig(found, "tar", "1e-03")),
                percent(none["tar"]),
                f"{none['threshold']:.3f}",
                f"{none['far_high']:.1e}, {none['far_high of pairs']:.1e}",
            ]
        )
    if not rows:
        return
    one = dig(figures, "lamps-bundle") or dig(figures, "lamps-start")
    yield "### Real lamps"
    yield (
        f"{one['people']} people, frontal light enrolled: {one['genuine']} genuine and"
        f" {one['impostors']} impostor trials of {one['pairs of people']} pairs of people. FAR 1e-4"
        f" would be {1e-4 * one['impostors']:.1f} of these trials: it cannot be counted. As far as"
        " they show it, TAR there lies between the two figures of a row. The FAR where no impostor"
        " passed is bounded by the upper end of a 95 % interval: by trials, as if they were"
        f" independent, and by pairs of people. {_by(report, *BUNDLE, step='lamps')}"
    )
    head = ["network", "TAR at FAR 1e-3", "TAR where no impostor passed", "its threshold"]
    yield table([*head, "bound of the FAR there"], rows)


def _operation(report: Report | None, found: Any) -> Iterator[str]:
    common = dig(found, "common")
    yield "### Galleries and visits"
    if common:
        yield (
            f"At the one threshold {common['threshold']:.3f}, which holds FAR {common['far']:g} in"
            f" every simulated condition ({common['worst']} sets it). TPIR and FPIR: right and"
            f" wrong people among a whole gallery. {_by(report, *BUNDLE)}"
        )
    rows = [
        [
            condition,
            size,
            percent(dig(one, "at_common", "tpir")),
            small(dig(one, "at_common", "fpir")),
        ]
        for condition, sizes in (dig(found, "galleries") or {}).items()
        for size, one in sizes.items()
    ]
    yield table(["condition of a gallery", "enrolled", "TPIR", "FPIR"], rows)
    rows = [
        [
            condition,
            size,
            str(one["visits"]),
            percent(one["tar"]),
            small(one["wrong_person"]),
            small(one["fpr"]),
        ]
        for condition, visit in (dig(found, "visits") or {}).items()
        for size, one in visit["sizes"].items()
    ]
    head = ["condition of a simulated visit", "enrolled", "visits", "opened for the right person"]
    yield table([*head, "for another", "for strangers"], rows)


def _fairness(report: Report | None, found: Any, texts: dict[str, Any]) -> Iterator[str]:
    yield "### Fairness: the worst group over everybody"
    rows = [
        [
            name,
            str(one["people"]),
            percent(one["share"], 0),
            percent(one["tar"]),
            shown(one["tar_ratio"], digits=2),
            small(one["fpr"]),
        ]
        for name, one in (dig(found, "groups") or {}).items()
    ]
    fairness = dig(found, "fairness")
    if fairness:
        yield (
            f"Worst over overall: {shown(fairness['worst_over_overall'], digits=2)} of everybody's"
            f" TAR ({fairness['worst_tar_group']}); highest false positive rate"
            f" {small(fairness['worst_fpr'])} ({fairness['worst_fpr_group']})."
        )
    yield texts["fairness"].strip()
    yield table(["group", "people", "share", "TAR", "of everybody's", "FPR"], rows)
    rows = [
        [name, str(one["pictures"]), str(one["trials"]), small(one["fpr"])]
        for name, one in (dig(found, "strangers") or {}).items()
    ]
    yield table(["strangers from", "pictures", "trials", "FPR"], rows)

    human = texts["human"]
    yield "### Beside people"
    pairs = dig(found, "pairs", "accuracy")
    single = dig(found, "conditions", "clean, pairs", "accuracy")
    yield table(
        ["who", "on what", "accuracy"],
        [
            ["people", human["pictures"], f"{human['accuracy']} % ({human['source']})"],
            ["this verifier", "the same pairs (LFW)", percent(pairs, 2)],
            ["this verifier", "single pictures of the validation side", percent(single, 2)],
        ],
    )
    yield f"{human['note'].strip()} {_by(report, *BUNDLE)}"


def _promise(report: Report | None, figures: Any, texts: dict[str, Any]) -> Iterator[str]:
    """Yield what each row does to strangers of every group, and to whoever is enrolled."""
    yield "### The promise, group by group"
    yield f"{texts['verifier']['promise'].strip()} {_by(report, step='promise')}"
    measured = [dig(figures, name) for name in ("promise", "promise-before")]
    groups = sorted({group for one in measured for row in _rows(one) for group in row[1]["groups"]})
    rows = [
        [
            f"{float(rate):g}",
            one["verifier"]["version"],
            *(_group(dig(row, "groups", group), float(rate)) for group in groups),
        ]
        for rate, one, row in _by_rate(measured)
    ]
    yield table(["row", "version", *groups], rows)
    conditions = _names(measured, "tar")
    rows = [
        [
            f"{float(rate):g}",
            one["verifier"]["version"],
            *(percent(dig(row, "tar", condition)) for condition in conditions),
        ]
        for rate, one, row in _by_rate(measured)
    ]
    yield "TAR of enrolled validation people at the thresholds of the rows:"
    yield table(["row", "version", *conditions], rows)
    lights = _names(measured, "owners")
    rows = [
        [
            f"{float(rate):g}",
            one["verifier"]["version"],
            *(percent(dig(row, "owners", light, "missed")) for light in lights),
            small(dig(row, "owners", "clean", "opened")),
        ]
        for rate, one, row in _by_rate(measured)
    ]
    yield texts["verifier"]["owners"].strip()
    yield table(["row", "version", *lights, "strangers' visits opened, clean"], rows)


def _names(measured: list[Any], part: str) -> list[str]:
    """Return the names in `part` of any row, in the order in which they come."""
    return list(dict.fromkeys(name for _, _, row in _by_rate(measured) for name in row[part]))


def _rows(one: Any) -> list[tuple[str, Any]]:
    return list((dig(one, "rows") or {}).items())


def _by_rate(measured: list[Any]) -> list[tuple[str, Any, Any]]:
    """Every row of every verifier measured, those of one rate together, the loosest first."""
    rates = sorted({rate for one in measured for rate, _ in _rows(one)}, key=float, reverse=True)
    return [
        (rate, one, one["rows"][rate])
        for rate in rates
        for one in measured
        if dig(one, "rows", rate)
    ]


def _group(one: Any, rate: float) -> str:
    if one is None:
        return MISSING
    text = f"{one['fpr']:.1e}, up to {one['high']:.1e} ({one['condition']})"
    return text if one["high"] <= rate else f"**{text}**"


def _thresholds(
    report: Report | None, entry: dict[str, Any], found: Any, texts: dict[str, Any]
) -> Iterator[str]:
    yield "### Thresholds"
    yield f"The table in `models.json`. {_by(report, step='calibrate')}"
    worst = {row["fpr"]: row.get("worst") for row in dig(found, "table") or []}
    rows = [
        [
            f"{row['fpr']:g}",
            f"{row['threshold']:.4f}",
            f"{row['fpr_low']:.2g} to {row['fpr_high']:.2g}",
            "measured" if row["measured"] else "extrapolated",
            percent(row["tar"]),
            *(
                percent(dig(found, "costs", name, f"{row['fpr']:.0e}"))
                for name in ("miss_day", "miss_night", "aged_day", "aged_night")
            ),
            worst.get(row["fpr"]) or MISSING,
        ]
        for row in entry.get("thresholds", [])
    ]
    head = ["false positive rate", "threshold", "95 % interval", "how", "clean TAR"]
    head += ["owners' visits missed by day", "by night", "over years, by day", "by night"]
    yield table([*head, "set by"], rows)
    yield from _tries(found, texts)
    watched = [
        [
            name,
            str(one["people"]),
            WORKING_RATE,
            small(dig(one, "fpr at threshold", WORKING_RATE, "fpr")),
            small(dig(one, "fpr at threshold", WORKING_RATE, "fpr_high")),
        ]
        for name, one in (dig(found, "watched") or {}).items()
    ]
    yield "Too few people to set a threshold, but watched at it:"
    yield table(["domain", "people", "row", "FPR counted", "upper bound"], watched)
    yield from (f"- {line}" for line in dig(found, "advice") or [])


def _tries(found: Any, texts: dict[str, Any]) -> Iterator[str]:
    rows = [
        [
            condition,
            texts["verifier"]["tries"][who],
            str(one["people"]),
            str(one["tries"]),
            percent(dig(one, "missed", WORKING_RATE)),
            percent(dig(one, "missed_by_one_frame", WORKING_RATE)),
            percent(one["unusable"]),
        ]
        for condition, counted in (dig(found, "tries") or {}).items()
        for who, one in counted.items()
    ]
    yield texts["verifier"]["tries"]["about"].strip()
    head = ["condition", "who tries", "people", "tries", f"missed at {WORKING_RATE}"]
    yield table([*head, "by single frames", "no usable picture"], rows)


def _errors(report: Report | None, found: Any) -> Iterator[str]:
    yield "### What costs most"
    rows = [
        [
            one["name"],
            f"{100 * one['loss']:.1f}",
            percent(one["tar"]),
            percent(one["rest"]),
            percent(one["share"], 0),
        ]
        for kind in ("conditions", "kinds")
        for one in dig(found, kind) or []
        if one["loss"] > 0.001
    ]
    if rows:
        yield f"At one threshold for all. {_by(report, *BUNDLE, step='errors')}"
    yield table(["probes", "points of TAR lost", "their TAR", "that of others", "share"], rows)
    yield "\n".join(f"- {line}" for line in dig(found, "next") or [])


def _files(report: Report | None, figures: Any) -> Iterator[str]:
    yield "### Files, runtimes and controls"
    verify = dig(figures, "verify")
    overfit = dig(figures, "overfit")
    parity = dig(figures, "evaluate-parity-validation", "largest")
    checked = dig(figures, "calibrate-check-validation", "broken")
    broken = MISSING if checked is None else f"{len(checked)} broken"
    by_verify = command(report, "verify")
    rows = [
        [
            "ONNX against ncnn, lowest cosine",
            _cosine(dig(verify, "onnx_ncnn_cosine_min")),
            by_verify,
        ],
        [
            "ONNX against the checkpoint, lowest cosine",
            _cosine(dig(verify, "onnx_torch_cosine_min", "checkpoint")),
            by_verify,
        ],
        ["one crop, onnxruntime", shown(dig(verify, "onnx_ms"), digits=1, unit=" ms"), by_verify],
        ["one crop, ncnn", shown(dig(verify, "ncnn_ms"), digits=1, unit=" ms"), by_verify],
        [
            "bundle against checkpoint, largest difference of any TAR or accuracy",
            shown(parity, 100.0, 3, " points"),
            command(report, "evaluate", "--what", "parity"),
        ],
        [
            "rows of the threshold table counted again from pictures",
            broken,
            command(report, "calibrate", "--what", "check"),
        ],
    ]
    for kind in ("true", "shuffled"):
        outcome = next(
            (one for name, one in (overfit or {}).items() if name.startswith(kind)), None
        )
        text = MISSING
        if outcome is not None and value_of(outcome["accuracy"]) is not None:
            text = f"{percent(outcome['accuracy'], 0)}, chance {percent(outcome['chance'], 0)}"
        rows.append(
            [f"people by heart, {kind} labels: held-out pictures", text, command(report, "overfit")]
        )
    yield table(["what", "figure", "command"], rows)


def _cosine(value: float | None) -> str:
    return MISSING if value is None else f"1 - {1 - value:.1e}"
