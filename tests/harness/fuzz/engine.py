"""Gives inputs to a target in a separate process, and notices anything that should not happen.

The watched process measures the processor time of each call (the machine may be busy with others),
the memory after each batch, and the peak of the memory. The watching process notices one that dies
or does not come back, writes down the input that caused it, and continues after it.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import math
import mmap
import os
import resource
import signal
import struct
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO

from .target import Call, Target, content, corpus

ROOT = Path(__file__).resolve().parents[3]

COMMAND = (sys.executable, "-m", "tests.harness.fuzz")
SLOW = 1.0
"""Seconds of processor time from which a call counts as hanging, if that happens three times."""
STUCK = 30.0
"""Seconds after which a call is abandoned and its process killed."""
GROWTH = 50.0
"""Megabytes by which the process may grow after it has warmed up."""
PEAK = 512.0
"""Megabytes that one input may take temporarily; 50 megapixels of progressive JPEG take 300."""
ADDRESSES = 8 * 1024**3
"""Bytes of address space, so that a finding does not bring the machine down."""
DEATHS = 20
"""How many processes may die before the rest of a range is left out."""
BATCH = 500
WARM_UP = 5_000
JUDGED = 1_000
"""Inputs from which growth can be told from warming up, which takes a fifth of them or
`WARM_UP`."""

_TRIM = getattr(ctypes.CDLL(None), "malloc_trim", None)
_JOURNAL = struct.Struct("qd")


@dataclass
class Finding:
    """An input that caused something that must not happen."""

    number: int
    kind: str
    detail: str


@dataclass
class Report:
    """The results of a range of inputs."""

    target: str
    inputs: int = 0
    outcomes: dict[str, int] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    slowest_ms: float = 0.0
    slowest: int = -1
    growth_mb: float = 0.0
    peak_mb: float = 0.0
    seconds: float = 0.0

    def add(self, other: Report) -> None:
        """Add the results of another process."""
        self.inputs += other.inputs
        self.outcomes = dict(Counter(self.outcomes) + Counter(other.outcomes))
        self.findings += other.findings
        if other.slowest_ms > self.slowest_ms:
            self.slowest_ms, self.slowest = other.slowest_ms, other.slowest
        self.growth_mb = max(self.growth_mb, other.growth_mb)
        self.peak_mb = max(self.peak_mb, other.peak_mb)

    def to_json(self) -> str:
        """Write it on one line."""
        return json.dumps(asdict(self))

    @staticmethod
    def of_json(line: str) -> Report:
        """Read what :meth:`to_json` wrote."""
        told = json.loads(line)
        told["findings"] = [Finding(**finding) for finding in told["findings"]]
        return Report(**told)


# The watched process


def attempt(
    target: Target,
    inputs: Callable[[int], bytes],
    first: int,
    count: int,
    begin: Callable[[int], None] = lambda _: None,
    told: Callable[[Report], None] = lambda _: None,
    *,
    measured: bool = True,
) -> Report:
    """Give ``count`` inputs to ``target``; ``told`` hears of it now and then, and at the end.

    Time and memory are findings only if they are ``measured``, because they depend on the machine.
    """
    report = Report(target.name)
    warm_up, batch = min(WARM_UP, count // 5), min(BATCH, max(1, count // 20))
    base, top = _resident(), _highest()
    for number in range(first, first + count):
        data = inputs(number)
        begin(number)
        try:
            for call in target.calls(data):
                outcome, seconds = _timed(call)
                if 1000 * seconds > report.slowest_ms:
                    report.slowest_ms, report.slowest = 1000 * seconds, number
                if measured and seconds > SLOW:
                    report.findings.append(Finding(number, "slow", f"{seconds:.1f} s"))
            report.outcomes[outcome] = report.outcomes.get(outcome, 0) + 1
        except Exception as error:  # noqa: BLE001 - that is what is looked for
            report.findings.append(Finding(number, type(error).__name__, _told(error)))
        report.inputs += 1
        if (highest := _highest()) > top + PEAK and measured:
            report.findings.append(Finding(number, "memory", f"{highest - top:.0f} MB at once"))
            top = highest - PEAK
        report.peak_mb = max(report.peak_mb, highest - base)
        if report.inputs % batch == 0:
            if report.inputs <= warm_up:
                base = _resident()
            report.growth_mb = max(report.growth_mb, _resident() - base)
            told(report)
    if measured and report.growth_mb > GROWTH and count >= JUDGED:
        detail = f"{report.growth_mb:.0f} MB over {report.inputs} inputs"
        report.findings.append(Finding(-1, "growth", detail))
    told(report)
    return report


def _timed(call: Call) -> tuple[str, float]:
    """Return the result of a call and the seconds it took; a slow one gets two more tries."""
    seconds = []
    for _ in range(3):
        began = time.process_time()
        outcome = call()
        seconds.append(time.process_time() - began)
        if seconds[-1] <= SLOW:
            break
    return outcome, min(seconds)


def _told(error: BaseException) -> str:
    """Say what was raised, and by which line of the product."""
    place = [
        f"{Path(frame.filename).name}:{frame.lineno}"
        for frame in traceback.extract_tb(error.__traceback__)
        if "face_lock" in frame.filename
    ]
    return f"{str(error)[:200]} ({place[-1] if place else 'outside'})"


def _resident() -> float:
    """Return the megabytes in use, without what the allocator keeps (glibc: up to 64)."""
    if _TRIM is not None:
        _TRIM(0)
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize() / 2**20


def _highest() -> float:
    """Return the peak of megabytes in use; `getrusage` would start from the parent's."""
    status = Path("/proc/self/status").read_bytes()
    return int(status.partition(b"VmHWM:")[2].split(maxsplit=1)[0]) / 1024


