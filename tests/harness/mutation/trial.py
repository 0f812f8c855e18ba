"""Tests on a changed module, in a fork of this process.

The process has imported everything except the product and the tests, which saves the seconds that
each start costs; that is why no public mutation tester is used. A first run without any change
notes which test runs which lines, so that a mutant only meets the tests that come by it: of each
file in turn the quickest that is left.
"""

from __future__ import annotations

import contextlib
import gc
import hashlib
import importlib
import importlib.machinery
import io
import json
import os
import resource
import signal
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import CodeType
from typing import IO, Any, Final

import pytest

from .mutants import PRODUCT, ROOT, Mutant, build, path_of
from .suites import Suite

PATIENCE: Final = 60.0
"""Seconds that a mutant gets beyond five times those that its tests take without it; one that never
ends counts as noticed."""
MEMORY: Final = 2 * 1024**3
"""Bytes of memory that it gets."""
ENOUGH: Final = 60.0
"""Seconds of tests, as measured without a change, that a mutant meets at most."""
NOTICED: Final = (1, 2, 4)
"""What pytest returns where a test fails, or the changed module cannot even be imported."""
TOOL: Final = 3
OURS: Final = ("custom_components", "vision", "tests", "conftest", "__main__", "test_")


@dataclass
class Known:
    """What is known of one test file: its tests, and which lines they run."""

    digest: str = ""
    seconds: dict[str, float] = field(default_factory=dict)
    lines: dict[str, dict[str, list[int]]] = field(default_factory=dict)
    """Module -> test -> lines; what the import runs is under the empty name."""


class Watch:
    """A plugin that notes which lines a test runs, and how long it takes."""

    def __init__(self, modules: Iterable[str]) -> None:
        self._modules = {str(path_of(module)): module for module in modules}
        self._test = ""
        self.seconds: dict[str, float] = {}
        self.lines: dict[str, dict[str, set[int]]] = defaultdict(lambda: defaultdict(set))

    def loaded(self, path: str, code: CodeType) -> CodeType:
        """Watch a module of the product from its import on."""
        if path in self._modules:
            waiting = [code]
            while waiting:
                each = waiting.pop()
                sys.monitoring.set_local_events(TOOL, each, sys.monitoring.events.LINE)
                waiting += [c for c in each.co_consts if isinstance(c, CodeType)]
        return code

    def start(self) -> None:
        """Begin to watch."""
        sys.monitoring.use_tool_id(TOOL, "mutation")
        sys.monitoring.register_callback(TOOL, sys.monitoring.events.LINE, self._line)

    def _line(self, code: CodeType, line: int) -> Any:
        self.lines[self._modules[code.co_filename]][self._test].add(line)
        return sys.monitoring.DISABLE

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        self._test = item.nodeid
        sys.monitoring.restart_events()
        began = time.monotonic()
        try:
            return (yield)
        finally:
            self.seconds[item.nodeid] = time.monotonic() - began
            self._test = ""


class Chosen:
    """A plugin that runs the chosen tests only, in their order, and notes the first that fails."""

    def __init__(self, tests: Sequence[str], known: Collection[str]) -> None:
        """Also run what is not ``known``: a changed constant may give a test another name."""
        self._tests = tests
        self._known = known
        self.failed = ""

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        found = {item.nodeid: item for item in items}
        names = [test for test in self._tests if test in found]
        names += [test for test in found if test not in self._known]
        items[:] = [found[name] for name in names]

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed and not self.failed:
            self.failed = report.nodeid


