"""The detector's steps."""

import argparse
from pathlib import Path

import torch

from training.common.runs import open_run, write_json
from training.common.steps import CARD, CHECKPOINT, LIMIT, Option, Role, Step, verify_step
from training.detector.settings import DetectorConfig


def _train(config: DetectorConfig, _options: argparse.Namespace) -> None:
    from training.detector.train import train  # noqa: PLC0415 - a step loads only what it needs

    open_run(config, "train")
    print(train(config))


def _blend(config: DetectorConfig, options: argparse.Namespace) -> None:
    from training.detector.blend import blend  # noqa: PLC0415

    if config.warm_start is None:
        raise SystemExit("blend needs a warm start to blend with")
    out = open_run(config, f"blend {options.share:g}") / f"blend-{options.share:g}.pt"
    blend(config.warm_start, _checkpoint(config, options), out, options.share)
    print(out)


def _evaluate(config: DetectorConfig, options: argparse.Namespace) -> None:
    from training.detector.evaluate import evaluate, table  # noqa: PLC0415

    torch.set_num_threads(config.threads)
    checkpoint = _checkpoint(config, options)
    report = evaluate(
        config.scenes,
        checkpoint,
        open_run(config, f"evaluate {checkpoint.stem}"),
        limit=options.limit,
        threshold=options.threshold,
        teacher=config.warm_start,
    )
    print(f"score_threshold {report['score_threshold']}")
    for split in ("validation", "test"):
        print(f"\n{split}\n{table(report[split])}")


def _lamps(config: DetectorConfig, options: argparse.Namespace) -> None:
    from training.detector.evaluate import open_detector  # noqa: PLC0415
    from training.detector.lamps import recall_by_azimuth  # noqa: PLC0415

    torch.set_num_threads(config.threads)
    threshold = options.threshold
    checkpoint = _checkpoint(config, options)
    if threshold is None:
        threshold = torch.load(str(checkpoint), weights_only=True)["card"]["score_threshold"]
    pack = Path(config.data) / options.pack
    counts = recall_by_azimuth(pack, open_detector(checkpoint, threshold))
    write_json(
        open_run(config, f"lamps {checkpoint.stem}") / "lamps.json",
        {azimuth: {"found": found, "faces": total} for azimuth, (found, total) in counts.items()},
    )
    for azimuth, (found, total) in counts.items():
        print(f"{azimuth} degrees: {found} of {total}, {100 * found / max(1, total):.1f} %")


def _export(config: DetectorConfig, options: argparse.Namespace) -> None:
    from training.common.bundle import write_entry  # noqa: PLC0415
    from training.detector.export import export  # noqa: PLC0415

    open_run(config, "export")
    entry = export(_checkpoint(config, options), config.models)
    write_entry(Path(config.models), "detector", entry)
    print(f"{config.models}: detector {entry['version']}")


def _checkpoint(config: DetectorConfig, options: argparse.Namespace) -> Path:
    chosen: Path | None = options.checkpoint
    return chosen or config.run_dir / "last.pt"


_SHARE = Option("--share", "of trained weights, 0..1", type=float, required=True)
_THRESHOLD = Option("--threshold", "score; else the one measured", type=float)
_PACK = Option("--pack", "pack of lamps, in the data folder", default="lighting.parquet")

ROLE = Role(
    "detector",
    "where are faces, and their eyes, nose and mouth?",
    DetectorConfig,
    (
        Step("train", _train, "train from YuNet's weights, or from random ones"),
        Step(
            "blend",
            _blend,
            "mix the trained weights with those they started from",
            (CHECKPOINT, _SHARE),
        ),
        Step(
            "evaluate",
            _evaluate,
            "choose the threshold on validation, report on test",
            (CHECKPOINT, _THRESHOLD, LIMIT),
        ),
        Step(
            "lamps",
            _lamps,
            "recall under real lamps, by their direction",
            (CHECKPOINT, _THRESHOLD, _PACK),
        ),
        Step(
            "export",
            _export,
            "write ONNX and ncnn files and the entry in models.json",
            (CHECKPOINT,),
        ),
        verify_step("training.detector.verify"),
        CARD,
    ),
)