def serve(
    target: Target,
    seed: int,
    first: int,
    count: int,
    journal: Path,
    *,
    replay: bool,
    measured: bool,
) -> None:
    """Work as the watched process.

    Reports go to stdout, one per line; the number of the current input goes to the journal.
    """
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESSES, ADDRESSES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    warnings.simplefilter("error", UserWarning)  # Pillow's warnings only mean damage
    files = corpus(target.name)
    with journal.open("r+b") as file, mmap.mmap(file.fileno(), _JOURNAL.size) as memory:

        def begin(number: int) -> None:
            _JOURNAL.pack_into(memory, 0, number, time.monotonic())

        def told(report: Report) -> None:
            print(report.to_json(), flush=True)

        def inputs(number: int) -> bytes:
            return content(files[number]) if replay else target.make(seed, number)

        attempt(target, inputs, first, count, begin, told, measured=measured)
    target.close()


# The watching process


def run(
    name: str,
    seed: int,
    first: int,
    count: int,
    workers: int = 1,
    *,
    replay: bool = False,
    measured: bool = True,
) -> Report:
    """Give inputs to a target in ``workers`` processes; with ``replay``, those of its corpus.

    If nothing is ``measured``, a process may also take as long as it likes.
    """
    began = time.monotonic()
    options = [*(["--replay"] if replay else []), *([] if measured else ["--unmeasured"])]
    patience = STUCK if measured else math.inf
    total = Report(name)
    if replay:
        workers, count = 1, len(corpus(name))
    share = -(-count // workers) if count else 0
    with contextlib.ExitStack() as stack:
        watched = [
            stack.enter_context(
                _watched(name, seed, at, min(share, first + count - at), options, patience)
            )
            for at in range(first, first + count, share or 1)
        ]
        while watched:
            time.sleep(0.05)
            for worker in watched:
                if worker.poll():
                    total.add(worker.report)
            watched = [worker for worker in watched if not worker.done]
    total.seconds = time.monotonic() - began
    return total


class _Worker:
    """One range of inputs, in a new process whenever one dies."""

    def __init__(
        self,
        name: str,
        seed: int,
        first: int,
        count: int,
        options: list[str],
        patience: float,
        folder: Path,
    ) -> None:
        self.report = Report(name)
        self.done = False
        self._deaths = 0
        self._seen = b""
        self._command = [*COMMAND, "--child", name, "--seed", str(seed), *options]
        self._patience = patience
        self._at, self._end = first, first + count
        self._journal, self._folder = folder / "journal", folder
        self._start()

    def _start(self) -> None:
        self._journal.write_bytes(_JOURNAL.pack(-1, time.monotonic()))
        command = [*self._command, "--first", str(self._at), "--count", str(self._end - self._at)]
        self._out = (self._folder / "out").open("w+", encoding="utf-8")
        self._errors = (self._folder / "errors").open("w+", encoding="utf-8")
        self._process = subprocess.Popen(
            [*command, "--journal", str(self._journal)],
            stdout=self._out,
            stderr=self._errors,
            cwd=ROOT,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
        )

    def poll(self) -> bool:
        """Check on the process; return whether the range is finished."""
        entry = self._journal.read_bytes()
        number, since = _JOURNAL.unpack(entry)
        status = self._process.poll()
        if status is None:
            # An entry that is being written may read as anything, but not twice in a row.
            waited = time.monotonic() - since
            if entry == self._seen and number >= 0 and waited > self._patience:
                self._process.kill()
                detail = f"more than {self._patience:.0f} s"
                self._lost(number, "stuck", detail, self._process.wait())
            self._seen = entry
            return self.done
        if status == 0:
            self.report.add(_last(self._out))
            self.done = True
        else:
            self._lost(number, "death", "", status)
        return self.done

    def _lost(self, number: int, kind: str, detail: str, status: int) -> None:
        """Write down the input that caused it, and continue after it."""
        self._errors.seek(0)
        tail = self._errors.read()[-400:]
        why = signal.Signals(-status).name if status < 0 else f"status {status}"
        self.report.add(_last(self._out))
        self.report.findings.append(Finding(number, kind, detail or f"{why} {tail}"))
        self._deaths += 1
        if number < 0 or self._deaths >= DEATHS:  # it never got as far as taking an input, or...
            self.done = True
            return
        self.report.inputs += number - self._at + 1 - _last(self._out).inputs
        self._at = number + 1
        self.done = self._at >= self._end
        if not self.done:
            self.close()
            self._start()

    def close(self) -> None:
        """End the process."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        self._out.close()
        self._errors.close()


@contextlib.contextmanager
def _watched(
    name: str, seed: int, first: int, count: int, options: list[str], patience: float
) -> Iterator[_Worker]:
    with tempfile.TemporaryDirectory(prefix="face_lock_fuzz_") as folder:
        worker = _Worker(name, seed, first, count, options, patience, Path(folder))
        try:
            yield worker
        finally:
            worker.close()


def _last(out: IO[str]) -> Report:
    """Read the last complete report of a process."""
    out.seek(0)
    lines = [
        line for line in out.read().splitlines() if line.startswith("{") and line.endswith("}")
    ]
    return Report.of_json(lines[-1]) if lines else Report("")