class Lab:
    """Runs one suite's tests on mutants."""

    def __init__(self, suite: Suite, modules: Sequence[str], folder: Path) -> None:
        """Keep in ``folder`` what is found out about the tests."""
        self._suite = suite
        self._modules = modules
        self._folder = folder
        self._known: dict[str, Known] = {}

    # What the tests do without any change

    def prepare(self) -> list[str]:
        """Get to know the tests; return those that fail without any change."""
        preload(self._suite.first)
        product = hashlib.sha256()
        shared = [ROOT / "tests" / self._suite.folder / "conftest.py"]
        for path in (*sorted(PRODUCT.rglob("*.py")), *shared):
            product.update(path.read_bytes())
        files = sorted({name for module in self._modules for name in self._suite.tests[module]})
        failed = []
        for name in (name for name in files if self._file(name).exists()):
            digest = hashlib.sha256(product.digest() + self._file(name).read_bytes()).hexdigest()
            kept = self._folder / f"{self._suite.folder}-{name}.json"
            known = Known()
            with contextlib.suppress(OSError, ValueError, TypeError):
                known = Known(**json.loads(kept.read_text()))
            fresh = known.digest == digest
            # Also where all is known: everything that the tests import is to be here already.
            answer = fork(lambda name=name, fresh=fresh: self._survey(name, collect=fresh))()
            preload(answer["imported"])
            if fresh:
                self._known[name] = known
            elif answer["status"] == 0:
                self._known[name] = Known(digest, answer["seconds"], answer["lines"])
                kept.write_text(json.dumps(vars(self._known[name])))
            else:
                failed.append(answer["failed"] or name)
            say(f"{name}: {len(answer['seconds'])} tests, {sum(answer['seconds'].values()):.0f} s")
        gc.collect()
        gc.freeze()
        return failed

    def _survey(self, name: str, *, collect: bool) -> dict[str, Any]:
        watch, chosen = Watch(self._suite.tests), Chosen([], [])
        watch.start()
        hook(watch.loaded)
        options = ["--collect-only"] if collect else []
        status = self._pytest([name], [watch, chosen], options)
        lines = {
            module: {test: sorted(lines) for test, lines in tests.items()}
            for module, tests in watch.lines.items()
        }
        imported = [name for name in sys.modules if not name.startswith(OURS)]
        return {
            "status": status,
            "failed": chosen.failed,
            "seconds": watch.seconds,
            "lines": lines,
            "imported": imported,
        }

    def _file(self, name: str) -> Path:
        return ROOT / "tests" / self._suite.folder / f"test_{name}.py"

    # What they do with one

    def tests_of(self, mutant: Mutant) -> list[tuple[str, str, float]]:
        """Return the tests that come by a mutant: file, test, seconds."""
        lines, imported = set(mutant.lines), False
        whole: list[tuple[int, int, str, str, float]] = []
        found: list[tuple[int, int, str, str, float]] = []
        for place, name in enumerate(self._suite.tests[mutant.module]):
            known = self._known.get(name)
            if known is None:
                continue
            tests = known.lines.get(mutant.module, {})
            imported = imported or not lines.isdisjoint(tests.get("", ()))
            own = sorted((known.seconds[test], test) for test in tests if test)
            near = [(seconds, test) for seconds, test in own if not lines.isdisjoint(tests[test])]
            for group, into in ((own, whole), (near, found)):
                into += [(rank, place, name, test, s) for rank, (s, test) in enumerate(group)]
        chosen, spent = [], 0.0
        # What only the import runs, such as a constant, may matter to every test.
        for _, _, name, test, seconds in sorted(found or (whole if imported else [])):
            spent += seconds
            chosen.append((name, test, seconds))
            if spent > ENOUGH:
                break
        return chosen

    def start(self, mutant: Mutant) -> Callable[[], dict[str, Any]] | None:
        """Begin to test a mutant; None where no test comes by it."""
        tests = self.tests_of(mutant)
        if not tests:
            return None
        code = build(mutant)
        return fork(
            lambda: self._try(mutant, code, tests), PATIENCE + 5 * sum(s for *_, s in tests)
        )

    def _try(
        self, mutant: Mutant, code: CodeType, tests: list[tuple[str, str, float]]
    ) -> dict[str, Any]:
        path = str(path_of(mutant.module))
        hook(lambda at, real: code if at == path else real)
        names = list(dict.fromkeys(name for name, *_ in tests))
        known = {test for name in names for test in self._known[name].seconds}
        chosen = Chosen([test for _, test, _ in tests], known)
        status = self._pytest(names, [chosen], [])
        return {"status": status, "failed": chosen.failed}

    def _pytest(self, names: list[str], plugins: list[object], options: list[str]) -> int:
        if not self._suite.plugins:
            os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
        common = ["-x", "-q", "-p", "no:cacheprovider", "--assert=plain", "--tb=no", "--no-header"]
        files = [str(self._file(name)) for name in names]
        return int(pytest.main([*common, *options, *files], plugins))


def hook(change: Callable[[str, CodeType], CodeType]) -> None:
    """Have ``change`` look at the code of each module that is imported from now on."""
    real = importlib.machinery.SourceFileLoader.get_code

    def get_code(loader: importlib.machinery.SourceFileLoader, name: str) -> CodeType | None:
        code = real(loader, name)
        return None if code is None else change(os.path.realpath(loader.path), code)

    importlib.machinery.SourceFileLoader.get_code = get_code  # type: ignore[method-assign]


def preload(modules: Iterable[str]) -> None:
    """Import what no fork then has to import."""
    with contextlib.redirect_stderr(io.StringIO()):
        for name in modules:
            if name not in sys.modules:
                with contextlib.suppress(Exception):
                    importlib.import_module(name)


def fork(work: Callable[[], dict[str, Any]], seconds: float = 0.0) -> Callable[[], dict[str, Any]]:
    """Do ``work`` in a child, for so many ``seconds`` at most; what is returned waits for it.

    The answer of a child that died is only its ``status``, negative for a signal.
    """
    with tempfile.TemporaryFile("w+") as file:
        child = os.fork()
        if not child:
            _work(work, seconds, file)
        answer = os.dup(file.fileno())

    def wait() -> dict[str, Any]:
        _, status = os.waitpid(child, 0)
        with open(answer) as file:  # noqa: PTH123 - a descriptor
            file.seek(0)
            text = file.read()
        code = os.waitstatus_to_exitcode(status)
        return json.loads(text) if text else {"status": code, "failed": ""}

    wait.child = child  # type: ignore[attr-defined]
    return wait


def _work(work: Callable[[], dict[str, Any]], seconds: float, file: IO[str]) -> None:
    try:
        os.setsid()
        quiet = os.open(os.devnull, os.O_WRONLY)
        os.dup2(quiet, 1)
        os.dup2(quiet, 2)
        resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
        signal.setitimer(signal.ITIMER_REAL, seconds)
        json.dump(work(), file)
        file.flush()
    finally:
        os._exit(0)


def say(text: str) -> None:
    """Report progress."""
    print(text, file=sys.stderr, flush=True)
