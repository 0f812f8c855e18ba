"""The product's own networks, as the door runs them, for steps that need one of them.

`vision.load_bundle` loads all of them or none: it rightly refuses a bundle whose verifier has just
been exported and has no thresholds yet. A step that makes the thresholds cannot ask that much.
"""

from pathlib import Path
from typing import Any

from training.common import bundle
from training.common.paths import ROOT
from vision.networks.detector import Detector
from vision.networks.runtime import ModelFiles, choose
from vision.networks.runtime.base import Session

MODELS = ROOT / "custom_components" / "face_lock" / "models"


def network(
    role: str, models: Path = MODELS, *, runtime: str | None = None, threads: int = 1
) -> tuple[Session, dict[str, Any]]:
    """Load the bundle's network for `role`, and return models.json's entry for it as well.

    `runtime` is "ncnn" or "onnxruntime" (None: the fastest installed). KeyError without the role.
    """
    entry = bundle.read(models)["models"][role]
    ncnn = entry["files"].get("ncnn")
    files = ModelFiles(
        onnx=models / entry["files"]["onnx"]["name"],
        ncnn_param=models / ncnn["param"]["name"] if ncnn else None,
        ncnn_bin=models / ncnn["bin"]["name"] if ncnn else None,
    )
    return choose(runtime).load(files, threads), entry


def detector(models: Path = MODELS, *, score_threshold: float | None = None) -> Detector:
    """Return the bundle's face detector, ready to use, at its own threshold unless one is given."""
    loaded, entry = network("detector", models)
    threshold = float(entry["score_threshold"]) if score_threshold is None else score_threshold
    return Detector(loaded, score_threshold=threshold)
