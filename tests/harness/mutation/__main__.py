"""Tests the tests: scripts/mutation [NAME...] [--sample N --seed S] [--results FOLDER].

A NAME is a suite or a module of one. Prints a table and every mutant that no test noticed.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .mutants import ROOT, Mutant, mutants, source_of
from .suites import SUITES, Suite
from .trial import NOTICED, Lab, say


class Results:
    """What became of each mutant, one line of JSON each; a run goes on where another ended."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._found: dict[tuple[str, ...], dict[str, Any]] = {}
        if path.exists():
            for line in path.read_text().splitlines():
                result = json.loads(line)
                self._found[tuple(result["key"])] = result

    @staticmethod
    def _key(mutant: Mutant) -> tuple[str, ...]:
        digest = hashlib.sha256(source_of(mutant.module).encode()).hexdigest()[:16]
        return mutant.module, digest, str(mutant.number), str(mutant.change)

    def find(self, mutant: Mutant) -> dict[str, Any] | None:
        """Return what is known of a mutant of the module as it is now."""
        return self._found.get(self._key(mutant))

    def add(self, mutant: Mutant, *, killed: bool, by: str, seconds: float) -> None:
        """Keep what became of a mutant."""
        key = self._key(mutant)
        self._found[key] = result = {
            "key": key,
            "line": mutant.line,
            "before": mutant.before,
            "after": mutant.after,
            "killed": killed,
            "by": by,
            "seconds": round(seconds, 1),
        }
        with self._path.open("a") as file:
            file.write(json.dumps(result) + "\n")


def judge(answer: dict[str, Any], mutant: Mutant) -> tuple[bool, str]:
    """Say whether a mutant was noticed, and by what."""
    status = answer["status"]
    if status == 0:
        return False, ""
    if status < 0:
        return True, f"signal {-status}"
    if status not in NOTICED:
        raise RuntimeError(f"the tests of {mutant} could not be run: {status}")
    return True, answer["failed"] or "import"


def run(lab: Lab, chosen: list[Mutant], workers: int, results: Results) -> None:
    """Test the mutants of which nothing is known, `workers` at a time."""
    waiting = [mutant for mutant in reversed(chosen) if results.find(mutant) is None]
    total, began, live = len(waiting), time.monotonic(), 0
    running: dict[int, tuple[Mutant, Any, float]] = {}
    while waiting or running:
        while waiting and len(running) < workers:
            mutant = waiting.pop()
            wait = lab.start(mutant)
            if wait is None:
                results.add(mutant, killed=False, by="no test comes by", seconds=0)
            else:
                running[wait.child] = mutant, wait, time.monotonic()  # type: ignore[attr-defined]
        if not running:
            break
        # Looked at, not waited for: the child's own waiter does that.
        child = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOWAIT).si_pid
        mutant, wait, since = running.pop(child)
        killed, by = judge(wait(), mutant)
        results.add(mutant, killed=killed, by=by, seconds=time.monotonic() - since)
        live += not killed
        done = total - len(waiting) - len(running)
        if done % 10 == 0:
            say(f"{done}/{total} in {time.monotonic() - began:.0f} s, {live} live")


def choose(names: list[str]) -> Iterator[tuple[Suite, list[str]]]:
    """Yield each suite of which something is named, and what."""
    for name, suite in SUITES.items():
        modules = [m for m in suite.tests if name in names or m in names or not names]
        if modules:
            yield suite, modules


def table(chosen: list[Mutant], results: Results, modules: list[str]) -> float:
    """Print how many of each module were noticed; return the share of all in per cent."""
    found = {mutant: results.find(mutant) or {"killed": False} for mutant in chosen}
    rows = [(name, [m for m in chosen if m.module == name]) for name in modules]
    print(f"{'module':<26}{'mutants':>9}{'killed':>8}{'share':>9}")
    for name, group in [*rows, ("all", chosen)]:
        killed = sum(found[mutant]["killed"] for mutant in group)
        share = 100 * killed / max(1, len(group))
        print(f"{name:<26}{len(group):>9}{killed:>8}{share:>8.1f}%")
    for mutant in sorted(chosen, key=lambda m: (m.module, m.line)):
        if not found[mutant]["killed"]:
            place = f"{mutant.module}.py:{mutant.line}"
            print(f"live: {place}: {mutant.before}  ->  {mutant.after}")
    return share


def main() -> int:
    """Read the options, run, print a table for each suite."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"{', '.join(SUITES)}, a module")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--sample", type=int, help="so many of a suite's mutants, at random")
    parser.add_argument("--seed", type=int, default=20261126, help="of the sample")
    parser.add_argument("--at-least", type=float, help="%% noticed, else exit 1 (90 or 85)")
    parser.add_argument("--events", type=int, default=4000, help="random events for each mutant")
    parser.add_argument("--results", type=Path, help="folder to keep them in, and to go on from")
    parser.add_argument("--again", action="store_true", help="try those again that lived")
    options = parser.parse_args()
    if unknown := set(options.names) - {*SUITES, *(m for s in SUITES.values() for m in s.tests)}:
        parser.error(f"not known: {', '.join(sorted(unknown))}")
    os.environ["FACE_LOCK_EVENTS"] = str(options.events)
    # A test that fails shall do so soon.
    os.environ["FACE_LOCK_PATIENCE"] = "10"
    # All mutants must meet the same events.
    os.environ.pop("FACE_LOCK_NEW_EXAMPLES", None)
    os.chdir(ROOT)
    with tempfile.TemporaryDirectory() as nowhere:
        folder = options.results or Path(nowhere)
        folder.mkdir(parents=True, exist_ok=True)
        return max([examine(*each, folder, options) for each in choose(options.names)])


def examine(suite: Suite, modules: list[str], folder: Path, options: argparse.Namespace) -> int:
    """Test one suite's tests; return the exit status."""
    chosen = [mutant for module in modules for mutant in mutants(module)]
    if options.sample is not None:
        # A larger sample begins with the smaller one of the same seed.
        random.Random(options.seed).shuffle(chosen)  # noqa: S311
        chosen = chosen[: options.sample]
    path = folder / f"{suite.folder}.jsonl"
    if options.again and path.exists():
        kept = [line for line in path.read_text().splitlines() if json.loads(line)["killed"]]
        path.write_text("".join(f"{line}\n" for line in kept))
    results = Results(path)
    if any(results.find(mutant) is None for mutant in chosen):
        lab = Lab(suite, modules, folder)
        if failed := lab.prepare():
            say(f"fails without any change: {', '.join(failed)}")
            return 2
        run(lab, chosen, options.workers, results)
    least = suite.at_least if options.at_least is None else options.at_least
    return 0 if table(chosen, results, modules) >= least else 1


if __name__ == "__main__":
    sys.exit(main())
