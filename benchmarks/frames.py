"""Time what one picture costs, whole or in parts, active or idle, in one run on one core.

    .venv/bin/python benchmarks/frames.py [--rounds 3] [--seed 1] [--csv FILE]

The pictures are 1920x1080 JPEGs of simulated visits (see `regions.py`). Everything compared is done
to each picture in turn, so that a busy machine slows all of it alike: read the ratios.

- *active*: `Pipeline.look` at somebody, and the same where the whole of every picture is searched
- *idle*: the gate alone, for pictures that all differ and for one that is served again, beside a
  full decoding with the difference to the picture before
- *people*: comparing one face with so many enrolled people, five pictures each
"""

from __future__ import annotations

import argparse
import csv
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from regions import WALKS, pictures

import vision
from vision.tracking.focus import Focus

PEOPLE = (1, 10, 100, 1000)

Times = dict[str, list[float]]


class Everywhere(Focus):
    """Looks at the whole of every picture."""

    def choose(self, *_: Any) -> None:
        """Leave nothing out."""


def timed(times: Times, name: str, job: Callable[[], Any]) -> Any:
    """Do a job; note its milliseconds."""
    began = time.perf_counter()
    result = job()
    times.setdefault(name, []).append((time.perf_counter() - began) * 1000)
    return result


def active(bundle: vision.Bundle, seed: int, times: Times) -> None:
    """Look at the pictures of some visits in both ways."""
    matcher = vision.gallery_matcher(bundle, {})
    for number, walk in enumerate(WALKS):
        parts, whole = (vision.Pipeline(bundle, matcher) for _ in range(2))
        whole._focus = Everywhere()  # noqa: SLF001 - nobody but a benchmark wants that
        shots = pictures(walk, "day", 1920, np.random.default_rng(seed + number))
        for now, jpeg in shots:
            for name, pipeline in (("active", parts), ("active, whole pictures", whole)):
                pipeline.keep_open(now)
                seen = timed(times, name, lambda p=pipeline: p.look(jpeg, now, in_visit=True))  # noqa: B023
                if seen.sighting is None or not seen.sighting.evidence:
                    times[name].pop()  # nobody is there: most such pictures are spared


def idle(bundle: vision.Bundle, seed: int, times: Times) -> None:
    """Let the gate see an empty door: pictures that differ by noise, and one again."""
    gate = vision.Pipeline(bundle, vision.gallery_matcher(bundle, {}))
    before = None
    shots = list(pictures("nobody", "day", 1920, np.random.default_rng(seed)))
    for number, (_, jpeg) in enumerate(shots):
        now = 10.0 * number
        timed(times, "idle, new pictures", lambda: gate.look(jpeg, now, in_visit=False))  # noqa: B023
        timed(times, "idle, one picture again", lambda: gate.look(jpeg, now, in_visit=False))  # noqa: B023

        def difference() -> Any:
            nonlocal before
            rgb = vision.decode_rgb(jpeg)  # noqa: B023
            small = rgb[::4, ::4].astype(np.int16)
            changed = before is not None and int(np.abs(small - before).max())
            before = small
            return changed

        timed(times, "full decoding and difference", difference)


def people(bundle: vision.Bundle, seed: int, times: Times) -> None:
    """Compare a face with ever more people."""
    rng = np.random.default_rng(seed)

    def face() -> Any:
        direction = rng.normal(size=bundle.verifier.embedding_size - 1)
        return np.append(direction / np.linalg.norm(direction), 0.4).astype(np.float32)

    for number in PEOPLE:
        gallery = {
            str(n): tuple(vision.Template(face(), bundle.verifier.model) for _ in range(5))
            for n in range(number)
        }
        matcher, unknown = vision.gallery_matcher(bundle, gallery), face()
        for _ in range(50):
            timed(times, f"match among {number}", lambda: matcher.match(unknown))  # noqa: B023


def main() -> None:
    """Print one line for each, with its ratio to what it is compared with."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--csv", type=Path)
    options = parser.parse_args()
    bundle = vision.load_bundle(threads=1)
    times: Times = {}
    for number in range(options.rounds):
        for measure in (active, idle, people):
            measure(bundle, options.seed + 100 * number, times)
    against = {
        "active": "active, whole pictures",
        "idle, new pictures": "full decoding and difference",
        "idle, one picture again": "full decoding and difference",
    } | {f"match among {n}": f"match among {PEOPLE[0]}" for n in PEOPLE[1:]}
    rows = []
    for name, values in times.items():
        median, p95 = statistics.median(values), float(np.percentile(values, 95))
        base = statistics.median(times[against[name]]) if name in against else None
        rows.append((name, len(values), median, p95, None if base is None else median / base))
    print(f"{'what':32}{'number':>8}{'median ms':>11}{'p95':>9}{'ratio':>9}")
    for name, number, median, p95, ratio in rows:
        shown = "" if ratio is None else f"x{ratio:.3f}"
        print(f"{name:32}{number:8}{median:11.3f}{p95:9.2f}{shown:>9}")
    if options.csv:
        with options.csv.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(("machine", "what", "number", "median_ms", "p95_ms", "ratio"))
            writer.writerows((f"{platform.machine()}, {platform.system()}", *row) for row in rows)


if __name__ == "__main__":
    main()
