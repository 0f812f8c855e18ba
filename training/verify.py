"""Compare the exported files with one another and with PyTorch, on crops."""

import time
from collections.abc import Callable
from pathlib import Path

import ncnn
import numpy as np
import onnxruntime as ort

from training.export import INPUT_NAME, OUTPUT_NAME

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
