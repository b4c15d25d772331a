"""The encoder's interface: stages of feature maps with their channels and strides."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import torch
from torch import Tensor, nn

from glandseg.training.networks.table import NORMALIZATIONS


def dilate(strides: Iterable[int], output_stride: int, total: int) -> Iterator[tuple[int, int, int, int]]:
    """Turn the strides of layers beyond an output stride into dilation.

    A layer whose stride is dropped keeps the dilation before it: its input still has the former spacing. Only
    the layers after it are dilated, so their features are the strided ones at a finer grid.

    Args:
        strides: Strides of the layers.
        output_stride: Maximum stride with respect to the image.
        total: Stride of the input of the first layer.

    Yields:
        Stride, dilation, dilation of the following layers, and stride with respect to the image.
    """
    dilation = 1
    for stride in strides:
        before = dilation
        if total * stride > output_stride:
            stride, dilation = 1, dilation * stride
        total *= stride
        yield stride, before, dilation, total


class Encoder(nn.Module):
    """A network that turns an image into feature maps, stage by stage.

    Attributes:
        channels: Channels of each stage's output.
        strides: Strides of each stage's output with respect to the image.
        mean: Mean of RGB in 0..1 that `normalise` subtracts.
        std: Standard deviation of RGB in 0..1 that `normalise` divides by.
    """

    channels: tuple[int, ...]
    strides: tuple[int, ...]
    mean, std = NORMALIZATIONS["imagenet"]

    def normalise(self, images: Tensor) -> Tensor:
        """Normalise (N, 3, H, W) float RGB in 0..1 by `mean` and `std`, for `forward`."""
        mean = torch.tensor(self.mean, dtype=images.dtype, device=images.device).view(1, 3, 1, 1)
        std = torch.tensor(self.std, dtype=images.dtype, device=images.device).view(1, 3, 1, 1)
        return (images - mean) / std

    def forward(self, images: Tensor) -> list[Tensor]:
        """Compute the feature maps of an image.

        Args:
            images: (N, 3, H, W) float RGB from `normalise`.

        Returns:
            A (N, channels[i], H / strides[i], W / strides[i]) map per stage, the deepest last.
        """
        raise NotImplementedError

    def freeze(self) -> None:
        """Fix the first layers and the batch norms, where the encoder's entry says `can_freeze`."""
        raise NotImplementedError
