"""The rooms of the integration: who may know whom, and how large a module may be."""

import ast
from graphlib import TopologicalSorter

import pytest

from .conftest import ROOT

FOLDER = ROOT / "custom_components" / "face_lock"
MAX_LINES = 350
# From the bottom to the top: a module may know those before it, and its own room.
FLOORS = (
    ("const", "format", "names", "vision"),
    ("entity_reference", "issues", "localize", "settings", "visit"),
    ("people", "recognition"),
    ("storage", "challenge", "locking"),
    ("residents", "door_state"),
    ("access",),
    ("coordinator",),
    ("activity",),
    ("household",),
    ("enrollment", "entity", "maintenance"),
    ("flows", "services"),
    ("binary_sensor", "event", "image", "lock", "sensor", "switch", "config_flow"),
    ("diagnostics", "logbook", "system_health"),
    ("",),
)
ROOMS = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}


def modules() -> dict[str, ast.Module]:
    """Dotted name below the integration -> syntax tree."""
    found = {}
    for path in FOLDER.rglob("*.py"):
        parts = path.relative_to(FOLDER).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        found[name] = ast.parse(path.read_text())
    return found


MODULES = modules()


def imports(name: str) -> set[str]:
    """The modules of ours that a module needs in order to be imported."""
    package = (FOLDER / name.replace(".", "/")).is_dir()
    here = name.split(".") if name else []
    here = here if package else here[:-1]
    found = set()
    for node in MODULES[name].body:
        if not isinstance(node, ast.ImportFrom) or not node.level:
            continue
        base = here[: len(here) - (node.level - 1)]
        target = ".".join([*base, *(node.module or "").split(".")]).strip(".")
        for alias in node.names:
            inner = f"{target}.{alias.name}".strip(".")
            found.add(inner if inner in MODULES else target)
    return found - {name}


def room(name: str) -> str:
    return name.split(".", maxsplit=1)[0]


def test_no_module_imports_itself_over_others() -> None:
    graph = {name: imports(name) for name in MODULES}
    assert sum(map(len, graph.values())) > 200
    TopologicalSorter(graph).prepare()  # raises CycleError


@pytest.mark.parametrize("name", sorted(MODULES))
def test_no_arrow_runs_up(name) -> None:
    floor = ROOMS[room(name)]
    up = {other for other in imports(name) if room(other) != room(name)}
    assert not {other for other in up if ROOMS[room(other)] > floor}


def test_no_module_is_too_long() -> None:
    lines = {path: len(path.read_text().splitlines()) for path in FOLDER.rglob("*.py")}
    assert not {str(path): n for path, n in lines.items() if n > MAX_LINES}
