"""The network for PyTorch's slide tools: the ONNX file, which costs all the same, or TorchScript."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import numpy as np
import onnxruntime
import torch
from numpy.typing import NDArray
from torch import nn


class Network(Protocol):
    """A network that runs windows."""

    def infer(self, windows: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Compute (N, 2, 320, 320) uint8 probabilities of (N, 320, 320, 3) uint8 RGB."""
        ...


class OnnxNetwork:
    """An ONNX file, run by ONNX Runtime."""

    def __init__(self, path: Path, threads: int) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])

    def infer(self, windows: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Compute (N, 2, 320, 320) uint8 probabilities of (N, 320, 320, 3) uint8 RGB."""
        windows = np.ascontiguousarray(windows)
        return np.asarray(self._session.run(None, {"windows": windows})[0], np.uint8)


class TorchNetwork:
    """A TorchScript file, run by PyTorch."""

    def __init__(self, path: Path) -> None:
        script = torch.jit.load(str(path), map_location="cpu").eval()  # type: ignore[no-untyped-call]
        self._script = torch.jit.freeze(script)

    @torch.inference_mode()
    def infer(self, windows: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Compute (N, 2, 320, 320) uint8 probabilities of (N, 320, 320, 3) uint8 RGB."""
        return np.asarray(self._script(torch.from_numpy(np.ascontiguousarray(windows))).numpy(), np.uint8)


def open_network(path: Path, threads: int) -> Network:
    """Open a network by its file's ending; PyTorch gets as many threads as the network."""
    torch.set_num_threads(threads)
    return TorchNetwork(path) if path.suffix == ".pt" else OnnxNetwork(path, threads)


class NetworkModule(nn.Module):
    """The network as a module: (N, 3, 320, 320) float 0..255 in, (N, 1, 320, 320) float p(gland) out."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self._network = network

    def forward(self, windows: torch.Tensor) -> torch.Tensor:
        """Run the network."""
        channels_last = windows.permute(0, 2, 3, 1).to(torch.uint8).numpy()
        gland = torch.from_numpy(self._network.infer(channels_last)[:, 1:])
        return gland.to(torch.float32) / 255
