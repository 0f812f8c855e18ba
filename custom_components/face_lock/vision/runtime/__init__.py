"""Inference runtimes behind one small protocol.

Home Assistant OS and Container are built on musl, for which onnxruntime has no wheel and ncnn has;
elsewhere either will do. Which one runs is decided when the bundle is loaded.
"""

from __future__ import annotations

import importlib.util
from typing import Final

from .base import ModelFiles, Runtime, RuntimeUnavailableError, Session
from .ncnn import NcnnRuntime
from .onnx import OnnxRuntime

RUNTIMES: Final[dict[str, type[Runtime]]] = {"ncnn": NcnnRuntime, "onnxruntime": OnnxRuntime}
"""By package name, fastest first: ncnn took 5.0-5.6 ms for a verifier where onnxruntime took 14-15
(one x86 thread; `python benchmarks/runtimes.py` measures it anew)."""


def available() -> list[str]:
    """Names of the runtimes whose package is installed here, fastest first."""
    return [name for name in RUNTIMES if importlib.util.find_spec(name) is not None]


def choose(name: str | None = None) -> Runtime:
    """Return the named runtime, or the fastest that imports.

    Raises:
        RuntimeUnavailableError: it is unknown, not installed, or does not load on this machine.

    """
    names = available() if name is None else [name]
    failures: list[str] = []
    for candidate in names:
        if candidate not in RUNTIMES:
            raise RuntimeUnavailableError(f"unknown runtime {candidate!r}")
        try:
            return RUNTIMES[candidate]()
        except (ImportError, OSError) as error:
            # A wheel can be installed and yet not load: an old libc, a processor without AVX.
            failures.append(f"{candidate}: {error}")
    raise RuntimeUnavailableError(
        "; ".join(failures) or "neither ncnn nor onnxruntime is installed"
    )


__all__ = [
    "RUNTIMES",
    "ModelFiles",
    "Runtime",
    "RuntimeUnavailableError",
    "Session",
    "available",
    "choose",
]
