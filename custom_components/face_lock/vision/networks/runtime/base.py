"""What every inference runtime offers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from ...types import FloatArray


class RuntimeUnavailableError(RuntimeError):
    """No inference runtime is available on this machine."""


@dataclass(frozen=True, slots=True)
class ModelFiles:
    """One network in the formats of all runtimes; every path was checked against its hash.

    A network of the owner's may lack the ncnn format; both paths are None then.
    """

    onnx: Path
    ncnn_param: Path | None
    ncnn_bin: Path | None


class Session(Protocol):
    """A loaded network."""

    def run(self, image: FloatArray, outputs: Sequence[str]) -> Mapping[str, FloatArray]:
        """Run float32[N, C, H, W], 0..255; return the named outputs, batch axis first.

        C is 3 for one RGB picture; other networks define their own.
        """


class Runtime(Protocol):
    """A way to run networks."""

    name: str

    def __init__(self) -> None:
        """Import the runtime's package; raises ImportError or OSError where it cannot load."""

    @property
    def version(self) -> str:
        """Version of the runtime's package."""

    def load(self, files: ModelFiles, threads: int) -> Session:
        """Load a network for ``threads`` CPU threads, or raise RuntimeUnavailableError."""
