"""The detector's steps, one at a time: train, blend, evaluate, lamps, export."""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

import torch

from training.common.bundle import write_entry
from training.detector.blend import blend
from training.detector.evaluate import evaluate, open_detector, table
from training.detector.export import export
from training.detector.lamps import recall_by_azimuth
from training.detector.train import CHECKPOINT, DetectorConfig, read_config, train


def _train(config: DetectorConfig, _options: argparse.Namespace) -> None:
    print(train(config))


def _blend(config: DetectorConfig, options: argparse.Namespace) -> None:
    if config.warm_start is None:
        raise SystemExit("blend needs a warm start to blend with")
    out = Path(config.output) / f"blend-{options.share:g}.pt"
    blend(config.warm_start, _checkpoint(config, options), out, options.share)
    print(out)


def _evaluate(config: DetectorConfig, options: argparse.Namespace) -> None:
    report = evaluate(
        config.scenes,
        _checkpoint(config, options),
        config.output,
        limit=options.limit,
        threshold=options.threshold,
        teacher=config.warm_start,
    )
    print(f"score_threshold {report['score_threshold']}")
    for split in ("validation", "test"):
        print(f"\n{split}\n{table(report[split])}")


def _lamps(config: DetectorConfig, options: argparse.Namespace) -> None:
    threshold = options.threshold
    checkpoint = _checkpoint(config, options)
    if threshold is None:
        threshold = torch.load(str(checkpoint), weights_only=True)["card"]["score_threshold"]
    counts = recall_by_azimuth(options.pack, open_detector(checkpoint, threshold))
    for azimuth, (found, total) in counts.items():
        print(f"{azimuth} degrees: {found} of {total}, {100 * found / max(1, total):.1f} %")


def _export(config: DetectorConfig, options: argparse.Namespace) -> None:
    entry = export(_checkpoint(config, options), config.models)
    write_entry(Path(config.models), "detector", entry)
    print(f"{config.models}: detector {entry['version']}")


def _checkpoint(config: DetectorConfig, options: argparse.Namespace) -> Path:
    return options.checkpoint or Path(config.output) / CHECKPOINT


STEPS = {
    "train": (_train, "train from YuNet's weights, or from random ones"),
    "blend": (_blend, "mix the trained weights with those they started from"),
    "evaluate": (_evaluate, "choose the threshold on validation, report on test"),
    "lamps": (_lamps, "recall under real lamps, by their direction"),
    "export": (_export, "write ONNX and ncnn files and the entry in models.json"),
}


def parser() -> argparse.ArgumentParser:
    """Return the command line's parser."""
    top = argparse.ArgumentParser(prog="python -m training.detector", description=__doc__)
    steps = top.add_subparsers(dest="step", required=True)
    for name, (_, summary) in STEPS.items():
        step = steps.add_parser(name, help=summary, description=summary)
        step.add_argument("--config", type=Path, required=True, help="YAML file of the run")
        if name != "train":
            step.add_argument(
                "--checkpoint",
                type=Path,
                help="instead of the run's own: another .pt, or YuNet's .onnx",
            )
        if name in ("evaluate", "lamps"):
            step.add_argument("--threshold", type=float, help="score; else the one measured")
        if name == "evaluate":
            step.add_argument("--limit", type=int, help="only so many pictures of each split")
        if name == "blend":
            step.add_argument("--share", type=float, required=True, help="of trained weights, 0..1")
        if name == "lamps":
            step.add_argument("--pack", type=Path, required=True, help="lighting.parquet")
    return top


def main(arguments: list[str] | None = None) -> int:
    """Run one step; return the exit code."""
    options = parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    config = read_config(options.config)
    torch.set_num_threads(config.threads)
    STEPS[options.step][0](config, options)
    return 0
