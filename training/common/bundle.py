"""Write models.json, the bundle's table of contents; nothing else writes it."""

import hashlib
import json
from pathlib import Path
from typing import Any

FORMAT = 1
VERSION = "0.5.0"
"""Of a new bundle; raised, here and in models.json, with every bundle that is released."""
NAME = "models.json"
ROLES = ("detector", "verifier", "presence", "liveness", "antispoofing", "upright")
"""A bundle must have the first two to be loaded; the others are optional."""


def file_entry(path: Path) -> dict[str, str]:
    """Return name and SHA-256 of a file, as models.json holds them."""
    return {"name": path.name, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}


def read(models_dir: Path) -> dict[str, Any]:
    """Return models.json's content, or an empty bundle where there is none yet."""
    path = Path(models_dir) / NAME
    if path.is_file():
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return content
    return {"format": FORMAT, "version": VERSION, "models": {}}


def write_entry(models_dir: Path, role: str, entry: dict[str, Any]) -> None:
    """Make `entry` the bundle's model for `role`, replacing the one before; other roles stay.

    Raises ValueError for an unknown role and where a file that `entry` names is absent from
    `models_dir` or has another SHA-256.
    """
    if role not in ROLES:
        raise ValueError(f"unknown role {role!r}; known: {ROLES}")
    models_dir = Path(models_dir)
    files = entry["files"]
    for listed in (files["onnx"], *files.get("ncnn", {}).values()):
        path = models_dir / listed["name"]
        if not path.is_file() or file_entry(path) != listed:
            raise ValueError(f"{path} is absent or is not the file that the entry describes")
    content = read(models_dir)
    content["models"][role] = entry
    # Replaced in one step: a reader never sees half a file.
    partial = models_dir / (NAME + ".partial")
    partial.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    partial.replace(models_dir / NAME)


def update_entry(models_dir: Path, role: str, **changes: Any) -> None:
    """Change some fields of the entry for `role`; KeyError where the role has none yet."""
    write_entry(models_dir, role, {**read(models_dir)["models"][role], **changes})
