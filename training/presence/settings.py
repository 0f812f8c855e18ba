"""Settings of a small model's run: one YAML file whose keys are the fields of a dataclass."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, TypeVar

import yaml

Kind = TypeVar("Kind")


@dataclass(frozen=True)
class PresenceConfig:
    """All that decides a run of the gate; paths are relative to the working folder.

    `scenes` is a Parquet pack with labelled faces; `empty` are folders of pictures without anyone
    (their side follows from the name of the place, see `data.read_empty`); `webcam` is a pack of
    frames (`image`, `label`, `subject`), never trained on, whose live ones measure recall; `start`
    is a checkpoint to go on from; `night_share` of the canvases are darkened; rates are for AdamW;
    `seed` fixes everything random.
    """

    scenes: str
    empty: list[str] = field(default_factory=list)
    webcam: str = ""
    start: str = ""
    output: str = "runs/presence"
    version: str = "0.1.0"
    licence: str = "Apache-2.0; trained on research-only pictures, see training/presence/README.md"
    batch: int = 32
    steps: int = 2000
    learning_rate: float = 4e-3
    weight_decay: float = 1e-4
    night_share: float = 0.4
    view_weight: float = 1.0
    log_every: int = 100
    threads: int = 1
    seed: int = 1


def read_settings(kind: type[Kind], source: Path | str | dict[str, Any]) -> Kind:
    """Build the dataclass `kind` from a YAML file, or from a mapping.

    Raises:
        ValueError: a key is not a field of `kind`.

    """
    values = source if isinstance(source, dict) else yaml.safe_load(Path(source).read_text())
    unknown = values.keys() - {item.name for item in fields(kind)}  # type: ignore[arg-type]
    if unknown:
        message = f"unknown settings: {', '.join(sorted(unknown))}"
        raise ValueError(message)
    return kind(**values)
