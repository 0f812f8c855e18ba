"""The table in which each role lists its steps; the command line is made of it."""

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from training.common.settings import RunSettings

MODELS = "custom_components/face_lock/models"
REPORTS = "training/reports"


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


def _card(config: RunSettings, options: argparse.Namespace) -> None:
    from training.common.card import write_card  # noqa: PLC0415 - other steps do not need it

    write_card(config, options.config, options.models, options.reports, options.checkpoint)


CHECKPOINT = Option("--checkpoint", "instead of the run's own", type=Path)
LIMIT = Option("--limit", "only so many pictures of each split", type=int)


def verify_step(verify: str) -> Step:
    """Return the step that runs `verify(config, checkpoint, limit)` of the module so named."""

    def run(config: RunSettings, options: argparse.Namespace) -> None:
        from training.common.verify import checkpoint_of  # noqa: PLC0415 - as above

        module = import_module(verify)
        module.verify(config, checkpoint_of(config, options.checkpoint), options.limit)

    about = (
        "compare the bundle's files in both runtimes, and with the checkpoint where there is one"
    )
    return Step("verify", run, about, (CHECKPOINT, LIMIT))


CARD = Step(
    "card",
    _card,
    "keep the run's figures, and write the bundle's model card of all networks' kept figures",
    (
        Option("--models", "folder of the bundle", type=Path, default=Path(MODELS)),
        Option("--reports", "folder of the kept figures", type=Path, default=Path(REPORTS)),
        Option("--checkpoint", "whose evaluation, where there are several", default="last"),
    ),
)
