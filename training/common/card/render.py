"""The model card as Markdown: what its templates ask for that no template says well."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import yaml
from jinja2 import ChainableUndefined, Environment, FileSystemLoader

from training.common import bundle
from training.common.card.figures import MISSING, command, dig, percent, shown, small, value_of
from training.common.card.report import Report, of_bundle
from training.common.card.size import MEGABYTE, file_sizes, parameters
from training.common.card.targets import detector_figures, evaluated_by, targets

TEMPLATES = Path(__file__).parent / "templates"
ROLES = ("verifier", "detector", "upright", "presence", "liveness", "antispoofing")

# Sections of a config that say how a network is measured, not how it was made.
_MEASURING = ("evaluate", "calibrate", "export", "inspect", "errors", "search")


def render(models: Path, reports: dict[str, Report], texts: Path) -> str:
    """Return the card of the bundle in `models`, of the reports by role and the file of texts."""
    entries = bundle.read(models)["models"]
    written = (
        _environment()
        .get_template("card.md.j2")
        .render(
            models=models,
            entries=entries,
            reports=reports,
            said=yaml.safe_load(texts.read_text(encoding="utf-8")),
            targets=targets(models, entries, reports),
        )
    )
    # What a template leaves out leaves its blank lines.
    return re.sub(r"\n{3,}", "\n\n", written).strip() + "\n"


def _environment() -> Environment:
    # A figure that is nowhere in a report is one that was not measured, however deep it would lie.
    environment = Environment(  # noqa: S701 - Markdown, of our own figures and texts
        loader=FileSystemLoader(TEMPLATES),
        undefined=ChainableUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals |= {
        "MEGABYTE": MEGABYTE,
        "MISSING": MISSING,
        "ROLES": ROLES,
        "command": command,
        "detector_figures": detector_figures,
        "dig": dig,
        "evaluated_by": evaluated_by,
        "file_sizes": file_sizes,
        "of_bundle": of_bundle,
        "parameters": parameters,
        "promised": promised,
    }
    environment.filters |= {
        "after": lambda text, words: f"{words}{text}",
        "below_one": below_one,
        "landmark_errors": landmark_errors,
        "names": names,
        "number": format,
        "percent": percent,
        "settings": settings,
        "shown": shown,
        "small": small,
        "tar": tar,
    }
    return environment


def names(parts: Iterable[Iterable[str]]) -> list[str]:
    """Return the names in any of the parts, in the order in which they come."""
    return list(dict.fromkeys(chain.from_iterable(parts)))


def settings(report: Report) -> str:
    """Return the settings that a network was made with, as YAML."""
    chosen = {key: value for key, value in report["settings"].items() if key not in _MEASURING}
    text: str = yaml.safe_dump(chosen, sort_keys=False, allow_unicode=True)
    return text


def tar(condition: Any, rate: str) -> str:
    """Write the TAR of a condition at a rate, or its bound where too few trials were measured."""
    if not isinstance(condition, dict) or rate in condition["tar"]:
        return percent(dig(condition, "tar", rate))
    # The higher the threshold, the lower TAR: it cannot be above that at a rate that counts.
    looser = [one for name, one in condition["tar"].items() if float(name) > float(rate)]
    counted = [value for one in looser if (value := value_of(one)) is not None]
    few = "too few trials"
    return f"at most {percent(min(counted))} ({few})" if counted else few


def below_one(cosine: Any) -> str:
    """Write a cosine by what it lacks."""
    value = value_of(cosine)
    return MISSING if value is None else f"1 - {1 - value:.1e}"


def landmark_errors(condition: Any) -> dict[str, Any]:
    """Return a condition's landmark errors by what they are measured against."""
    errors = condition["landmark_error"]
    return errors if isinstance(errors, dict) and "value" not in errors else {"labels": errors}


@dataclass(frozen=True)
class Promised:
    """What the step `promise` found at one `rate` of one `version` of the verifier."""

    rate: float
    version: str
    row: dict[str, Any]


def promised(figures: Any) -> list[Promised]:
    """Return every row of this verifier and of the one before, the loosest rate first."""
    measured = [one for name in ("promise", "promise-before") if (one := dig(figures, name))]
    found = [
        Promised(float(rate), one["verifier"]["version"], row)
        for one in measured
        for rate, row in one["rows"].items()
    ]
    return sorted(found, key=lambda one: -one.rate)
