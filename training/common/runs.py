"""A run's folder: its settings, the revision of the code, and its figures."""

import csv
import hashlib
import json
import platform
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import yaml

from training.common.paths import ROOT
from training.common.settings import RunSettings

DONE = "done.json"
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


def _version(package: str) -> str | None:
    """Version of an installed package; None where a machine that only trains does without it."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def open_run(config: RunSettings, step: str) -> Path:
    """Make the run's folder and note there what `step` ran with; return the folder."""
    folder = config.run_dir
    folder.mkdir(parents=True, exist_ok=True)
    settings = config.to_dict()
    del settings["again"]
    (folder / "config.yaml").write_text(yaml.safe_dump(settings, sort_keys=False))
    log = folder / "steps.json"
    steps = json.loads(log.read_text()) if log.is_file() else []
    steps.append(
        {
            "step": step,
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
            "revision": revision(),
            "python": platform.python_version(),
            "packages": {name: _version(name) for name in PACKAGES},
        }
    )
    log.write_text(json.dumps(steps, indent=1) + "\n")
    return folder


def fingerprint(
    config: RunSettings,
    keys: Sequence[str],
    inputs: Iterable[Path] = (),
    *,
    but: Sequence[str] = (),
    options: Any = None,
) -> str:
    """Return a digest of what a step's result rests on: settings and the bytes of files.

    `keys` and `but` are dotted keys of settings or of whole sections; those of `but` do not count.
    `options` are plain values beside the settings. A file that is not there counts as such.
    Raises KeyError for a key that does not exist.
    """
    content = config.to_dict()
    for key in but:
        *parents, last = key.split(".")
        section = content
        for parent in parents:
            section = section[parent]
        del section[last]
    chosen = {"options": options}
    for key in keys:
        chosen[key] = content
        for part in key.split("."):
            chosen[key] = chosen[key][part]
    digest = hashlib.sha256(json.dumps(chosen, sort_keys=True).encode())
    for path in inputs:
        digest.update(b"absent")
        if Path(path).is_file():
            with Path(path).open("rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


@dataclass(frozen=True)
class Work:
    """A step that is to be done: the run's folder, the step's name and its fingerprint."""

    folder: Path
    step: str
    digest: str

    def finish(self, *outputs: str | Path) -> None:
        """Note that the step is done and left these files (names in the folder, or paths)."""
        done = _done(self.folder)
        done[self.step] = {"digest": self.digest, "outputs": [str(name) for name in outputs]}
        write_json(self.folder / DONE, done)


def begin(
    config: RunSettings,
    step: str,
    keys: Sequence[str],
    inputs: Iterable[Path] = (),
    *,
    but: Sequence[str] = (),
    options: Any = None,
) -> Work | None:
    """Open the run for a step, unless its folder holds the step's result already.

    Returns None, and says so, where the step was finished with the same `fingerprint` and what it
    left is still there. `again` in the settings does it anew.
    """
    digest = fingerprint(config, keys, inputs, but=but, options=options)
    work = Work(config.run_dir, step, digest)
    found = _done(work.folder).get(step, {})
    there = all((work.folder / name).exists() for name in found.get("outputs", ()))
    if found.get("digest") == work.digest and there and not config.again:
        print(f"{step}: nothing to do, {work.folder} holds the result (--again does it anew)")
        return None
    open_run(config, step)
    return work


def _done(folder: Path) -> dict[str, Any]:
    path = folder / DONE
    return json.loads(path.read_text()) if path.is_file() else {}


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
