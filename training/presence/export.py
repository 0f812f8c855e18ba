"""Write a network of one picture and one figure as ONNX and ncnn, and check both.

The liveness model is exported by the same functions.
"""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import ncnn
import numpy as np
import onnx
import onnxruntime
import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from training.common.formats import INPUT_NAME, Paths, Shape, write_ncnn, write_onnx
from training.presence.model import HEIGHT, MULTIPLE, ExportedPresence, load_checkpoint

OUTPUT = "presence"

TOLERANCE = 1e-3
"""Largest difference of an export from PyTorch, in an output of 0..1."""


# A node costs as much as this many narrower values save.
_WORTH = 64


def to_onnx(module: nn.Module, path: Path, output: str, shape: Shape) -> None:
    """Write `module` as ONNX, opset 17: `image` [N,C,H,W] to `output` [N,1], N free.

    `shape` is (C, H, W); W is free where C is 1.
    """
    free = {INPUT_NAME: {0: "n"}, output: {0: "n"}}
    if shape[0] == 1:
        free[INPUT_NAME][3] = "width"
    write_onnx(module, path, shape, [output], free)


def folded(module: nn.Module) -> nn.Module:
    """Return a copy with normalisation folded into the convolutions, and coarser weights.

    Pointwise weights are whole multiples, up to 127, of a power of two for each output channel;
    all others fit float16, as the multiples do too. What is rounded here is exact in all exports,
    which then agree with the copy to the last digits.
    """
    module = copy.deepcopy(module).eval()
    for part in [one for one in module.modules() if isinstance(one, nn.Sequential)]:
        for index in range(len(part) - 1):
            first, second = part[index], part[index + 1]
            if isinstance(first, nn.Conv2d) and isinstance(second, nn.BatchNorm2d):
                part[index] = fuse_conv_bn_eval(first, second)
                part[index + 1] = nn.Identity()
    with torch.no_grad():
        for weight in module.parameters():
            if weight.ndim == 4 and weight.shape[2:] == (1, 1):
                steps = torch.from_numpy(steps_of(weight.numpy()))[:, None, None, None]
                weight.copy_((weight / steps).round().clamp(-127, 127) * steps)
            else:
                weight.copy_(weight.half().float())
    return module


def steps_of(weight: np.ndarray) -> np.ndarray:
    """Return the power of two, float32[O], of which 127 reach each channel of float32[O,...]."""
    largest = np.abs(weight.reshape(len(weight), -1)).max(1)
    # Below 2^-24 float16 has no multiples left.
    exponent = np.ceil(np.log2(np.maximum(largest, 1e-12) / 127))
    return np.exp2(np.maximum(exponent, -24)).astype(np.float32)


def compact(path: Path) -> None:
    """Store the weights of an ONNX file as int8 or float16, and shorten its names.

    The graph widens them as it is loaded; `folded` made sure that nothing is lost.
    """
    model = onnx.load(str(path))
    graph = model.graph
    for weight in list(graph.initializer):
        values = onnx.numpy_helper.to_array(weight)
        if values.dtype != np.float32 or values.size < _WORTH:
            continue
        graph.initializer.remove(weight)
        if values.ndim == 4 and values.shape[2:] == (1, 1):
            steps = steps_of(values)
            whole = np.rint(values / steps[:, None, None, None]).astype(np.int8)
            graph.initializer.append(onnx.numpy_helper.from_array(whole, f"{weight.name}.q"))
            graph.initializer.append(onnx.numpy_helper.from_array(steps, f"{weight.name}.s"))
            inputs = [f"{weight.name}.q", f"{weight.name}.s"]
            node = onnx.helper.make_node("DequantizeLinear", inputs, [weight.name], axis=0)
        else:
            half = onnx.numpy_helper.from_array(values.astype(np.float16), f"{weight.name}.h")
            graph.initializer.append(half)
            to = onnx.TensorProto.FLOAT
            node = onnx.helper.make_node("Cast", [half.name], [weight.name], to=to)
        graph.node.insert(0, node)
    _shorten(graph)
    onnx.save(model, str(path))
    onnx.checker.check_model(str(path), full_check=True)


def _shorten(graph: onnx.GraphProto) -> None:
    """Replace the names between input and output, a tenth of the file, by numbers."""
    kept = {one.name for one in (*graph.input, *graph.output)} | {""}
    short: dict[str, str] = {}

    def name(old: str) -> str:
        return old if old in kept else short.setdefault(old, str(len(short)))

    for weight in graph.initializer:
        weight.name = name(weight.name)
    del graph.value_info[:]
    for node in graph.node:
        node.name = ""
        node.input[:] = [name(one) for one in node.input]
        node.output[:] = [name(one) for one in node.output]


