"""Malformed files and action calls: what once found something, and others, always the same."""

import pytest

from tests.harness.fuzz.command import run_command
from tests.harness.fuzz.target import ACCEPTED, corpus

NUMBERS = {"store": 300, "actions": 300}


@pytest.mark.parametrize("replay", [True, False], ids=["corpus", "seed 1"])
def test_nothing_is_found(replay, tmp_path) -> None:
    numbers = [word for name, number in NUMBERS.items() for word in (f"--{name}", str(number))]
    options = ["--replay"] if replay else numbers
    reports = {report["target"]: report for report in run_command([*NUMBERS], options, tmp_path)}
    for name, number in NUMBERS.items():
        report = reports[name]
        assert report["inputs"] == (len(corpus(name)) if replay else number)
        assert replay or 0.1 < report["outcomes"][ACCEPTED] / number < 0.7
