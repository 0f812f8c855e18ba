"""What each network must reach, and whether the reports show that it does."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from training.common.card.figures import MISSING, command, dig, percent, shown, value_of
from training.common.card.report import Report
from training.common.card.size import MEGABYTE, file_sizes, multiply_adds

WORKING_RATE = "1e-04"
NIGHT = ("dim", "dark", "very dark", "infrared")
REPORTED = "reported"
BUNDLE = ("--what", "bundle")

_LARGEST = {
    "verifier": 5.5,
    "detector": 0.4,
    "upright": 0.15,
    "presence": 0.1,
    "liveness": 1.0,
    "antispoofing": 4.0,
}
_VERIFIER_CROP = (112, 112)
# Row, condition and the least TAR of enrolled validation people.
_ACCEPTED = (
    ("1e-03", "clean", 0.90),
    ("1e-03", "dark", 0.84),
    ("1e-03", "infrared", 0.86),
    ("1e-04", "clean", 0.80),
    ("1e-04", "dark", 0.70),
)
# Row, and the most of willing owners' visits that may stay shut.
_MISSED = (("1e-03", 0.005), ("1e-04", 0.03))
# Condition, and the least share of owners' visits by night that open.
_VISITS = (("dim", 0.99), ("dark", 0.93), ("very dark", 0.70))
# Condition, and the most that may be left of the start's misses.
_NIGHT = (("clean", 1.0), ("dim", 0.8), ("dark", 0.8), ("infrared", 0.8), ("very dark", 0.5))


@dataclass(frozen=True)
class Target:
    """One line of the table.

    `reached` is None where nothing was measured, REPORTED where no limit was set.
    """

    role: str
    wanted: str
    measured: str
    command: str
    reached: bool | str | None


def targets(models: Path, entries: dict[str, Any], reports: dict[str, Report]) -> Iterator[Target]:
    """Compare the bundle's files and the runs' reports with what was asked for."""
    parts = {
        "verifier": _verifier,
        "detector": _detector,
        "upright": _upright,
        "presence": _presence,
        "liveness": _liveness,
    }
    yield _size(models, "antispoofing", entries.get("antispoofing"))
    for role, part in parts.items():
        yield _size(models, role, entries.get(role))
        if role == "verifier" and role in entries:
            yield _arithmetic(models / entries[role]["files"]["onnx"]["name"])
        yield from part(reports.get(role))


def detector_figures(report: Report | None) -> Any:
    """Return the evaluation of the detector's own weights, not of those it is compared with."""
    found = dig(report, "figures") or {}
    own = [name for name in found if name.startswith("evaluation-") and "yunet" not in name]
    return found[own[0]] if own else None


def evaluated_by(report: Report | None) -> str:
    """Return the command of the detector's evaluation."""
    found = [name for name in dig(report, "figures") or {} if name.startswith("evaluation-")]
    own = [name.removeprefix("evaluation-") for name in found if "yunet" not in name]
    if report is None or not own:
        return command(report, "evaluate")
    return command(report, "evaluate", "--checkpoint", f"runs/{report['run']}/{own[0]}.pt")


def worst_attack(point: Any) -> tuple[str, Any]:
    """Return the name and APCER of the attack that passes most often at an operating point."""
    attacks = {name: one for name, one in (dig(point, "apcer") or {}).items() if value_of(one)}
    if not attacks:
        return MISSING, None
    name = max(attacks, key=lambda one: value_of(attacks[one]) or 0.0)
    return name, attacks[name]


def _size(models: Path, role: str, entry: Any) -> Target:
    most = _LARGEST[role]
    wanted = f"at most {most} MB as ONNX"
    if entry is None:
        return Target(role, wanted, "not in the bundle", "", None)
    size = file_sizes(models, entry)["onnx"] / MEGABYTE
    name = entry["files"]["onnx"]["name"]
    return Target(role, wanted, f"{size:.3f} MB", f"`ls -l {name}`", size <= most)


def _arithmetic(path: Path) -> Target:
    found = multiply_adds(path, *_VERIFIER_CROP) / 1e9
    text = f"{found:.3f} G, convolutions and matrix products of the file"
    wanted = "at most 0.35 G multiply-adds"
    return Target("verifier", wanted, text, "the step `card`", found <= 0.35)


def _verifier(report: Report | None) -> Iterator[Target]:
    of = command(report, "promise")
    found = dig(report, "figures", "promise")
    rows = dig(found, "rows") or {}
    broken = dig(found, "broken")
    text = MISSING if broken is None else f"{len(broken)} of {_cells(rows)} above their row"
    wanted = "every row from 1e-2 to 1e-4 holds in every group (upper bound, doubles out)"
    yield Target("verifier", wanted, text, of, None if broken is None else not broken)
    for rate, condition, least in _ACCEPTED:
        figure = dig(rows, rate, "tar", condition)
        value = value_of(figure)
        reached = None if value is None else value >= least
        wanted = f"row {rate}, {condition}: TAR at least {100 * least:g} %"
        yield Target("verifier", wanted, percent(figure), of, reached)
    for rate, most in _MISSED:
        figure = dig(rows, rate, "owners", "clean", "missed")
        value = value_of(figure)
        reached = None if value is None else value <= most
        wanted = f"row {rate}: willing owners missed at most {100 * most:g} %"
        yield Target("verifier", wanted, percent(figure), of, reached)
    for condition, least in _VISITS:
        figure = dig(rows, "1e-03", "owners", condition, "missed")
        value = value_of(figure)
        opened = MISSING if value is None else f"{100 - 100 * value:.1f} %"
        reached = None if value is None else 1 - value >= least
        wanted = f"visits of ten frames by owners, row 1e-03, {condition}: {100 * least:g} % open"
        yield Target("verifier", wanted, opened, of, reached)
    yield from _night(report)


