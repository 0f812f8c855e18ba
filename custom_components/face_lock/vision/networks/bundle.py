"""The model bundle: networks, their hashes, and the figures that were measured on them."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Final

from ..imaging.quality import QualityLimits
from ..matching.thresholds import OperatingPoint, Thresholds
from .antispoofing import Antispoofing
from .detector import Detector
from .embedder import Embedder
from .liveness import Liveness, LivenessPoint
from .presence import Presence
from .runtime import ModelFiles, RuntimeUnavailableError, Session, available, choose
from .score_limits import Light, NetworkLimits, ScoreLimit, ScoreLimits
from .upright import Upright

BUNDLED: Final = Path(__file__).resolve().parents[2] / "models"
FORMAT: Final = 1
MAX_EMBEDDING: Final = 4096
"""Upper bound of a direction's length; face verification uses 128 to 512."""
OPTIONAL: Final = ("presence", "liveness", "antispoofing", "upright")
"""Roles that a bundle may lack."""
_MALFORMED: Final = (KeyError, TypeError, ValueError, AttributeError, ArithmeticError)
"""What reading a malformed description raises."""


class BundleError(RuntimeError):
    """The bundle cannot be used; no part of it was loaded."""


class BundleFormatError(BundleError):
    """``models.json`` is missing, malformed, or of an unknown version."""


class BundleIntegrityError(BundleError):
    """A model file is missing, or is not the one that was measured."""


@dataclass(frozen=True, slots=True)
class BundleInfo:
    """What the owner is told about the bundle."""

    version: str
    runtime: str
    runtime_version: str
    verifier: str
    detector: str
    presence: str | None = None
    liveness: str | None = None
    antispoofing: str | None = None
    upright: str | None = None


@dataclass(frozen=True, slots=True)
class Bundle:
    """Everything needed to recognise faces, and optional networks, ``None`` where absent."""

    detector: Detector
    verifier: Embedder
    thresholds: Thresholds
    quality: QualityLimits
    info: BundleInfo
    presence: Presence | None = None
    """Says whether anybody is in view, cheaply; never evidence."""
    liveness: Liveness | None = None
    """Says whether a face is alive; only to deny."""
    antispoofing: Antispoofing | None = None
    """Says so too, having been trained on other data; only to deny."""
    upright: Upright | None = None
    """Says whether a face is the right way up; only to deny."""

    @property
    def score_limits(self) -> NetworkLimits:
        """The scores below which these two networks refuse a face."""
        return NetworkLimits(
            ScoreLimits() if self.liveness is None else self.liveness.limits,
            ScoreLimits() if self.antispoofing is None else self.antispoofing.limits,
        )


def load_bundle(
    path: Path | str | None = None, *, runtime: str | None = None, threads: int = 1
) -> Bundle:
    """Check and load the bundle in folder ``path`` (None: the bundled models).

    Detector and verifier are required. The ``OPTIONAL`` roles may be absent; if they are described
    they are checked just as strictly. A network without files for ncnn needs onnxruntime. Unknown
    roles and fields are ignored: a bundle may grow without a new format, and gets one only if old
    code would misread it.

    ``runtime`` is ``"ncnn"`` or ``"onnxruntime"`` (None: the first installed that works).

    Raises:
        BundleFormatError: the description is missing, malformed or of an unknown version.
        BundleIntegrityError: a file is missing or its SHA-256 is not the described one.
        RuntimeUnavailableError: no inference runtime is available, or none can run all networks.

    """
    folder = BUNDLED if path is None else Path(path)
    description = _read(folder)
    try:
        models = description["models"]
        detector, verifier = models["detector"], models["verifier"]
        thresholds = _thresholds(verifier)
        quality = QualityLimits(**{key: _number(v, 0) for key, v in verifier["quality"].items()})
        files = _all_files(folder, models)
        if runtime is None and any(one.ncnn_param is None for one in files.values()):
            if "onnxruntime" not in available():
                raise RuntimeUnavailableError(
                    "one of these networks is for onnxruntime only, which is not installed"
                )
            runtime = "onnxruntime"
        engine = choose(runtime)
        optional = {role: engine.load(files[role], threads) for role in OPTIONAL if role in files}
        return Bundle(
            detector=Detector(
                engine.load(files["detector"], threads),
                score_threshold=_number(detector["score_threshold"], 0, 1),
            ),
            verifier=Embedder(
                engine.load(files["verifier"], threads),
                # The weights' own hash binds templates to them, whatever a version says.
                model=str(verifier["files"]["onnx"]["sha256"])[:16],
                directions=int(_number(verifier["embedding_size"], 1, MAX_EMBEDDING)),
                crowding=_flag(verifier.get("crowding", False)),
            ),
            thresholds=thresholds,
            quality=quality,
            info=BundleInfo(
                version=str(description["version"]),
                runtime=engine.name,
                runtime_version=engine.version,
                verifier=str(verifier["version"]),
                detector=str(detector["version"]),
                **{role: str(models[role]["version"]) for role in optional},
            ),
            presence=(
                Presence.of(optional["presence"], models["presence"])
                if "presence" in optional
                else None
            ),
            liveness=(
                _liveness(optional["liveness"], models["liveness"])
                if "liveness" in optional
                else None
            ),
            antispoofing=(
                Antispoofing(optional["antispoofing"], _score_limits(models["antispoofing"]))
                if "antispoofing" in optional
                else None
            ),
            upright=(
                Upright.of(optional["upright"], models["upright"])
                if "upright" in optional
                else None
            ),
        )
    except _MALFORMED as error:
        raise BundleFormatError(f"models.json: {error!r}") from error


