"""ResNeSt has timm's names, the published sizes, and split attention as the paper defines it."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from glandseg.training.networks.resnest import Bottleneck, ResNeSt, SamePool, SplitAttention, build_shortcut

HEAD = 2048 * 1000 + 1000


def build_on_meta(depth: int, output_stride: int = 8) -> ResNeSt:
    with torch.device("meta"):
        return ResNeSt(depth, output_stride=output_stride)


@pytest.mark.parametrize(
    ("depth", "parameters"),  # timm's own counts; the paper's are 27.5, 48.3, 70.2 and 111 million
    [(50, 27_483_240), (101, 48_275_016), (200, 70_201_544), (269, 110_929_480)],
)
def test_parameters_with_the_imagenet_head(depth: int, parameters: int) -> None:
    assert sum(p.numel() for p in build_on_meta(depth).parameters()) + HEAD == parameters


def test_names_are_timms() -> None:
    names = {name.rpartition(".")[0] for name in build_on_meta(50).state_dict()}
    stem = {"conv1.0", "conv1.1", "conv1.3", "conv1.4", "conv1.6", "bn1"}
    block = {"conv1", "bn1", "conv2.conv", "conv2.bn0", "conv2.fc1", "conv2.bn1", "conv2.fc2", "conv3", "bn3"}
    expected = stem | {
        f"layer{stage}.{index}.{part}"
        for stage, count in enumerate((3, 4, 6, 3), start=1)
        for index in range(count)
        for part in block | ({"downsample.1", "downsample.2"} if index == 0 else set())
    }
    assert names == expected


def test_shapes_of_timms_tensors() -> None:
    state = build_on_meta(200).state_dict()
    assert state["conv1.6.weight"].shape == (128, 64, 3, 3)
    assert state["layer1.0.conv2.conv.weight"].shape == (128, 32, 3, 3)
    assert state["layer1.0.conv2.fc1.weight"].shape == (32, 64, 1, 1)
    assert state["layer4.2.conv2.fc2.bias"].shape == (1024,)
    assert "layer3.35.bn3.weight" in state and "layer3.36.bn3.weight" not in state


@pytest.mark.parametrize(
    ("output_stride", "strides"),
    [(8, (2, 4, 8, 8, 8)), (16, (2, 4, 8, 16, 16)), (32, (2, 4, 8, 16, 32))],
)
def test_stage_shapes(output_stride: int, strides: tuple[int, ...]) -> None:
    encoder = build_on_meta(101, output_stride)
    assert encoder.channels == (128, 256, 512, 1024, 2048)
    assert encoder.strides == strides
    for size in (224, 320):
        features = encoder(torch.empty(2, 3, size, size, device="meta"))
        for feature, channels, stride in zip(features, encoder.channels, strides, strict=True):
            assert feature.shape == (2, channels, size // stride, size // stride)


def test_a_dilated_stage_begins_with_the_dilation_before_it() -> None:
    encoder = build_on_meta(50, 8)
    dilations = [
        [block.conv2.conv.dilation[0] for block in stage.children() if isinstance(block, Bottleneck)]
        for stage in (encoder.layer2, encoder.layer3, encoder.layer4)
    ]
    assert dilations == [[1] * 4, [1, 2, 2, 2, 2, 2], [2, 4, 4]]


def test_a_dilated_stage_pools_at_stride_1() -> None:
    encoder = build_on_meta(50, 16)
    assert isinstance(encoder.get_submodule("layer3.0.avd_last"), nn.AvgPool2d)
    assert isinstance(encoder.get_submodule("layer3.0.downsample.0"), nn.AvgPool2d)
    assert isinstance(encoder.get_submodule("layer4.0.avd_last"), nn.Identity)
    assert isinstance(encoder.get_submodule("layer4.0.downsample.0"), SamePool)


def test_pooling_of_the_branch_counts_its_padding() -> None:
    pool = Bottleneck(4, 4, stride=2, dilation=1, shortcut=None).avd_last
    assert pool(torch.ones(1, 1, 4, 4))[0, 0, 0, 0].item() == pytest.approx(4 / 9)


def attend_by_hand(layer: SplitAttention, x: Tensor) -> Tensor:
    """Weigh the splits by a softmax over them, image by image and channel by channel."""
    splits = layer.bn0(layer.conv(x)).relu().unflatten(1, (2, -1))  # (N, 2, width, H, W)
    pooled = splits.sum(1).mean((2, 3), keepdim=True)
    logits = layer.fc2(layer.bn1(layer.fc1(pooled)).relu()).unflatten(1, (2, -1))
    mixed: Tensor = (splits * logits.softmax(1)).sum(1)
    return mixed


def test_split_attention_is_a_softmax_over_the_splits() -> None:
    torch.manual_seed(0)
    layer = SplitAttention(64, dilation=2).eval()
    nn.init.normal_(layer.fc2.weight, std=3.0)
    x = torch.randn(3, 64, 9, 7)
    with torch.inference_mode():
        torch.testing.assert_close(layer(x), attend_by_hand(layer, x))


def test_same_pool_counts_the_zeros_at_the_far_edges() -> None:
    pooled = SamePool()(torch.ones(1, 1, 3, 4))
    assert pooled[0, 0].tolist() == [[1, 1, 1, 0.5], [1, 1, 1, 0.5], [0.5, 0.5, 0.5, 0.25]]


def test_strided_shortcut_keeps_the_last_odd_row() -> None:
    pool = build_shortcut(1, 4, stride=2, dilation=1)[0]
    assert torch.equal(pool(torch.ones(1, 1, 5, 4)), torch.ones(1, 1, 3, 2))


def test_batch_stays_dynamic_under_export() -> None:
    torch.manual_seed(0)
    block = Bottleneck(
        16, 8, stride=2, dilation=1, shortcut=build_shortcut(16, 32, stride=2, dilation=1)
    ).eval()
    program = torch.export.export(
        block, (torch.randn(2, 16, 8, 8),), dynamic_shapes=({0: torch.export.Dim("batch")},)
    )
    for batch in (1, 2, 5):
        x = torch.randn(batch, 16, 8, 8)
        torch.testing.assert_close(program.module()(x), block(x))


def test_half_precision_stays_half_and_near() -> None:
    torch.manual_seed(0)
    encoder = ResNeSt(50).eval()
    images = torch.randn(1, 3, 64, 64)
    with torch.inference_mode():
        exact = encoder(images)[-1]
        with torch.autocast("cpu", dtype=torch.bfloat16):
            half = encoder(images)[-1]
    assert half.dtype == torch.bfloat16
    assert (half.float() - exact).norm() < 0.05 * exact.norm()


def test_a_reloaded_state_gives_the_same_outputs() -> None:
    torch.manual_seed(0)
    encoder, other = ResNeSt(50), build_on_meta(50)
    encoder(torch.randn(2, 3, 64, 64))  # moves the batch norms' statistics
    other.load_state_dict(encoder.state_dict(), assign=True)
    images = torch.randn(1, 3, 64, 64)
    with torch.inference_mode():
        for a, b in zip(encoder.eval()(images), other.eval()(images), strict=True):
            assert torch.equal(a, b)
