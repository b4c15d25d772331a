"""A torch network answers as deployment's protocol asks."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from glandseg.model.backend import Backend
from glandseg.training.torch_backend import TorchBackend, autocast, evaluating, to_bytes, to_images


class Halves(nn.Module):
    """Logits that are the red's log odds; notes what it was run with."""

    def __init__(self) -> None:
        super().__init__()
        self.dropout = nn.Dropout(0.9)
        self.seen: list[tuple[bool, bool, bool]] = []

    def forward(self, images: Tensor) -> Tensor:
        self.seen.append((self.training, torch.is_grad_enabled(), torch.is_autocast_enabled("cpu")))
        red = self.dropout(torch.logit(images[:, :1], eps=1e-6))
        return torch.cat([torch.zeros_like(red), red], 1)


def test_probabilities_are_bytes() -> None:
    network = Halves().train()
    with TorchBackend(network) as backend:
        named: Backend = backend
        windows = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1).repeat(3, axis=3)
        out = named.infer(windows)
    assert named.classes == 2 and named.name.startswith("PyTorch ")
    assert out.shape == (1, 2, 16, 16) and out.dtype == np.uint8
    np.testing.assert_array_equal(out[0, 1], windows[0, ..., 0])
    assert network.seen == [(False, False, False)] and network.training


@pytest.mark.skipif(torch.cuda.is_available(), reason="there autocast is for the GPU")
def test_bfloat16_where_asked() -> None:
    network = Halves()
    TorchBackend(network, precision="bfloat16").infer(np.zeros((1, 4, 4, 3), np.uint8))
    assert network.seen[0][2]
    with autocast(enabled=False):
        assert not torch.is_autocast_enabled("cpu")


def test_evaluation_mode_ends_even_in_an_error() -> None:
    network = Halves().train()
    with pytest.raises(RuntimeError, match="on purpose"), evaluating(network):
        assert not network.training
        raise RuntimeError("on purpose")
    assert network.training and torch.is_grad_enabled()
    with evaluating(network.eval()):
        pass
    assert not network.training


def test_images_and_bytes() -> None:
    windows = torch.tensor([[[[0, 51, 255]]]], dtype=torch.uint8)
    torch.testing.assert_close(to_images(windows)[0, :, 0, 0], torch.tensor([0.0, 0.2, 1.0]))
    logits = torch.tensor([[0.0, 100.0, -100.0, 200.0], [0.0, 0.0, 0.0, 0.0]])[None, :, :, None]
    bytes_ = to_bytes(logits)[0, :, :, 0]
    assert bytes_.dtype == torch.uint8
    assert bytes_.tolist() == [[127, 255, 0, 255], [128, 0, 255, 0]]


def test_the_two_bytes_of_a_pixel_are_the_softmax_and_sum_to_255() -> None:
    logits = torch.linspace(-12, 12, 4001)[None, None, None]
    logits = torch.cat([0.3 * logits, logits], 1)
    bytes_ = to_bytes(logits).to(torch.int32)
    assert (bytes_.sum(1) == 255).all()
    assert (bytes_ - 255 * torch.softmax(logits, 1)).abs().max() < 0.501


def test_a_core_has_a_sigmoid_of_its_own() -> None:
    logits = torch.tensor([[0.0, 3.0], [1.0, -1.0], [0.0, -200.0]])[None, :, :, None]
    bytes_ = to_bytes(logits)[0, :, :, 0]
    assert torch.equal(bytes_[:2], to_bytes(logits[:, :2])[0, :, :, 0])
    assert bytes_[2].tolist() == [128, 0]


def test_a_backend_has_the_channels_of_its_network() -> None:
    network = Halves()
    assert TorchBackend(network).classes == 2
    network.outputs = 3  # type: ignore[assignment]
    assert TorchBackend(network).classes == 3


@pytest.mark.parametrize("channels", [1, 4])
def test_other_channels_are_refused(channels: int) -> None:
    with pytest.raises(ValueError, match=f"non-gland, gland and perhaps core. Received: {channels} channels"):
        to_bytes(torch.zeros(1, channels, 4, 4))
