"""Write the detector in the bundle's formats, ONNX and ncnn, and check them against PyTorch."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any, TypedDict

import ncnn
import numpy as np
import onnxruntime
import torch

from training.common.formats import INPUT_NAME, Paths, write_ncnn, write_onnx
from training.detector.model import (
    ExportedDetector,
    FaceDetector,
    load_checkpoint,
    load_yunet,
    output_names,
)

_LOGGER = logging.getLogger(__name__)

# What the exports are made with and compared on: two, because height and width are dynamic.
_SHAPES = [(3, 320, 320), (3, 192, 416)]
# float32 against float32; ncnn's Winograd and onnxruntime's sigmoid differ in the last digits.
_TOLERANCE = 2e-3

YUNET_VERSION = "0.1.0-yunet"
YUNET_LICENCE = "Apache-2.0"
YUNET_ORIGIN = (
    "YuNet-n of libfacedetection.train (Shiqi Yu and others), weights unchanged,"
    " outputs regrouped and input turned to RGB"
)
# Chosen on the validation split by `evaluate`; see README.md.
YUNET_THRESHOLD = 0.5


class Card(TypedDict):
    """What a checkpoint says of its weights."""

    version: str
    licence: str
    origin: str
    score_threshold: float


def to_onnx(detector: FaceDetector, path: Path) -> None:
    """Write `detector` as ONNX, one file, height and width dynamic (multiples of 32)."""
    free = {INPUT_NAME: {2: "height", 3: "width"}}
    for name in output_names():
        stride = name.split("_")[1]
        free[name] = {2: f"height_{stride}", 3: f"width_{stride}"}
    write_onnx(ExportedDetector(detector), path, _SHAPES[0], output_names(), free)


def to_ncnn(detector: FaceDetector, paths: Paths) -> None:
    """Write `detector` as ncnn files, float32, height and width dynamic.

    Raises:
        RuntimeError: pnnx failed; its output is in the message.

    """
    write_ncnn(ExportedDetector(detector), paths, _SHAPES, output_names(), half=False)


def run_onnx(path: Path, image: np.ndarray) -> list[np.ndarray]:
    """Run the ONNX file on float32 [1,3,H,W]; return the nine maps without the batch axis."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return [output[0] for output in session.run(output_names(), {"image": image})]


def run_ncnn(param: Path, weights: Path, image: np.ndarray) -> list[np.ndarray]:
    """Run the ncnn files on float32 [1,3,H,W]; return the nine maps without the batch axis."""
    net = ncnn.Net()
    net.opt.num_threads = 1
    net.opt.use_vulkan_compute = False
    if net.load_param(str(param)) or net.load_model(str(weights)):
        message = f"ncnn cannot load {param}"
        raise RuntimeError(message)
    with net.create_extractor() as extractor:
        # Mat(array) borrows the array's memory and crashes when it is freed: clone.
        extractor.input("image", ncnn.Mat(np.ascontiguousarray(image[0])).clone())
        outputs = []
        for name in output_names():
            code, mat = extractor.extract(name)
            if code:
                message = f"ncnn has no output {name}"
                raise RuntimeError(message)
            outputs.append(np.array(mat))
    return outputs


def check_parity(detector: FaceDetector, onnx_path: Path, param: Path, weights: Path) -> float:
    """Compare PyTorch, ONNX and ncnn on noise pictures of two sizes; return the largest difference.

    Raises:
        ValueError: an output differs by more than 2e-3 or in shape.

    """
    generator = np.random.default_rng(7)
    worst = 0.0
    for _, height, width in _SHAPES:
        # Smoothed noise: a plain white one hardly excites the deeper layers.
        coarse = generator.uniform(0, 255, (1, 3, height // 16, width // 16)).astype(np.float32)
        image = torch.nn.functional.interpolate(
            torch.from_numpy(coarse), size=(height, width), mode="bilinear"
        )
        with torch.no_grad():
            wanted = [output[0].numpy() for output in ExportedDetector(detector).eval()(image)]
        for made in (run_onnx(onnx_path, image.numpy()), run_ncnn(param, weights, image.numpy())):
            for name, one, other in zip(output_names(), wanted, made, strict=True):
                if one.shape != other.shape:
                    message = f"{name}: shape {other.shape}, expected {one.shape}"
                    raise ValueError(message)
                worst = max(worst, float(np.abs(one - other).max()))
    if not worst <= _TOLERANCE:
        message = f"exports differ from PyTorch by {worst:.2e} (allowed {_TOLERANCE:.0e})"
        raise ValueError(message)
    return worst


def export_detector(
    detector: FaceDetector,
    out_dir: Path,
    *,
    version: str,
    licence: str,
    origin: str,
    score_threshold: float,
) -> dict[str, Any]:
    """Write detector.onnx, .param and .bin into `out_dir`; return the entry for models.json."""
    out_dir.mkdir(parents=True, exist_ok=True)
    detector = detector.eval()
    paths = Paths.inside(out_dir, "detector")
    to_onnx(detector, paths.onnx)
    to_ncnn(detector, paths)
    worst = check_parity(detector, paths.onnx, paths.param, paths.bin)
    _LOGGER.info("detector exported, largest difference from PyTorch %.1e", worst)
    return {
        "version": version,
        "files": paths.entry(),
        "input": {
            "name": "image",
            "layout": "NCHW",
            "channels": "RGB",
            "range": [0, 255],
            "multiple_of": 32,
        },
        "score_threshold": score_threshold,
        "licence": licence,
        "origin": origin,
    }


def export(checkpoint: Path | str, out_dir: Path | str) -> dict[str, Any]:
    """Export a checkpoint of `training.detector.train`; return the entry for models.json.

    Version, licence, origin and `score_threshold` (which `evaluate` sets on the validation split)
    come from the checkpoint's `card`. A file ending in `.onnx` is taken as YuNet's and exported
    with unchanged weights.
    """
    checkpoint = Path(checkpoint)
    if checkpoint.suffix == ".onnx":
        detector = FaceDetector()
        load_yunet(detector, checkpoint)
        card = Card(
            version=YUNET_VERSION,
            licence=YUNET_LICENCE,
            origin=YUNET_ORIGIN,
            score_threshold=YUNET_THRESHOLD,
        )
    else:
        detector = load_checkpoint(checkpoint)
        card = torch.load(str(checkpoint), map_location="cpu", weights_only=True)["card"]
    return export_detector(detector, Path(out_dir), **card)
