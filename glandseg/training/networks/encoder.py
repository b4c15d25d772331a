"""What every encoder has: stages of feature maps with channels and strides."""

from __future__ import annotations

import torch
from torch import Tensor, nn

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


class Encoder(nn.Module):
    """A network that turns an image into feature maps, stage by stage.

    Attributes:
        channels: of each stage's output.
        strides: of each stage's output with respect to the image.
        mean: of RGB / 255, subtracted before the encoder sees an image.
        std: of RGB / 255, which divides after the mean is subtracted.
    """

    channels: tuple[int, ...]
    strides: tuple[int, ...]
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD

    def normalise(self, images: Tensor) -> Tensor:
        """Turn (N, 3, H, W) RGB in 0..1 into what `forward` takes."""
        mean = torch.tensor(self.mean, dtype=images.dtype, device=images.device).view(1, 3, 1, 1)
        std = torch.tensor(self.std, dtype=images.dtype, device=images.device).view(1, 3, 1, 1)
        return (images - mean) / std

    def forward(self, images: Tensor) -> list[Tensor]:
        """Compute the feature maps of an image.

        Args:
            images: (N, 3, H, W) float, RGB, normalised by `mean` and `std`.

        Returns:
            One (N, channels[i], H / strides[i], W / strides[i]) map a stage, the deepest last.
        """
        raise NotImplementedError

    def freeze(self) -> None:
        """Fix the first layers and the batch norms, where the encoder's entry says `can_freeze`."""
        raise NotImplementedError
