"""ResNeSt-50, -101, -200 and -269 with timm's parameter names (Zhang et al. 2020)."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from glandseg.training.networks.encoder import Encoder, dilate

# By depth: blocks of the four stages, width of the stem.
VARIANTS = {
    50: ((3, 4, 6, 3), 32),
    101: ((3, 4, 23, 3), 64),
    200: ((3, 24, 36, 3), 64),
    269: ((3, 30, 48, 8), 64),
}
EXPANSION = 4


class SplitAttention(nn.Module):
    """A 3x3 convolution into two splits, mixed by attention per channel."""

    def __init__(self, width: int, *, dilation: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width, 2 * width, 3, 1, dilation, dilation, groups=2, bias=False)
        self.bn0 = nn.BatchNorm2d(2 * width)
        self.fc1 = nn.Conv2d(width, max(width // 2, 32), 1)
        self.bn1 = nn.BatchNorm2d(max(width // 2, 32))
        self.fc2 = nn.Conv2d(max(width // 2, 32), 2 * width, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, width, H, W) to the same shape."""
        splits = F.relu(self.bn0(self.conv(x)), inplace=True)
        first, second = splits.chunk(2, dim=1)  # each (N, width, H, W)
        pooled = (first + second).mean((2, 3), keepdim=True)  # (N, width, 1, 1)
        logits = self.fc2(F.relu(self.bn1(self.fc1(pooled)), inplace=True))
        first_logit, second_logit = logits.chunk(2, dim=1)
        share = (first_logit - second_logit).sigmoid()  # the softmax over two
        out: Tensor = share * first + (1 - share) * second
        return out


class SamePool(nn.Module):
    """Mean of 2x2 pixels at stride 1, padded with zeros right and below, which count."""

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to the same shape."""
        return F.avg_pool2d(F.pad(x, (0, 1, 0, 1)), 2, 1)


def build_shortcut(inputs: int, outputs: int, *, stride: int, dilation: int) -> nn.Sequential:
    """Build a pooling, 1x1 convolution and batch norm."""
    pool: nn.Module = nn.Identity()
    if dilation > 1:
        pool = SamePool()
    elif stride > 1:
        pool = nn.AvgPool2d(2, stride, ceil_mode=True, count_include_pad=False)
    return nn.Sequential(pool, nn.Conv2d(inputs, outputs, 1, bias=False), nn.BatchNorm2d(outputs))


class Bottleneck(nn.Module):
    """1x1, split attention, mean pooling where the stride is 2, 1x1, added to the shortcut."""

    def __init__(self, inputs: int, width: int, *, stride: int, dilation: int,
                 shortcut: nn.Sequential | None) -> None:  # fmt: skip
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = SplitAttention(width, dilation=dilation)
        self.avd_last = nn.AvgPool2d(3, stride, padding=1) if stride > 1 else nn.Identity()
        self.conv3 = nn.Conv2d(width, width * EXPANSION, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(width * EXPANSION)
        self.downsample = shortcut

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, inputs, H, W) to (N, 4 width, H / stride, W / stride)."""
        shortcut = x if self.downsample is None else self.downsample(x)
        out = F.relu(self.bn1(self.conv1(x)), inplace=True)
        out = self.bn3(self.conv3(self.avd_last(self.conv2(out))))
        return F.relu(out + shortcut, inplace=True)


def build_stage(inputs: int, width: int, blocks: int, *, stride: int, dilation: int,
                first_dilation: int) -> nn.Sequential:  # fmt: skip
    """Build a stage's blocks; the first one has the stride, and the dilation of the stage before."""
    outputs = width * EXPANSION
    shortcut = build_shortcut(inputs, outputs, stride=stride, dilation=dilation)
    first = Bottleneck(inputs, width, stride=stride, dilation=first_dilation, shortcut=shortcut)
    rest = [Bottleneck(outputs, width, stride=1, dilation=dilation, shortcut=None) for _ in range(blocks - 1)]
    return nn.Sequential(first, *rest)


def build_stem(width: int) -> nn.Sequential:
    """Build the three 3x3 convolutions of the deep stem, without the last one's batch norm."""
    layers: list[nn.Module] = []
    for inputs, stride in ((3, 2), (width, 1)):
        layers += [
            nn.Conv2d(inputs, width, 3, stride, 1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(inplace=True),
        ]
    return nn.Sequential(*layers, nn.Conv2d(width, 2 * width, 3, 1, 1, bias=False))


class ResNeSt(Encoder):
    """ResNeSt's stem and four stages: timm's resnest50d, resnest101e, resnest200e and resnest269e.

    Args:
        depth: Key of `VARIANTS`.
        output_stride: Stride of the last stage: 8, 16 or 32; strides beyond it become dilation.
    """

    layer1: nn.Sequential
    layer2: nn.Sequential
    layer3: nn.Sequential
    layer4: nn.Sequential

    def __init__(self, depth: int, *, output_stride: int = 8) -> None:
        super().__init__()
        blocks, stem_width = VARIANTS[depth]
        self.conv1 = build_stem(stem_width)
        self.bn1 = nn.BatchNorm2d(2 * stem_width)
        channels, strides = [2 * stem_width], [2]
        layers = dilate((1, 2, 2, 2), output_stride, 4)  # after the max pool
        for index, (count, layer) in enumerate(zip(blocks, layers, strict=True)):
            width, (stride, first_dilation, dilation, total) = 64 << index, layer
            stage = build_stage(channels[-1], width, count, stride=stride, dilation=dilation,
                                first_dilation=first_dilation)  # fmt: skip
            self.add_module(f"layer{index + 1}", stage)
            channels.append(width * EXPANSION)
            strides.append(total)
        self.channels, self.strides = tuple(channels), tuple(strides)
        initialise(self)

    def forward(self, images: Tensor) -> list[Tensor]:
        """Compute the feature maps of the stem and the four stages of (N, 3, H, W) normalised RGB."""
        features = [F.relu(self.bn1(self.conv1(images)), inplace=True)]
        x = F.max_pool2d(features[0], 3, 2, 1)
        for stage in (self.layer1, self.layer2, self.layer3, self.layer4):
            x = stage(x)
            features.append(x)
        return features


def initialise(network: nn.Module) -> None:
    """Initialise convolutions He-normal, and each block as its shortcut."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        elif isinstance(module, Bottleneck):
            nn.init.zeros_(module.bn3.weight)
