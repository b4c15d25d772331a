"""The network as exported: bytes in, bytes out."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from glandseg.training.torch_backend import to_bytes, to_images


class WindowGraph(nn.Module):
    """A segmenter with pixels as input and probabilities as output, both as bytes.

    Args:
        segmenter: Network from (N, 3, H, W) float32 RGB in 0..1 to logits, (N, 2, H, W), or
            (N, 3, H, W) with a core.
    """

    def __init__(self, segmenter: nn.Module) -> None:
        super().__init__()
        self.segmenter = segmenter

    def forward(self, windows: Tensor) -> Tensor:
        """Compute (N, C, H, W) uint8 probabilities, 255 for 1.0, from (N, H, W, 3) uint8 RGB."""
        images = to_images(windows.to(torch.float32))  # cast first: TensorRT can do nothing else with uint8
        return to_bytes(self.segmenter(images))
