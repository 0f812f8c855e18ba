"""Malformed files and action calls: what once found something, and some new ones."""

import json
import subprocess

import pytest

from tests.fuzz import engine
from tests.fuzz.target import ACCEPTED, corpus

from .conftest import ROOT

NUMBERS = {"store": 300, "actions": 300}


@pytest.mark.parametrize("replay", [True, False], ids=["corpus", "new"])
def test_nothing_is_found(replay, tmp_path) -> None:
    told = tmp_path / "told.json"
    numbers = [word for name, number in NUMBERS.items() for word in (f"--{name}", str(number))]
    options = ["--replay"] if replay else numbers
    command = [
        *engine.COMMAND,
        "--only",
        *NUMBERS,
        *options,
        "--json",
        str(told),
        "--keep",
        str(tmp_path),
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    reports = {report["target"]: report for report in json.loads(told.read_text())}
    for name, number in NUMBERS.items():
        report = reports[name]
        assert report["inputs"] == (len(corpus(name)) if replay else number)
        assert replay or 0.1 < report["outcomes"][ACCEPTED] / number < 0.7
