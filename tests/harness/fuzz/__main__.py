"""Give malformed input to every way into the product, and print what became of it.

    python -m tests.harness.fuzz [--pictures 1000000] [--seed 1] [--workers 2] [--json FILE]

Each kind of input has an option for the number of inputs, 0 to leave it out; --only leaves out all
others. Input N of a seed is always the same: --only pictures --pictures 1 --first N repeats it.
Inputs that find something are written to tests/harness/fuzz/corpus/, where they become a test, and
the exit status is 1. --replay runs the corpus itself.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from . import engine
from .target import ACCEPTED, CORPUS, Target

KEPT = 3
"""How many inputs that found the same thing are kept in the corpus."""


def _pictures() -> Target:
    from .faces import Pictures

    return Pictures()


def _faces() -> Target:
    from .faces import Faces

    return Faces()


def _manifest() -> Target:
    from .models import Manifest

    return Manifest()


def _store() -> Target:
    from .files import Store

    return Store()


def _actions() -> Target:
    from .calls import Actions

    return Actions()


TARGETS: dict[str, tuple[Callable[[], Target], int]] = {
    "pictures": (_pictures, 50_000),
    "faces": (_faces, 1_000),
    "manifest": (_manifest, 20_000),
    "store": (_store, 10_000),
    "actions": (_actions, 5_000),
}
"""What makes a target, and how many inputs it gets by default."""


def main() -> int:
    """Run from the command line."""
    arguments = _arguments()
    if arguments.child:
        target = TARGETS[arguments.child][0]()
        at = arguments.first, arguments.count, arguments.journal
        how = {"replay": arguments.replay, "measured": not arguments.unmeasured}
        engine.serve(target, arguments.seed, *at, **how)
        return 0
    reports = []
    for name in arguments.only or TARGETS:
        count = getattr(arguments, name)
        if not count:
            continue
        at = arguments.seed, arguments.first, count
        how = {"replay": arguments.replay, "measured": not arguments.unmeasured}
        report = engine.run(name, *at, arguments.workers, **how)
        reports.append(report)
        if not arguments.replay:
            _keep(report, arguments.seed, arguments.keep)
    _print(reports)
    if arguments.json:
        arguments.json.write_text(json.dumps([asdict(r) for r in reports], indent=2) + "\n")
    return int(any(report.findings for report in reports))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    for name, (_, count) in TARGETS.items():
        parser.add_argument(f"--{name}", type=int, default=count, metavar="N", help=f"({count})")
    parser.add_argument("--only", nargs="+", choices=TARGETS)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--first", type=int, default=0, help="number of the first input")
    parser.add_argument("--workers", type=int, default=1, help="processes for each target")
    parser.add_argument("--json", type=Path, help="write the figures to this file as well")
    parser.add_argument("--keep", type=Path, default=CORPUS, help="folder for what finds something")
    parser.add_argument("--replay", action="store_true", help="give the corpus, nothing new")
    parser.add_argument(
        "--unmeasured", action="store_true", help="judge no time and no memory: the machine is busy"
    )
    parser.add_argument("--child", choices=TARGETS, help=argparse.SUPPRESS)
    parser.add_argument("--count", type=int, default=0, help=argparse.SUPPRESS)
    parser.add_argument("--journal", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args()


def _keep(report: engine.Report, seed: int, corpus: Path) -> None:
    """Write inputs that found something to a corpus, a few of each kind."""
    target: Target | None = None
    seen: dict[tuple[str, str], int] = {}
    for finding in report.findings:
        sort = finding.kind, finding.detail.rpartition("(")[2]
        seen[sort] = seen.get(sort, 0) + 1
        if seen[sort] > KEPT or finding.number < 0:
            continue
        target = target or TARGETS[report.target][0]()
        folder = corpus / report.target
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / f"{finding.kind.lower()}-{seed}-{finding.number}"
        file.write_bytes(target.make(seed, finding.number))
    if target is not None:
        target.close()


def _print(reports: list[engine.Report]) -> None:
    heads = (
        "target",
        "inputs",
        "accepted",
        "refused",
        "findings",
        "slowest ms",
        "growth MB",
        "peak MB",
        "s",
    )
    rows = [
        (
            report.target,
            f"{report.inputs:,}",
            f"{report.outcomes.get(ACCEPTED, 0):,}",
            f"{sum(report.outcomes.values()) - report.outcomes.get(ACCEPTED, 0):,}",
            str(len(report.findings)),
            f"{report.slowest_ms:.0f}",
            f"{report.growth_mb:.1f}",
            f"{report.peak_mb:.0f}",
            f"{report.seconds:.0f}",
        )
        for report in reports
    ]
    widths = [max(map(len, column)) for column in zip(heads, *rows, strict=True)]
    for row in (heads, *rows):
        cells = (cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))
        print(row[0].ljust(widths[0]), *cells, sep="  ")
    for report in reports:
        refusals = [
            f"{name} {count:,}"
            for name, count in sorted(report.outcomes.items(), key=lambda each: -each[1])
            if name != ACCEPTED
        ]
        print(f"{report.target} refused: {', '.join(refusals) or 'none'}")
        for finding in report.findings[:20]:
            print(
                f"FINDING {report.target} {finding.number}: {finding.kind}: {finding.detail[:200]}"
            )


if __name__ == "__main__":
    sys.exit(main())
