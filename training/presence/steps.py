"""The gate's steps, one at a time: places, train, evaluate, export."""

from __future__ import annotations

import argparse
import json
import logging
from pathlib import Path

import torch

from training.presence.settings import PresenceConfig, read_settings


def _train(config: PresenceConfig, _options: argparse.Namespace) -> None:
    from training.presence.train import train  # noqa: PLC0415 - a step loads only what it needs

    print(train(config))


def _evaluate(config: PresenceConfig, options: argparse.Namespace) -> None:
    from training.presence.evaluate import evaluate, table  # noqa: PLC0415

    report = evaluate(config, _checkpoint(config, options), limit=options.limit)
    print(f"threshold {report['threshold']}, {report['milliseconds']:.2f} ms a view")
    for split in ("validation", "test"):
        print(f"\n{split}\n{table(report[split])}")


def _export(config: PresenceConfig, options: argparse.Namespace) -> None:
    from training.presence.export import export  # noqa: PLC0415

    folder = Path(config.output) / "export"
    entry = export(_checkpoint(config, options), folder)
    (folder / "entry.json").write_text(json.dumps(entry, indent=1) + "\n")
    print(f"{folder}: largest difference from PyTorch {entry['parity']}")


def _places(config: PresenceConfig, options: argparse.Namespace) -> None:
    from training.presence.places import unfold  # noqa: PLC0415

    print(f"{unfold(options.package, Path(config.empty[0]))} views in {config.empty[0]}")


def _checkpoint(config: PresenceConfig, options: argparse.Namespace) -> Path:
    return options.checkpoint or Path(config.output) / "last.pt"


STEPS = {
    "places": (_places, "make pictures of empty places from a package of panoramas"),
    "train": (_train, "train from random weights"),
    "evaluate": (_evaluate, "choose the threshold on validation, report on test"),
    "export": (_export, "write ONNX and ncnn files into the run's folder"),
}


def parser() -> argparse.ArgumentParser:
    """Return the command line's parser."""
    top = argparse.ArgumentParser(prog="python -m training.presence", description=__doc__)
    steps = top.add_subparsers(dest="step", required=True)
    for name, (_, about) in STEPS.items():
        step = steps.add_parser(name, help=about, description=about)
        step.add_argument("--config", type=Path, required=True, help="YAML file of the run")
        if name == "places":
            step.add_argument("--package", type=Path, required=True, help="unpacked @pmndrs/assets")
        if name in ("evaluate", "export"):
            step.add_argument("--checkpoint", type=Path, help="instead of the run's own")
        if name == "evaluate":
            step.add_argument("--limit", type=int, help="only so many pictures of each split")
    return top


def main(arguments: list[str] | None = None) -> int:
    """Run one step; return the exit code."""
    options = parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    config = read_settings(PresenceConfig, options.config)
    torch.set_num_threads(config.threads)
    STEPS[options.step][0](config, options)
    return 0
