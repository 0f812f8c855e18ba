"""onnxruntime, where its wheels exist (glibc, Windows, macOS)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ...types import FloatArray
from .base import ModelFiles, RuntimeUnavailableError


class OnnxRuntime:
    """Runs the bundle's ``.onnx`` files."""

    name = "onnxruntime"

    def __init__(self) -> None:
        import onnxruntime  # noqa: PLC0415 - chosen at run time

        self._onnxruntime: Any = onnxruntime

    @property
    def version(self) -> str:
        """Version of the onnxruntime package."""
        return str(self._onnxruntime.__version__)

    def load(self, files: ModelFiles, threads: int) -> OnnxSession:
        """Load a network on the CPU.

        Raises:
            RuntimeUnavailableError: onnxruntime cannot load these files.

        """
        options = self._onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        # Spinning threads would burn a core between frames, and a door mostly waits.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = 3
        try:
            session = self._onnxruntime.InferenceSession(
                str(files.onnx), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # its exceptions have no other base class in common
            raise RuntimeUnavailableError(f"onnxruntime: {error}") from error
        return OnnxSession(session)


class OnnxSession:
    """One loaded ONNX graph."""

    def __init__(self, session: Any) -> None:
        self._session = session

    def run(self, image: FloatArray, outputs: Sequence[str]) -> Mapping[str, FloatArray]:
        """Run the whole batch at once."""
        values = self._session.run(list(outputs), {"image": np.ascontiguousarray(image)})
        return dict(zip(outputs, values, strict=True))
