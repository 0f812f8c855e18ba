"""A run's settings: one YAML file, optionally on top of a `base`, checked against a dataclass."""

from dataclasses import MISSING, asdict, dataclass, field, fields, is_dataclass, replace
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

import yaml

Kind = TypeVar("Kind")
Run = TypeVar("Run", bound="RunSettings")


@dataclass
class RunSettings:
    """What every role's settings begin with. The config's other keys are the role's own.

    `data` is the folder of the packs and pictures, `teachers` that of the public checkpoints and
    `runs` that of the runs' folders.
    """

    name: str
    role: str = "verifier"
    data: str = "."
    teachers: str = "."
    runs: str = "runs"
    # Do anew what the run's folder holds already.
    again: bool = False

    @property
    def run_dir(self) -> Path:
        """Folder of this run, under `runs`."""
        return Path(self.runs) / self.name

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for YAML or JSON."""
        return asdict(self)


def under(folder: str, default: Any = MISSING) -> Any:
    """Return a field for a path, or a list of paths, relative to one of the settings' folders.

    `load` puts the folder before it; an absolute path stays, and so does an empty one.
    """
    metadata = {"under": folder}
    if isinstance(default, list):
        return field(default_factory=lambda: list(default), metadata=metadata)
    return field(default=default, metadata=metadata)


def read(path: Path, overrides: list[str] | None = None) -> dict[str, Any]:
    """Read a YAML config, its `base` (relative to it) first, then `section.key=value` overrides.

    The run's name is the file's unless the config has one. Raises ValueError for an override that
    is none.
    """
    values = _read(Path(path))
    for override in overrides or []:
        key, separator, text = override.partition("=")
        if not separator:
            raise ValueError(f"{override!r} is not section.key=value")
        section = values
        *parents, last = key.split(".")
        for parent in parents:
            section = section.setdefault(parent, {})
        section[last] = yaml.safe_load(text)
    values.setdefault("name", Path(path).stem)
    return values


def load(kind: type[Run], path: Path, overrides: list[str] | None = None) -> Run:
    """Read a config as the dataclass `kind`, with paths placed under the folders they belong to.

    Raises ValueError as `read` and `build` do.
    """
    return _placed(build(kind, read(path, overrides)))


def build(kind: type[Kind], values: dict[str, Any], where: str = "") -> Kind:
    """Build the dataclass `kind` of plain values; `where` is the section's name in messages.

    Raises ValueError for a key that does not exist, a value of the wrong type, or a key that is
    missing and has no default.
    """
    hints = get_type_hints(kind)
    known = {entry.name: entry for entry in fields(kind)}  # type: ignore[arg-type]
    arguments: dict[str, Any] = {}
    for key, value in values.items():
        if key not in known:
            raise ValueError(f"unknown setting {where}{key}; known here: {sorted(known)}")
        hint = hints[key]
        if is_dataclass(hint):
            arguments[key] = build(hint, value or {}, f"{where}{key}.")  # type: ignore[arg-type]
            continue
        wanted = getattr(hint, "__origin__", hint)
        if wanted is tuple and isinstance(value, list):
            value = tuple(value)  # noqa: PLW2901 - YAML has lists only
        if wanted is float and isinstance(value, int | str):
            value = float(value)  # noqa: PLW2901 - YAML reads 1e-4 as text
        if not isinstance(value, wanted):
            raise ValueError(f"{where}{key} must be {hint}, not {value!r}")  # noqa: TRY004 - bad input
        arguments[key] = value
    missing = [
        name
        for name, entry in known.items()
        if name not in arguments and entry.default is MISSING and entry.default_factory is MISSING
    ]
    if missing:
        raise ValueError(f"settings missing: {[where + name for name in missing]}")
    return kind(**arguments)


def _placed(config: Run) -> Run:
    """Return the config with its paths (see `under`) joined to their folders."""
    places: dict[str, Any] = {}
    for entry in fields(config):
        if "under" not in entry.metadata:
            continue
        folder, value = Path(getattr(config, entry.metadata["under"])), getattr(config, entry.name)
        if isinstance(value, list):
            places[entry.name] = [str(folder / one) for one in value]
        elif value:
            places[entry.name] = str(folder / value)
    return replace(config, **places)


def _read(path: Path) -> dict[str, Any]:
    values = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    if not isinstance(values, dict):
        raise ValueError(f"{path} holds no settings")  # noqa: TRY004 - bad input
    base = values.pop("base", None)
    return _merge(_read(path.parent / base), values) if base else values


def _merge(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    merged = dict(below)
    for key, value in above.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = _merge(merged[key], value) if both else value
    return merged
