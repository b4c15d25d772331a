"""MobileNetV2 1.0 without its classifier, dilated to keep its resolution (Sandler et al. 2018)."""

from __future__ import annotations

from torch import Tensor, nn

from glandseg.training.networks.depthwise import DepthwiseConv2d
from glandseg.training.networks.encoder import Encoder, dilate

# A row per stage, with (output channels, stride, expansion) of each block.
STAGES = (
    ((16, 1, 1),),
    ((24, 2, 6), (24, 1, 6)),
    ((32, 2, 6), (32, 1, 6), (32, 1, 6)),
    ((64, 2, 6), (64, 1, 6), (64, 1, 6), (64, 1, 6), (96, 1, 6), (96, 1, 6), (96, 1, 6)),
    ((160, 2, 6), (160, 1, 6), (160, 1, 6), (320, 1, 6)),
)


class ConvNorm(nn.Module):
    """Convolution and batch norm, then ReLU6 where `active`."""

    def __init__(self, conv: nn.Conv2d, *, active: bool = True) -> None:
        super().__init__()
        self.conv = conv
        self.bn = nn.BatchNorm2d(conv.out_channels)
        self.act = nn.ReLU6() if active else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, inputs, H, W) to (N, outputs, H / stride, W / stride)."""
        out: Tensor = self.act(self.bn(self.conv(x)))
        return out


class InvertedResidual(nn.Module):
    """Expansion, depthwise convolution, projection; with a skip connection where the shape stays."""

    def __init__(self, inputs: int, outputs: int, *, stride: int, expansion: int, dilation: int) -> None:
        super().__init__()
        width = inputs * expansion
        self.expand = ConvNorm(nn.Conv2d(inputs, width, 1, bias=False))
        self.depthwise = ConvNorm(DepthwiseConv2d(width, 3, stride=stride, dilation=dilation))
        self.project = ConvNorm(nn.Conv2d(width, outputs, 1, bias=False), active=False)
        self.skips = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, inputs, H, W) to (N, outputs, H / stride, W / stride)."""
        out: Tensor = self.project(self.depthwise(self.expand(x)))
        return x + out if self.skips else out


class MobileNetV2(Encoder):
    """MobileNetV2's stem and 17 blocks, in five stages, with the pretrained file's names.

    Args:
        output_stride: Stride of the last stage: 8, 16 or 32; strides beyond it become dilation.
    """

    channels = (16, 24, 32, 96, 320)

    def __init__(self, *, output_stride: int = 8) -> None:
        super().__init__()
        self.stem = ConvNorm(nn.Conv2d(3, 32, 3, 2, 1, bias=False))
        blocks: list[InvertedResidual] = []
        layers = dilate((stride for stage in STAGES for _, stride, _ in stage), output_stride, 2)
        strides, width, total = [], 32, 2
        for stage in STAGES:
            for outputs, _, expansion in stage:
                stride, dilation, _, total = next(layers)
                block = InvertedResidual(
                    width, outputs, stride=stride, expansion=expansion, dilation=dilation
                )
                blocks.append(block)
                width = outputs
            strides.append(total)
        self.blocks = nn.ModuleList(blocks)
        self.strides = tuple(strides)

    def forward(self, images: Tensor) -> list[Tensor]:
        """Compute the five stages' feature maps of (N, 3, H, W) normalised RGB."""
        x = self.stem(images)
        features, first = [], 0
        for stage in STAGES:
            for block in self.blocks[first : first + len(stage)]:
                x = block(x)
            first += len(stage)
            features.append(x)
        return features