def _cells(rows: Any) -> int:
    return sum(len(row["groups"]) for row in rows.values())


def _night(report: Report | None) -> Iterator[Target]:
    """Single frames beside the public network that training started from, each at its own 1e-4."""
    of = command(report, "evaluate", *BUNDLE) + ", `--what start`"
    bundled, start = (
        dig(report, "figures", f"evaluate-{what}-validation", "conditions") or {}
        for what in ("bundle", "start")
    )
    for condition, most in _NIGHT:
        own, before = (
            value_of(dig(content, condition, "tar", WORKING_RATE)) for content in (bundled, start)
        )
        wanted = f"{condition}: at most {most:g} of the start's misses at FAR 1e-4"
        if condition == "clean":
            wanted = "clean: TAR at FAR 1e-4 at most 0.3 points below the start's"
        if own is None or before is None:
            yield Target("verifier", wanted, MISSING, of, None)
        elif condition == "clean":
            text = f"{100 * own:.1f} %, the start {100 * before:.1f} %"
            yield Target("verifier", wanted, text, of, own - before >= -0.003)
        else:
            text, ratio = _of_misses(own, before)
            yield Target("verifier", wanted, text, of, ratio <= most)


def _of_misses(own: float, start: float) -> tuple[str, float]:
    ratio = (1 - own) / max(1 - start, 1e-9)
    return f"{100 - 100 * own:.1f} % of {100 - 100 * start:.1f} %: {ratio:.2f} of them", ratio


def _detector(report: Report | None) -> Iterator[Target]:
    test = dig(detector_figures(report), "test")
    of = evaluated_by(report)

    def one(wanted: str, figure: Any, least: float) -> Target:
        value = value_of(figure)
        reached = None if value is None else value >= least
        return Target("detector", wanted, percent(figure, 2), of, reached)

    for scale in ("clean", "half size", "quarter size"):
        yield one(
            f"{scale}: recall at least 98 % of faces of 24 px or more",
            dig(test, scale, "recall", "24"),
            0.98,
        )
    yield one(
        "clean: recall at least 99 % of faces of 60 px or more",
        dig(test, "clean", "recall", "60"),
        0.99,
    )
    false = dig(test, "clean", "false_per_picture")
    rate = value_of(false)
    yield Target(
        "detector",
        "clean: at most 0.02 false faces a picture",
        shown(false),
        of,
        None if rate is None else rate <= 0.02,
    )
    error = dig(test, "clean", "landmark_error", "teacher")
    median = value_of(error)
    yield Target(
        "detector",
        "clean: landmarks within 4 % of the eye distance (median) of the teacher's",
        percent(error, 2),
        of,
        None if median is None else median <= 0.04,
    )
    for night in NIGHT:
        yield one(
            f"{night}: recall at least 90 % of faces of 24 px or more",
            dig(test, night, "recall", "24"),
            0.90,
        )


def _upright(report: Report | None) -> Iterator[Target]:
    found = dig(report, "figures", "evaluation")
    of = command(report, "evaluate")
    for wanted, name in (
        ("at most 0.5 % of usable upright faces refused", "lost"),
        ("at most 0.5 % of faces turned by more than 60 degrees are evidence", "turned"),
    ):
        share = dig(found, "test", "all", name)
        value = value_of(share)
        yield Target(
            "upright", wanted, percent(share, 2), of, None if value is None else value <= 0.005
        )
    time = value_of(dig(found, "milliseconds"))
    yield Target(
        "upright",
        "less than 1 ms a face",
        shown(time, 1.0, 2, " ms"),
        of,
        None if time is None else time < 1.0,
    )


def _presence(report: Report | None) -> Iterator[Target]:
    found = dig(report, "figures", "evaluation")
    of = command(report, "evaluate")
    recall, alarms = (dig(found, "test", "clean", name) for name in ("recall", "false alarms"))
    hit, alarm = value_of(recall), value_of(alarms)
    yield Target(
        "presence",
        "recall at least 99 % of views with somebody",
        percent(recall),
        of,
        None if hit is None else hit >= 0.99,
    )
    yield Target(
        "presence",
        "at most 2 % false alarms on views of the same pictures without anyone",
        percent(alarms),
        of,
        None if alarm is None else alarm <= 0.02,
    )
    time = value_of(dig(found, "milliseconds"))
    yield Target(
        "presence",
        "less than 1 ms a view",
        shown(time, 1.0, 2, " ms"),
        of,
        None if time is None else time < 1.0,
    )


def _liveness(report: Report | None) -> Iterator[Target]:
    points = dig(report, "figures", "crossvalidation", "operating_points") or []
    wanted = "APCER and BPCER of every attack on subjects never trained on, as they are"
    of = command(report, "crossvalidate")
    if not points:
        yield Target("liveness", wanted, MISSING, of, None)
    for point in points:
        name, apcer = worst_attack(point)
        text = f"worst attack ({name}): APCER {percent(apcer)}; all below"
        yield Target(
            "liveness", f"{wanted}, at BPCER {point['bpcer_target']:g}", text, of, REPORTED
        )
