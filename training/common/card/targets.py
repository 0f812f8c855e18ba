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

_LARGEST = {"verifier": 5.5, "detector": 0.4, "presence": 0.1, "liveness": 1.0, "antispoofing": 4.0}
_VERIFIER_CROP = (112, 112)


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
    of = command(report, "evaluate", *BUNDLE) + ", `--what start`"
    bundled, start = (
        dig(report, "figures", f"evaluate-{what}-validation", "conditions") or {}
        for what in ("bundle", "start")
    )

    def tar(content: Any, condition: str) -> float | None:
        return value_of(dig(content, condition, "tar", WORKING_RATE))

    wanted = "clean: TAR at FAR 1e-4 at most 0.5 points below the teacher's"
    own, teacher = tar(bundled, "clean"), tar(start, "clean")
    if own is None or teacher is None:
        yield Target("verifier", wanted, MISSING, of, None)
    else:
        text = f"{100 * own:.1f} %, the teacher {100 * teacher:.1f} %"
        yield Target("verifier", wanted, text, of, own - teacher >= -0.005)
    for condition in ("dim", "dark", "infrared", "dark/dark"):
        wanted = f"{condition}: at most half of the teacher's misses at FAR 1e-4"
        own, teacher = tar(bundled, condition), tar(start, condition)
        if own is None or teacher is None:
            yield Target("verifier", wanted, MISSING, of, None)
            continue
        text, ratio = _of_misses(own, teacher)
        yield Target("verifier", wanted, text, of, ratio <= 0.5)
    yield _lamps(report)


def _of_misses(own: float, teacher: float) -> tuple[str, float]:
    ratio = (1 - own) / max(1 - teacher, 1e-9)
    return f"{100 - 100 * own:.1f} % of {100 - 100 * teacher:.1f} %: {ratio:.2f} of them", ratio


def _lamps(report: Report | None) -> Target:
    """Judge the real lamps by the figures on either side of a rate that they cannot count."""
    wanted = "lighting: at most half of the teacher's misses at FAR 1e-4"
    of = command(report, "lamps", *BUNDLE) + ", `--what start`"
    both = [dig(report, "figures", f"lamps-{what}") for what in ("bundle", "start")]
    sides = [(dig(one, "tar", "1e-03"), dig(one, "none", "tar")) for one in both]
    (own, own_none), (teacher, teacher_none) = (tuple(map(value_of, side)) for side in sides)
    if own is None or own_none is None or teacher is None or teacher_none is None:
        return Target("verifier", wanted, MISSING, of, None)
    impostors = dig(both[0], "impostors")
    looser, loose_ratio = _of_misses(own, teacher)
    stricter, strict_ratio = _of_misses(own_none, teacher_none)
    text = (
        f"{impostors} impostor trials cannot count 1e-4. At FAR 1e-3 {looser}; where none of"
        f" the {impostors} passes {stricter}"
    )
    # What holds on both sides of the rate holds at it, as far as these trials show it.
    halved = {ratio <= 0.5 for ratio in (loose_ratio, strict_ratio)}
    return Target("verifier", wanted, text, of, halved.pop() if len(halved) == 1 else None)


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
