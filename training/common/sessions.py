"""Networks that are not the bundle's, behind the interface of the door's runtimes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from torch import nn

from training.common.formats import INPUT_NAME


class OnnxSession:
    """An ONNX file on one thread."""

    def __init__(self, path: Path) -> None:
        """Open `path`."""
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(
            str(path), options, providers=["CPUExecutionProvider"]
        )

    def run(self, image: np.ndarray, outputs: Sequence[str]) -> Mapping[str, np.ndarray]:
        """Run float32[N,C,H,W]; return the named outputs."""
        values = self._session.run(list(outputs), {INPUT_NAME: np.ascontiguousarray(image)})
        return dict(zip(outputs, values, strict=True))


class TorchSession:
    """A PyTorch module."""

    def __init__(self, module: nn.Module, outputs: Sequence[str]) -> None:
        """Run `module`, which gives `outputs` in this order."""
        self._module = module.eval()
        self._outputs = tuple(outputs)

    def run(self, image: np.ndarray, outputs: Sequence[str]) -> Mapping[str, np.ndarray]:
        """Run float32[N,C,H,W]; return the named outputs."""
        with torch.inference_mode():
            made = self._module(torch.from_numpy(np.ascontiguousarray(image)))
        values = (made,) if isinstance(made, torch.Tensor) else tuple(made)
        named = dict(zip(self._outputs, values, strict=True))
        return {name: named[name].numpy() for name in outputs}
