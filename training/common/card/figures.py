"""Reading figures out of reports, and writing them down."""

from typing import Any

from jinja2 import Undefined

MISSING = "not measured"


def dig(content: Any, *keys: str) -> Any:
    """Return what lies at the keys, one below the other; None where any of them is missing."""
    for key in keys:
        content = content.get(key) if isinstance(content, dict) else None
    return content


def value_of(figure: Any) -> float | None:
    """Return the number of a figure: a bare number or {"value", "low", "high"}."""
    number = figure.get("value") if isinstance(figure, dict) else figure
    return None if number is None or isinstance(number, Undefined) else float(number)


def shown(figure: Any, factor: float = 1.0, digits: int = 3, unit: str = "") -> str:
    """Write a figure, times `factor`, with its interval; "not measured" for None.

    An interval without width is left out: where no error was seen, a bootstrap has none to draw.
    """
    value = value_of(figure)
    if value is None:
        return MISSING
    text = f"{factor * value:.{digits}f}"
    if _has_interval(figure):
        low, high = (f"{factor * figure[end]:.{digits}f}" for end in ("low", "high"))
        text += f" ({low} to {high})"
    return text + unit


def _has_interval(figure: Any) -> bool:
    low, high = dig(figure, "low"), dig(figure, "high")
    return low is not None and high is not None and low < high


def percent(figure: Any, digits: int = 1) -> str:
    """Write a share 0..1 in per cent."""
    return shown(figure, 100.0, digits, " %")


def small(figure: Any) -> str:
    """Write a small rate, which has too many zeros in per cent; otherwise as `shown`."""
    value = value_of(figure)
    if value is None:
        return MISSING
    if _has_interval(figure):
        return f"{value:.2g} ({figure['low']:.2g} to {figure['high']:.2g})"
    return f"{value:.2g}"


def command(report: dict[str, Any] | None, step: str, *options: str) -> str:
    """Return the command that makes a figure, as code; empty where there is no report."""
    if report is None:
        return ""
    words = ["python -m training", step, "--config", report["config"], *options]
    return f"`{' '.join(words)}`"