def open_onnx(path: Path) -> onnxruntime.InferenceSession:
    """Open an ONNX file on one thread."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def run_onnx(session: onnxruntime.InferenceSession, image: np.ndarray) -> np.ndarray:
    """Run float32[N,C,H,W]; return float32[N]."""
    values: np.ndarray = session.run(None, {INPUT_NAME: np.ascontiguousarray(image)})[0]
    return values[:, 0]


def run_ncnn(paths: Paths, image: np.ndarray, output: str) -> np.ndarray:
    """Run the ncnn files on each of float32[N,C,H,W]; return float32[N]."""
    net = ncnn.Net()
    net.opt.num_threads = 1
    net.opt.use_vulkan_compute = False
    if net.load_param(str(paths.param)) or net.load_model(str(paths.bin)):
        raise RuntimeError(f"ncnn cannot load {paths.param}")
    figures = []
    for one in image:
        with net.create_extractor() as extractor:
            # Mat(array) borrows the array's memory and crashes when it is freed: clone.
            extractor.input(INPUT_NAME, ncnn.Mat(np.ascontiguousarray(one)).clone())
            code, mat = extractor.extract(output)
            if code:
                raise RuntimeError(f"ncnn has no output {output}")
            figures.append(float(np.array(mat).ravel()[0]))
    return np.array(figures, dtype=np.float32)


def check_parity(
    module: nn.Module, paths: Paths, output: str, images: list[np.ndarray]
) -> dict[str, float]:
    """Compare both files with PyTorch on float32[N,C,H,W] pictures; return the largest differences.

    Raises:
        ValueError: an output differs by more than `TOLERANCE`.

    """
    session = open_onnx(paths.onnx)
    worst = {"onnx": 0.0, "ncnn": 0.0}
    for image in images:
        with torch.no_grad():
            wanted = module.eval()(torch.from_numpy(image)).numpy()[:, 0]
        made = {"onnx": run_onnx(session, image), "ncnn": run_ncnn(paths, image, output)}
        for runtime, figures in made.items():
            worst[runtime] = max(worst[runtime], float(np.abs(figures - wanted).max()))
    if not max(worst.values()) <= TOLERANCE:
        raise ValueError(f"exports differ from PyTorch by {worst} (allowed {TOLERANCE:.0e})")
    return worst


def smooth_noise(shape: tuple[int, int, int, int], seed: int) -> np.ndarray:
    """Return pictures float32[N,C,H,W] in 0..255 of blotches, which excite all layers."""
    generator = np.random.default_rng(seed)
    coarse = generator.uniform(0, 255, (*shape[:2], shape[2] // 8, shape[3] // 8))
    image = torch.nn.functional.interpolate(
        torch.from_numpy(coarse.astype(np.float32)), size=shape[2:], mode="bilinear"
    )
    return image.numpy()


def exportable(checkpoint: Path | str) -> nn.Module:
    """Return a checkpoint's network as it is exported."""
    return folded(ExportedPresence(load_checkpoint(checkpoint)))


def to_measure(checkpoint: Path | str, folder: Path) -> Path:
    """Export a checkpoint to ONNX in `folder`; return the file."""
    path = folder / "measured.onnx"
    to_onnx(exportable(checkpoint), path, OUTPUT, (1, HEIGHT, 160))
    compact(path)
    return path


def export(checkpoint: Path | str, folder: Path | str) -> dict[str, Any]:
    """Write presence.onnx, .param and .bin of a checkpoint; return the entry for models.json.

    Raises:
        ValueError: the checkpoint was not evaluated, or a runtime disagrees with PyTorch.

    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    module = exportable(checkpoint)
    card = torch.load(str(checkpoint), map_location="cpu", weights_only=True)["card"]
    if card.get("threshold") is None:
        raise ValueError(f"{checkpoint} has no threshold: evaluate it first")
    paths = Paths.inside(folder, "presence")
    shapes = [(1, HEIGHT, 160), (1, HEIGHT, 96)]
    to_onnx(module, paths.onnx, OUTPUT, shapes[0])
    compact(paths.onnx)
    write_ncnn(module, paths, shapes, [OUTPUT], half=True)
    images = [smooth_noise((4, 1, HEIGHT, width), width) for width in (64, 96, 160, 176)]
    worst = check_parity(module, paths, OUTPUT, images)
    return {
        "version": card["version"],
        "files": paths.entry(),
        "input": {
            "name": INPUT_NAME,
            "layout": "NCHW",
            "channels": "grey",
            "range": [0, 255],
            "height": HEIGHT,
            "multiple_of": MULTIPLE,
        },
        "threshold": card["threshold"],
        "licence": card["licence"],
        "origin": card["origin"],
        "parity": worst,
    }
