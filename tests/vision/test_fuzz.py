"""Malformed pictures and descriptions of models: those that once found something, and others.

`python -m tests.harness.fuzz` gives a million; here are as many as fit into a test, the same ones
every time.
"""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.harness.fuzz import engine
from tests.harness.fuzz.command import run_command
from tests.harness.fuzz.pictures import picture
from tests.harness.fuzz.seeds import seeds
from tests.harness.fuzz.target import ACCEPTED, BrokenContractError, Target, corpus, refused
from vision import decode_rgb

ROOT = Path(__file__).resolve().parents[2]
TARGETS = ["pictures", "faces", "manifest"]
NUMBERS = ["--pictures", "1000", "--faces", "30", "--manifest", "300"]


@pytest.mark.parametrize("options", [["--replay"], NUMBERS], ids=["corpus", "seed 1"])
def test_nothing_is_found(options, tmp_path):
    reports = run_command(TARGETS, options, tmp_path)
    assert [report["target"] for report in reports] == TARGETS
    for report in reports:
        wanted = int(
            dict(zip(options[::2], options[1::2], strict=False)).get(f"--{report['target']}", 0)
        )
        assert report["inputs"] == (wanted or len(corpus(report["target"])))
        assert sum(report["outcomes"].values()) == report["inputs"]
    if options is NUMBERS:
        # Neither too much nor too little damage.
        assert all(0.1 < r["outcomes"][ACCEPTED] / r["inputs"] < 0.6 for r in reports)


def test_what_is_damaged_was_valid_before():
    refused = [n for n in seeds() if n.startswith(("jpeg", "png", "webp")) and "animated" not in n]
    for name in refused:
        assert decode_rgb(seeds()[name]).size, name


def test_an_input_is_always_the_same_and_never_a_valid_one():
    made = [picture(3, number) for number in range(300)]
    assert made == [picture(3, number) for number in range(300)]
    assert not set(made) & set(seeds().values())
    assert len(set(made)) > 290


# The fuzzer would notice


class Bad(Target):
    """Does something noticeable with input 7."""

    name = "bad"

    def __init__(self, deed):
        self._deed = deed

    def calls(self, data):
        return (lambda: self._deed() or ACCEPTED if data == b"7" else ACCEPTED,)


def attempt(deed, count=20):
    return engine.attempt(Bad(deed), lambda number: str(number).encode(), 0, count)


def test_an_error_is_a_finding():
    report = attempt(lambda: {}["wrong"])
    assert [(found.number, found.kind) for found in report.findings] == [(7, "KeyError")]
    assert (report.inputs, report.outcomes) == (20, {ACCEPTED: 19})


def test_a_refusal_for_want_of_memory_is_a_finding():
    error = ValueError("refused")
    assert refused(error, "too_large") == "too_large"
    error.__cause__ = MemoryError()
    with pytest.raises(BrokenContractError):
        refused(error, "too_large")


def test_a_slow_call_is_a_finding(monkeypatch):
    def busy():
        until = time.process_time() + 0.05
        while time.process_time() < until:
            pass

    monkeypatch.setattr(engine, "SLOW", 0.04)
    assert [(f.number, f.kind) for f in attempt(busy).findings] == [(7, "slow")]


def test_what_is_slow_once_is_none(monkeypatch):
    tries = []

    def busy():
        tries.append(time.process_time())
        while len(tries) == 1 and time.process_time() < tries[0] + 0.05:
            pass

    monkeypatch.setattr(engine, "SLOW", 0.04)
    assert attempt(busy).findings == []
    assert len(tries) == 2


def test_memory_that_is_kept_is_a_finding(monkeypatch):
    kept = []
    monkeypatch.setattr(engine, "GROWTH", 20.0)
    monkeypatch.setattr(engine, "JUDGED", 20)
    monkeypatch.setattr(engine, "PEAK", 1e9)
    report = attempt(lambda: kept.append(b"x" * 2**26) or None)
    assert [found.kind for found in report.findings] == ["growth"]
    assert 60 < report.growth_mb < 100


def test_memory_that_is_taken_for_a_moment_is_a_finding(tmp_path):
    # In a process of its own, because the peak of this one may lie anywhere.
    code = (
        "from tests.harness.fuzz import engine\n"
        "from tests.vision.test_fuzz import attempt\n"
        "engine.PEAK = 100.0\n"
        "print([f.kind for f in attempt(lambda: (b'x' * 2**28) and None).findings])"
    )
    command = [sys.executable, "-c", f"import sys; sys.path[:0] = {sys.path!r}\n{code}"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['memory']"


CHILD = f"""
import argparse, os, signal, sys, time
sys.path.insert(0, {str(ROOT)!r})
from tests.harness.fuzz import engine
parser = argparse.ArgumentParser()
for name in ("child", "seed", "first", "count", "journal"):
    parser.add_argument("--" + name)
told = parser.parse_args()
first, count = int(told.first), int(told.count)
for number in range(first, first + count):
    with open(told.journal, "r+b") as journal:
        journal.write(engine._JOURNAL.pack(number, time.monotonic()))
    if number == 3:
        os.kill(os.getpid(), signal.SIGSEGV)
    if number == 6:
        time.sleep(600)
    print(engine.Report("bad", number - first + 1).to_json(), flush=True)
"""


def test_a_process_that_dies_or_hangs_is_a_finding_and_the_rest_is_tried(monkeypatch, tmp_path):
    child = tmp_path / "child.py"
    child.write_text(CHILD)
    monkeypatch.setattr(engine, "COMMAND", (sys.executable, str(child)))
    monkeypatch.setattr(engine, "STUCK", 1.0)
    report = engine.run("bad", 1, 0, 10)
    assert [(found.number, found.kind) for found in report.findings] == [(3, "death"), (6, "stuck")]
    assert signal.Signals.SIGSEGV.name in report.findings[0].detail
    assert report.inputs == 10
