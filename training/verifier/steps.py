"""The verifier's steps."""

import argparse
from dataclasses import replace
from pathlib import Path

from training.common.steps import CARD, Option, Role, Step
from training.verifier.config import Config


def _sample(config: Config, options: argparse.Namespace) -> None:
    from training.sample.make import Sizes, sample  # noqa: PLC0415

    sizes = Sizes(people=options.people, pictures=options.pictures)
    made = sample(Path(config.data), sizes)
    print(f"{config.data}: {'made' if made else 'nothing to do'}, {sizes}")


def _prepare(config: Config, _options: argparse.Namespace) -> None:
    # A step loads only what it needs.
    from training.verifier.prepare import prepare, report  # noqa: PLC0415

    print(report(prepare(config)))


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


def _calibrate(config: Config, options: argparse.Namespace) -> None:
    from training.verifier.calibrate import calibrate, check  # noqa: PLC0415

    if options.what == "table":
        calibrate(config)
    elif check(config):
        raise SystemExit(1)


def _choose(config: Config, _options: argparse.Namespace) -> None:
    from training.verifier.choose import choose  # noqa: PLC0415

    choose(config)


def _crowd(config: Config, _options: argparse.Namespace) -> None:
    from training.verifier.crowding import crowd  # noqa: PLC0415

    crowd(config)


def _promise(config: Config, _options: argparse.Namespace) -> None:
    from training.verifier.promise import promise  # noqa: PLC0415

    promise(config)


def _export(config: Config, options: argparse.Namespace) -> None:
    from training.verifier.export import export  # noqa: PLC0415

    export(config, from_start=options.what == "start")


def _import(config: Config, options: argparse.Namespace) -> None:
    from training.verifier.import_network import Request, import_network  # noqa: PLC0415

    import_network(
        config,
        Request(
            file=options.file,
            contract=options.contract,
            licence=options.licence,
            origin=options.origin,
            pictures=options.pictures,
        ),
    )


def _verify(config: Config, _options: argparse.Namespace) -> None:
    from training.verifier.verify import verify  # noqa: PLC0415

    verify(config)


def _lamps(config: Config, options: argparse.Namespace) -> None:
    from training.verifier.lamps import lamps  # noqa: PLC0415

    lamps(config, options.what)


def _overfit(config: Config, options: argparse.Namespace) -> None:
    from training.verifier.overfit import overfit  # noqa: PLC0415

    overfit(config, people=options.people)


_WHAT = Option(
    "--what",
    "the run's best checkpoint, the network before training, or the bundle",
    default="checkpoint",
    choices=("checkpoint", "start", "bundle"),
)
_MEASURED = replace(
    _WHAT,
    help=f"{_WHAT.help}; parity: the bundle against the checkpoint",
    choices=("checkpoint", "start", "bundle", "parity"),
)
_TABLE = Option(
    "--what",
    "write the table, or check by counting again what it promises",
    default="table",
    choices=("table", "check"),
)
_WEIGHTS = Option(
    "--what",
    "the run's best checkpoint, or the network before training",
    default="checkpoint",
    choices=("checkpoint", "start"),
)
_MADE_PEOPLE = Option("--people", "how many people to make up", type=int, default=120)
_MADE_PICTURES = Option("--pictures", "how many pictures of each", type=int, default=8)
_PEOPLE = Option("--people", "how many people to learn", type=int, default=8)

_IMPORTED = (
    Option("file", "the network, an ONNX file", type=Path),
    Option("--contract", "a known name, or a YAML file (see contract.py)", required=True),
    Option("--licence", "what its licence is called, in your words", required=True),
    Option("--origin", "where you have it from, in your words", required=True),
    Option("--pictures", "a folder with a folder for each person, instead of packs", type=Path),
)

ROLE = Role(
    "verifier",
    "are two faces one person's?",
    Config,
    (
        Step(
            "sample",
            _sample,
            "make up people and packs of every kind in the data folder, where there are none",
            (_MADE_PEOPLE, _MADE_PICTURES),
        ),
        Step("prepare", _prepare, "read the sources, split people, embed with the teacher"),
        Step("inspect", _inspect, "what the pictures are and what they lack, before anyone trains"),
        Step(
            "overfit",
            _overfit,
            "learn a few people by heart, and fail to with shuffled labels",
            (_PEOPLE,),
        ),
        Step("search", _search, "look for better settings with Optuna; goes on where it stopped"),
        Step("train", _train, "train the run's network; best.pt is chosen by FAR first, then TAR"),
        Step(
            "evaluate",
            _evaluate,
            "TAR at fixed FAR on people never trained on, by condition",
            (_MEASURED,),
        ),
        Step("lamps", _lamps, "TAR under real lamps; needs no prepared pictures", (_WHAT,)),
        Step(
            "errors",
            _errors,
            "sheets of the worst pairs, what costs most, what to collect next",
            (_WHAT,),
        ),
        Step("choose", _choose, "keep the blend that does best at the worst group's threshold"),
        Step("crowd", _crowd, "teach the network how crowded a face's neighbourhood is"),
        Step("export", _export, "write the verifier into the bundle as ONNX and ncnn", (_WEIGHTS,)),
        Step(
            "calibrate", _calibrate, "measure the bundle and write its threshold table", (_TABLE,)
        ),
        Step("promise", _promise, "count what each row lets in, group by group, and what it costs"),
        Step(
            "import-verifier",
            _import,
            "make a bundle of a network from elsewhere: checked, calibrated, for your own use",
            _IMPORTED,
        ),
        Step("verify", _verify, "compare the bundle's files with the checkpoint and one another"),
        CARD,
    ),
)
