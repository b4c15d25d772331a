"""An encoder that sees colors alone, small enough for tests to train."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, relu

from glandseg.training.networks.encoder import Encoder


class ColorEncoder(Encoder):
    """Four stages of mixed colors at strides 2, 4, 4 and 4."""

    channels = (8, 8, 16, 16)
    strides = (2, 4, 4, 4)

    def __init__(self) -> None:
        super().__init__()
        widths = (3, *self.channels)
        self.mixes = nn.ModuleList(
            nn.Sequential(nn.Conv2d(inputs, outputs, 1), nn.BatchNorm2d(outputs))
            for inputs, outputs in zip(widths, self.channels, strict=False)
        )

    def forward(self, images: Tensor) -> list[Tensor]:
        stages = []
        x, stride = images, 1
        for mix, wanted in zip(self.mixes, self.strides, strict=True):
            x = relu(mix(avg_pool2d(x, wanted // stride)))
            stages.append(x)
            stride = wanted
        return stages
