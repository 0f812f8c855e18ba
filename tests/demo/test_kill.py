"""A Home Assistant that is killed while it writes, as ``scripts/nightly`` does more often."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.demo


def test_killed_while_it_writes() -> None:
    command = [sys.executable, "-m", "tests.harness.kill_home_assistant", "--kills", "2"]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    counts = {name.strip(): int(n) for name, n in re.findall(r"([a-z' ]+) (\d+)[,;]", done.stdout)}
    assert counts["kills"] == 2
    assert counts["answered"] > 0
