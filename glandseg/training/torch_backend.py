"""A PyTorch network behind the runtime's protocol, so that training scores what deployment computes."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

CLASSES = 2  # non-gland and gland


class TorchBackend(contextlib.nullcontext["TorchBackend"]):
    """A backend that runs a segmenter on windows, in evaluation mode.

    Args:
        network: Network from (N, 3, H, W) RGB in 0..1 to (N, 2, H, W) logits.
        precision: "float32" or "bfloat16" (autocast).
    """

    def __init__(self, network: nn.Module, *, precision: str = "float32") -> None:
        super().__init__(self)
        self.name = f"PyTorch {torch.__version__}"
        self.classes = CLASSES
        self._network = network
        self._bfloat16 = precision == "bfloat16"

    def infer(self, windows: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Compute (N, 2, H, W) uint8 probabilities of (N, H, W, 3) uint8 RGB windows."""
        with evaluating(self._network), autocast(enabled=self._bfloat16):
            logits = self._network(to_images(move_beside(self._network, windows)))
        return np.asarray(to_bytes(logits.float()).cpu())


def move_beside(network: nn.Module, values: NDArray[np.uint8]) -> Tensor:
    """Move an array to a network's device."""
    weight = next(network.parameters(), None)
    return torch.from_numpy(values).to("cpu" if weight is None else weight.device)


def to_images(windows: Tensor) -> Tensor:
    """Convert (N, H, W, 3) uint8 RGB to (N, 3, H, W) float32 in 0..1."""
    return windows.permute(0, 3, 1, 2).to(torch.float32) / 255


def to_bytes(logits: Tensor) -> Tensor:
    """Convert (N, 2, H, W) logits to uint8 probabilities, 255 for certainty; those of a pixel sum to 255.

    The sigmoid of the difference of two logits equals their softmax, on which ONNX Runtime's CPU provider
    spends a sixth of the bundled model's time.

    Raises:
        ValueError: If there are not two classes.
    """
    if logits.shape[1] != CLASSES:
        raise ValueError(f"logits: {CLASSES} classes, non-gland and gland. Received: {logits.shape[1]}")
    gland = torch.round(torch.sigmoid(logits[:, 1:] - logits[:, :1]) * 255)
    return torch.cat([255 - gland, gland], 1).to(torch.uint8)  # cast last: TensorRT does not compute in uint8


def autocast(*, enabled: bool) -> torch.autocast:
    """Return a context that computes in bfloat16 where that is safe, on the GPU or else the CPU."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.autocast(device, torch.bfloat16, enabled=enabled)


@contextlib.contextmanager
def evaluating(network: nn.Module) -> Iterator[None]:
    """Put a network in evaluation mode without gradients for a block."""
    training = network.training
    network.eval()
    try:
        with torch.inference_mode():
            yield
    finally:
        network.train(training)
