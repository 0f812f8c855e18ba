"""Step `export`: write the verifier in the bundle's two formats, ONNX and ncnn."""

import shutil
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path
from typing import Any

import onnx
import torch
from torch import nn

from training import bundle, model
from training.config import Config
from training.pictures import CROP
from training.runs import open_run

OPSET = 17
INPUT_NAME = "image"
OUTPUT_NAME = "embedding"


def to_onnx(verifier: nn.Module, path: Path) -> None:
    """Write `verifier` as one ONNX file: `image` [N, 3, 112, 112] to `embedding` [N, D], N free."""
    with warnings.catch_warnings():
        # The TorchScript exporter is deprecated but writes the plain opset 17 graph wanted here.
        warnings.simplefilter("ignore", category=DeprecationWarning)
        torch.onnx.export(
            verifier.eval(),
            (torch.zeros(1, 3, CROP, CROP),),
            str(path),
            input_names=[INPUT_NAME],
            output_names=[OUTPUT_NAME],
            dynamic_axes={INPUT_NAME: {0: "n"}, OUTPUT_NAME: {0: "n"}},
            opset_version=OPSET,
            dynamo=False,
        )
    # Raises where the file depends on anything outside itself or breaks the opset.
    onnx.checker.check_model(str(path), full_check=True)


def to_ncnn(verifier: nn.Module, param: Path, weights: Path, *, half: bool = True) -> None:
    """Write `verifier` as ncnn files for one crop, blobs `image` (3, 112, 112) and `embedding` (D).

    `half` stores the weights as float16, which halves the file; ncnn widens them when loading.
    Raises RuntimeError with pnnx's output where the conversion fails.
    """
    with tempfile.TemporaryDirectory() as folder:
        traced = Path(folder) / "verifier.pt"
        example = torch.zeros(1, 3, CROP, CROP)
        torch.jit.trace(verifier.eval(), example, check_trace=False).save(str(traced))
        # pnnx is installed beside the interpreter, which need not be on PATH.
        pnnx = shutil.which("pnnx", path=str(Path(sys.executable).parent)) or "pnnx"
        done = subprocess.run(  # noqa: S603 - the arguments are ours
            [pnnx, traced.name, f"inputshape=[1,3,{CROP},{CROP}]", f"fp16={int(half)}"],
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
        )
        made = (Path(folder) / "verifier.ncnn.param", Path(folder) / "verifier.ncnn.bin")
        if done.returncode or not all(file.is_file() for file in made):
            raise RuntimeError(f"pnnx failed: {done.stdout[-2000:]}{done.stderr[-2000:]}")
        text = rename_blobs(made[0].read_text(), {"in0": INPUT_NAME, "out0": OUTPUT_NAME})
        param.write_text(text)
        shutil.copyfile(made[1], weights)


def rename_blobs(text: str, names: dict[str, str]) -> str:
    """Return an ncnn .param with its blobs renamed; layer names and values stay.

    A layer's line is: type, name, input count, output count, inputs, outputs, values.
    """
    lines = text.splitlines()
    for number, line in enumerate(lines[2:], start=2):
        words = line.split()
        blobs = slice(4, 4 + int(words[2]) + int(words[3]))
        words[blobs] = [names.get(word, word) for word in words[blobs]]
        lines[number] = " ".join(words)
    return "\n".join(lines) + "\n"


def export_verifier(verifier: nn.Module, models: Path, *, half: bool = True) -> dict[str, Any]:
    """Write verifier.onnx, .param and .bin into `models`; return their part of models.json."""
    models.mkdir(parents=True, exist_ok=True)
    paths = {suffix: models / f"verifier.{suffix}" for suffix in ("onnx", "param", "bin")}
    to_onnx(verifier, paths["onnx"])
    to_ncnn(verifier, paths["param"], paths["bin"], half=half)
    listed = {suffix: bundle.file_entry(path) for suffix, path in paths.items()}
    return {
        "files": {
            "onnx": listed["onnx"],
            "ncnn": {"param": listed["param"], "bin": listed["bin"]},
        },
        "input": {
            "name": INPUT_NAME,
            "layout": "NCHW",
            "channels": "RGB",
            "range": [0, 255],
            "size": [CROP, CROP],
            "template": "arcface-112",
        },
        "embedding_size": verifier.backbone.embedding_size,
    }


def export(config: Config, *, from_start: bool = False) -> None:
    """Put the run's best checkpoint (or the untrained start) into the bundle.

    The threshold table belongs to the weights, so the old one goes; `calibrate` writes the new.
    Until then the bundle has the verifier without thresholds, and `vision` refuses to load it
    by default.
    """
    folder = open_run(config, "export start" if from_start else "export")
    settings = config.export
    verifier = model.build(config) if from_start else model.load(folder / "best.pt")
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
