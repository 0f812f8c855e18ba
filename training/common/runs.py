"""A run's folder: its settings, the revision of the code, and its figures."""

import csv
import json
import platform
import subprocess
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import yaml

from training.common.paths import ROOT
from training.common.settings import RunSettings

PACKAGES = ("torch", "numpy", "onnx", "onnxruntime", "ncnn", "pnnx", "pillow")


def revision() -> str:
    """Return the git revision, with `-dirty` where tracked files differ; "unknown" without git."""
    try:
        done = subprocess.run(
            ["git", "describe", "--always", "--abbrev=40", "--dirty", "--exclude=*"],  # noqa: S607
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return done.stdout.strip()


def open_run(config: RunSettings, step: str) -> Path:
    """Make the run's folder and note there what `step` ran with; return the folder."""
    folder = config.run_dir
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.yaml").write_text(yaml.safe_dump(config.to_dict(), sort_keys=False))
    log = folder / "steps.json"
    steps = json.loads(log.read_text()) if log.is_file() else []
    steps.append(
        {
            "step": step,
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
            "revision": revision(),
            "python": platform.python_version(),
            "packages": {name: version(name) for name in PACKAGES},
        }
    )
    log.write_text(json.dumps(steps, indent=1) + "\n")
    return folder


def write_json(path: Path, content: Any) -> None:
    """Write figures as JSON."""
    path.write_text(json.dumps(content, indent=1) + "\n")


def append_csv(path: Path, row: dict[str, Any]) -> None:
    """Add a row to a CSV file, with a header if it is new."""
    new = not path.is_file()
    with path.open("a", newline="") as file:
        writer = csv.DictWriter(file, list(row))
        if new:
            writer.writeheader()
        writer.writerow(row)
