"""Step `export`: write the verifier in the bundle's two formats, ONNX and ncnn."""

from pathlib import Path
from typing import Any

from torch import nn

from training.common import bundle
from training.common.formats import INPUT_NAME, Paths, multiply_adds, write_ncnn, write_onnx
from training.common.pictures import CROP
from training.common.runs import open_run
from training.verifier import model
from training.verifier.config import Config, ExportSettings
from training.verifier.network import Scored, Verifier

DIRECTION, CROWDING = "embedding", "crowding"
SHAPE = (3, CROP, CROP)
# What every verifier of a bundle takes, as models.json says it.
INPUT = {
    "name": INPUT_NAME,
    "layout": "NCHW",
    "channels": "RGB",
    "range": [0, 255],
    "size": [CROP, CROP],
    "template": "arcface-112",
}


def outputs_of(verifier: Verifier) -> list[str]:
    """Name the outputs: `embedding` [N, D] and, where it was taught, `crowding` [N, 1]."""
    return [DIRECTION] if verifier.crowding is None else [DIRECTION, CROWDING]


def to_onnx(verifier: Verifier, path: Path) -> None:
    """Write `verifier` as one ONNX file: `image` [N, 3, 112, 112] to its outputs, N free."""
    outputs = outputs_of(verifier)
    free = {name: {0: "n"} for name in (INPUT_NAME, *outputs)}
    write_onnx(Scored(verifier), path, SHAPE, outputs, free)


def check_size(verifier: nn.Module, settings: ExportSettings) -> None:
    """Raise ValueError where the network is too large for a door's computer, in bytes or in work.

    Float32 weights stand for the ONNX file, which has little else in it.
    """
    weights = [*verifier.parameters(), *verifier.buffers()]
    megabytes = sum(value.numel() * value.element_size() for value in weights) / 1e6
    work = multiply_adds(verifier, SHAPE) / 1e9
    for value, most, unit in (
        (megabytes, settings.max_megabytes, "MB"),
        (work, settings.max_giga_multiply_adds, "G multiply-adds"),
    ):
        if value > most:
            raise ValueError(
                f"the network has {value:.3g} {unit}, at most {most:.3g} may be exported: "
                "train a narrower one (model.options.width)"
            )


def export_verifier(verifier: Verifier, models: Path, *, half: bool = True) -> dict[str, Any]:
    """Write verifier.onnx, .param and .bin into `models`; return their part of models.json."""
    models.mkdir(parents=True, exist_ok=True)
    paths = Paths.inside(models, "verifier")
    to_onnx(verifier, paths.onnx)
    write_ncnn(Scored(verifier), paths, [SHAPE], outputs_of(verifier), half=half)
    return {
        "files": paths.entry(),
        "input": INPUT,
        "embedding_size": verifier.backbone.embedding_size,
        "crowding": verifier.crowding is not None,
    }


def export(config: Config, *, from_start: bool = False) -> None:
    """Put the run's best checkpoint (or the untrained start) into the bundle.

    The threshold table belongs to the weights, so the old one goes; `calibrate` writes the new.
    Until then the bundle has the verifier without thresholds, and `vision` refuses to load it
    by default.
    """
    folder = open_run(config, "export start" if from_start else "export")
    settings = config.export
    verifier = model.build(config) if from_start else model.load(model.checkpoint(folder))
    check_size(verifier, settings)
    entry = export_verifier(verifier, Path(settings.models), half=settings.half)
    described = {
        "version": settings.version,
        **entry,
        "licence": settings.licence,
        "origin": settings.origin,
    }
    bundle.write_entry(Path(settings.models), "verifier", described)
    if settings.detector_checkpoint:
        # Imported here: a run of the verifier alone needs nothing of the detector's.
        from training.detector.export import export as export_detector  # noqa: PLC0415

        detector = export_detector(Path(settings.detector_checkpoint), Path(settings.models))
        bundle.write_entry(Path(settings.models), "detector", detector)
