"""A YuNet-class face detector in PyTorch.

Depthwise-separable backbone, a three-level feature pyramid and one small head per stride, about
74,000 parameters. The layout follows YuNet-n (Wu, Peng and Yu 2023, "YuNet: A Tiny
Millisecond-level Face Detector"; libfacedetection.train, Apache-2.0) with batch normalisation
folded into the convolutions, so that the published weights load one to one.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple, TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from training.common.layers import bias_of

Part = TypeVar("Part", bound=nn.Module)

STRIDES = (8, 16, 32)
"""Pixels per cell of the three output grids."""

LANDMARKS = 5
"""Viewer's left eye, right eye, nose, left and right mouth corner."""

_STEM = 16
_WIDTH = 64
# Input and output channels of the stages after the stem, and whether one halves its input first.
_STAGES = ((16, 64, True), (64, 64, False), (64, 64, True), (64, 64, True), (64, 64, True))


class Maps(NamedTuple):
    """Raw outputs of one stride: `cls`, `obj` logits [N,1,h,w], `box` [N,4,h,w], `kps` [N,10,h,w].

    `box` is (dx, dy, log w, log h) and `kps` five (dx, dy), in cells of the stride, relative to the
    cell's integer column and row.
    """

    cls: Tensor
    obj: Tensor
    box: Tensor
    kps: Tensor


class DepthwiseUnit(nn.Module):
    """Pointwise then depthwise 3x3 convolution; ReLU unless `activate` is false."""

    def __init__(self, inputs: int, outputs: int, *, activate: bool = True) -> None:
        super().__init__()
        self.pointwise = nn.Conv2d(inputs, outputs, 1)
        self.depthwise = nn.Conv2d(outputs, outputs, 3, padding=1, groups=outputs)
        self.activate = activate

    def forward(self, features: Tensor) -> Tensor:
        """Map [N,inputs,h,w] to [N,outputs,h,w]."""
        features = self.depthwise(self.pointwise(features))
        return functional.relu(features) if self.activate else features


class Head(nn.Module):
    """One shared unit, then one linear unit for each of class, box, objectness and landmarks."""

    def __init__(self) -> None:
        super().__init__()
        self.share = DepthwiseUnit(_WIDTH, _WIDTH)
        self.cls = DepthwiseUnit(_WIDTH, 1, activate=False)
        self.box = DepthwiseUnit(_WIDTH, 4, activate=False)
        self.obj = DepthwiseUnit(_WIDTH, 1, activate=False)
        self.kps = DepthwiseUnit(_WIDTH, 2 * LANDMARKS, activate=False)

    def forward(self, features: Tensor) -> Maps:
        """Map [N,64,h,w] to the raw outputs of this stride."""
        shared = self.share(features)
        return Maps(self.cls(shared), self.obj(shared), self.box(shared), self.kps(shared))


class FaceDetector(nn.Module):
    """RGB float [N,3,H,W] in 0..255, H and W multiples of 32, to the raw maps of each stride."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, _STEM, 3, stride=2, padding=1)
        self.stem_unit = DepthwiseUnit(_STEM, _STEM)
        self.stages = nn.ModuleList(
            nn.Sequential(DepthwiseUnit(inputs, inputs), DepthwiseUnit(inputs, outputs))
            for inputs, outputs, _ in _STAGES
        )
        self.laterals = nn.ModuleList(DepthwiseUnit(_WIDTH, _WIDTH) for _ in STRIDES)
        self.heads = nn.ModuleList(Head() for _ in STRIDES)
        self._initialise()

    def _initialise(self) -> None:
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
                nn.init.zeros_(bias_of(module))
        # The picture arrives as 0..255: centre it and bring it to unit scale in the first
        # convolution, where that costs nothing.
        with torch.no_grad():
            self.stem.weight.div_(64.0)
            bias_of(self.stem).copy_(-127.5 * self.stem.weight.sum(dim=(1, 2, 3)))
        for head in _parts(self, Head):
            # Faces are rare among cells: start at a score of 0.01 (Lin et al. 2017, section 3.3).
            nn.init.constant_(bias_of(head.cls.depthwise), -4.6)
            nn.init.constant_(bias_of(head.obj.depthwise), -4.6)
            for unit in (head.cls, head.obj, head.box, head.kps):
                nn.init.normal_(unit.pointwise.weight, std=0.05)

    def forward(self, image: Tensor) -> list[Maps]:
        """Return the raw maps for strides 8, 16 and 32."""
        return self.read(self.features(image))

    def read(self, features: list[Tensor]) -> list[Maps]:
        """Return the raw maps of the pyramid's three levels."""
        return [head(level) for head, level in zip(self.heads, features, strict=True)]

    def features(self, image: Tensor) -> list[Tensor]:
        """Return the pyramid, [N,64,h,w] >= 0 for strides 8, 16 and 32."""
        features = self.stem_unit(functional.relu(self.stem(image)))
        pyramid = []
        for stage, (_, _, halve) in zip(self.stages, _STAGES, strict=True):
            if halve:
                features = functional.max_pool2d(features, 2)
            features = stage(features)
            pyramid.append(features)
        # Top-down: the last three stages stand at strides 8, 16 and 32.
        merged: list[Tensor] = []
        above: Tensor | None = None
        for level, lateral in zip(reversed(pyramid[2:]), reversed(self.laterals), strict=True):
            if above is None:
                above = lateral(level)
            else:
                wider = functional.interpolate(above, scale_factor=2.0, mode="nearest")
                above = lateral(level + wider)
            merged.insert(0, above)
        return merged


