"""The encoder's interface: stages of feature maps with their channels and strides."""

from __future__ import annotations

import torch
from torch import Tensor, nn

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


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
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD

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
