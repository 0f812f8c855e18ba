"""Target for the description of the models, and for files that are not what it says."""

from __future__ import annotations

import hashlib
import json
import math
import random
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import vision
from vision.networks.bundle import BUNDLED

from .pictures import damage_anywhere
from .target import ACCEPTED, Call, ensure, refused
from .values import changed_text


class Manifest:
    """``models.json``, beside model files that are a few bytes long.

    An input is the description, or ``NAME NUL DESCRIPTION`` with the name of a file that was
    changed afterwards. No inference runtime takes part: no file reaches one before its digest was
    found to be the described one.
    """

    name = "manifest"

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="face_lock_fuzz_models_")
        self._path = Path(self._folder.name)
        self._valid = json.loads((BUNDLED / "models.json").read_text(encoding="utf-8"))
        self._files: dict[str, bytes] = {}
        for role, model in self._valid["models"].items():
            for file in (model["files"]["onnx"], *model["files"]["ncnn"].values()):
                self._files[file["name"]] = f"{role} {file['name']}".encode()
                file["sha256"] = hashlib.sha256(self._files[file["name"]]).hexdigest()
        for name, content in self._files.items():
            (self._path / name).write_bytes(content)
        engine = SimpleNamespace(name="none", version="0", load=lambda _files, _threads: None)
        self._patch = patch("vision.networks.bundle.choose", lambda _runtime: engine)
        self._patch.start()

    def make(self, seed: int, number: int) -> bytes:
        rng = random.Random(f"manifest {seed} {number}")  # noqa: S311 - not for secrets
        if rng.random() < 0.1:
            name = rng.choice(sorted(self._files))
            damaged = self._files[name]
            while damaged == self._files[name]:
                damaged = damage_anywhere(rng, damaged)
            return json.dumps([name, damaged.hex(), self._valid]).encode()
        return changed_text(rng, self._valid)

    def calls(self, data: bytes) -> tuple[Call, ...]:
        return (
            partial(self._try, data, vision.check_bundle, _is_text),
            partial(self._try, data, vision.load_thresholds, _are_thresholds),
            partial(self._try, data, vision.load_bundle, _is_bundle),
        )

    def close(self) -> None:
        self._patch.stop()
        self._folder.cleanup()

    def _try(self, data: bytes, read: Callable[[Path], Any], check: Callable[[Any], None]) -> str:
        name = None
        if data.startswith(b'["') and (swapped := json.loads(data)) and len(swapped) == 3:
            name, damaged, described = swapped
            (self._path / name).write_bytes(bytes.fromhex(damaged))
            data = json.dumps(described).encode()
        (self._path / "models.json").write_bytes(data)
        try:
            found = read(self._path)
        except vision.BundleError as error:
            return refused(error, type(error).__name__)
        finally:
            if name is not None:
                (self._path / name).write_bytes(self._files[name])
        ensure(name is None or read is vision.load_thresholds, f"{name} is another file")
        check(found)
        return ACCEPTED


def _is_text(version: Any) -> None:
    ensure(isinstance(version, str), version)


def _are_thresholds(found: Any) -> None:
    for row in found:
        figures = (row.fpr, row.threshold, row.fpr_low, row.fpr_high, row.tar)
        _are_finite(
            *figures, *(miss for miss in (row.miss_day, row.miss_night) if miss is not None)
        )
        ensure(-1 <= row.threshold <= 1, row)
        ensure(0 <= row.fpr_low <= row.fpr_high <= row.fpr < 1, row)
        ensure(isinstance(row.measured, bool) and 0 <= row.tar <= 1, row)
    for similarity in (-1.0, 0.0, 0.4, 1.0):
        ensure(0 <= found.confidence(similarity) <= 1, "confidence")
    ensure(found.confidence(0.9) >= found.confidence(0.1), "confidence falls as similarity rises")


def _is_bundle(found: Any) -> None:
    _are_thresholds(found.thresholds)
    limits = found.quality
    figures = (limits.min_face_px, limits.min_brightness, limits.min_sharpness)
    _are_finite(*figures)
    ensure(min(figures) >= 0, limits)
    ensure(0 < found.detector._score_threshold <= 1, "score threshold")
    ensure(0 < found.verifier.embedding_size <= 4096, found.verifier.embedding_size)
    ensure(found.verifier.model.isalnum(), found.verifier.model)
    if found.presence is not None:
        ensure(0 <= found.presence.threshold <= 1, "presence")
    if found.liveness is not None:
        ensure(all(0 <= point.threshold <= 1 for point in found.liveness.points), "liveness")
    if found.upright is not None:
        ensure(0 <= found.upright.threshold <= 1, "upright")


def _are_finite(*figures: Any) -> None:
    ensure(all(type(f) in (int, float) and math.isfinite(f) for f in figures), figures)
