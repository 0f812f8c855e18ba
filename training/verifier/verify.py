"""Step `verify`: compare the exported files with one another and with PyTorch, on real crops."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from training.common import bundle
from training.common.formats import multiply_adds
from training.common.runs import begin, write_json
from training.common.verify import FIGURES, RUNTIMES, latency_ms
from training.verifier import gallery, metrics, model
from training.verifier.config import Config
from training.verifier.embedders import Embed, bundled_embedder
from training.verifier.export import SHAPE
from training.verifier.prepare import TABLE
from training.verifier.train import WANTED_FAR

# Pictures of a person that are compared.
PICTURES = 8
PARITY = 0.999
TORCH_PARITY = 0.9999
TAR_PARITY = 0.001
CROWDING_PARITY = 0.002


def cosines(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Row-wise cosine of two float [N, D + 1], without the crowding."""
    one, other = one[:, :-1], other[:, :-1]
    norms = np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)
    return (one * other).sum(axis=1) / norms


def crop_ms(embeds: Sequence[Embed], crops: np.ndarray) -> list[float]:
    """Median milliseconds of processor time for one crop, as `common.verify.latency_ms` has it."""

    def call(embed: Embed) -> Callable[[int], np.ndarray]:
        return lambda row: embed(crops[row % len(crops)][None])

    return latency_ms([call(embed) for embed in embeds])


def tar_of(side: gallery.Protocol, embeddings: np.ndarray) -> float:
    """TAR at FAR 1e-4 of clean pictures, each network at its own threshold; NaN where none is."""
    enrolled, owners = gallery.templates(embeddings[side.enrolled], side.person[side.enrolled])
    probes = ~side.enrolled
    trials = metrics.collect(
        enrolled, owners, embeddings[probes], side.person[probes], people=len(side.names)
    )
    threshold = metrics.thresholds_at(trials, [WANTED_FAR])
    return float(metrics.true_accept_rates(trials, threshold)[0])


def verify(config: Config) -> dict[str, Any] | None:
    """Check the bundle's verifier on validation crops; return the figures and keep verify.json.

    Returns None where that is there already for the same files. Raises ValueError where a crop's
    cosine between ONNX and ncnn is below 0.999 or its crowding differs by 0.002, where the ONNX
    file is not the run's checkpoint (or its start) to 0.9999, or where the three differ by more
    than 0.1 points in TAR at FAR 1e-4.
    """
    models = Path(config.export.models)
    files = bundle.read(models)["models"]["verifier"]["files"]
    paths = {
        "onnx": models / files["onnx"]["name"],
        "param": models / files["ncnn"]["param"]["name"],
        "bin": models / files["ncnn"]["bin"]["name"],
    }
    inputs = [*paths.values(), model.checkpoint(config.run_dir), config.prepared_dir / TABLE]
    keys = ("model", "evaluate.side", "evaluate.seed")
    work = begin(config, "verify", keys, inputs)
    if work is None:
        return None
    torch.set_num_threads(1)
    side = gallery.load_side(config, config.evaluate.side, pictures_per_person=PICTURES)
    embeds = [bundled_embedder(config, runtime) for runtime in RUNTIMES]
    by_onnx, by_ncnn = (embed(side.crops) for embed in embeds)
    candidates = {"start": model.build(config)}
    if model.checkpoint(work.folder).is_file():
        candidates["checkpoint"] = model.load(model.checkpoint(work.folder))
    by_torch = {name: model.embed(network, side.crops) for name, network in candidates.items()}
    to_torch = {
        name: float(cosines(by_onnx, embedded).min()) for name, embedded in by_torch.items()
    }
    # What was exported: the checkpoint, or the start as it is.
    source = max(to_torch, key=to_torch.__getitem__)
    tars = {"torch": tar_of(side, by_torch[source])}
    tars |= {"onnx": tar_of(side, by_onnx), "ncnn": tar_of(side, by_ncnn)}
    cosine = float(cosines(by_onnx, by_ncnn).min())
    crowding = float(np.abs(by_onnx[:, -1] - by_ncnn[:, -1]).max())
    difference = max(tars.values()) - min(tars.values())
    onnx_ms, ncnn_ms = crop_ms(embeds, side.crops)
    figures = {
        "crops": len(side.crops),
        "people": len(side.names),
        "onnx_ncnn_cosine_min": cosine,
        "onnx_torch_cosine_min": to_torch,
        "crowding_difference": crowding,
        "tar_1e-4": tars,
        "tar_difference": difference,
        "onnx_ms": onnx_ms,
        "ncnn_ms": ncnn_ms,
        "giga_multiply_adds": multiply_adds(candidates[source], SHAPE) / 1e9,
        "bytes": {name: path.stat().st_size for name, path in paths.items()},
    }
    write_json(work.folder / FIGURES, figures)
    print(json.dumps(figures, indent=1))
    if cosine < PARITY:
        raise ValueError(f"ncnn and ONNX differ: {cosine}")
    if crowding > CROWDING_PARITY:
        raise ValueError(f"the runtimes differ in crowding: {crowding}")
    if to_torch[source] < TORCH_PARITY:
        raise ValueError(f"the bundle is neither this run's checkpoint nor its start: {to_torch}")
    if difference > TAR_PARITY:
        raise ValueError(f"the runtimes differ in TAR at FAR 1e-4: {tars}")
    work.finish(FIGURES)
    return figures
