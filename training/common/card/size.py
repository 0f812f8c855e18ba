"""What a bundled network costs, read from its files."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
from onnx import numpy_helper

MEGABYTE = 1e6


def file_sizes(models: Path, entry: dict[str, Any]) -> dict[str, int]:
    """Return the bytes of a bundle entry's files: `onnx`, and `ncnn` (both of its files)."""
    files = entry["files"]
    ncnn = sum((models / files["ncnn"][part]["name"]).stat().st_size for part in ("param", "bin"))
    return {"onnx": (models / files["onnx"]["name"]).stat().st_size, "ncnn": ncnn}


def parameters(path: Path) -> int:
    """Return how many numbers the ONNX file's weights are, stored as floats or as int8."""
    graph = onnx.load(str(path)).graph
    steps = {node.input[1] for node in graph.node if node.op_type == "DequantizeLinear"}
    weights = [numpy_helper.to_array(one) for one in graph.initializer if one.name not in steps]
    return sum(
        one.size for one in weights if np.issubdtype(one.dtype, np.floating) or one.dtype == np.int8
    )


def multiply_adds(path: Path, height: int, width: int) -> int:
    """Return the multiply-adds of convolutions and matrix products for one picture of this size."""
    model = onnx.load(str(path))
    weights = {one.name: list(one.dims) for one in model.graph.initializer}
    counted = {
        node.output[0]: weights[node.input[1]]
        for node in model.graph.node
        if node.op_type in ("Conv", "Gemm", "MatMul") and node.input[1] in weights
    }
    # Padding is computed in the graph, so that shapes are known only once it runs.
    known = {one.name for one in model.graph.output}
    model.graph.output.extend(onnx.ValueInfoProto(name=one) for one in counted if one not in known)
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    image = session.get_inputs()[0]
    shown = np.zeros((1, image.shape[1], height, width), np.float32)
    outputs = session.run(list(counted), {image.name: shown})
    total = 0
    for kernel, output in zip(counted.values(), outputs, strict=True):
        # A convolution's kernel is [out, in, h, w]; a product counts every weight once.
        per_value = int(np.prod(kernel[1:])) if output.ndim == 4 else int(np.prod(kernel))
        total += per_value * (int(np.prod(output.shape[1:])) if output.ndim == 4 else 1)
    return total
