"""What a foreign network wants to be shown: its contract, and the module that keeps it.

The bundle's contract is one for all: `image` float32 [N, 3, 112, 112], RGB 0..255, aligned to the
ArcFace template. A network from elsewhere may want another order of channels, another scale or
size, or less of the crop.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
import yaml
from torch import Tensor, nn
from torch.nn import functional

from training.common import settings
from training.common.layers import bias_of
from training.common.pictures import CROP

ORDERS = {"RGB": (0, 1, 2), "BGR": (2, 1, 0)}


@dataclass(frozen=True)
class Contract:
    """How the aligned crop, RGB uint8 of 112x112, becomes a network's input.

    `columns` (left, right) of the crop are cut out and scaled to `size` (height, width), bilinear
    with half-pixel centres. A value becomes (value - mean) * scale; `mean` and `scale` have one
    number, or one for each channel in the network's order. `input` and `output` name the graph's,
    where it has more than one.
    """

    channels: str = "RGB"
    size: tuple[int, ...] = (CROP, CROP)
    columns: tuple[int, ...] = (0, CROP)
    mean: tuple[float, ...] = (127.5,)
    scale: tuple[float, ...] = (1 / 127.5,)
    input: str = ""
    output: str = ""

    def __post_init__(self) -> None:
        """Raise ValueError for a contract that cannot be kept."""
        if self.channels not in ORDERS:
            raise ValueError(f"channels must be one of {sorted(ORDERS)}, not {self.channels!r}")
        if len(self.size) != 2 or min(self.size) < 1:
            raise ValueError(f"size must be [height, width], not {self.size}")
        if len(self.columns) != 2 or not 0 <= self.columns[0] < self.columns[1] <= CROP:
            raise ValueError(f"columns must be [left, right] within 0..{CROP}, not {self.columns}")
        for name in ("mean", "scale"):
            numbers = getattr(self, name)
            if len(numbers) not in (1, 3) or not all(type(n) in (int, float) for n in numbers):
                raise ValueError(f"{name} must be one number or three, not {numbers}")


KNOWN = {
    # InsightFace's own: ArcFace on ResNets and MobileFaceNets, from ONNX or converted from MXNet.
    "arcface": Contract(),
    # MobileFaceNet_TF and what else came from FaceNet's code.
    "mobilefacenet-tf": Contract(scale=(1 / 128,)),
    # Of Intel's Open Model Zoo.
    "retail-0095": Contract(
        channels="BGR", size=(128, 128), columns=(8, 104), mean=(0.0,), scale=(1.0,)
    ),
}
_SCALES = {
    "(x - 127.5) / 127.5": ((127.5,), (1 / 127.5,)),
    "x / 255": ((0.0,), (1 / 255,)),
    "x": ((0.0,), (1.0,)),
}
_NEAR = 0.1


def read(text: str) -> Contract:
    """Return the contract of a known name, or of a YAML file with any of its fields.

    Raises ValueError for another name, an unknown field, or a value that cannot be.
    """
    if text in KNOWN:
        return KNOWN[text]
    path = Path(text)
    if not path.is_file():
        raise ValueError(f"{text!r} is neither a file nor one of {', '.join(KNOWN)}")
    values = yaml.safe_load(path.read_text(encoding="utf-8"))
    if not isinstance(values, dict):
        raise ValueError(f"{path} holds no contract")  # noqa: TRY004 - bad input
    for name in ("mean", "scale"):
        if name in values and not isinstance(values[name], list):
            values[name] = [values[name]]
    return settings.build(Contract, values)


def described(contract: Contract) -> str:
    """Say a contract in a line."""

    def numbers(values: tuple[float, ...]) -> str:
        return " ".join(f"{value:.6g}" for value in values)

    left, right = contract.columns
    cut = "the whole crop" if (left, right) == (0, CROP) else f"columns {left} to {right}"
    return (
        f"{contract.channels}, {cut} as {contract.size[0]}x{contract.size[1]}, "
        f"(x - {numbers(contract.mean)}) * {numbers(contract.scale)}"
    )


def alternatives(contract: Contract) -> list[Contract]:
    """Return the contracts that `contract` may have been mistaken for: order, scale and cut."""
    changes: list[list[dict[str, Any]]] = [
        [{}, {"channels": "BGR" if contract.channels == "RGB" else "RGB"}],
        [{}, *({"mean": m, "scale": s} for m, s in _SCALES.values() if not _like(contract, m, s))],
        [{}, *({"columns": c} for c in ((0, CROP), (8, 104)) if c != contract.columns)],
    ]
    found = [
        replace(contract, **order, **scale, **cut)
        for order in changes[0]
        for scale in changes[1]
        for cut in changes[2]
    ]
    return found[1:]


def _like(contract: Contract, mean: tuple[float, ...], scale: tuple[float, ...]) -> bool:
    """Whether black and white come out nearly alike: /127.5 and /128 cannot be told apart."""
    own, other = ((max(m) * max(s), max(s)) for m, s in ((contract.mean, contract.scale),
                                                         (mean, scale)))  # fmt: skip
    return all(abs(a - b) <= _NEAR * max(abs(a), abs(b)) for a, b in zip(own, other, strict=True))


class Front(nn.Module):
    """Crops float32 [N, 3, 112, 112], RGB 0..255 -> what the network wants to see.

    That is [N, 3, H, W], or [N, H, W, 3] with `channels_last`.
    """

    def __init__(self, contract: Contract, *, channels_last: bool) -> None:
        super().__init__()
        self.contract, self.channels_last = contract, channels_last
        mean, scale = (
            torch.tensor(numbers, dtype=torch.float64).expand(3)
            for numbers in (contract.mean, contract.scale)
        )
        # Order and scale in one layer that every runtime has.
        self.scale = nn.Conv2d(3, 3, 1)
        weight = torch.zeros(3, 3, dtype=torch.float64)
        weight[range(3), ORDERS[contract.channels]] = scale
        self.scale.weight.data = weight[:, :, None, None].float()
        bias_of(self.scale).data = (-mean * scale).float()

    def forward(self, image: Tensor) -> Tensor:
        """Show the crops as the contract says."""
        left, right = self.contract.columns
        if (left, right) != (0, CROP):
            image = image[:, :, :, left:right]
        if (CROP, right - left) != self.contract.size:
            image = functional.interpolate(
                image, tuple(self.contract.size), mode="bilinear", align_corners=False
            )
        shown = self.scale(image)
        return shown.permute(0, 2, 3, 1) if self.channels_last else shown
