"""The liveness model's steps."""

import argparse
import json

import torch

from training.common.runs import open_run
from training.common.steps import CARD, Role, Step
from training.liveness.settings import LivenessConfig


def _train(config: LivenessConfig, _options: argparse.Namespace) -> None:
    from training.liveness.train import train  # noqa: PLC0415 - a step loads only what it needs

    open_run(config, "train")
    print(train(config))


def _evaluate(config: LivenessConfig, _options: argparse.Namespace) -> None:
    from training.liveness.evaluate import evaluate, table  # noqa: PLC0415

    torch.set_num_threads(config.threads)
    report = evaluate(config, open_run(config, "evaluate") / "last.pt")
    print(f"threshold {report['threshold']}, no face in {report['frames without a face']} frames")
    for split in ("validation", "test"):
        print(f"\n{split}\n{table(report[split])}")


def _crossvalidate(config: LivenessConfig, _options: argparse.Namespace) -> None:
    from training.liveness.evaluate import crossvalidate, table  # noqa: PLC0415

    torch.set_num_threads(config.threads)
    open_run(config, "crossvalidate")
    print(table(crossvalidate(config)))


def _export(config: LivenessConfig, _options: argparse.Namespace) -> None:
    from training.liveness.export import export  # noqa: PLC0415

    folder = open_run(config, "export") / "export"
    entry = export(config.run_dir / "last.pt", folder)
    (folder / "entry.json").write_text(json.dumps(entry, indent=1) + "\n")
    print(f"{folder}: largest difference from PyTorch {entry['parity']}")


ROLE = Role(
    "liveness",
    "is this a living face, or a picture of one? Only to deny",
    LivenessConfig,
    (
        Step("train", _train, "train from random weights"),
        Step("evaluate", _evaluate, "choose the threshold on validation, report on test"),
        Step("crossvalidate", _crossvalidate, "train and test three folds of the subjects"),
        Step("export", _export, "write ONNX and ncnn files into the run's folder"),
        CARD,
    ),
)
