"""Let a street door run for a simulated week, and judge what it did.

    python -m tests.harness.street [--days 7] [--from HOUR] [--seed S] [--rate one_in_10000]
        [--passers-by 200] [--json FILE]
    python -m tests.harness.street --episodes [NAME...]

A real Home Assistant core with a real household of five people, one of whom may not come in any
more, on a clock that jumps. Everything is the product's own but the camera, the lock and the
networks: how alike two faces are is drawn as the bundle's own table says (``scores``). It exits
with 1 if anything opened that must not, if a resident was refused for a lockout, if the lock stayed
open with nobody there, or if anything had a traceback.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

from tests.harness.virtual_clock import InlineLoop

from .episodes import run_episodes
from .table import table
from .week import run


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--days", type=float, default=7.0)
    parser.add_argument(
        "--from", type=float, default=0.0, dest="start", help="hours after Monday, midnight"
    )
    parser.add_argument("--seed", type=int, default=20261126)
    parser.add_argument("--rate", default="one_in_10000")
    parser.add_argument("--passers-by", type=int, default=200, help="each day")
    parser.add_argument("--json", type=Path, help="also write everything that was seen")
    parser.add_argument("--episodes", nargs="*", metavar="NAME", help="the short scenarios instead")
    arguments = parser.parse_args()
    logging.getLogger("homeassistant").setLevel(logging.CRITICAL)
    logging.getLogger("custom_components").setLevel(logging.CRITICAL)
    if arguments.episodes is not None:
        return _episodes(arguments.episodes, arguments.seed, arguments.json)
    with (
        tempfile.TemporaryDirectory(prefix="face_lock_street_") as folder,
        asyncio.Runner(loop_factory=InlineLoop) as runner,
    ):
        report = runner.run(
            run(
                Path(folder),
                arguments.days,
                arguments.seed,
                start=arguments.start * 3600,
                rate=arguments.rate,
                busy=arguments.passers_by,
            )
        )
    print(table(report))
    if arguments.json:
        arguments.json.write_text(json.dumps(asdict(report), indent=1))
    return 1 if report.faults else 0


def _episodes(names: list[str], seed: int, file: Path | None) -> int:
    with asyncio.Runner(loop_factory=InlineLoop) as runner:
        found = runner.run(run_episodes(names, seed))
    for each in found:
        print(f"{each.name}: {each.seen}")
        for fault in each.faults:
            print(f"FAILED: {each.name}: {fault}")
    if file:
        file.write_text(json.dumps([asdict(each) for each in found], indent=1))
    return 1 if any(each.faults for each in found) else 0


if __name__ == "__main__":
    sys.exit(main())
