"""MobileFaceNet, after Chen et al. 2018 (arXiv:1804.07573).

Two details follow MobileFaceNet_TF rather than the paper, so that its public weights can be
loaded: TensorFlow's asymmetric SAME padding at stride 2, and a linear 1x1 layer between the
global depthwise convolution and the embedding.
"""

from torch import Tensor, nn

from training.verifier.backbones.common import Backbone, initialise, scaled_channels

# (expansion width, output width, repeats, stride of the first) at width 1.0.
STAGES = ((128, 64, 5, 2), (256, 128, 1, 2), (256, 128, 6, 1), (512, 128, 1, 2), (256, 128, 2, 1))
STEM = 64
HEAD = 512


class ConvUnit(nn.Sequential):
    """Convolution with TensorFlow SAME padding, optional batch norm, optional PReLU."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int = 1,
        stride: int = 1,
        *,
        groups: int = 1,
        activation: bool = True,
        batch_norm: bool = True,
        same: bool = True,
    ) -> None:
        layers: list[nn.Module] = []
        symmetric = (kernel - 1) // 2 if same and stride == 1 else 0
        if same and stride == 2 and kernel == 3:
            # SAME_UPPER on an even side: one pixel in all, at the right and the bottom.
            layers.append(nn.ZeroPad2d((0, 1, 0, 1)))
        layers.append(
            nn.Conv2d(
                inputs, outputs, kernel, stride, symmetric, groups=groups, bias=not batch_norm
            )
        )
        if batch_norm:
            layers.append(nn.BatchNorm2d(outputs))
        if activation:
            layers.append(nn.PReLU(outputs))
        super().__init__(*layers)


class Bottleneck(nn.Module):
    """Inverted residual: expand 1x1, depthwise 3x3, project 1x1 (linear)."""

    def __init__(
        self, inputs: int, expansion: int, outputs: int, stride: int, batch_norm: bool
    ) -> None:
        super().__init__()
        self.residual = stride == 1 and inputs == outputs
        self.layers = nn.Sequential(
            ConvUnit(inputs, expansion, batch_norm=batch_norm),
            ConvUnit(expansion, expansion, 3, stride, groups=expansion, batch_norm=batch_norm),
            ConvUnit(expansion, outputs, activation=False, batch_norm=batch_norm),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map [N, inputs, H, W] to [N, outputs, H / stride, W / stride]."""
        return x + self.layers(x) if self.residual else self.layers(x)


class MobileFaceNet(Backbone):
    """Embed float32 [N, 3, 112, 112] RGB in -1..1 as float32 [N, embedding], not normalised.

    `width` scales every layer but the embedding (rounded to multiples of 8). `batch_norm=False`
    gives plain biases, which is what a checkpoint with folded batch norm loads into.
    """

    def __init__(
        self, *, width: float = 1.0, embedding: int = 192, batch_norm: bool = True
    ) -> None:
        super().__init__()

        def scaled(channels: int) -> int:
            return scaled_channels(channels, width)

        stem, head = scaled(STEM), scaled(HEAD)
        layers: list[nn.Module] = [
            ConvUnit(3, stem, 3, 2, batch_norm=batch_norm),
            ConvUnit(stem, stem, 3, groups=stem, batch_norm=batch_norm),
            ConvUnit(stem, stem, activation=False, batch_norm=batch_norm),
        ]
        channels = stem
        ends = []
        for expansion, outputs, repeats, first_stride in STAGES:
            for index in range(repeats):
                stride = first_stride if index == 0 else 1
                layers.append(
                    Bottleneck(channels, scaled(expansion), scaled(outputs), stride, batch_norm)
                )
                channels = scaled(outputs)
            ends.append(len(layers) - 1)
        # The last block at 28x28, 14x14 and 7x7: what lies between is on its way there.
        self.stage_ends = (ends[0], ends[2], ends[4])
        layers += [
            ConvUnit(channels, head, batch_norm=batch_norm),
            ConvUnit(
                head, head, 7, groups=head, activation=False, batch_norm=batch_norm, same=False
            ),
            ConvUnit(head, head, activation=False, batch_norm=batch_norm),
            ConvUnit(head, embedding, activation=False, batch_norm=batch_norm),
        ]
        self.layers = nn.Sequential(*layers)
        self.embedding_size = embedding
        initialise(self)

    def forward(self, x: Tensor) -> Tensor:
        """Embed [N, 3, 112, 112] as [N, embedding]."""
        return self.layers(x).flatten(1)

    def features(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Return the embedding and the maps [N, C, H, W] at the end of each resolution."""
        maps = []
        for number, layer in enumerate(self.layers):
            x = layer(x)
            if number in self.stage_ends:
                maps.append(x)
        return x.flatten(1), maps


def parameter_count(model: nn.Module) -> int:
    """Count trainable scalars."""
    return sum(p.numel() for p in model.parameters() if p.requires_grad)
