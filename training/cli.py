"""`python -m training STEP --config CONFIG.yaml`: one step of the pipeline at a time."""

import argparse
import json
import sys
from pathlib import Path

import yaml

from training.verifier import config as configuration
from training.verifier.config import Config


def _prepare(config: Config, _options: argparse.Namespace) -> None:
    from training.verifier.prepare import prepare  # noqa: PLC0415 - a step loads only what it needs

    summary = prepare(config)
    print(json.dumps({key: summary[key] for key in ("pictures", "people")}))
    print(f"{len(summary['duplicates'])} people found under two names")


def _inspect(config: Config, _options: argparse.Namespace) -> None:
    from training.verifier.inspect_data import inspect  # noqa: PLC0415

    inspect(config)


def _train(config: Config, _options: argparse.Namespace) -> None:
    from training.verifier.train import train  # noqa: PLC0415

    train(config)


def _evaluate(config: Config, options: argparse.Namespace) -> None:
    from training.verifier.evaluate import evaluate  # noqa: PLC0415

    evaluate(config, options.what)


def _errors(config: Config, options: argparse.Namespace) -> None:
    from training.verifier.errors import errors  # noqa: PLC0415

    errors(config, options.what)


def _search(config: Config, _options: argparse.Namespace) -> None:
    from training.verifier.search import search  # noqa: PLC0415

    search(config)


def _calibrate(config: Config, _options: argparse.Namespace) -> None:
    from training.verifier.calibrate import calibrate  # noqa: PLC0415

    calibrate(config)


def _export(config: Config, options: argparse.Namespace) -> None:
    from training.verifier.export import export  # noqa: PLC0415

    export(config, from_start=options.what == "start")


def _verify(config: Config, _options: argparse.Namespace) -> None:
    from training.verifier.verify import verify  # noqa: PLC0415

    verify(config)


def _overfit(config: Config, options: argparse.Namespace) -> None:
    from training.verifier.overfit import overfit  # noqa: PLC0415

    overfit(config, people=options.people)


STEPS = {
    "prepare": (_prepare, "read packs and folders, split people, embed with the teacher"),
    "inspect": (_inspect, "what the pictures are and what they lack, before anyone trains"),
    "train": (_train, "train the run's network; best.pt is chosen by FAR first, then TAR"),
    "evaluate": (_evaluate, "TAR at fixed FAR on people never trained on, by condition"),
    "export": (_export, "write the verifier into the bundle as ONNX and ncnn"),
    "errors": (_errors, "sheets of the worst pairs, what costs most, what to collect next"),
    "search": (_search, "look for better settings with Optuna; goes on where it stopped"),
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
        if name in {"evaluate", "errors"}:
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


def _role(arguments: list[str]) -> str:
    """Return the `role` of the config that the arguments name; empty for the verifier's."""
    early = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    early.add_argument("--config", type=Path)
    path = early.parse_known_args(arguments)[0].config
    if path is None or not path.is_file():
        return ""
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    return str(content.get("role", "")) if isinstance(content, dict) else ""


def main(arguments: list[str] | None = None) -> int:
    """Run one step; return the exit code.

    A config that says `role: detector` is run by the detector's own steps, with their options.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    if _role(arguments) == "detector":
        from training.detector.steps import main as detector  # noqa: PLC0415

        return detector(arguments)
    options = parser().parse_args(arguments)
    overrides = list(options.set)
    if options.data:
        overrides.append(f"data={options.data}")
    if options.teachers:
        overrides.append(f"teachers={options.teachers}")
    STEPS[options.step][0](configuration.load(options.config, overrides), options)
    return 0
