"""A dilated depthwise convolution trains with other, faster gradients, which equal PyTorch's."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from glandseg.training.networks.depthwise import DepthwiseConv2d, split_phases

SIZES = [(1, 16, 16), (2, 13, 7), (3, 1, 9), (2, 3, 2)]


def differentiate(convolution: DepthwiseConv2d, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the output, and the gradients of input and kernel under weights of the output."""
    x = x.clone().requires_grad_()
    out = convolution(x)
    upstream = torch.linspace(-1, 1, out.numel()).view(out.shape)
    return out, *torch.autograd.grad((out * upstream).sum(), (x, convolution.weight))


@pytest.mark.parametrize("kernel", [3, 5])
@pytest.mark.parametrize("dilation", [2, 3, 4])
@pytest.mark.parametrize("size", SIZES)
def test_gradients_are_those_of_pytorch(size: tuple[int, int, int], dilation: int, kernel: int) -> None:
    torch.manual_seed(0)
    count, height, width = size
    convolution = DepthwiseConv2d(5, kernel, dilation=dilation)
    x = torch.randn(count, 5, height, width)
    reference = F.conv2d(x, convolution.weight, None, 1, dilation * (kernel // 2), dilation, 5)
    ours, theirs = differentiate(convolution.train(), x), differentiate(convolution.eval(), x)
    torch.testing.assert_close(ours[0], reference)
    for own, other in zip(ours, theirs, strict=True):
        assert own.abs().max() > 0.01
        torch.testing.assert_close(own, other, atol=1e-4, rtol=1e-4)


def test_only_training_differs() -> None:
    x = torch.rand(1, 4, 8, 8, requires_grad=True)
    for convolution, is_plain in (
        (DepthwiseConv2d(4, 3, dilation=2).train(), False),
        (DepthwiseConv2d(4, 3, dilation=2).eval(), True),
        (DepthwiseConv2d(4, 3).train(), True),
        (DepthwiseConv2d(4, 3, stride=2, dilation=2).train(), True),
    ):
        made_by = convolution(x).grad_fn
        assert made_by is not None and (made_by.name() == "ConvolutionBackward0") is is_plain


def test_a_frozen_kernel_still_passes_gradients_on() -> None:
    convolution = DepthwiseConv2d(4, 3, dilation=2).requires_grad_(False)
    x = torch.rand(2, 4, 8, 8, requires_grad=True)
    convolution(x).sum().backward()
    assert x.grad is not None and x.grad.abs().max() > 0 and convolution.weight.grad is None


def test_phases_hold_every_pixel_once_and_zeros() -> None:
    values = torch.arange(1.0, 31).view(1, 1, 5, 6)
    phases = split_phases(values, 4)
    assert phases.shape == (16, 1, 2, 2)
    assert phases[0, 0].tolist() == [[1, 5], [25, 29]] and phases[15, 0].tolist() == [[22, 0], [0, 0]]
    assert sorted(phases[phases > 0].tolist()) == values.flatten().tolist()


def test_it_stays_in_float32_on_the_cpu() -> None:
    for dilation in (1, 2):
        with torch.autocast("cpu", torch.bfloat16):
            out = DepthwiseConv2d(4, 3, dilation=dilation)(torch.rand(2, 4, 8, 8).bfloat16())
            out.sum().backward()  # inside, where the gradients' convolutions must not turn to bfloat16
        assert out.dtype == torch.float32


def test_gradients_under_autocast_are_those_in_float32() -> None:
    convolution, x = DepthwiseConv2d(4, 3, dilation=2), torch.rand(2, 4, 8, 8)
    expected = differentiate(convolution, x)
    with torch.autocast("cpu", torch.bfloat16):
        found = differentiate(convolution, x)
    for own, other in zip(found, expected, strict=True):
        assert torch.equal(own, other)
