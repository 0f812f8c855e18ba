"""What may be changed in a module: a table, every place where it fits, and the changed code.

Each mutant changes one node: a comparison, an operator, a constant, a condition negated, a
statement left out, nothing returned. What is only told to the log is left alone.
"""

from __future__ import annotations

import ast
import copy
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import CodeType
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[3]
PRODUCT: Final = ROOT / "custom_components" / "face_lock"

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
        case ast.Expr(value=ast.Call() | ast.Await() as value) if not is_log(value):
            yield ast.Pass()
        case ast.comprehension(ifs=[_, *_]):
            for place in range(len(node.ifs)):
                changed = copy.copy(node)
                changed.ifs = node.ifs[:place] + node.ifs[place + 1 :]
                yield changed


def is_log(value: ast.expr) -> bool:
    """Whether a statement only tells the log something."""
    match value:
        case ast.Call(func=ast.Attribute(value=ast.Name(id="_LOGGER"))):
            return True
    return False


def is_export(node: ast.AST) -> bool:
    """Whether a statement only sets ``__all__``."""
    match node:
        case ast.Assign(targets=[ast.Name(id="__all__")]):
            return True
    return False


def places(
    tree: ast.AST,
) -> Iterator[tuple[ast.AST, str, int | None, ast.AST, ast.stmt | None]]:
    """Yield each node that does something: its parent, the field and index there, itself and the
    statement that it is part of.

    Types, decorators (`dataclass` has only settings of its own) and `__all__` do nothing.
    """
    waiting: list[tuple[ast.AST, ast.stmt | None]] = [(tree, None)]
    while waiting:
        parent, statement = waiting.pop()
        for field, value in ast.iter_fields(parent):
            if field in ("annotation", "returns", "type_params", "decorator_list"):
                continue
            for index, child in enumerate(value) if isinstance(value, list) else ((None, value),):
                if not isinstance(child, ast.AST) or is_export(child):
                    continue
                within = child if isinstance(child, ast.stmt) else statement
                waiting.append((child, within))
                yield parent, field, index, child, within


@dataclass(frozen=True)
class Mutant:
    """One change of a module, with the text of the changed `line` before and after."""

    module: str
    number: int
    """Of the place."""
    change: int
    """Which of the changes that are possible there."""
    line: int
    before: str
    after: str
    lines: range
    """Those of the statement; of a compound one, those before its body."""


def path_of(module: str) -> Path:
    """Return a module's file; modules are named as from the integration's folder."""
    return PRODUCT / f"{module}.py"


@cache
def source_of(module: str) -> str:
    """Return a module's text as it was when this program began."""
    return path_of(module).read_text()


def mutants(module: str) -> Iterator[Mutant]:
    """Find every mutant of a module, always in the same order."""
    for number, (parent, _, _, node, statement) in enumerate(places(ast.parse(source_of(module)))):
        for change, changed in enumerate(changes(node)):
            if not hasattr(changed, "lineno"):
                ast.copy_location(changed, node)
            before = ast.unparse(node).splitlines()[0]
            after = ast.unparse(changed).splitlines()[0]
            if before == after:
                continue  # half of zero
            line = getattr(node, "lineno", getattr(parent, "lineno", 0))
            yield Mutant(module, number, change, line, before, after, header(statement))


def header(statement: ast.stmt | None) -> range:
    """Return the lines of a statement; of a compound one, those before its body."""
    if statement is None:
        return range(0)
    body = getattr(statement, "body", None)
    last = statement.end_lineno if body is None else body[0].lineno - 1
    return range(statement.lineno, max(statement.lineno, last or 0) + 1)


def build(mutant: Mutant) -> CodeType:
    """Compile the changed module."""
    tree = ast.parse(source_of(mutant.module))
    found = next(p for number, p in enumerate(places(tree)) if number == mutant.number)
    parent, field, index, node, _ = found
    changed = list(changes(node))[mutant.change]
    if not hasattr(changed, "lineno"):
        ast.copy_location(changed, node)
    if index is None:
        setattr(parent, field, changed)
    else:
        getattr(parent, field)[index] = changed
    return compile(ast.fix_missing_locations(tree), str(path_of(mutant.module)), "exec")
