"""The steps of the network that tells upright faces from turned ones."""

import argparse
from pathlib import Path

import torch

from training.common.parallel import find_device
from training.common.runs import open_run
from training.common.steps import CARD, CHECKPOINT, LIMIT, Role, Step, verify_step
from training.upright.settings import UprightConfig

_ORIGIN = (
    "trained by this project from random weights on research-only pictures (CelebA, VGGFace2, PINS,"
    " All-Age-Faces, NUAA), turned, as the bundle's detector aligns them"
)


def _train(config: UprightConfig, _options: argparse.Namespace) -> None:
    from training.upright.pool import pool  # noqa: PLC0415 - a step loads only what it needs
    from training.upright.train import Crops, Plan, train  # noqa: PLC0415

    torch.set_num_threads(config.threads)
    open_run(config, "train")
    crops, held_out = (Crops(*pool(config, side)) for side in ("train", "validation"))
    plan = Plan(**{name: getattr(config, name) for name in Plan._fields if name != "seconds"})
    card = {"version": config.version, "licence": config.licence, "origin": _ORIGIN}
    start = Path(config.start) if config.start else None
    device = find_device(config.device)
    print(train(crops, held_out, plan, device, config.run_dir, card, start))


def _evaluate(config: UprightConfig, options: argparse.Namespace) -> None:
    from training.upright.evaluate import evaluate, table  # noqa: PLC0415

    torch.set_num_threads(config.threads)
    open_run(config, "evaluate")
    report = evaluate(config, _checkpoint(config, options), limit=options.limit)
    print(f"threshold {report['threshold']}")
    print(table(report))


def _export(config: UprightConfig, options: argparse.Namespace) -> None:
    from training.common.bundle import write_entry  # noqa: PLC0415
    from training.upright.export import export  # noqa: PLC0415

    open_run(config, "export")
    entry = export(_checkpoint(config, options), config.models)
    write_entry(Path(config.models), "upright", entry)
    print(f"{config.models}: largest difference from PyTorch {entry['parity']}")


def _checkpoint(config: UprightConfig, options: argparse.Namespace) -> Path:
    chosen: Path | None = options.checkpoint
    return chosen or config.run_dir / "last.pt"


ROLE = Role(
    "upright",
    "is an aligned face the right way up?",
    UprightConfig,
    (
        Step("train", _train, "train from random weights"),
        Step(
            "evaluate",
            _evaluate,
            "choose the threshold on validation, report on test",
            (CHECKPOINT, LIMIT),
        ),
        Step("export", _export, "put the evaluated network into the bundle", (CHECKPOINT,)),
        verify_step("training.upright.verify"),
        CARD,
    ),
)
