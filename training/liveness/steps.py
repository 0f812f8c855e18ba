"""The liveness model's steps, one at a time: train, evaluate, crossvalidate, export."""

from __future__ import annotations

import argparse
import json
import logging
from dataclasses import replace
from pathlib import Path

import torch

from training.liveness.settings import LivenessConfig
from training.presence.settings import read_settings


def _train(config: LivenessConfig, _options: argparse.Namespace) -> None:
    from training.liveness.train import train  # noqa: PLC0415 - a step loads only what it needs

    print(train(config))


def _evaluate(config: LivenessConfig, _options: argparse.Namespace) -> None:
    from training.liveness.evaluate import evaluate, table  # noqa: PLC0415

    report = evaluate(config, Path(config.output) / "last.pt")
    print(f"threshold {report['threshold']}, no face in {report['frames without a face']} frames")
    for split in ("validation", "test"):
        print(f"\n{split}\n{table(report[split])}")


def _crossvalidate(config: LivenessConfig, _options: argparse.Namespace) -> None:
    from training.liveness.evaluate import crossvalidate, table  # noqa: PLC0415

    print(table(crossvalidate(config)))


def _export(config: LivenessConfig, _options: argparse.Namespace) -> None:
    from training.liveness.export import export  # noqa: PLC0415

    folder = Path(config.output) / "export"
    entry = export(Path(config.output) / "last.pt", folder)
    (folder / "entry.json").write_text(json.dumps(entry, indent=1) + "\n")
    print(f"{folder}: largest difference from PyTorch {entry['parity']}")


STEPS = {
    "train": (_train, "train from random weights"),
    "evaluate": (_evaluate, "choose the threshold on validation, report on test"),
    "crossvalidate": (_crossvalidate, "train and test three folds of the subjects"),
    "export": (_export, "write ONNX and ncnn files into the run's folder"),
}


def parser() -> argparse.ArgumentParser:
    """Return the command line's parser."""
    top = argparse.ArgumentParser(prog="python -m training.liveness", description=__doc__)
    steps = top.add_subparsers(dest="step", required=True)
    for name, (_, about) in STEPS.items():
        step = steps.add_parser(name, help=about, description=about)
        step.add_argument("--config", type=Path, required=True, help="YAML file of the run")
        step.add_argument(
            "--simulated-only",
            action="store_true",
            help="learn no real attack: how far do the simulations carry?",
        )
        step.add_argument("--steps", type=int, help="instead of the config's")
    return top


def main(arguments: list[str] | None = None) -> int:
    """Run one step; return the exit code."""
    options = parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    config = read_settings(LivenessConfig, options.config)
    if options.simulated_only:
        config = replace(config, real_attacks=False, output=f"{config.output}-simulated")
    if options.steps:
        config = replace(config, steps=options.steps)
    torch.set_num_threads(config.threads)
    STEPS[options.step][0](config, options)
    return 0
