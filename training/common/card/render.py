"""The model card as Markdown."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from training.common import bundle
from training.common.card import others, verifier
from training.common.card.figures import MISSING, command, dig, percent, small, table
from training.common.card.report import Report, of_bundle
from training.common.card.size import MEGABYTE, file_sizes, parameters
from training.common.card.targets import targets

# Sections of a config that say how a network is measured, not how it was made.
_MEASURING = ("evaluate", "calibrate", "export", "inspect", "errors", "search")

ORDER = ("verifier", "detector", "presence", "liveness", "antispoofing")


def render(models: Path, reports: dict[str, Report], texts: Path) -> str:
    """Return the card of the bundle in `models`, of the reports by role and the file of texts."""
    entries = bundle.read(models)["models"]
    said = yaml.safe_load(texts.read_text(encoding="utf-8"))
    parts = [
        "<!-- Written by `python -m training card`; do not edit. -->",
        "# Model card",
        said["about"].strip(),
        "## The networks",
        _networks(models, entries),
        "## What they must reach",
        _targets(models, entries, reports),
    ]
    for role in ORDER:
        parts += _role(role, entries.get(role), reports.get(role), said)
    parts += ["## Faces that a door will see", *_looked_at(reports, said["looked_at"])]
    parts += ["## Writing this anew", said["anew"].strip()]
    return "\n\n".join(part for part in parts if part) + "\n"


def _networks(models: Path, entries: dict[str, Any]) -> str:
    rows = []
    for role in ORDER:
        if role not in entries:
            rows.append([role, "not in the bundle", "", "", "", ""])
            continue
        entry = entries[role]
        path = models / entry["files"]["onnx"]["name"]
        sizes = file_sizes(models, entry)
        rows.append(
            [
                role,
                entry["version"],
                f"{sizes['onnx'] / MEGABYTE:.2f} MB",
                f"{sizes['ncnn'] / MEGABYTE:.2f} MB",
                f"{parameters(path):,}",
                f"{entry['licence']}. {entry['origin']}",
            ]
        )
    return table(["network", "version", "ONNX", "ncnn", "parameters", "licence and origin"], rows)


def _targets(models: Path, entries: dict[str, Any], reports: dict[str, Report]) -> str:
    words: dict[Any, str] = {True: "yes", False: "**no**", None: MISSING}
    rows = [
        [one.role, one.wanted, one.measured, words.get(one.reached, "reported"), one.command]
        for one in targets(models, entries, reports)
    ]
    return table(["network", "must reach", "measured", "reached", "command"], rows)


def _role(
    role: str, entry: dict[str, Any] | None, report: Report | None, said: dict[str, Any]
) -> Iterator[str]:
    texts = said[role]
    yield f"## {texts['title']}"
    if entry is None:
        yield "It is not in the bundle: the figures are those of the run alone."
    elif report is None:
        # The second liveness network is measured in visits alone.
        if role != "antispoofing":
            yield "No run's figures are kept for it."
    elif not of_bundle(report, entry):
        yield "**The bundle's file is another than when these figures were kept.**"
    yield texts["use"].strip()
    yield f"**Data and rights.** {texts['data'].strip()}"
    yield f"**Method.** {texts['method'].strip()}"
    yield from _settings(report)
    yield from others.visit_limits(entry or {})
    if role == "verifier":
        yield from verifier.measured(report, entry or {}, said)
    elif role != "antispoofing":  # visits alone measured it
        yield from getattr(others, role)(report)
    yield "### Known failures"
    yield "\n".join(f"- {line}" for line in texts["failures"])


def _settings(report: Report | None) -> Iterator[str]:
    if report is None:
        return
    chosen = {key: value for key, value in report["settings"].items() if key not in _MEASURING}
    trained = report["revisions"].get("train", "unknown")
    packages = ", ".join(f"{name} {found}" for name, found in report["packages"].items())
    yield (
        f"The run `{report['run']}` ({command(report, 'train')}), git revision `{trained}`"
        f"{', ' if packages else ''}{packages}. Its settings:"
    )
    yield f"```yaml\n{yaml.safe_dump(chosen, sort_keys=False, allow_unicode=True)}```"


def _looked_at(reports: dict[str, Report], asked: list[dict[str, Any]]) -> Iterator[str]:
    rows = []
    for one in asked:
        found = []
        for figure in one.get("figures", []):
            role, *keys = figure["at"]
            value = dig(reports.get(role), "figures", *keys)
            write = small if figure.get("as") == "rate" else percent
            found.append(f"{figure['name']}: {write(value)}")
        rows.append([one["what"], one["how"].strip(), "; ".join(found) or MISSING])
    yield table(["who or what", "how it was looked at", "figures"], rows)
