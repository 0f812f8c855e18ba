"""The liveness model's steps."""

import argparse
from pathlib import Path

import torch

from training.common.runs import open_run
from training.common.steps import CARD, REPORTS, Option, Role, Step, verify_step
from training.liveness.settings import LivenessConfig


def _prepare(config: LivenessConfig, _options: argparse.Namespace) -> None:
    from training.liveness.pool import open_pool  # noqa: PLC0415 - a step loads only what it needs

    print(f"{len(open_pool(config, open_run(config, 'prepare') / 'pool').views)} views")


def _train(config: LivenessConfig, _options: argparse.Namespace) -> None:
    from training.liveness.train import train  # noqa: PLC0415

    open_run(config, "train")
    print(train(config))


def _evaluate(config: LivenessConfig, _options: argparse.Namespace) -> None:
    from training.liveness.evaluate import evaluate, table  # noqa: PLC0415

    torch.set_num_threads(config.threads)
    report = evaluate(config, open_run(config, "evaluate") / "last.pt")
    print(f"no face in {report['frames_without_a_face']} frames")
    for point in report["operating_points"]:
        print(f"\n{table(point)}")


def _crossvalidate(config: LivenessConfig, _options: argparse.Namespace) -> None:
    from training.liveness.evaluate import crossvalidate, table  # noqa: PLC0415

    torch.set_num_threads(config.threads)
    open_run(config, "crossvalidate")
    for point in crossvalidate(config)["operating_points"]:
        print(f"\n{table(point)}")


def _errors(config: LivenessConfig, _options: argparse.Namespace) -> None:
    from training.liveness.errors import errors  # noqa: PLC0415

    open_run(config, "errors")
    print(*errors(config), sep="\n")


def _export(config: LivenessConfig, _options: argparse.Namespace) -> None:
    from training.liveness.export import install  # noqa: PLC0415

    entry = install(open_run(config, "export") / "last.pt", config.models)
    print(f"{config.models}: largest difference from PyTorch {entry['parity']}")


def _antispoofing(config: LivenessConfig, _options: argparse.Namespace) -> None:
    from training.liveness.antispoofing import install  # noqa: PLC0415

    open_run(config, "antispoofing")
    print(f"{config.models}: largest difference from the originals {install(config)['parity']}")


def _simulate(config: LivenessConfig, _options: argparse.Namespace) -> None:
    from training.liveness.visits.report import simulate  # noqa: PLC0415

    open_run(config, "simulate")
    simulate(config)


def _limits(config: LivenessConfig, _options: argparse.Namespace) -> None:
    from training.liveness.visits.limits import install  # noqa: PLC0415

    open_run(config, "limits")
    limits = install(config)
    print(*limits.second.cells, sep="\n")


def _challenge(config: LivenessConfig, _options: argparse.Namespace) -> None:
    from training.liveness.visits.report import challenge  # noqa: PLC0415

    open_run(config, "challenge")
    challenge(config)


def _visits(config: LivenessConfig, options: argparse.Namespace) -> None:
    from training.liveness.visits.report import report  # noqa: PLC0415

    print(report(config, options.reports))


ROLE = Role(
    "liveness",
    "is this a living face, or a picture of one? Only to deny",
    LivenessConfig,
    (
        Step("prepare", _prepare, "make all views once: simulating costs more than learning"),
        Step("train", _train, "train from random weights"),
        Step("evaluate", _evaluate, "choose the threshold on validation, report on test"),
        Step("crossvalidate", _crossvalidate, "train and test three folds of the subjects"),
        Step("errors", _errors, "sheets of what the evaluated network got most wrong"),
        Step("export", _export, "put the evaluated network into the bundle"),
        Step("antispoofing", _antispoofing, "put the published MiniFASNets into the bundle"),
        verify_step("training.liveness.verify"),
        Step("simulate", _simulate, "render visits, living and attacks, and let the door see them"),
        Step("limits", _limits, "choose the second network's limits by half of the living"),
        Step("challenge", _challenge, "ask the challenges of simulated visitors"),
        Step(
            "visits",
            _visits,
            "report what each level lets in and turns away, of the visits seen",
            (Option("--reports", "folder of the kept figures", type=Path, default=Path(REPORTS)),),
        ),
        CARD,
    ),
)
