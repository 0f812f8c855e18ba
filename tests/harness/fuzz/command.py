"""The fuzzer's command, as the tests of both interpreters run it."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .engine import COMMAND

ROOT = Path(__file__).resolve().parents[3]


def run_command(
    targets: Sequence[str], options: Sequence[str], folder: Path
) -> list[dict[str, Any]]:
    """Give ``targets`` their inputs in a process of its own; return a report for each.

    The inputs are those of the default seed, and neither time nor memory is judged, so what passes
    today passes tomorrow, even on a busy machine. ``scripts/nightly`` judges both.

    Raises:
        AssertionError: something was found; the inputs are in ``folder``.

    """
    told = folder / "told.json"
    command = [*COMMAND, "--unmeasured", "--only", *targets, *options]
    command += ["--json", str(told), "--keep", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    reports: list[dict[str, Any]] = json.loads(told.read_text())
    return reports
