"""Reports: the figures of the run behind a bundled network, small enough to commit."""

import json
import math
from pathlib import Path
from typing import Any

import yaml

from training.common import bundle
from training.common.paths import ROOT
from training.common.settings import RunSettings

# Where a run read and wrote says nothing about the network.
_PLACES = ("name", "role", "data", "teachers", "runs", "prepared", "models", "again")

# The JSON files of a run's folder that hold figures of networks: no picture, name or embedding.
_FILES = {
    "verifier": (
        "evaluate-*.json",
        "errors-bundle/errors.json",
        "promise*.json",
        "crowd.json",
        "calibrate.json",
        "calibrate-check-*.json",
        "lamps-*.json",
        "verify.json",
        "overfit.json",
        "train.json",
    ),
    "detector": (
        "evaluation-{checkpoint}.json",
        "evaluation-yunet_n_dynamic.json",
        "lamps.json",
        "verify.json",
    ),
    "presence": ("evaluation.json", "verify.json"),
    "liveness": ("evaluation.json", "crossvalidation.json", "verify.json"),
    "upright": ("evaluation.json", "verify.json"),
}

Report = dict[str, Any]


def collect(config: RunSettings, path: Path, models: Path, checkpoint: str) -> Report:
    """Read the figures of a run's folder, the bundle's entry for its role, and the settings.

    `figures` holds each file's content under its path without `.json`; numbers have eight digits,
    NaN is None. `settings` are those that the run's last step ran with, `revisions` its steps',
    `packages` those it was trained with.
    """
    folder = config.run_dir
    patterns = [one.format(checkpoint=checkpoint) for one in _FILES[config.role]]
    files = sorted({found for pattern in patterns for found in folder.glob(pattern)})
    steps = {step["step"]: step for step in _read(folder / "steps.json") or []}
    ran_with = folder / "config.yaml"
    chosen = yaml.safe_load(ran_with.read_text()) if ran_with.is_file() else config.to_dict()
    entry = bundle.read(models)["models"].get(config.role)
    return {
        "role": config.role,
        "config": _in_repository(path),
        "run": config.name,
        "bundled": entry and {"version": entry["version"], "sha256": _sha256(entry)},
        "settings": {key: _named(one) for key, one in chosen.items() if key not in _PLACES},
        "revisions": {name: step["revision"] for name, step in steps.items()},
        "packages": steps["train"]["packages"] if "train" in steps else {},
        "figures": {
            str(file.relative_to(folder).with_suffix("")): _plain(_read(file)) for file in files
        },
    }


def joined(kept: Report | None, found: Report) -> Report:
    """Return what a run's folder holds, and what was kept of the same bundled file before.

    So a step can be measured later, or elsewhere, without all the others. How the network was
    trained is told by the folder in which it was.
    """
    if kept is None or not found["bundled"] or kept["bundled"] != found["bundled"]:
        return found
    # What was found stands first: of several evaluations the card takes the first.
    both = {key: {**found[key], **kept[key], **found[key]} for key in ("figures", "revisions")}
    if "train" in found["revisions"]:
        return {**found, **both}
    return {**found, **both, "settings": kept["settings"], "packages": kept["packages"]}


def write_report(folder: Path, report: Report) -> None:
    """Write `ROLE.json` into the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(report, indent=1, allow_nan=False, ensure_ascii=False)
    (folder / f"{report['role']}.json").write_text(text + "\n", encoding="utf-8")


def read_reports(folder: Path) -> dict[str, Report]:
    """Return the folder's reports by role."""
    found = {role: _read(Path(folder) / f"{role}.json") for role in bundle.ROLES}
    return {role: report for role, report in found.items() if report}


def of_bundle(report: Report, entry: dict[str, Any]) -> bool:
    """Return whether the report was made while this entry's file was in the bundle."""
    return bool(report["bundled"]) and report["bundled"]["sha256"] == _sha256(entry)


def _sha256(entry: dict[str, Any]) -> str:
    digest: str = entry["files"]["onnx"]["sha256"]
    return digest


def _in_repository(path: Path) -> str:
    absolute = path.resolve()
    return str(absolute.relative_to(ROOT)) if absolute.is_relative_to(ROOT) else path.name


def _named(value: Any) -> Any:
    """Return a setting; of an absolute path its name alone, for places differ by machine."""
    if isinstance(value, list):
        return [_named(one) for one in value]
    return Path(value).name if isinstance(value, str) and value.startswith("/") else value


def _read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None


def _plain(value: Any) -> Any:
    """Return the value with eight digits a number, without NaN and names of subjects."""
    if isinstance(value, dict):
        # Whose faces they are is nobody's business; how many is.
        return {
            key: {side: len(names) for side, names in one.items()}
            if key == "subjects" and isinstance(one, dict)
            else _plain(one)
            for key, one in value.items()
        }
    if isinstance(value, list):
        return [_plain(one) for one in value]
    if isinstance(value, float):
        return float(f"{value:.8g}") if math.isfinite(value) else None
    return value
