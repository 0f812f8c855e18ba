"""Runs, one after the other, what takes too long for every change, and prints one table.

    scripts/nightly [--scale 1.0] [--only NAME...] [--seed N] [--logs FOLDER]

``--scale`` multiplies the amount of work of each job; the limits stay the same. The output of each
job is kept in a file of its own. Exits with 1 if a job failed.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]


def _last_line(output: str) -> str:
    """The last line of a job's output, without its own name."""
    lines = [line for line in output.splitlines() if line.strip()]
    return re.sub(r"^\w+: ", "", lines[-1]) if lines else "said nothing"


def _mutants(output: str) -> str:
    total = re.search(r"^all\s+(\d+)\s+(\d+)\s+([\d.]+%)", output, re.MULTILINE)
    return (
        "no table" if total is None else "{1} of {0} mutants noticed, {2}".format(*total.groups())
    )


def _fuzzed(output: str) -> str:
    """For each target: the inputs, the findings, the slowest input, and the growth of memory."""
    row = r"^(\w+)\s+([\d,]+)\s+[\d,]+\s+[\d,]+\s+([\d,]+)\s+([\d,]+)\s+([-\d.]+)\s"
    rows = re.findall(row, output, re.MULTILINE)
    told = "{1} {0}: {2} findings, {3} ms, {4} MB"
    return "; ".join(told.format(*found) for found in rows) or "no table"


@dataclass(frozen=True)
class Job:
    """A command for this interpreter, and what the table shows of its output."""

    name: str
    command: tuple[str, ...]
    """``{n}`` stands for the number of things to do, ``{few}`` for that of things that take longer,
    and ``{seed}`` for the seed."""
    count: float
    said: Callable[[str], str] = _last_line


JOBS: Final = (
    Job(
        "fuzz",
        (
            *("-m", "tests.harness.fuzz", "--seed", "{seed}", "--pictures", "{n}"),
            *(f"--{target}={{few}}" for target in ("faces", "manifest", "store", "actions")),
        ),
        1_000_000,
        _fuzzed,
    ),
    Job(
        "schedules",
        ("-m", "tests.harness.schedules", "--schedules", "{n}", "--seed", "{seed}"),
        10_000,
    ),
    Job("street", ("-m", "tests.harness.street", "--days", "{n}", "--seed", "{seed}"), 7),
    Job("soak", ("-m", "tests.harness.soak", "--hours", "{n}", "--seed", "{seed}"), 24),
    Job(
        "decision",
        ("-m", "tests.vision.drive_decision", "--events", "{n}", "--seed", "{seed}"),
        5_000_000,
    ),
    Job("mutation", ("-m", "tests.harness.mutation", "decision"), 1, _mutants),
    # From a quarter of the usual on these are all there are.
    Job(
        "mutation of the shell",
        ("-m", "tests.harness.mutation", "shell", "--sample", "{n}", "--seed", "{seed}"),
        6_000,
        _mutants,
    ),
    Job("kill the store", ("-m", "tests.harness.kill_store", "--kills", "{n}"), 100),
    Job(
        "kill Home Assistant",
        ("-m", "tests.harness.kill_home_assistant", "--kills", "{n}", "--seed", "{seed}"),
        100,
    ),
)


LASTING: Final = ("soak", "street")
"""Jobs whose size is a time, which may be a fraction."""


@dataclass(frozen=True)
class Result:
    """How a job went."""

    name: str
    code: int
    minutes: float
    said: str


def run(job: Job, scale: float, seed: int, logs: Path) -> Result:
    """Run one job to its end; its output also goes to a file."""
    count = job.count * scale
    number = f"{count:.3f}" if job.name in LASTING else str(max(1, round(count)))
    few = max(1, round(count / 250))
    parts = (part.format(n=number, few=few, seed=seed) for part in job.command)
    command = [sys.executable, *parts]
    began = time.monotonic()
    log = logs / f"{job.name.replace(' ', '-')}.log"
    with log.open("w") as file:
        file.write(f"$ {' '.join(command)}\n")
        file.flush()
        done = subprocess.run(
            command, cwd=ROOT, stdout=subprocess.PIPE, stderr=file, text=True, check=False
        )
        file.write(done.stdout)
    minutes = (time.monotonic() - began) / 60
    return Result(job.name, done.returncode, minutes, job.said(done.stdout))


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--only", nargs="+", choices=[job.name for job in JOBS], metavar="NAME")
    parser.add_argument("--seed", type=int, default=20261124)
    parser.add_argument("--logs", type=Path, default=ROOT / "dist" / "nightly")
    arguments = parser.parse_args()
    arguments.logs.mkdir(parents=True, exist_ok=True)
    results = []
    for job in JOBS:
        if arguments.only is None or job.name in arguments.only:
            print(f"[{time.strftime('%H:%M:%S')}] {job.name}", file=sys.stderr, flush=True)
            results.append(run(job, arguments.scale, arguments.seed, arguments.logs))
    print(f"{'job':<20} {'result':<11} {'minutes':>7}  what it found")
    for result in results:
        state = "ok" if result.code == 0 else f"FAILED ({result.code})"
        print(f"{result.name:<20} {state:<11} {result.minutes:>7.1f}  {result.said}")
    print(f"what each printed: {arguments.logs}")
    return 1 if any(result.code for result in results) else 0


if __name__ == "__main__":
    sys.exit(main())
