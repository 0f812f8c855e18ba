"""Step `verify`: compare the exported files with one another and with PyTorch, on real crops."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ncnn
import numpy as np
import onnxruntime as ort

from training.common import bundle
from training.common.formats import INPUT_NAME
from training.common.runs import open_run, write_json
from training.verifier import gallery, model
from training.verifier.config import Config
from training.verifier.export import OUTPUT_NAME

PARITY = 0.999
TORCH_PARITY = 0.9999

Embed = Callable[[np.ndarray], np.ndarray]


def to_input(crops: np.ndarray) -> np.ndarray:
    """Turn uint8 [N, 112, 112, 3] into the networks' float32 [N, 3, 112, 112], 0..255."""
    return np.ascontiguousarray(crops.transpose(0, 3, 1, 2), np.float32)


def onnx_embedder(path: Path, *, threads: int = 1, batch: int = 64) -> Embed:
    """Return uint8 crops [N, 112, 112, 3] -> float32 [N, D] through onnxruntime."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])

    def embed(crops: np.ndarray) -> np.ndarray:
        parts = [
            session.run([OUTPUT_NAME], {INPUT_NAME: to_input(crops[start : start + batch])})[0]
            for start in range(0, len(crops), batch)
        ]
        return np.concatenate(parts)

    return embed


def ncnn_embedder(param: Path, weights: Path, *, threads: int = 1) -> Embed:
    """Return uint8 crops [N, 112, 112, 3] -> float32 [N, D] through ncnn, one by one."""
    net = ncnn.Net()
    net.opt.num_threads = threads
    net.opt.use_vulkan_compute = False
    if net.load_param(str(param)) or net.load_model(str(weights)):
        raise RuntimeError(f"ncnn cannot load {param}")

    def embed(crops: np.ndarray) -> np.ndarray:
        embeddings = []
        for image in to_input(crops):
            with net.create_extractor() as extractor:
                # ncnn.Mat(array) borrows the array's memory and crashes once it is freed.
                extractor.input(INPUT_NAME, ncnn.Mat(image).clone())
                code, blob = extractor.extract(OUTPUT_NAME)
                if code:
                    raise RuntimeError(f"ncnn has no blob {OUTPUT_NAME}")
                embeddings.append(np.array(blob))
        return np.stack(embeddings)

    return embed


def cosines(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Row-wise cosine of two float [N, D]."""
    norms = np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)
    return (one * other).sum(axis=1) / norms


def latency_ms(embed: Embed, crops: np.ndarray, repeats: int = 20) -> float:
    """Median milliseconds for one crop, after one call to warm up."""
    embed(crops[:1])
    times = []
    for index in range(repeats):
        start = time.perf_counter()
        embed(crops[index % len(crops)][None])
        times.append(time.perf_counter() - start)
    return 1e3 * float(np.median(times))


def verify(config: Config, *, most: int = 512) -> dict[str, Any]:
    """Check the bundle's verifier on validation crops; return the figures and keep them.

    Raises ValueError where a crop's cosine between ONNX and ncnn is below 0.999, or where the
    ONNX file is not the run's checkpoint (or its start) to 0.9999.
    """
    folder = open_run(config, "verify")
    models = Path(config.export.models)
    files = bundle.read(models)["models"]["verifier"]["files"]
    paths = {
        "onnx": models / files["onnx"]["name"],
        "param": models / files["ncnn"]["param"]["name"],
        "bin": models / files["ncnn"]["bin"]["name"],
    }
    crops = gallery.load_side(config, config.evaluate.side, pictures_per_person=1).crops[:most]
    onnx_embed = onnx_embedder(paths["onnx"])
    ncnn_embed = ncnn_embedder(paths["param"], paths["bin"])
    by_onnx, by_ncnn = onnx_embed(crops), ncnn_embed(crops)
    candidates = {"start": model.build(config)}
    if (folder / "best.pt").is_file():
        candidates["checkpoint"] = model.load(folder / "best.pt")
    to_torch = {
        name: float(cosines(by_onnx, model.embed(network, crops)).min())
        for name, network in candidates.items()
    }
    runtimes = cosines(by_onnx, by_ncnn)
    figures = {
        "crops": len(crops),
        "onnx_ncnn_cosine_min": float(runtimes.min()),
        "onnx_torch_cosine_min": to_torch,
        "unit_length_error": float(np.abs(np.linalg.norm(by_ncnn, axis=1) - 1.0).max()),
        "onnx_ms": latency_ms(onnx_embed, crops),
        "ncnn_ms": latency_ms(ncnn_embed, crops),
        "bytes": {name: path.stat().st_size for name, path in paths.items()},
    }
    write_json(folder / "verify.json", figures)
    print(json.dumps(figures, indent=1))
    if figures["onnx_ncnn_cosine_min"] < PARITY:
        raise ValueError(f"ncnn and ONNX differ: {figures['onnx_ncnn_cosine_min']}")
    if max(to_torch.values()) < TORCH_PARITY:
        raise ValueError(f"the bundle is neither this run's checkpoint nor its start: {to_torch}")
    return figures
