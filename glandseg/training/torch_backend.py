"""A PyTorch network behind the runtime's protocol, so that training scores what deployment computes."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

CLASSES = 2  # non-gland and gland; a third logit is the core's, which is no class beside them


class TorchBackend(contextlib.nullcontext["TorchBackend"]):
    """A backend that runs a segmenter on windows, in evaluation mode.

    Args:
        network: Network from (N, 3, H, W) RGB in 0..1 to (N, C, H, W) logits; its attribute `outputs` is C,
            2, or 3 with a core channel, and 2 where it has none.
        precision: "float32" or "bfloat16" (autocast).
    """

    def __init__(self, network: nn.Module, *, precision: str = "float32") -> None:
        super().__init__(self)
        self.name = f"PyTorch {torch.__version__}"
        self.classes = int(getattr(network, "outputs", CLASSES))
        self._network = network
        self._bfloat16 = precision == "bfloat16"

    def infer(self, windows: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Compute (N, classes, H, W) uint8 probabilities of (N, H, W, 3) uint8 RGB windows."""
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
    """Convert logits to uint8 probabilities, 255 for certainty.

    The sigmoid of the difference of two logits equals their softmax, on which ONNX Runtime's CPU provider
    spends a sixth of the bundled model's time.

    Args:
        logits: (N, 2, H, W) of non-gland and gland; or (N, 3, H, W), the third of the core.

    Returns:
        The same shape. Non-gland and gland sum to 255 at each pixel; the core's is the sigmoid of its logit.

    Raises:
        ValueError: If there are not two or three channels.
    """
    if logits.shape[1] not in (CLASSES, CLASSES + 1):
        raise ValueError(f"logits: non-gland, gland and perhaps core. Received: {logits.shape[1]} channels")
    gland = _round(logits[:, 1:CLASSES] - logits[:, :1])
    channels = [255 - gland, gland]
    if logits.shape[1] > CLASSES:
        channels.append(_round(logits[:, CLASSES:]))
    return torch.cat(channels, 1).to(torch.uint8)  # cast last: TensorRT does not compute in uint8


def _round(log_odds: Tensor) -> Tensor:
    return torch.round(torch.sigmoid(log_odds) * 255)


def autocast(*, enabled: bool) -> torch.autocast:
    """Return a context that computes in bfloat16 where that is safe, on the GPU or else the CPU."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.autocast(device, torch.bfloat16, enabled=enabled)


def run_batches(
    network: nn.Module,
    images: Iterable[NDArray[np.uint8]],
    batch: int,
    compute: Callable[[Tensor], Sequence[Tensor]],
    *,
    bfloat16: bool,
) -> Iterator[list[NDArray[np.float32]]]:
    """Evaluate something on images, batch by batch.

    Args:
        network: Network, put in evaluation mode for each batch, to whose device the images are moved.
        images: Images of one size, (H, W, 3) uint8 RGB, read as they are needed.
        batch: Maximum number of images in a batch.
        compute: Called with a batch, (N, 3, H, W) float32 RGB in 0..1; returns tensors of N items each.
        bfloat16: Whether to compute in bfloat16 where that is safe.

    Yields:
        The tensors of a batch, as float32 arrays.
    """
    rest = iter(images)
    while part := list(islice(rest, batch)):
        with evaluating(network), autocast(enabled=bfloat16):
            found = compute(to_images(move_beside(network, np.stack(part))))
            arrays = [each.float().cpu().numpy() for each in found]
        yield arrays


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
