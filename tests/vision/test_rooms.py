"""Every module of `vision` imports only from its own room and from the rooms below it."""

import ast
from graphlib import TopologicalSorter
from importlib.util import resolve_name
from pathlib import Path

import pytest

import vision

ROOMS = (
    "types",
    "imaging",
    "matching",
    "networks",
    "tracking",
    "pad",
    "decision",
    "pipeline",
    "vision",
)
"""From the ground up; `vision` is the façade."""
FOLDER = Path(vision.__file__).parent


def imports() -> dict[str, set[str]]:
    """Module of `vision` -> the modules of `vision` that it imports, also within functions."""
    files = {}
    for path in FOLDER.rglob("*.py"):
        parts = ["vision", *path.relative_to(FOLDER).with_suffix("").parts]
        files[".".join(parts).removesuffix(".__init__")] = path
    found = {}
    for name, path in files.items():
        package = name if path.name == "__init__.py" else name.rpartition(".")[0]
        found[name] = {
            module if module in files else module.rpartition(".")[0]
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.ImportFrom) and node.level
            for target in [resolve_name("." * node.level + (node.module or ""), package)]
            for module in {f"{target}.{alias.name}" for alias in node.names}
        }
    return found


def room(module: str) -> int:
    return ROOMS.index(module.split(".")[1] if "." in module else module)


def test_no_import_leads_to_a_room_above():
    up = [
        (module, other)
        for module, others in imports().items()
        for other in others
        if room(other) > room(module)
    ]
    assert not up


def test_no_module_imports_itself_by_a_detour():
    order = list(TopologicalSorter(imports()).static_order())
    assert order.index("vision.types") < order.index("vision.decision.decider")


@pytest.mark.parametrize("module", sorted(imports()))
def test_nothing_of_home_assistant_is_imported(module):
    path = FOLDER.parent.joinpath(*module.split("."))
    source = (path / "__init__.py" if path.is_dir() else path.with_suffix(".py")).read_text()
    assert "homeassistant" not in source
