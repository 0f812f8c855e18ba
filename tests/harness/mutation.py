"""Change the decision in one place at a time and see whether a test notices: scripts/mutation.

Each mutant changes one node: a comparison, an operator, a constant, a condition negated, a
statement left out, nothing returned. It runs in a fork of this process, which has imported
everything except the core, and meets the tests in order, the quickest first. A mutant for which no
test fails survives; one that never ends is killed after a while and counts as noticed.

A fork saves the seconds that each start costs, which is why no public mutation tester is used.
"""

from __future__ import annotations

import argparse
import ast
import copy
import importlib.machinery
import os
import resource
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import CodeType

ROOT = Path(__file__).resolve().parents[2]
CORE = ROOT / "custom_components" / "face_lock" / "vision"
MODULES = (
    "decision/decider",
    "decision/challenge",
    "decision/visit",
    "decision/voting",
    "decision/policy",
    "decision/lockout",
    "decision/unlock",
    "tracking/tracker",
    "tracking/seen_frames",
    "tracking/stacking",
    "matching/similarity",
)
TESTS = ("", "_challenge", "_circumstances", "_lockout", "_look", "_unlock", "_tracker", "_machine")
"""Suffixes of `test_decision*.py`; a module's namesake runs first."""
ALONE = ("similarity", "stacking")
"""Modules with tests of their own, which run for no other module's mutants."""
PATIENCE = 60
"""Seconds of processor time after which a mutant counts as endless."""
MEMORY = 2 * 1024**3
"""Bytes of memory after which it does, too."""

COMPARISONS = {
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}
OPERATORS = {
    ast.Add: (ast.Sub,),
    ast.Sub: (ast.Add,),
    ast.Mult: (ast.Div,),
    ast.Div: (ast.Mult,),
    ast.Pow: (ast.Mult,),
    ast.MatMult: (ast.Mult,),
}
CALLS = {"min": "max", "max": "min", "any": "all", "all": "any"}


@dataclass
class Mutant:
    """One changed module, with the text of the changed `line` before and after."""

    module: str
    line: int
    before: str
    after: str
    code: CodeType
    """Not the tree, because every fork would have to collect its thousands of nodes."""


def changes(node: ast.AST) -> Iterator[ast.AST]:  # noqa: C901, PLR0912 - one table
    """Yield what may replace `node`."""
    match node:
        case ast.Compare():
            for place, operator in enumerate(node.ops):
                for other in COMPARISONS.get(type(operator), ()):
                    changed = copy.deepcopy(node)
                    changed.ops[place] = other()
                    yield changed
        case ast.BinOp():
            for other in OPERATORS.get(type(node.op), ()):
                yield ast.BinOp(node.left, other(), node.right)
        case ast.BoolOp():
            other = ast.Or() if isinstance(node.op, ast.And) else ast.And()
            yield ast.BoolOp(other, node.values)
            for place in range(len(node.values)):
                left = node.values[:place] + node.values[place + 1 :]
                yield left[0] if len(left) == 1 else ast.BoolOp(node.op, left)
        case ast.UnaryOp(op=ast.Not()):
            yield node.operand
        case ast.UnaryOp(op=ast.USub()):
            yield node.operand
        case ast.IfExp():
            yield ast.IfExp(node.test, node.orelse, node.body)
        case ast.Constant(value=bool(value)):
            yield ast.Constant(not value)
        case ast.Constant(value=int() | float() as value):
            yield ast.Constant(value + 1)
            yield ast.Constant(value / 2 if isinstance(value, float) else value - 1)
        case ast.Call(func=ast.Name(id=name)) if name in CALLS:
            changed = copy.deepcopy(node)
            changed.func.id = CALLS[name]
            yield changed
        case ast.If() | ast.While():
            changed = copy.copy(node)
            changed.test = ast.UnaryOp(ast.Not(), node.test)
            yield changed
        case ast.AugAssign():
            for other in OPERATORS.get(type(node.op), ()):
                yield ast.AugAssign(node.target, other(), node.value)
            yield ast.Pass()
        case ast.Return(value=value) if value is not None and not (
            isinstance(value, ast.Constant) and value.value is None
        ):
            yield ast.Return(ast.Constant(None))
        case ast.Raise() | ast.Delete() | ast.Assign():
            yield ast.Pass()
        case ast.Expr(value=ast.Call()):
            yield ast.Pass()
        case ast.comprehension(ifs=[_, *_]):
            for place in range(len(node.ifs)):
                changed = copy.copy(node)
                changed.ifs = node.ifs[:place] + node.ifs[place + 1 :]
                yield changed


def is_export(node: ast.AST) -> bool:
    """Whether a statement only sets ``__all__``."""
    match node:
        case ast.Assign(targets=[ast.Name(id="__all__")]):
            return True
    return False


def places(tree: ast.AST) -> Iterator[tuple[ast.AST, str, int | None, ast.AST]]:
    """Yield each node that does something: its parent, the field and index there, and itself.

    Types, decorators (`dataclass` has only settings of its own) and `__all__` do nothing.
    """
    waiting = [tree]
    while waiting:
        parent = waiting.pop()
        for field, value in ast.iter_fields(parent):
            if field in ("annotation", "returns", "type_params", "decorator_list"):
                continue
            for index, child in enumerate(value) if isinstance(value, list) else ((None, value),):
                if not isinstance(child, ast.AST) or is_export(child):
                    continue
                waiting.append(child)
                yield parent, field, index, child