def _parts(module: nn.Module, kind: type[Part]) -> list[Part]:
    """Return the parts of a kind in a module, in the order in which they were made."""
    return [part for part in module.modules() if isinstance(part, kind)]


class ExportedDetector(nn.Module):
    """The detector with the outputs of the bundle: (score, box, kps) for strides 8, 16, 32."""

    def __init__(self, detector: FaceDetector) -> None:
        super().__init__()
        self.detector = detector

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """Return score [N,1,h,w] in 0..1, box [N,4,h,w] and kps [N,10,h,w], stride by stride."""
        outputs: list[Tensor] = []
        for maps in self.detector(image):
            score = torch.sqrt(torch.sigmoid(maps.cls) * torch.sigmoid(maps.obj))
            outputs += [score, maps.box, maps.kps]
        return tuple(outputs)


def output_names() -> list[str]:
    """Names of the exported outputs, in the order of `ExportedDetector`."""
    return [f"{kind}_{stride}" for stride in STRIDES for kind in ("score", "box", "kps")]


def load_yunet(detector: FaceDetector, path: Path | str) -> None:
    """Copy the weights of `yunet_n_dynamic.onnx` (Apache-2.0) into `detector`, in place.

    The convolutions are taken in the order in which the graph runs them. YuNet takes BGR, the
    detector RGB: the first convolution's input channels are reversed.

    Raises:
        ValueError: the file's convolutions are not those of YuNet-n.

    """
    import onnx  # noqa: PLC0415 - only warm starts need it
    from onnx import numpy_helper  # noqa: PLC0415

    graph = onnx.load(str(path)).graph
    arrays = {item.name: numpy_helper.to_array(item) for item in graph.initializer}
    nodes = [node for node in graph.node if node.op_type == "Conv"]
    convolutions = _graph_order(detector)
    if len(nodes) != len(convolutions):
        message = f"{path}: {len(nodes)} convolutions, expected {len(convolutions)}"
        raise ValueError(message)
    with torch.no_grad():
        for index, (node, convolution) in enumerate(zip(nodes, convolutions, strict=True)):
            weight, bias = (arrays[name] for name in node.input[1:3])
            if weight.shape != tuple(convolution.weight.shape):
                message = f"{path}: {node.input[1]} is {weight.shape}, not YuNet-n's"
                raise ValueError(message)
            if index == 0:
                weight = weight[:, ::-1]
            convolution.weight.copy_(torch.from_numpy(weight.copy()))
            bias_of(convolution).copy_(torch.from_numpy(bias.copy()))


def _graph_order(detector: FaceDetector) -> list[nn.Conv2d]:
    """Return the convolutions in the order of YuNet's ONNX graph."""
    heads = _parts(detector, Head)
    units = [detector.stem_unit, *_parts(detector.stages, DepthwiseUnit)]
    units += reversed(_parts(detector.laterals, DepthwiseUnit))
    units += [head.share for head in heads]
    for branch in ("cls", "box", "obj", "kps"):
        units += [getattr(head, branch) for head in heads]
    convolutions = [detector.stem]
    for unit in units:
        convolutions += [unit.pointwise, unit.depthwise]
    return convolutions


def load_checkpoint(path: Path | str) -> FaceDetector:
    """Return the detector stored by training, in evaluation mode (`weights_only` loading)."""
    state = torch.load(str(path), map_location="cpu", weights_only=True)
    detector = FaceDetector()
    detector.load_state_dict(state["model"])
    return detector.eval()
