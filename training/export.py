"""Write a verifier in the bundle's two formats, ONNX and ncnn."""

import shutil
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

import onnx
import torch
from torch import nn

OPSET = 17
INPUT_NAME = "image"
OUTPUT_NAME = "embedding"
CROP = 112


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
