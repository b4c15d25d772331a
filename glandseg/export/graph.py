"""The network as deployment sees it, bytes in and bytes out; it exists only to be exported."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from glandseg.training.torch_backend import to_bytes, to_images


class WindowGraph(nn.Module):
    """A segmenter that reads pixels and gives probabilities, both as bytes.

    Args:
        segmenter: (N, 3, H, W) float32 RGB in 0..1 to (N, 2, H, W) logits.
    """

    def __init__(self, segmenter: nn.Module) -> None:
        super().__init__()
        self.segmenter = segmenter

    def forward(self, windows: Tensor) -> Tensor:
        """Turn (N, H, W, 3) uint8 RGB into (N, 2, H, W) uint8 probabilities, 255 for certainty."""
        images = to_images(windows.to(torch.float32))  # cast first: TensorRT does nothing else with uint8
        return to_bytes(self.segmenter(images))
