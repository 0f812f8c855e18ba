"""The soak finds nothing in a short run, and finds the leaks that it is there to find."""

import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tests.harness.leaks import Sample, faults
from tests.harness.soak import LEAKS

from .conftest import ROOT

SAMPLE = Sample(
    hours=0.0,
    pictures=0,
    rss=400.0,
    threads=7,
    tasks=4,
    listeners=38,
    timers=7,
    files=15,
    store=1000,
    digests=0,
    visits=0,
    held=22,
)


def soak(*options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tests.harness.soak", "--hours", "0.01", *options],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


def test_a_short_soak_finds_nothing(tmp_path: Path) -> None:
    done = soak("--json", str(tmp_path / "report.json"))
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["looked_at"] > 100
    assert report["opened"]


def test_a_leaking_door_is_found() -> None:
    done = soak("--leak", *LEAKS)
    assert done.returncode == 1, done.stdout + done.stderr
    found = re.findall(r"FAILED: (\w+) grow", done.stdout)
    assert set(LEAKS) <= set(found)


def line(per_100_000: float, pictures: int = 100_000) -> list[Sample]:
    """Samples of a memory that rises evenly, but for what an allocator does to it."""
    return [
        replace(SAMPLE, pictures=n, rss=400 + per_100_000 * n / 100_000 + 0.3 * (i % 2))
        for i, n in enumerate(range(0, pictures + 1, pictures // 50))
    ]


@pytest.mark.parametrize("slope", [-5.0, 0.0, 0.8])
def test_little_memory_is_no_fault(slope: float) -> None:
    assert faults(line(slope)) == []


@pytest.mark.parametrize("slope", [1.2, 50.0])
def test_too_much_memory_is_a_fault(slope: float) -> None:
    assert [fault.split(" by")[0] for fault in faults(line(slope))] == ["memory grows"]


@pytest.mark.parametrize("name", ["threads", "tasks", "listeners", "timers", "files", "held"])
def test_one_more_of_anything_is_a_fault(name: str) -> None:
    samples = line(0.0)
    samples[-1] = replace(samples[-1], **{name: getattr(SAMPLE, name) + 1})
    (fault,) = faults(samples)
    assert fault.startswith(f"{name} grow from")
