"""A process that is killed while it writes loses nothing; ``scripts/nightly`` kills more often."""

import re
import subprocess
import sys

from .conftest import ROOT


def test_killed_while_writing() -> None:
    command = [sys.executable, "-m", "tests.harness.kill_store", "--kills", "12"]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    counts = dict(re.findall(r"([a-z1 ]+) (\d+)[,;]", done.stdout.split("kill;")[1]))
    assert int(counts[" kills"]) == 12
    assert int(counts[" generations"]) > 0
