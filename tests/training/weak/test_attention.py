"""Consistency correlation attention against the paper's sums, its start, its memory, its formats."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from glandseg.training.weak.attention import (
    ATTENTIONS,
    ConsistencyCorrelationAttention,
    CrissCrossAttention,
    PositionAttention,
    build_attention,
)

SHAPES = [(3, 5), (5, 3), (4, 4), (1, 6), (6, 1), (1, 1)]


class LargestTensor(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Remembers the element count of the largest tensor that any operator returned."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.numel = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(result):
            if isinstance(leaf, Tensor):
                self.numel = max(self.numel, leaf.numel())
        return result


def list_cross(y: int, x: int, height: int, width: int) -> list[tuple[int, int]]:
    row = [(y, j) for j in range(width)]
    return row + [(i, x) for i in range(height) if i != y]


def list_all(y: int, x: int, height: int, width: int) -> list[tuple[int, int]]:
    return [(i, j) for i in range(height) for j in range(width)]


def attend_slowly(
    module: nn.Module, features: Tensor, neighbours: Callable[[int, int, int, int], list[tuple[int, int]]]
) -> Tensor:
    """The residual attention with a loop over the pixels, straight from Eq. 1 and Eq. 2."""
    query, key, value = (module.get_submodule(name)(features) for name in ("query", "key", "value"))
    result = features.clone()
    samples, _, height, width = features.shape
    for n in range(samples):
        for y, x in list_all(0, 0, height, width):
            attended = neighbours(y, x, height, width)
            scores = torch.stack([query[n, :, y, x] @ key[n, :, i, j] for i, j in attended]).exp()
            for score, (i, j) in zip(scores / scores.sum(), attended, strict=True):
                result[n, :, y, x] += module.get_parameter("scale") * score * value[n, :, i, j]
    return result


def switch_on(module: nn.Module, scale: float = 0.7) -> nn.Module:
    for name, parameter in module.named_parameters():
        if name.endswith("scale"):
            nn.init.constant_(parameter, scale)
    return module


def make_constant_value(module: nn.Module) -> nn.Module:
    """Let every value be 1, so that attending returns the sum of the weights."""
    nn.init.zeros_(module.get_parameter("value.weight"))
    nn.init.ones_(module.get_parameter("value.bias"))
    return switch_on(module, 1.0)


@pytest.mark.parametrize(("height", "width"), SHAPES)
@pytest.mark.parametrize(
    ("kind", "neighbours"), [(CrissCrossAttention, list_cross), (PositionAttention, list_all)]
)
def test_attention_equals_the_papers_sum(
    kind: type[CrissCrossAttention] | type[PositionAttention],
    neighbours: Callable[[int, int, int, int], list[tuple[int, int]]],
    height: int,
    width: int,
) -> None:
    torch.manual_seed(0)
    module = switch_on(kind(16).double())
    features = 2 * torch.randn(2, 16, height, width, dtype=torch.float64)
    expected = attend_slowly(module, features, neighbours)
    torch.testing.assert_close(module(features), expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize(("height", "width"), SHAPES)
@pytest.mark.parametrize("kind", [CrissCrossAttention, PositionAttention])
def test_the_weights_of_a_pixel_sum_to_one(
    kind: type[CrissCrossAttention] | type[PositionAttention], height: int, width: int
) -> None:
    torch.manual_seed(1)
    module = make_constant_value(kind(8).double())
    features = torch.randn(2, 8, height, width, dtype=torch.float64)
    torch.testing.assert_close(module(features) - features, torch.ones_like(features))


def test_criss_cross_counts_the_pixel_itself_once() -> None:
    module = switch_on(CrissCrossAttention(8).double(), 1.0)
    for name in ("query", "key", "value"):
        nn.init.zeros_(module.get_parameter(f"{name}.weight"))
        nn.init.zeros_(module.get_parameter(f"{name}.bias"))
    nn.init.dirac_(module.get_parameter("value.weight"))
    features = torch.zeros(1, 8, 3, 5, dtype=torch.float64)
    features[0, 0, 1, 2] = 1.0
    added = (module(features) - features)[0, 0]
    expected = torch.zeros(3, 5, dtype=torch.float64)
    expected[1, :] = expected[:, 2] = 1 / (3 + 5 - 1)
    torch.testing.assert_close(added, expected)


@pytest.mark.parametrize("kind", ATTENTIONS)
def test_a_fresh_attention_is_the_identity_yet_learns(kind: str) -> None:
    attention = build_attention(kind, 8)
    features = torch.randn(2, 8, 4, 5)
    output = attention(features)
    assert torch.equal(output, features)
    assert set(attention.scales().values()) <= {0.0}
    if kind != "none":
        output.square().sum().backward()
        gradients = [p.grad for name, p in attention.named_parameters() if name.endswith("scale")]
        assert all(gradient is not None and gradient.abs() > 0 for gradient in gradients)


def test_scales_name_each_attention_of_the_chain() -> None:
    attention = ConsistencyCorrelationAttention(8)
    nn.init.constant_(attention.get_parameter("position.scale"), 0.25)
    assert attention.scales() == {"criss_cross_1": 0.0, "position": 0.25, "criss_cross_2": 0.0}
    assert list(build_attention("criss-cross-twice", 8).scales()) == ["criss_cross_1", "criss_cross_2"]
    assert list(build_attention("criss-cross", 8).scales()) == ["criss_cross_1"]
    assert build_attention("none", 8).scales() == {}


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("kind", [CrissCrossAttention, PositionAttention])
def test_no_tensor_holds_every_pair_of_pixels(
    kind: type[CrissCrossAttention] | type[PositionAttention], dtype: torch.dtype
) -> None:
    side, channels = 48, 16
    module = switch_on(kind(channels).to(dtype))
    features = torch.randn(1, channels, side, side, dtype=dtype, requires_grad=True)
    with LargestTensor() as largest:
        module(features).sum().backward()
    limit = side * side * max(2 * side, 4 * channels)
    assert side * side * channels <= largest.numel <= limit < side**4


def test_every_parameter_gets_a_finite_gradient() -> None:
    torch.manual_seed(2)
    attention = switch_on(ConsistencyCorrelationAttention(8))
    attention(torch.randn(2, 8, 5, 3)).square().sum().backward()
    for name, parameter in attention.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        if not name.endswith("key.bias"):  # shifts all scores of a pixel alike: no effect on a softmax
            assert parameter.grad.abs().max() > 0, name


def test_gradients_match_finite_differences() -> None:
    torch.manual_seed(3)
    attention = switch_on(ConsistencyCorrelationAttention(8).double())
    features = torch.randn(1, 8, 2, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(attention, (features,))


def test_autocast_keeps_the_dtype_and_the_values() -> None:
    torch.manual_seed(4)
    attention = switch_on(ConsistencyCorrelationAttention(16))
    features = torch.randn(2, 16, 6, 5)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        output = attention(features)
        assert attention(features.bfloat16()).dtype == torch.bfloat16
    assert output.dtype == torch.float32
    torch.testing.assert_close(output, attention(features), rtol=0.05, atol=0.05)


def test_channels_last_gives_the_same_and_stays() -> None:
    torch.manual_seed(5)
    attention = switch_on(ConsistencyCorrelationAttention(16))
    features = torch.randn(2, 16, 6, 5)
    output = attention(features.to(memory_format=torch.channels_last))
    assert output.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(output, attention(features))


def test_an_unknown_kind_names_the_known_ones() -> None:
    with pytest.raises(ValueError, match="one of none, criss-cross, criss-cross-twice, cca. Received: ccnet"):
        build_attention("ccnet", 8)


@pytest.mark.parametrize("channels", [0, 4, 12])
def test_channels_must_divide_by_eight(channels: int) -> None:
    with pytest.raises(ValueError, match=f"multiple of 8. Received: {channels}"):
        build_attention("cca", channels)
