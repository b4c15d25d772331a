"""The poolings against the paper's sums; absence can be reported; sizes finer than the map."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from glandseg.training.weak.pooling import (
    GlobalAveragePooling,
    MultiScalePyramidFusionPooling,
    SignPreservingFusion,
    build_pooling,
)

Map = NDArray[np.float64]  # (c, h, w)


def pool_slowly(class_map: Map, size: int) -> Map:
    """Adaptive average pooling: cell i covers floor(i h / size) to ceil((i + 1) h / size)."""
    classes, height, width = class_map.shape
    cells = np.zeros((classes, size, size))
    for i in range(size):
        for j in range(size):
            rows = slice(i * height // size, -(-(i + 1) * height // size))
            columns = slice(j * width // size, -(-(j + 1) * width // size))
            cells[:, i, j] = class_map[:, rows, columns].mean(axis=(1, 2))
    return cells


def resize_slowly(cells: Map, height: int, width: int) -> Map:
    """Bilinear with pixel centres at halves (align_corners=False), clamped at the border."""
    result = np.zeros((cells.shape[0], height, width))
    for y in range(height):
        for x in range(width):
            v = max((y + 0.5) * cells.shape[1] / height - 0.5, 0.0)
            u = max((x + 0.5) * cells.shape[2] / width - 0.5, 0.0)
            for i in range(cells.shape[1]):
                for j in range(cells.shape[2]):
                    weight = max(0.0, 1 - abs(min(v, cells.shape[1] - 1) - i))
                    weight *= max(0.0, 1 - abs(min(u, cells.shape[2] - 1) - j))
                    result[:, y, x] += weight * cells[:, i, j]
    return result


def gate_slowly(kernel: NDArray[np.float64], a: Map, b: Map) -> Map:
    """S(a, b) of Eq. 5."""
    stacked = np.concatenate([np.maximum(a, 0), np.maximum(b, 0)])
    padded = np.pad(stacked, ((0, 0), (1, 1), (1, 1)))
    gates = np.zeros((2, *a.shape[1:]))
    for o in range(2):
        for y in range(a.shape[1]):
            for x in range(a.shape[2]):
                total = float((kernel[o] * padded[:, y : y + 3, x : x + 3]).sum())
                gates[o, y, x] = 1 / (1 + math.exp(-total))
    return gates


def fuse_slowly(fusion: SignPreservingFusion, coarse: Map, fine: Map) -> Map:
    """Eq. 6 to 8."""
    positive = gate_slowly(fusion.positive.weight.detach().numpy(), coarse, fine)
    negative = gate_slowly(fusion.negative.weight.detach().numpy(), -coarse, -fine)
    present = np.maximum(coarse, 0) * positive[0] + np.maximum(fine, 0) * positive[1]
    absent = np.maximum(-coarse, 0) * negative[0] + np.maximum(-fine, 0) * negative[1]
    fused: Map = present / 2 - absent / 2
    return fused


def predict_slowly(fused: Map, class_map: Map) -> NDArray[np.float64]:
    """Eq. 9 inside the sigmoid."""
    classes, height, width = class_map.shape
    logits: NDArray[np.float64] = np.zeros(classes)
    for c in range(classes):
        for y in range(height):
            for x in range(width):
                p, f = fused[c, y, x], class_map[c, y, x]
                logits[c] += max(p, 0) * max(f, 0) - max(-p, 0) * max(-f, 0)
    logits /= height * width
    return logits


def draw_map(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64) * 3


@pytest.mark.parametrize(("height", "width"), [(6, 9), (9, 6), (20, 17), (1, 5)])
@pytest.mark.parametrize(
    ("sizes", "fusion"),
    [
        ((2, 4, 8, 16), "sign-preserving"),
        ((2, 4), "sign-preserving"),
        ((2, 4, 8), "average"),
        ((4,), "none"),
    ],
)
def test_mpfp_equals_the_papers_sums(height: int, width: int, sizes: tuple[int, ...], fusion: str) -> None:
    torch.manual_seed(0)
    pooling = MultiScalePyramidFusionPooling(2, sizes, fusion).double()
    class_map = draw_map(2, 2, height, width)
    logits, fused = pooling(class_map)
    for n, single in enumerate(class_map.numpy()):
        levels = [resize_slowly(pool_slowly(single, size), height, width) for size in sizes]
        expected = levels[0]
        if fusion == "average":
            expected = np.stack(levels).mean(axis=0)
        for block, level in zip(pooling.fusions, levels[1:], strict=False):
            assert isinstance(block, SignPreservingFusion)
            expected = fuse_slowly(block, expected, level)
        np.testing.assert_allclose(fused[n].detach().numpy(), expected, rtol=0, atol=1e-6)
        np.testing.assert_allclose(
            logits[n].detach().numpy(), predict_slowly(expected, single), rtol=0, atol=1e-6
        )


def test_every_fusion_has_a_convolution_for_each_sign() -> None:
    pooling = MultiScalePyramidFusionPooling(3)
    shapes = [tuple(parameter.shape) for parameter in pooling.parameters()]
    assert shapes == [(2, 6, 3, 3)] * 6


def test_gap_is_the_mean_and_returns_the_map_itself() -> None:
    class_map = draw_map(2, 3, 4, 5)
    logits, returned = GlobalAveragePooling()(class_map)
    torch.testing.assert_close(logits, class_map.sum(dim=(2, 3)) / 20)
    assert returned is class_map


def test_an_absent_class_scores_below_one_half() -> None:
    pooling = MultiScalePyramidFusionPooling(2)
    class_map = torch.stack([torch.full((8, 8), 2.0), torch.full((8, 8), -2.0)])[None]
    probability = pooling(class_map)[0].sigmoid()[0]
    assert probability[0] > 0.6
    assert probability[1] < 0.4


def test_negative_times_negative_is_no_evidence_for_a_class() -> None:
    pooling = MultiScalePyramidFusionPooling(2, (4,), "none")
    negative = -torch.rand(2, 2, 8, 8) - 0.1
    assert (pooling(negative)[0] < 0).all()
    torch.testing.assert_close(pooling(negative)[0], -pooling(-negative)[0])


def test_the_negative_branch_learns() -> None:
    torch.manual_seed(1)
    pooling = MultiScalePyramidFusionPooling(2)
    class_map = torch.randn(2, 2, 16, 16).requires_grad_()
    pooling(class_map)[0].square().sum().backward()
    for name, parameter in pooling.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().max() > 0, name
    assert class_map.grad is not None
    assert class_map.grad[class_map < 0].abs().max() > 0


@pytest.mark.parametrize(("height", "width"), [(5, 7), (8, 8), (1, 1)])
@pytest.mark.parametrize("times", [1, 2, 3])
def test_a_level_whose_cells_divide_each_pixel_is_the_map(height: int, width: int, times: int) -> None:
    class_map = draw_map(1, 2, height, width)
    size = times * math.lcm(height, width)
    _, fused = MultiScalePyramidFusionPooling(2, (size,), "none")(class_map)
    torch.testing.assert_close(fused, class_map)


@pytest.mark.parametrize(("height", "width"), [(3, 40), (1, 1), (14, 14)])
def test_sizes_finer_than_the_map_keep_a_constant(height: int, width: int) -> None:
    class_map = torch.full((1, 2, height, width), -1.5)
    _, fused = MultiScalePyramidFusionPooling(2, fusion="average")(class_map)
    torch.testing.assert_close(fused, class_map)


@pytest.mark.parametrize("kind", ["gap", "mpfp"])
def test_logits_are_float32_under_autocast(kind: str) -> None:
    torch.manual_seed(2)
    pooling = build_pooling(kind, 2)
    class_map = torch.randn(2, 2, 28, 28).bfloat16()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        logits, _ = pooling(class_map)
    assert logits.dtype == torch.float32
    torch.testing.assert_close(logits, pooling(class_map.float())[0], rtol=0, atol=1e-2)


def test_build_pooling_passes_the_pyramids_settings_on() -> None:
    pooling = build_pooling("mpfp", 2, sizes=(4, 8), fusion="average")
    assert isinstance(pooling, MultiScalePyramidFusionPooling)
    assert pooling.sizes == (4, 8)
    assert not pooling.fusions


def test_bad_settings_are_refused_by_name() -> None:
    with pytest.raises(ValueError, match="one of gap, mpfp. Received: max"):
        build_pooling("max", 2)
    with pytest.raises(ValueError, match="one of sign-preserving, average, none. Received: sum"):
        build_pooling("mpfp", 2, fusion="sum")
    with pytest.raises(ValueError, match="a single one with fusion=none"):
        build_pooling("mpfp", 2, sizes=(2, 4), fusion="none")


@pytest.mark.parametrize("sizes", [(), (0, 2), (4, 2), (2, 2)])
def test_sizes_must_be_positive_and_ascending(sizes: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="sizes: ascending, each at least 1. Received"):
        MultiScalePyramidFusionPooling(2, sizes)
