"""The parts of the card on the detector, the gate and liveness."""

from collections.abc import Iterator, Mapping
from typing import Any

from training.common.card.figures import command, dig, percent, shown, table
from training.common.card.report import Report
from training.common.card.targets import detector_figures, evaluated_by

_WIDTHS = ("16", "24", "40", "60")


def detector(report: Report | None) -> Iterator[str]:
    """Yield the Markdown of everything measured of the detector."""
    found = detector_figures(report)
    yield (
        "Recall by least width of the face, false faces a picture, and the median landmark error"
        " over the distance of the eyes, on pictures never trained on (test side), at the"
        " threshold chosen on the validation side."
    )
    yield from _detector_table(found)
    yield f"Reproduce: {evaluated_by(report)}."
    yunet = dig(report, "figures", "evaluation-yunet_n_dynamic")
    if yunet:
        yield "YuNet's own weights, which it started from and whose labels it is measured with:"
        yield from _detector_table(yunet)
    rows = [
        [azimuth, f"{one['found']} of {one['faces']}"]
        for azimuth, one in (dig(report, "figures", "lamps") or {}).items()
    ]
    yield table(["real lamps, degrees to a side", "faces found"], rows)
    yield from _verified(report)


def _verified(report: Report | None) -> Iterator[str]:
    """Yield the table of what `verify` found; nothing where it was not run."""
    found = dig(report, "figures", "verify")
    if found is None:
        return
    titles = {"score_difference": "of a score, 0..1", "pixel_difference": "in pixels"}
    names = {"ncnn": "ncnn", "torch": "the checkpoint"}
    rows = [
        [f"ONNX against {names[name]}, largest difference {title}", f"{value:.1e}"]
        for key, title in titles.items()
        for name, value in (found.get(key) or {}).items()
    ]
    rows += [[f"one call, {name}", f"{value:.2f} ms"] for name, value in found["ms"].items()]
    rows += [[f"bytes, {suffix}", f"{value:,}"] for suffix, value in found["bytes"].items()]
    yield f"Files and runtimes, on one busy core. Reproduce: {command(report, 'verify')}."
    yield table(["what", "figure"], rows)


def _detector_table(found: Any) -> Iterator[str]:
    test = dig(found, "test") or {}
    sides = sorted({side for one in test.values() for side in _errors_of(one)})
    rows = [
        [
            name,
            *(percent(dig(one, "recall", width)) for width in _WIDTHS),
            shown(one["false_per_picture"]),
            *(percent(_errors_of(one).get(side)) for side in sides),
        ]
        for name, one in test.items()
    ]
    head = ["condition", *(f">= {width} px" for width in _WIDTHS), "false faces a picture"]
    yield table([*head, *(f"landmarks against {side}" for side in sides)], rows)


def _errors_of(condition: Any) -> dict[str, Any]:
    errors = condition["landmark_error"]
    return errors if isinstance(errors, dict) and "value" not in errors else {"labels": errors}


def presence(report: Report | None) -> Iterator[str]:
    """Yield the Markdown of everything measured of the gate."""
    test = dig(report, "figures", "evaluation", "test") or {}
    names = list(dict.fromkeys(name for one in test.values() for name in one))
    rows = [
        [condition, *(percent(one[name]) if name in one else "" for name in names)]
        for condition, one in test.items()
    ]
    threshold = dig(report, "figures", "evaluation", "threshold")
    yield (
        "Views of pictures never trained on (test side), with 95 % intervals over pictures, at the"
        f" threshold {shown(threshold)} chosen on the validation side."
    )
    yield table(["condition", *names], rows)
    rows = [
        [f"{100 * one['recall']:g} %", f"{one['threshold']:.3f}", percent(one["false_alarms"])]
        for one in dig(report, "figures", "evaluation", "trade_off") or []
    ]
    yield "What another threshold would do by day, on views of scenes and of empty places together:"
    yield table(["recall", "threshold", "false alarms"], rows)
    yield f"Reproduce: {command(report, 'evaluate')}."
    yield from _verified(report)


def visit_limits(entry: Mapping[str, Any]) -> Iterator[str]:
    """Yield the limits that visits of the living gave a network, where there are some."""
    if not (visits := entry.get("visits")):
        return
    levels = [f"{level} ({percent(share)})" for level, share in visits["refused"].items()]
    yield (
        "Scores below which a face is refused, by its light and width, so that both networks"
        f" together refuse at most so many of the living's visits: {', '.join(levels)}. A face with"
        f" a mean luma below {visits['dim_below']:g} is dim. Elsewhere nothing was measured."
    )
    yield table(
        ["light", "width of the face", "basic", "strict"],
        [
            [
                cell["light"],
                f"{cell['smallest']:g} to {cell['largest']:g} px",
                f"{cell['basic']:.4f}",
                f"{cell['strict']:.4f}",
            ]
            for cell in visits["limits"]
        ],
    )


def liveness(report: Report | None) -> Iterator[str]:
    """Yield the Markdown of everything measured of the liveness network."""
    for name, step in (("crossvalidation", "crossvalidate"), ("evaluation", "evaluate")):
        points = dig(report, "figures", name, "operating_points") or []
        about = {
            "crossvalidation": "Every subject tested once, by a network that never saw them",
            "evaluation": "The network itself, on the test side's subjects",
        }[name]
        yield f"{about}; 95 % intervals over subjects. Reproduce: {command(report, step)}."
        for error, of in (("apcer", "attacks taken for alive (APCER)"), ("bpcer", _DENIED)):
            kinds = list(dict.fromkeys(kind for point in points for kind in point[error]))
            rows = [
                [kind, *(percent(dig(point, error, kind)) for point in points)] for kind in kinds
            ]
            targets = [f"at BPCER {point['bpcer_target']:g}" for point in points]
            yield table([of, *targets], rows)
    yield from _verified(report)


_DENIED = "living faces denied (BPCER)"
