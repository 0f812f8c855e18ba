"""Whether the ONNX file would be better in int8: static quantisation, measured beside the original.

ncnn's own quantisers (ncnn2table, ncnn2int8) are not in its Python package, and pnnx has none.
"""

import logging
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quantize_static,
)
from onnxruntime.quantization.shape_inference import quant_pre_process

from training.common.formats import INPUT_NAME
from training.common.split import TRAIN
from training.verifier import gallery
from training.verifier.augment import in_condition
from training.verifier.config import Config

# TAR at FAR 1e-4 may fall by this much for an int8 file that is faster.
ALLOWED = 0.002
# Training people whose pictures set the ranges of the activations, half of them by night.
PEOPLE = 100


class _Crops(CalibrationDataReader):
    """Shows the quantiser one crop at a time."""

    def __init__(self, crops: np.ndarray) -> None:
        self._crops: Iterator[np.ndarray] = iter(crops)

    def get_next(self) -> dict[str, np.ndarray] | None:
        """Return the next input, None after the last."""
        crop = next(self._crops, None)
        if crop is None:
            return None
        return {INPUT_NAME: np.ascontiguousarray(crop.transpose(2, 0, 1)[None], np.float32)}


def calibration_crops(config: Config) -> np.ndarray:
    """Return uint8 [N, 112, 112, 3] of training people, every other one dark."""
    crops = gallery.load_side(config, TRAIN, people=PEOPLE, pictures_per_person=1).crops
    return np.concatenate([crops[::2], in_condition(crops[1::2], "dark", config.evaluate.seed)])


def quantise(source: Path, target: Path, crops: np.ndarray) -> None:
    """Write an int8 copy of an ONNX file in QDQ form; weights have a scale for each channel.

    The ranges of the activations leave out the extreme 0.001 % of what `crops` (uint8
    [N, 112, 112, 3]) give: with the full ranges three times as much TAR was lost.
    """
    logger = logging.getLogger()
    level = logger.level
    logger.setLevel(logging.ERROR)  # It recommends what is done here, as a warning.
    try:
        with tempfile.TemporaryDirectory() as folder:
            shaped = Path(folder) / "shaped.onnx"
            quant_pre_process(str(source), str(shaped))
            quantize_static(
                str(shaped),
                str(target),
                _Crops(crops),
                quant_format=QuantFormat.QDQ,
                per_channel=True,
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
                calibrate_method=CalibrationMethod.Percentile,
            )
    finally:
        logger.setLevel(level)


def verdict(tar: tuple[float, float], ms: tuple[float, float]) -> dict[str, Any]:
    """Return the figures of int8 beside float32 (int8 first), and whether int8 is `better`.

    `tar` at FAR 1e-4 (0..1), `ms` for one crop. Better is faster with less than `ALLOWED` lost.
    """
    return {
        "tar_1e-4": tar[0],
        "tar_1e-4_float32": tar[1],
        "tar_lost": tar[1] - tar[0],
        "tar_lost_allowed": ALLOWED,
        "ms": ms[0],
        "ms_float32": ms[1],
        "better": tar[1] - tar[0] < ALLOWED and ms[0] < ms[1],
    }
