"""Depthwise convolutions whose gradients are fast and finite on the CPU, dilated ones above all.

A depthwise convolution sums over the k x k taps t of its kernel w, channel by channel, at dilation d and
padding d (k - 1) / 2: y[p] = sum_t w[t] x[p + d t]. PyTorch's CPU gradients of it are slow for d > 1: they
took ten times as long as the convolution itself. Two identities avoid them, exact but for rounding:

- The gradient of x is such a convolution too, of y's gradient g with the mirrored kernel:
  dx[p] = sum_t w[-t] g[p + d t].
- The taps of a pixel are pixels of the same phase, row and column modulo d. So the gradient of w is that
  without dilation, summed over the d x d phases, which take the place of a batch (space to batch).

Only gradients are computed so. The convolution itself stays one dilated convolution, also when exported.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.grad import conv2d_weight


class DepthwiseConv2d(nn.Conv2d):
    """A depthwise convolution without bias, padded to keep H and W at stride 1; in float32 on the CPU.

    There, PyTorch 2.13's bfloat16 weight gradient of dilated and of strided depthwise convolutions is
    sometimes NaN, for a batch of one. In bfloat16 a training step would take 4 to 6 % less.

    Args:
        channels: Channels of input and output.
        kernel: Side of the kernel, odd.
        stride: Stride; above 1, dilated gradients stay slow.
        dilation: Dilation.
    """

    def __init__(self, channels: int, kernel: int, *, stride: int = 1, dilation: int = 1) -> None:
        padding = dilation * (kernel // 2)
        super().__init__(channels, channels, kernel, stride, padding, dilation, channels, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to (N, C, H / stride, W / stride)."""
        if x.device.type != "cpu":
            return super().forward(x)
        with torch.autocast("cpu", enabled=False):
            if self.training and self.dilation[0] > 1 and self.stride[0] == 1:
                apply: Callable[..., Tensor] = _DilatedDepthwise.apply
                return apply(x.float(), self.weight, self.dilation[0])
            return super().forward(x.float())


class _DilatedDepthwise(torch.autograd.Function):
    """A dilated depthwise convolution at stride 1, with the gradients of the module's docstring."""

    @staticmethod
    @torch.amp.custom_fwd(device_type="cpu")  # type: ignore[untyped-decorator]
    def forward(ctx: Any, x: Tensor, weight: Tensor, dilation: int) -> Tensor:
        """Convolve (N, C, H, W) with (C, 1, k, k)."""
        ctx.save_for_backward(x, weight)
        ctx.dilation = dilation
        return _convolve(x, weight, dilation)

    @staticmethod
    @torch.amp.custom_bwd(device_type="cpu")  # type: ignore[untyped-decorator]
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        """Return the gradients of x and of the kernel."""
        x, weight = ctx.saved_tensors
        of_x = of_weight = None
        if ctx.needs_input_grad[0]:
            of_x = _convolve(gradient, weight.flip(2, 3), ctx.dilation)
        if ctx.needs_input_grad[1]:
            of_weight = conv2d_weight(  # type: ignore[no-untyped-call]
                split_phases(x, ctx.dilation),
                weight.shape,
                split_phases(gradient, ctx.dilation),
                padding=weight.shape[-1] // 2,
                groups=len(weight),
            )
        return of_x, of_weight, None


def split_phases(values: Tensor, dilation: int) -> Tensor:
    """Return every d-th row and column from each of d x d offsets, as a batch (space to batch).

    Args:
        values: (N, C, H, W), of which H and W are padded with zeros to multiples of d.
        dilation: Distance d.

    Returns:
        (N d d, C, ceil(H / d), ceil(W / d)), channels last.
    """
    count, channels, height, width = values.shape
    padded = F.pad(values, (0, -width % dilation, 0, -height % dilation)).permute(0, 2, 3, 1)
    rows, columns = -(-height // dilation), -(-width // dilation)
    cells = padded.reshape(count, rows, dilation, columns, dilation, channels)
    return cells.permute(0, 2, 4, 1, 3, 5).flatten(0, 2).permute(0, 3, 1, 2)


def _convolve(x: Tensor, weight: Tensor, dilation: int) -> Tensor:
    return F.conv2d(x, weight, None, 1, dilation * (weight.shape[-1] // 2), dilation, len(weight))
