"""What turns crops into embeddings: the run's checkpoint, its start, or the bundle as it runs.

What was embedded once is kept in the run's folder, so that `evaluate`, `errors` and `calibrate`
share the work.
"""

from collections.abc import Callable
from hashlib import blake2b
from pathlib import Path

import numpy as np

from training.common import product
from training.verifier import model
from training.verifier.config import Config
from vision.networks.embedder import Embedder

Embed = Callable[[np.ndarray], np.ndarray]
"""uint8 [N, 112, 112, 3] -> float32 [N, D + 1], as `vision.similarity` describes it."""

BATCH = 64
CACHE = "cache"


def bundled_embedder(config: Config, runtime: str = "") -> Embed:
    """Return the exported verifier as the door runs it, through `vision`.

    The `runtime` is by default that of the settings.
    """
    settings = config.evaluate
    loaded, entry = product.network(
        "verifier",
        Path(config.export.models),
        runtime=runtime or settings.runtime,
        threads=settings.threads,
    )
    verifier = Embedder(
        loaded,
        model=entry["files"]["onnx"]["sha256"],
        directions=entry["embedding_size"],
        crowding=entry.get("crowding", False),
    )

    def embed(crops: np.ndarray) -> np.ndarray:
        parts = [
            verifier.embed(crops[start : start + BATCH]) for start in range(0, len(crops), BATCH)
        ]
        return np.concatenate(parts)

    return embed


def embedder(config: Config, what: str) -> Embed:
    """Return how `checkpoint` (the run's), `start` or `bundle` embeds crops, with a memory."""
    if what == "bundle":
        embed = bundled_embedder(config)
    else:
        kept = model.checkpoint(config.run_dir)
        network = model.load(kept) if what == "checkpoint" else model.build(config)

        def embed(crops: np.ndarray) -> np.ndarray:
            return model.embed(network, crops)

    return remembered(embed, config.run_dir / CACHE)


def fingerprint(embed: Embed) -> str:
    """Return a hash of what `embed` does: weights, runtime and code together, on two pictures."""
    crops = np.random.default_rng(0).integers(0, 256, (2, 112, 112, 3)).astype(np.uint8)
    return blake2b(embed(crops).tobytes(), digest_size=16).hexdigest()


def remembered(embed: Embed, folder: Path) -> Embed:
    """Keep every embedding under `folder`, by the crop's pixels and the network's fingerprint."""
    folder = folder / fingerprint(embed)
    folder.mkdir(parents=True, exist_ok=True)
    known: dict[bytes, np.ndarray] = {}
    for part in sorted(folder.glob("*.npz")):
        with np.load(part) as stored:
            keys, values = stored["keys"], stored["values"]
        known.update(zip((key.tobytes() for key in keys), values, strict=True))

    def recall(crops: np.ndarray) -> np.ndarray:
        keys = [blake2b(crop.tobytes(), digest_size=16).digest() for crop in crops]
        fresh = {key: row for row, key in enumerate(keys) if key not in known}
        if fresh:
            values = embed(crops[list(fresh.values())])
            known.update(zip(fresh, values, strict=True))
            joined = b"".join(fresh)
            stored = np.frombuffer(joined, np.uint8).reshape(-1, 16)
            name = blake2b(joined, digest_size=8).hexdigest()
            # Renamed when whole: another step may be reading.
            partial = folder / f"{name}.partial"
            with partial.open("wb") as file:
                np.savez(file, keys=stored, values=values)
            partial.replace(folder / f"{name}.npz")
        return np.stack([known[key] for key in keys]) if keys else embed(crops)

    return recall
