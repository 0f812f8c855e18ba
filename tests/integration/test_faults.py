"""Faults at a door: alone, in pairs, in random schedules; ``scripts/nightly`` runs more of them.

Each runs on an event loop of its own, whose clock jumps, and so in a process of its own.
"""

import json
import subprocess
import sys

from .conftest import ROOT


def python(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )


def test_nothing_that_goes_wrong_opens_the_door_or_stays_wrong(tmp_path):
    figures = tmp_path / "figures.json"
    result = python(
        "tests.harness.schedules",
        *("--schedules", "120", "--pairs", "60", "--seed", "20261124", "--json", str(figures)),
    )
    assert result.returncode == 0, result.stdout + result.stderr
    found = json.loads(figures.read_text())
    assert found["schedules"] == found["of"] > 220
    assert found["kinds"] > 45, "every kind of fault happened"
    assert found["openings"] >= found["schedules"], "each ends with somebody who is let in"


def test_what_the_product_must_not_do_would_be_noticed():
    result = python("tests.harness.sabotage")
    assert result.returncode == 0, result.stdout + result.stderr
    assert len(json.loads(result.stdout)) >= 8