def mutants(module: str) -> Iterator[Mutant]:
    """Make every mutant of a module."""
    source = (CORE / f"{module}.py").read_text()
    count = sum(1 for _ in places(ast.parse(source)))
    for number in range(count):
        original = list(places(ast.parse(source)))[number][3]
        for change in range(len(list(changes(original)))):
            tree = ast.parse(source)
            parent, field, index, node = list(places(tree))[number]
            changed = list(changes(node))[change]
            if not hasattr(changed, "lineno"):
                ast.copy_location(changed, node)
            before = ast.unparse(node).splitlines()[0]
            after = ast.unparse(changed).splitlines()[0]
            if before == after:
                continue  # half of zero
            if index is None:
                setattr(parent, field, changed)
            else:
                getattr(parent, field)[index] = changed
            line = getattr(node, "lineno", getattr(parent, "lineno", 0))
            code = compile(ast.fix_missing_locations(tree), str(CORE / f"{module}.py"), "exec")
            yield Mutant(module, line, before, after, code)


def run_tests(mutant: Mutant | None) -> int:
    """Run the tests, in this process, on the mutant; return pytest's status."""
    import pytest

    if mutant is not None:
        path = str(CORE / f"{mutant.module}.py")
        real = importlib.machinery.SourceFileLoader.get_code

        def get_code(loader: importlib.machinery.SourceFileLoader, name: str) -> object:
            if loader.path == path:
                return mutant.code
            return real(loader, name)

        importlib.machinery.SourceFileLoader.get_code = get_code  # type: ignore[method-assign]
    module = None if mutant is None else Path(mutant.module).name
    names = [f"decision{name}" for name in sorted(TESTS, key=lambda name: name != f"_{module}")]
    own = [name for name in ALONE if module in (None, name)]
    tests = [str(ROOT / "tests" / "vision" / f"test_{name}.py") for name in (*own, *names)]
    options = ["-x", "-q", "-p", "no:cacheprovider", "--assert=plain", "--tb=no", "--no-header"]
    # One file at a time: most mutants are noticed by the first.
    return next((status for test in tests if (status := int(pytest.main([*options, test])))), 0)


def start(mutant: Mutant | None) -> int:
    """Fork, and run the tests on the mutant in the child; return its process id."""
    child = os.fork()
    if child:
        return child
    status = 2
    try:
        os.setsid()
        quiet = os.open(os.devnull, os.O_WRONLY)
        os.dup2(quiet, 1)
        os.dup2(quiet, 2)
        resource.setrlimit(resource.RLIMIT_CPU, (PATIENCE, PATIENCE))
        resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
        status = run_tests(mutant)
    finally:
        os._exit(status)
    return child


def survives(status: int) -> bool:
    """Whether all tests passed; a mutant that ends in any other way was noticed."""
    return os.waitstatus_to_exitcode(status) == 0


def run(chosen: list[Mutant], workers: int) -> list[Mutant]:
    """Test all mutants, `workers` at a time; return the survivors."""
    waiting, running, survivors = list(reversed(chosen)), {}, []
    began, done = time.monotonic(), 0
    while waiting or running:
        while waiting and len(running) < workers:
            mutant = waiting.pop()
            running[start(mutant)] = mutant
        child, status = os.wait()
        mutant = running.pop(child)
        done += 1
        if survives(status):
            survivors.append(mutant)
        if done % 20 == 0:
            spent = time.monotonic() - began
            print(f"{done}/{len(chosen)} in {spent:.0f} s, {len(survivors)} live", file=sys.stderr)
    return survivors


def main() -> int:
    """Read the options, run, print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("modules", nargs="*", default=MODULES, help=f"of {', '.join(MODULES)}")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--at-least", type=float, default=90.0, help="%% killed, else exit 1")
    parser.add_argument("--events", type=int, default=4000, help="random events for each mutant")
    options = parser.parse_args()
    os.environ["FACE_LOCK_EVENTS"] = str(options.events)
    # All mutants must meet the same events.
    os.environ.pop("FACE_LOCK_NEW_EXAMPLES", None)
    # Without the plugins for Home Assistant's tests, which take seconds to load.
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    sys.dont_write_bytecode = True
    os.chdir(ROOT)
    # Imported once for all forks, except for the core.
    for name in ("numpy", "PIL.Image", "pytest", "hypothesis.stateful"):
        __import__(name)
    if not survives(os.waitpid(start(None), 0)[1]):
        print("the tests fail without any change", file=sys.stderr)
        return 2
    made = {module: list(mutants(module)) for module in options.modules}
    survivors = run([mutant for group in made.values() for mutant in group], options.workers)
    print(f"{'module':<22}{'mutants':>9}{'killed':>8}{'share':>9}")
    total = sum(len(group) for group in made.values())
    rows = [(m, len(group), sum(s.module == m for s in survivors)) for m, group in made.items()]
    for name, count, live in [*rows, ("all", total, len(survivors))]:
        print(f"{name:<22}{count:>9}{count - live:>8}{100 * (count - live) / max(1, count):>8.1f}%")
    for mutant in sorted(survivors, key=lambda m: (m.module, m.line)):
        print(f"live: {mutant.module}.py:{mutant.line}: {mutant.before}  ->  {mutant.after}")
    return 0 if 100 * (total - len(survivors)) >= options.at_least * total else 1


if __name__ == "__main__":
    sys.exit(main())