def check_bundle(path: Path | str | None = None) -> str:
    """Check every file of the bundle, without any inference runtime; return the bundle's version.

    Raises:
        BundleFormatError: the description is missing, malformed or of an unknown version.
        BundleIntegrityError: a file is missing or its SHA-256 is not the described one.

    """
    description, _ = _check(BUNDLED if path is None else Path(path))
    return str(description["version"])


def fingerprint(path: Path | str | None = None) -> str:
    """Check every file as ``check_bundle`` does; return a hash that changes with any of them."""
    _, digest = _check(BUNDLED if path is None else Path(path))
    return digest


def _check(folder: Path) -> tuple[dict[str, Any], str]:
    description = _read(folder)
    try:
        files = _all_files(folder, description["models"])
        described = json.dumps([description, str(folder), repr(files)], sort_keys=True)
        str(description["version"])
    except _MALFORMED as error:
        raise BundleFormatError(f"models.json: {error!r}") from error
    return description, hashlib.sha256(described.encode()).hexdigest()


def load_thresholds(path: Path | str | None = None) -> Thresholds:
    """Read the threshold table alone, without any inference runtime.

    Raises:
        BundleFormatError: the description is missing, malformed or of an unknown version.

    """
    description = _read(BUNDLED if path is None else Path(path))
    try:
        return _thresholds(description["models"]["verifier"])
    except _MALFORMED as error:
        raise BundleFormatError(f"models.json: {error!r}") from error


def _read(folder: Path) -> dict[str, Any]:
    try:
        description = json.loads((folder / "models.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise BundleFormatError(f"models.json: {error}") from error
    if not isinstance(description, dict) or description.get("format") != FORMAT:
        raise BundleFormatError(f"models.json is not of format {FORMAT}")
    return description


def _number(value: Any, least: float = -math.inf, most: float = math.inf) -> float:
    """Return a JSON number; raise ValueError for anything else, or outside the bounds."""
    if type(value) not in (int, float) or not math.isfinite(value) or not least <= value <= most:
        raise ValueError(f"{value!r} is not a number within {least}..{most}")
    return float(value)


def _flag(value: Any) -> bool:
    if type(value) is not bool:
        raise ValueError(f"{value!r} is neither true nor false")
    return value


def _operating_point(row: Mapping[str, Any]) -> OperatingPoint:
    known = {field.name for field in fields(OperatingPoint)}
    figures = {key: value for key, value in row.items() if key in known and value is not None}
    measured = _flag(figures.pop("measured"))
    return OperatingPoint(**{k: _number(v) for k, v in figures.items()}, measured=measured)


def _thresholds(verifier: dict[str, Any]) -> Thresholds:
    confidence = verifier["confidence"]
    return Thresholds(
        [_operating_point(row) for row in verifier["thresholds"]],
        slope=_number(confidence["slope"], 0),
        offset=_number(confidence["offset"]),
    )


def _liveness(session: Session, entry: Mapping[str, Any]) -> Liveness:
    points = [
        LivenessPoint(bpcer=_number(point["bpcer"]), threshold=_number(point["threshold"]))
        for point in entry["points"]
    ]
    return Liveness(session, points, _score_limits(entry))


def _score_limits(entry: Mapping[str, Any]) -> ScoreLimits:
    """Read the limits that were measured on living people's visits; empty if there are none."""
    if (described := entry.get("visits")) is None:
        return ScoreLimits()
    figures = ("smallest", "largest", "basic", "strict")
    cells = [
        ScoreLimit(Light(cell["light"]), *(_number(cell[figure], 0) for figure in figures))
        for cell in described["limits"]
    ]
    return ScoreLimits(_number(described["dim_below"], 0, 255), tuple(cells))


def _all_files(folder: Path, models: Mapping[str, Any]) -> dict[str, ModelFiles]:
    """Check the files of every known role."""
    roles = ("detector", "verifier", *(role for role in OPTIONAL if role in models))
    return {role: _files(folder, models[role]) for role in roles}


def _files(folder: Path, model: dict[str, Any]) -> ModelFiles:
    """Check every file of a model, whichever runtime will load it."""
    files = model["files"]
    ncnn = files.get("ncnn")
    return ModelFiles(
        onnx=_checked(folder, files["onnx"]),
        ncnn_param=None if ncnn is None else _checked(folder, ncnn["param"]),
        ncnn_bin=None if ncnn is None else _checked(folder, ncnn["bin"]),
    )


def _checked(folder: Path, entry: dict[str, str]) -> Path:
    name = entry["name"]
    if Path(name).name != name:
        raise BundleFormatError(f"{name!r} is not a plain file name")
    path = folder / name
    try:
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise BundleIntegrityError(f"{name}: {error}") from error
    if digest != entry["sha256"]:
        raise BundleIntegrityError(f"{name} is not the file that was measured")
    return path
