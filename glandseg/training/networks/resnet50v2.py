"""ResNet-50 v2 up to its third stage: identity mappings, activation first (He et al. 2016)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import cast

import torch.nn.functional as F
from torch import Tensor, nn

from glandseg.training.networks.encoder import Encoder, dilate

# Stages: units, output channels, stride.
STAGES = ((3, 256, 1), (4, 512, 2), (6, 1024, 2))
# Variance of stage 3's output with the pretrained weights, measured on H&E.
LAST_VARIANCE = 0.02


class Unit(nn.Module):
    """Three times batch norm, ReLU and convolution: 1x1, 3x3 (with the stride), 1x1."""

    def __init__(self, inputs: int, outputs: int, *, stride: int = 1, dilation: int = 1) -> None:
        super().__init__()
        width = outputs // 4
        self.bn1 = nn.BatchNorm2d(inputs)
        self.conv1 = nn.Conv2d(inputs, width, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, dilation, dilation, bias=False)
        self.bn3 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, outputs, 1, bias=False)
        self.shortcut = nn.Conv2d(inputs, outputs, 1, stride, bias=False) if inputs != outputs else None

    def activate(self, x: Tensor) -> Tensor:
        """Normalise and rectify the unit's input."""
        return F.relu(self.bn1(x), inplace=True)

    def transform(self, x: Tensor, activated: Tensor) -> Tensor:
        """Map (N, inputs, H, W) and its activation to (N, outputs, H / stride, W / stride)."""
        skip = x if self.shortcut is None else self.shortcut(activated)
        branch = self.conv2(F.relu(self.bn2(self.conv1(activated)), inplace=True))
        out: Tensor = skip + self.conv3(F.relu(self.bn3(branch), inplace=True))
        return out


class ResNet50V2(Encoder):
    """ResNet-50 v2's stem and stages 1 to 3, with the pretrained file's names.

    Each map is read after the batch norm and ReLU that follow it. The one after stage 3, `bn_last`,
    is this encoder's own, because the file has none: it starts at the variance measured with the file.

    Args:
        output_stride: Stride of the last stage: 8 or 16; the stride beyond it becomes dilation.
    """

    channels = (64, *(outputs for _, outputs, _ in STAGES))

    def __init__(self, *, output_stride: int = 8) -> None:
        super().__init__()
        self.bn0 = nn.BatchNorm2d(3)
        self.conv0 = nn.Conv2d(3, 64, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        stages, strides, inputs = [], [2], 64
        layers = dilate((stride for *_, stride in STAGES), output_stride, 4)  # after the max pool
        for (units, outputs, _), (stride, first, dilation, total) in zip(STAGES, layers, strict=True):
            head = Unit(inputs, outputs, stride=stride, dilation=first)
            rest = [Unit(outputs, outputs, dilation=dilation) for _ in range(units - 1)]
            stages.append(nn.Sequential(head, *rest))
            strides.append(total)
            inputs = outputs
        self.stages = nn.ModuleList(stages)
        self.bn_last = nn.BatchNorm2d(inputs)
        nn.init.constant_(self.bn_last.get_buffer("running_var"), LAST_VARIANCE)
        self.strides = tuple(strides)

    def forward(self, images: Tensor) -> list[Tensor]:
        """Compute the activated maps of the stem and the three stages of (N, 3, H, W) normalised RGB."""
        features = [F.relu(self.bn1(self.conv0(self.bn0(images))), inplace=True)]
        x = F.max_pool2d(features[0], 3, 2, 1)
        for index, stage in enumerate(self.stages):
            for place, unit in enumerate(cast("Iterable[Unit]", stage)):
                activated = unit.activate(x)
                if index > 0 and place == 0:
                    features.append(activated)
                x = unit.transform(x, activated)
        return [*features, F.relu(self.bn_last(x), inplace=True)]
