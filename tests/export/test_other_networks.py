"""Networks with other layers and names than the bundled one are lowered too: nothing is known by its name."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from glandseg.export.artifact import make_artifact
from glandseg.export.float_edges import find_edges
from glandseg.export.fp16 import to_fp16
from glandseg.export.int8 import LAYOUTS, Int8Layout, to_int8
from glandseg.export.onnx_file import trace_segmenter
from glandseg.model.card import ModelCard

CARD = ModelCard(name="u", network="small U-Net", tissue="drawn", um_per_px=0.62, weights_sha256="0")


class Net(nn.Module):
    """A U-Net with two stems and a head of its own size: no biases, no pyramid, no last Resize."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = (nn.Conv2d(3, 8, 4, stride=4, bias=False) for _ in range(2))
        self.down = nn.Conv2d(16, 64, 3, stride=2, padding=1, bias=False)
        self.deep = nn.Conv2d(64, 64, 3, padding=1, bias=False)
        self.up = nn.ConvTranspose2d(64, 16, 2, stride=2, bias=False)
        self.join = nn.Conv2d(32, 32, 3, padding=1, bias=False)
        self.out = nn.ConvTranspose2d(32, 2, 4, stride=4)

    def forward(self, images: Tensor) -> Tensor:
        """Turn (N, 3, H, W) images into (N, 2, H, W) logits."""
        centred = 4 * images - 2
        near = torch.relu(torch.cat([self.a(centred), self.b(centred)], 1))
        far = torch.relu(self.up(torch.relu(self.deep(torch.relu(self.down(near))))))
        logits: Tensor = self.out(torch.relu(self.join(torch.cat([near, far], 1))))
        return 8 * logits


@pytest.fixture(scope="module")
def network() -> nn.Module:
    torch.manual_seed(0)
    return Net()


@pytest.fixture(scope="module")
def traced(network: nn.Module) -> onnx.ModelProto:
    return trace_segmenter(network)


def test_edges_follow_the_data(traced: onnx.ModelProto) -> None:
    edges = find_edges(traced.graph)
    assert [node.op_type for node in edges.first] == ["Conv", "Conv"]
    assert [node.op_type for node in edges.last] == ["ConvTranspose"]
    assert {"Cast", "Transpose"} <= {node.op_type for node in edges.before}
    assert {"Sigmoid", "Round", "Cast"} <= {node.op_type for node in edges.after}


def test_float16_passes_the_gate(
    network: nn.Module, traced: onnx.ModelProto, tiles: NDArray[np.uint8], tmp_path: Path
) -> None:
    card = replace(CARD, precision="float16")
    artifact = make_artifact(tmp_path / "u.fp16.onnx", to_fp16(traced), card, network, tiles[:2])
    assert artifact.emulated is not None and artifact.emulated.max_dp > 0


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.suffix)
def test_int8_passes_the_gate(
    layout: Int8Layout, network: nn.Module, traced: onnx.ModelProto, tiles: NDArray[np.uint8], tmp_path: Path
) -> None:
    card = replace(CARD, precision="int8")
    artifact = make_artifact(
        tmp_path / "u.int8.onnx", to_int8(traced, tiles[::3], layout), card, network, tiles[:2]
    )
    assert artifact.parity.mean_dp > 0
