"""A MobileNetV2 with squeeze-and-excitation and PReLU, whose public weights can be loaded.

The network behind face-reidentification-retail-0095 of Intel's Open Model Zoo: inverted residuals
(Sandler et al. 2018, arXiv:1801.04381), each with a squeeze-and-excitation gate (Hu et al. 2018,
arXiv:1709.01507), and a global depthwise convolution before the embedding. Batch norm is folded
into the convolutions, as in the published weights. Every PReLU has one slope for all channels.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from training.verifier.backbones.common import Backbone, initialise, scaled_channels

# (expansion width, output width, repeats, squeezed width) at width 1.0; each halves the map.
STAGES = ((128, 64, 5, 8), (256, 128, 7, 16), (512, 128, 3, 16))
# The middle blocks of the last stage expand to half as much as its first.
LAST_EXPANSION = 256
STEM = 64
HEAD = 512
SIDE = 128
# The published network sees columns 8..104 of the ArcFace crop, scaled to a square.
CUT = 8


class Unit(nn.Sequential):
    """Convolution and, unless linear, PReLU."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int = 1,
        stride: int = 1,
        *,
        groups: int = 1,
        padding: int | None = None,
        activation: bool = True,
    ) -> None:
        around = (kernel - 1) // 2 if padding is None else padding
        layers: list[nn.Module] = [
            nn.Conv2d(inputs, outputs, kernel, stride, around, groups=groups)
        ]
        if activation:
            layers.append(nn.PReLU())
        super().__init__(*layers)


class Excitation(nn.Module):
    """Scale every channel by what the whole map says of it."""

    def __init__(self, channels: int, squeezed: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            Unit(channels, squeezed), Unit(squeezed, channels, activation=False), nn.Sigmoid()
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map [N, C, H, W] to the same shape."""
        return x * self.layers(functional.adaptive_avg_pool2d(x, 1))


class Bottleneck(nn.Module):
    """Inverted residual: expand 1x1, depthwise 3x3, project 1x1 (linear), excite."""

    def __init__(
        self, inputs: int, expansion: int, outputs: int, squeezed: int, stride: int
    ) -> None:
        super().__init__()
        self.residual = stride == 1 and inputs == outputs
        self.layers = nn.Sequential(
            Unit(inputs, expansion),
            Unit(expansion, expansion, 3, stride, groups=expansion),
            Unit(expansion, outputs, activation=False),
            Excitation(outputs, squeezed),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map [N, inputs, H, W] to [N, outputs, H / stride, W / stride]."""
        return x + self.layers(x) if self.residual else self.layers(x)


class Scale(nn.Module):
    """Scale and shift every channel by constants of the published network."""

    weight: Tensor
    bias: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("weight", torch.ones(channels))
        self.register_buffer("bias", torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        """Map [N, C, H, W] to the same shape."""
        return x * self.weight.view(1, -1, 1, 1) + self.bias.view(1, -1, 1, 1)


class MobileNetSE(Backbone):
    """Embed float32 [N, 3, 112, 112] RGB in -1..1 as float32 [N, embedding], not normalised.

    The cut, the scaling to 128x128 and the published network's own scale of values are inside.
    `width` scales every layer but the embedding.
    """

    # The published weights take BGR of 0..255; they are loaded in our order and range.
    published_order = "BGR"

    def __init__(self, *, width: float = 1.0, embedding: int = 256) -> None:
        super().__init__()
        stem, head = scaled_channels(STEM, width), scaled_channels(HEAD, width)
        layers: list[nn.Module] = [
            Scale(3),
            Unit(3, stem, 3, 2),
            Unit(stem, stem, 3, groups=stem),
        ]
        channels = stem
        ends = []
        for expansion, outputs, repeats, squeezed in STAGES:
            for index in range(repeats):
                inner = expansion if index == 0 else min(expansion, LAST_EXPANSION)
                layers.append(
                    Bottleneck(
                        channels,
                        scaled_channels(inner, width),
                        scaled_channels(outputs, width),
                        squeezed,
                        2 if index == 0 else 1,
                    )
                )
                channels = scaled_channels(outputs, width)
            ends.append(len(layers) - 1)
        # The last block at 32x32, 16x16 and 8x8.
        self.stage_ends = tuple(ends)
        layers += [
            Unit(channels, head),
            Unit(head, head, SIDE // 16, groups=head, padding=0, activation=False),
            nn.Conv2d(head, embedding, 1, bias=False),
        ]
        self.layers = nn.Sequential(*layers)
        self.embedding_size = embedding
        initialise(self)

    def forward(self, x: Tensor) -> Tensor:
        """Embed [N, 3, 112, 112] as [N, embedding]."""
        return self.layers(_seen(x)).flatten(1)

    def features(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Return the embedding and the maps [N, C, H, W] at the end of each resolution."""
        x = _seen(x)
        maps = []
        for number, layer in enumerate(self.layers):
            x = layer(x)
            if number in self.stage_ends:
                maps.append(x)
        return x.flatten(1), maps


def _seen(x: Tensor) -> Tensor:
    """Cut [N, 3, 112, 112] to the columns that the published network sees, at its size."""
    cut = x[..., CUT:-CUT]
    return functional.interpolate(cut, (SIDE, SIDE), mode="bilinear", align_corners=False)
