"""ncnn, the runtime with wheels for musl (Home Assistant OS and Container) as well as glibc."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ...types import FloatArray
from .base import ModelFiles, RuntimeUnavailableError


class NcnnRuntime:
    """Runs the bundle's ``.param`` and ``.bin`` files."""

    name = "ncnn"

    def __init__(self) -> None:
        import ncnn  # noqa: PLC0415 - chosen at run time

        self._ncnn: Any = ncnn

    @property
    def version(self) -> str:
        """Version of the ncnn package."""
        return str(self._ncnn.__version__)

    def load(self, files: ModelFiles, threads: int) -> NcnnSession:
        """Load a network on the CPU.

        Raises:
            RuntimeUnavailableError: ncnn cannot load these files, or the network has none for it.

        """
        if files.ncnn_param is None or files.ncnn_bin is None:
            raise RuntimeUnavailableError(f"{files.onnx.name} is for onnxruntime only, not ncnn")
        net = self._ncnn.Net()
        net.opt.num_threads = threads
        net.opt.use_vulkan_compute = False
        # Half precision would shift the similarities away from the calibrated ones.
        net.opt.use_fp16_packed = net.opt.use_fp16_storage = net.opt.use_fp16_arithmetic = False
        net.opt.use_bf16_storage = False
        if net.load_param(str(files.ncnn_param)) or net.load_model(str(files.ncnn_bin)):
            raise RuntimeUnavailableError(f"ncnn cannot load {files.ncnn_param.name}")
        return NcnnSession(self._ncnn, net)


class NcnnSession:
    """One loaded ncnn network; ncnn has no batch axis, so pictures run one after the other."""

    def __init__(self, ncnn: Any, net: Any) -> None:
        self._ncnn = ncnn
        self._net = net

    def run(self, image: FloatArray, outputs: Sequence[str]) -> Mapping[str, FloatArray]:
        """Run each picture of the batch."""
        rows = [self._run_one(np.ascontiguousarray(picture), outputs) for picture in image]
        return {name: np.stack([row[name] for row in rows]) for name in outputs}

    def _run_one(self, picture: FloatArray, outputs: Sequence[str]) -> dict[str, FloatArray]:
        with self._net.create_extractor() as extractor:
            # Mat(array) only borrows the array's memory, and crashes if it outlives the array.
            extractor.input("image", self._ncnn.Mat(picture).clone())
            result: dict[str, FloatArray] = {}
            for name in outputs:
                status, value = extractor.extract(name)
                if status:
                    raise RuntimeError(f"ncnn could not compute {name!r}: {status}")
                result[name] = np.array(value, dtype=np.float32)
            return result
