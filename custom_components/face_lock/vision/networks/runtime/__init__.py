"""Inference runtimes behind one small protocol.

No single runtime is available on every platform: Home Assistant OS and Container are built on musl,
for which ncnn has wheels and onnxruntime does not. Elsewhere either will do. Which one runs is
decided when the bundle is loaded: by name, by the order below, or by measuring them
(``networks/fastest.py``).
"""

from __future__ import annotations

import importlib.util
from typing import Final

from .base import ModelFiles, Runtime, RuntimeUnavailableError, Session
from .ncnn import NcnnRuntime
from .onnx import OnnxRuntime

RUNTIMES: Final[dict[str, type[Runtime]]] = {"ncnn": NcnnRuntime, "onnxruntime": OnnxRuntime}
"""By package name, in the order in which they are tried: ncnn is available for every C library.
Which is faster depends on the machine and the network (`python benchmarks/runtimes.py` measures
it)."""


def available() -> list[str]:
    """Names of the runtimes whose package is installed here, in the order of ``RUNTIMES``."""
    return [name for name in RUNTIMES if importlib.util.find_spec(name) is not None]


def choose(name: str | None = None) -> Runtime:
    """Return the named runtime, or the first of those installed that imports.

    Processors without AVX are supported: both packages choose their kernels at run time. On an
    emulated Nehalem (SSE4.2), where an AVX instruction is fatal, both gave the same embedding.

    Raises:
        RuntimeUnavailableError: the runtime is unknown, not installed, or does not load here.

    """
    names = available() if name is None else [name]
    failures: list[str] = []
    for candidate in names:
        if candidate not in RUNTIMES:
            raise RuntimeUnavailableError(f"unknown runtime {candidate!r}")
        try:
            return RUNTIMES[candidate]()
        except (ImportError, OSError) as error:
            # An installed wheel may still fail to load, for instance with an old C library.
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
