"""`python -m training STEP --config CONFIG.yaml`: one step of the pipeline at a time."""

import argparse
import json
from pathlib import Path

from training import config as configuration
from training.config import Config


def _prepare(config: Config, _options: argparse.Namespace) -> None:
    from training.prepare import prepare  # noqa: PLC0415 - a step loads only what it needs

    summary = prepare(config)
    print(json.dumps({key: summary[key] for key in ("pictures", "people")}))
    print(f"{len(summary['duplicates'])} people found under two names")


def _train(config: Config, _options: argparse.Namespace) -> None:
    from training.train import train  # noqa: PLC0415

    train(config)


def _evaluate(config: Config, options: argparse.Namespace) -> None:
    from training.evaluate import evaluate  # noqa: PLC0415

    evaluate(config, options.what)


def _calibrate(config: Config, _options: argparse.Namespace) -> None:
    from training.calibrate import calibrate  # noqa: PLC0415

    calibrate(config)


def _export(config: Config, options: argparse.Namespace) -> None:
    from training.export import export  # noqa: PLC0415

    export(config, from_start=options.what == "start")


def _verify(config: Config, _options: argparse.Namespace) -> None:
    from training.verify import verify  # noqa: PLC0415

    verify(config)


def _overfit(config: Config, options: argparse.Namespace) -> None:
    from training.overfit import overfit  # noqa: PLC0415

    overfit(config, people=options.people)


STEPS = {
    "prepare": (_prepare, "read packs and folders, split people, embed with the teacher"),
    "train": (_train, "train the run's network; best.pt is chosen by FAR first, then TAR"),
    "evaluate": (_evaluate, "TAR at fixed FAR on people never trained on, by condition"),
    "export": (_export, "write the verifier into the bundle as ONNX and ncnn"),
    "calibrate": (_calibrate, "measure the bundle and write its threshold table"),
    "verify": (_verify, "compare the bundle's files with the checkpoint and one another"),
    "overfit": (_overfit, "learn a few people by heart, and fail to with shuffled labels"),
}


def parser() -> argparse.ArgumentParser:
    """Return the command line's parser."""
    top = argparse.ArgumentParser(prog="python -m training", description=__doc__)
    steps = top.add_subparsers(dest="step", required=True)
    for name, (_, summary) in STEPS.items():
        step = steps.add_parser(name, help=summary, description=summary)
        step.add_argument("--config", type=Path, required=True, help="YAML file of the run")
        step.add_argument("--data", help="folder of the packs and folders the config names")
        step.add_argument("--teachers", help="folder of the ONNX checkpoints the config names")
        step.add_argument(
            "--set",
            action="append",
            default=[],
            metavar="SECTION.KEY=VALUE",
            help="override one setting; may be repeated",
        )
        if name == "evaluate":
            step.add_argument(
                "--what",
                choices=["checkpoint", "start", "bundle"],
                default="checkpoint",
                help="the run's best checkpoint, the network before training, or the bundle",
            )
        if name == "export":
            step.add_argument(
                "--what",
                choices=["checkpoint", "start"],
                default="checkpoint",
                help="the run's best checkpoint, or the network before training",
            )
        if name == "overfit":
            step.add_argument("--people", type=int, default=8, help="how many people to learn")
    return top


def main(arguments: list[str] | None = None) -> int:
    """Run one step; return the exit code."""
    options = parser().parse_args(arguments)
    overrides = list(options.set)
    if options.data:
        overrides.append(f"data={options.data}")
    if options.teachers:
        overrides.append(f"teachers={options.teachers}")
    STEPS[options.step][0](configuration.load(options.config, overrides), options)
    return 0
