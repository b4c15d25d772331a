"""Consistency correlation attention (CCA): attention over a pixel's row and column, then over all pixels.

Feng et al. 2025, Eq. 1 and 2. A convolution judges a pixel by its neighbourhood, so a gland's lumen and
its far wall get no evidence from the wall that is plainly gland; attention passes it on to whatever looks
alike. Each attention adds to its input through a learnable scale that starts at 0, so that a pretrained
encoder's features pass unchanged at first. That scale gets a learning rate of its own (`scale_lr`) and no
weight decay, and the fit logs it: one that stays near 0 was never switched on.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention


class _Attention(nn.Module):
    """The parameters of an attention with residual scale.

    Args:
        channels: Channels of the map, a multiple of 8.
        reduction: Ratio of these to the channels of queries and keys.

    Raises:
        ValueError: If `channels` is not a positive multiple of 8.
    """

    def __init__(self, channels: int, reduction: int) -> None:
        super().__init__()
        if channels < 8 or channels % 8:
            raise ValueError(f"channels: a positive multiple of 8. Received: {channels}")
        self.query = nn.Conv2d(channels, channels // reduction, kernel_size=1)
        self.key = nn.Conv2d(channels, channels // reduction, kernel_size=1)
        self.value = nn.Conv2d(channels, channels, kernel_size=1)
        self.scale = nn.Parameter(torch.zeros(()))


class CrissCrossAttention(_Attention):
    """Attention over the w + h - 1 pixels of a pixel's row and column (Eq. 1, as in CCNet).

    Time and memory are O(hw(h + w)): the (hw, hw) matrix is never built.
    """

    def __init__(self, channels: int) -> None:
        super().__init__(channels, 8)

    def forward(self, features: Tensor) -> Tensor:
        """Compute features of the same shape and dtype from (N, c, h, w) features."""
        value: Tensor = self.value(features)
        row, column = _attend_criss_cross(self.query(features), self.key(features))
        along_row = torch.einsum("nyxj,ncyj->ncyx", row.to(value.dtype), value)
        along_column = torch.einsum("nyxi,ncix->ncyx", column.to(value.dtype), value)
        return features + self.scale * (along_row + along_column)


class PositionAttention(_Attention):
    """Attention over all pixels (Eq. 2): each pixel's weights sum to 1 over the pixels it attends to.

    The values enter as four heads that share one query and key of equal width: the fused kernels, which
    never hold the (hw, hw) matrix, require that.
    """

    def __init__(self, channels: int) -> None:
        super().__init__(channels, 4)

    def forward(self, features: Tensor) -> Tensor:
        """Compute features of the same shape and dtype from (N, c, h, w) features."""
        query = _split_heads(self.query(features), 1).expand(-1, 4, -1, -1)
        key = _split_heads(self.key(features), 1).expand(-1, 4, -1, -1)
        value = _split_heads(self.value(features), 4)
        attended = scaled_dot_product_attention(query, key, value, scale=1.0)  # (N, 4, hw, c/4)
        return features + self.scale * attended.transpose(2, 3).reshape(features.shape)


class AttentionChain(nn.Sequential):
    """Attentions one after the other; an empty chain is the identity."""

    def scales(self) -> dict[str, float]:
        """Return each attention's residual scale by name; 0 makes it the identity."""
        return {name: part.get_parameter("scale").item() for name, part in self.named_children()}


class ConsistencyCorrelationAttention(AttentionChain):
    """Criss-cross, position, criss-cross attention, each with parameters of its own."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.add_module("criss_cross_1", CrissCrossAttention(channels))
        self.add_module("position", PositionAttention(channels))
        self.add_module("criss_cross_2", CrissCrossAttention(channels))


def _chain_criss_cross(channels: int, times: int) -> AttentionChain:
    chain = AttentionChain()
    for number in range(1, times + 1):
        chain.add_module(f"criss_cross_{number}", CrissCrossAttention(channels))
    return chain


ATTENTIONS: dict[str, Callable[[int], AttentionChain]] = {
    "none": lambda channels: AttentionChain(),
    "criss-cross": lambda channels: _chain_criss_cross(channels, 1),
    "criss-cross-twice": lambda channels: _chain_criss_cross(channels, 2),
    "cca": ConsistencyCorrelationAttention,
}


def build_attention(kind: str, channels: int) -> AttentionChain:
    """Build an attention, `kind` of `ATTENTIONS`, for maps of `channels` channels.

    Raises:
        ValueError: If `kind` is unknown or `channels` does not suit it.
    """
    if kind not in ATTENTIONS:
        raise ValueError(f"attention: one of {', '.join(ATTENTIONS)}. Received: {kind}")
    return ATTENTIONS[kind](channels)


def _attend_criss_cross(query: Tensor, key: Tensor) -> tuple[Tensor, Tensor]:
    """Return the weights over the row (N, h, w, w) and the column (N, h, w, h), together summing to 1."""
    row = torch.einsum("ncyx,ncyj->nyxj", query, key)
    column = torch.einsum("ncyx,ncix->nyxi", query, key)
    height, width = query.shape[2:]
    itself = torch.eye(height, dtype=torch.bool, device=query.device)[:, None, :]  # (h, 1, h)
    column = column.masked_fill(itself, -torch.inf)  # the row counts the pixel itself
    scores = torch.cat([row, column], dim=3)
    weights = scores.softmax(dim=3, dtype=torch.promote_types(scores.dtype, torch.float32))
    return weights[..., :width], weights[..., width:]


def _split_heads(features: Tensor, heads: int) -> Tensor:
    """Turn (N, c, h, w) into (N, heads, hw, c / heads), its last axis contiguous for the fused kernels."""
    samples, channels, height, width = features.shape
    return features.reshape(samples, heads, channels // heads, height * width).transpose(2, 3).contiguous()
