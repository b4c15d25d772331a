"""The decoder's interface: logits of a main and an auxiliary head on an encoder."""

from __future__ import annotations

from torch import Tensor, nn

from glandseg.training.networks.encoder import Encoder


class Segmenter(nn.Module):
    """An encoder with a decoder on top.

    Attributes:
        encoder: The encoder, which also normalises the images.
        outputs: Number of logits of a pixel: those of non-gland and gland, and the core's where there is one.
        scores: Names of the layers whose outputs are logits.
    """

    encoder: Encoder
    outputs: int
    scores: tuple[str, ...]

    def list_encoders(self) -> list[Encoder]:
        """Return the encoders, which pretrained weights are loaded into: by default the only one."""
        return [self.encoder]

    def forward(self, images: Tensor) -> Tensor:
        """Compute (N, outputs, H, W) logits of (N, 3, H, W) float RGB in 0..1."""
        raise NotImplementedError

    def forward_both(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Compute the logits of the main and of the auxiliary head, for training; shapes as of `forward`."""
        raise NotImplementedError
