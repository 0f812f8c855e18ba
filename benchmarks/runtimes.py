"""Time every step of recognition and the memory it takes, on both runtimes, in one run.

    .venv/bin/python benchmarks/runtimes.py [--rounds 40] [--threads 1] [--runtime NAME ...]

Each runtime is measured in its own process, so that their memory does not mix, on the same frames
and alternating, so that a busy machine slows all of them alike: read the ratios, not the
milliseconds.
Frames are the demo's: 1280x720 JPEGs with one face.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import vision
from vision.pad import measure_cues

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from demo import story, visit  # noqa: E402 - found by the path above

STEPS = ("gate", "presence", "decode", "detect", "align", "upright", "embed", "cues")


def memory_mib() -> float:
    """Return this process's resident memory in MiB (Linux)."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def timed(times: list[float], step: Callable[[], Any]) -> Any:
    """Call `step`, append its milliseconds, return its result."""
    start = time.perf_counter()
    result = step()
    times.append((time.perf_counter() - start) * 1000)
    return result


def measure(runtime: str, threads: int) -> None:
    """Measure in this process: for each line on stdin one round, results as JSON at the end."""
    frames = [frame.jpeg for frame in visit.render(story.ENROLLED, seed=1) if frame.face_px]
    before = memory_mib()
    start = time.perf_counter()
    bundle = vision.load_bundle(runtime=runtime, threads=threads)
    load_ms = (time.perf_counter() - start) * 1000
    gate = vision.MotionGate()
    times: dict[str, list[float]] = {step: [] for step in STEPS}

    def one(jpeg: bytes, now: float) -> None:
        timed(times["gate"], lambda: gate.update(vision.decode_grey(jpeg), now))
        grey = vision.decode_grey(jpeg)
        if bundle.presence:
            timed(times["presence"], lambda: bundle.presence.look(grey))
        rgb = timed(times["decode"], lambda: vision.decode_rgb(jpeg))
        faces = timed(times["detect"], lambda: bundle.detector.detect(rgb))
        if faces:
            crop = timed(times["align"], lambda: vision.align(rgb, faces[0].landmarks))
            if bundle.upright:
                timed(times["upright"], lambda: bundle.upright.score(crop))
            timed(times["embed"], lambda: bundle.verifier.embed(np.stack([crop])))
            timed(
                times["cues"],
                lambda: measure_cues(bundle.liveness, rgb, faces[0], bundle.antispoofing),
            )

    one(frames[0], 0.0)  # a network allocates in its first call
    for step in STEPS:
        times[step].clear()
    print("ready", flush=True)
    for number, _ in enumerate(sys.stdin):
        one(frames[number % len(frames)], 0.25 * number)
        print("done", flush=True)
    medians = {step: statistics.median(values) for step, values in times.items() if values}
    result = {"ms": medians, "load_ms": load_ms, "memory_mib": memory_mib() - before}
    print(json.dumps({**result, "version": bundle.info.runtime_version}), flush=True)


def run(runtimes: list[str], rounds: int, threads: int) -> dict[str, Any]:
    """Run one process per runtime, a round of each in turn; returns what each measured."""
    command = [sys.executable, __file__, "--threads", str(threads), "--worker"]
    workers = {
        name: subprocess.Popen(  # noqa: S603 - this file itself
            [*command, name], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for name in runtimes
    }
    for worker in workers.values():
        worker.stdout.readline()
    for _ in range(rounds):
        for worker in workers.values():
            worker.stdin.write("\n")
            worker.stdin.flush()
            worker.stdout.readline()
    return {name: json.loads(worker.communicate()[0]) for name, worker in workers.items()}


def report(results: dict[str, Any]) -> None:
    """Print medians and, for each row, its ratio to the first runtime.

    The presence network gets the motion gate's grey picture: if it sees nobody, the frame is
    neither fully decoded nor searched for faces.
    """
    names = list(results)
    print("".ljust(28) + "".join(f"{name} {results[name]['version']}".rjust(26) for name in names))
    rows = {step: [results[name]["ms"].get(step) for name in names] for step in STEPS}
    rows["detect to embed"] = [
        sum(results[name]["ms"].get(step, 0) for step in STEPS[3:7]) for name in names
    ]
    rows["load"] = [results[name]["load_ms"] for name in names]
    for title, values in rows.items():
        print(line(f"{title}, ms", values))
    print(line("decode + detect / presence", [_spared(results[name]["ms"]) for name in names]))
    print(line("memory, MiB", [results[name]["memory_mib"] for name in names]))


def _spared(ms: dict[str, float]) -> float | None:
    """How many looks of the presence network cost as much as one of them saves."""
    return (ms["decode"] + ms["detect"]) / ms["presence"] if "presence" in ms else None


def line(title: str, values: list[float | None]) -> str:
    """Format one row: values, and their ratio to the first."""
    first = values[0]
    cells = [
        "-" if value is None else f"{value:.2f}" + (f" (x{value / first:.2f})" if first else "")
        for value in values
    ]
    return title.ljust(28) + "".join(cell.rjust(26) for cell in cells)


def main() -> None:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=40, help="frames per runtime")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--runtime", nargs="+", default=["ncnn", "onnxruntime"])
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        measure(arguments.worker, arguments.threads)
    else:
        report(run(arguments.runtime, arguments.rounds, arguments.threads))


if __name__ == "__main__":
    main()
