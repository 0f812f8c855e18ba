"""The two formats of every bundled network, ONNX and ncnn, written from one module."""

import shutil
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from training.common.bundle import file_entry

OPSET = 17
INPUT_NAME = "image"

Shape = tuple[int, int, int]
"""Channels, height and width of an input."""


def multiply_adds(module: nn.Module, shape: Shape) -> int:
    """Count the multiplications of one picture of `shape` in convolutions and matrix products."""
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        module.eval()(torch.zeros(1, *shape))
    # It counts a multiplication and an addition as two.
    return counter.get_total_flops() // 2


@dataclass(frozen=True)
class Paths:
    """The three files of one model."""

    onnx: Path
    param: Path
    bin: Path

    @staticmethod
    def inside(folder: Path, name: str) -> "Paths":
        """Name the files of model `name` in `folder`."""
        return Paths(*(folder / f"{name}.{suffix}" for suffix in ("onnx", "param", "bin")))

    def entry(self) -> dict[str, Any]:
        """Return the `files` part of an entry in models.json; without ncnn's where it has none."""
        files: dict[str, Any] = {"onnx": file_entry(self.onnx)}
        if self.param.is_file() and self.bin.is_file():
            files["ncnn"] = {"param": file_entry(self.param), "bin": file_entry(self.bin)}
        return files


def write_onnx(
    module: nn.Module,
    path: Path,
    shape: Shape,
    outputs: Sequence[str],
    free: dict[str, dict[int, str]],
) -> None:
    """Write `module` as one ONNX file: `image` of `shape` behind a batch axis to `outputs`.

    `free` names the axes that may vary, by input or output.
    """
    with warnings.catch_warnings():
        # The TorchScript exporter is deprecated but writes the plain opset 17 graph wanted here.
        warnings.simplefilter("ignore", category=DeprecationWarning)
        # The gate normalises each view by its own contrast, in inference too: that is wanted.
        warnings.filterwarnings("ignore", message=".*instance_norm.*", category=UserWarning)
        torch.onnx.export(
            module.eval(),
            (torch.zeros(1, *shape),),
            str(path),
            input_names=[INPUT_NAME],
            output_names=list(outputs),
            dynamic_axes=free,
            opset_version=OPSET,
            dynamo=False,
        )
    # Raises where the file depends on anything outside itself or breaks the opset.
    onnx.checker.check_model(str(path), full_check=True)


def write_ncnn(
    module: nn.Module,
    paths: Paths,
    shapes: Sequence[Shape],
    outputs: Sequence[str],
    *,
    half: bool,
) -> None:
    """Write `module` as ncnn files for one picture, with the ONNX file's blob names.

    `shapes` are one or two; two tell pnnx that height or width varies. `half` stores the weights
    as float16, which halves the file; ncnn widens them when loading.

    Raises:
        RuntimeError: pnnx failed; its output is in the message.

    """
    with tempfile.TemporaryDirectory() as folder:
        traced = Path(folder) / "model.pt"
        example = torch.zeros(1, *shapes[0])
        torch.jit.trace(module.eval(), example, check_trace=False).save(str(traced))
        _convert(traced, paths, shapes, outputs, half=half)


def ncnn_from_onnx(paths: Paths, shape: Shape, outputs: Sequence[str], *, half: bool) -> None:
    """Write the ncnn files of `paths` from its ONNX file, for one picture; see `write_ncnn`."""
    with tempfile.TemporaryDirectory() as folder:
        # pnnx leaves a dozen files beside what it reads.
        copied = shutil.copyfile(paths.onnx, Path(folder) / "model.onnx")
        _convert(copied, paths, [shape], outputs, half=half)


def _convert(
    model: Path, paths: Paths, shapes: Sequence[Shape], outputs: Sequence[str], *, half: bool
) -> None:
    """Let pnnx convert `model`, which lies in a folder of its own."""
    # pnnx is installed beside the interpreter, which need not be on PATH.
    pnnx = shutil.which("pnnx", path=str(Path(sys.executable).parent)) or "pnnx"
    inputs = [
        f"inputshape{number if number > 1 else ''}=[1,{','.join(map(str, shape))}]"
        for number, shape in enumerate(shapes, start=1)
    ]
    done = subprocess.run(  # noqa: S603 - the arguments are ours
        [pnnx, model.name, *inputs, f"fp16={int(half)}"],
        cwd=model.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    made = tuple(model.parent / f"model.ncnn.{suffix}" for suffix in ("param", "bin"))
    if done.returncode or not all(file.is_file() for file in made):
        raise RuntimeError(f"pnnx failed: {done.stdout[-2000:]}{done.stderr[-2000:]}")
    names = {"in0": INPUT_NAME} | {f"out{index}": name for index, name in enumerate(outputs)}
    paths.param.write_text(rename_blobs(made[0].read_text(), names))
    shutil.copyfile(made[1], paths.bin)


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
