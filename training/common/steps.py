"""The table in which each role lists its steps; the command line is made of it."""

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from training.common.settings import RunSettings


@dataclass(frozen=True)
class Option:
    """An option that a step has beyond those of every step, as `add_argument` takes it."""

    flag: str
    help: str
    type: Callable[[str], Any] = str
    default: Any = None
    choices: tuple[str, ...] | None = None
    required: bool = False


@dataclass(frozen=True)
class Step:
    """One step of a role: `run` gets the role's settings and the parsed options."""

    name: str
    run: Callable[[Any, argparse.Namespace], None]
    help: str
    options: tuple[Option, ...] = ()


@dataclass(frozen=True)
class Role:
    """One network's pipeline. Its settings' type names what its configs may say."""

    name: str
    about: str
    settings: type[RunSettings]
    steps: tuple[Step, ...]


CHECKPOINT = Option("--checkpoint", "instead of the run's own", type=Path)
LIMIT = Option("--limit", "only so many pictures of each split", type=int)
