"""PSPNet pools as adaptive average pooling does, by matrices that an exporter can keep."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d, interpolate

from glandseg.training.networks.encoder import Encoder
from glandseg.training.networks.mobilenetv2 import MobileNetV2
from glandseg.training.networks.pspnet import PSPNet, PyramidPooling, pooling_matrix

BINS = (1, 2, 3, 6)


class Thumbnails(Encoder):
    """An encoder of two stages without weights: the image twice, at a half and at a quarter."""

    channels, strides = (6, 6), (2, 4)

    def forward(self, images: Tensor) -> list[Tensor]:
        twice = torch.cat([images, images], 1)
        return [nn.functional.avg_pool2d(twice, stride) for stride in self.strides]


@pytest.mark.parametrize(
    ("size", "bins"), [(40, 6), (28, 6), (20, 3), (7, 3), (7, 6), (3, 6), (1, 6), (16, 16), (41, 1), (1, 1)]
)
def test_the_matrix_is_adaptive_average_pooling(size: int, bins: int) -> None:
    torch.manual_seed(0)
    features = torch.randn(2, 5, size, size + 4, dtype=torch.float64)
    rows, columns = pooling_matrix(size, bins).double(), pooling_matrix(size + 4, bins).double()
    torch.testing.assert_close(
        rows @ features @ columns.T, adaptive_avg_pool2d(features, bins), rtol=1e-6, atol=1e-7
    )
    torch.testing.assert_close(pooling_matrix(size, bins).sum(1), torch.ones(bins))


def test_the_pyramid_stands_beside_the_map() -> None:
    torch.manual_seed(0)
    pyramid = PyramidPooling(16, BINS).eval()
    features = torch.randn(2, 16, 13, 10)
    with torch.inference_mode():
        out = pyramid(features)
        expected = [features] + [
            interpolate(level(adaptive_avg_pool2d(features, bins)), (13, 10), mode="bilinear")
            for bins, level in zip(BINS, pyramid.levels, strict=True)
        ]
    assert out.shape == (2, pyramid.channels, 13, 10) == (2, 32, 13, 10)
    torch.testing.assert_close(out, torch.cat(expected, 1))


@pytest.mark.parametrize("size", [(96, 64), (50, 71)])
def test_scores_have_the_images_size(size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    network = PSPNet(Thumbnails(), outputs=4, width=6).eval()
    images = torch.rand(2, 3, *size)
    with torch.inference_mode():
        logits, auxiliary = network.forward_both(images)
        assert logits.shape == auxiliary.shape == (2, 4, *size)
        assert torch.equal(network(images), logits)
    assert not torch.allclose(logits, auxiliary)


def test_both_heads_learn_and_the_auxiliary_one_from_the_stage_before() -> None:
    torch.manual_seed(0)
    network = PSPNet(MobileNetV2(output_stride=16), width=8)
    logits, auxiliary = network.forward_both(torch.rand(2, 3, 64, 64))
    auxiliary.sum().backward(retain_graph=True)  # type: ignore[no-untyped-call]
    untouched = {name.split(".")[0] for name, weight in network.named_parameters() if weight.grad is None}
    assert {"pyramid", "head"} <= untouched and "auxiliary_head" not in untouched
    last = network.encoder.get_submodule("blocks.16")
    assert all(weight.grad is None for weight in last.parameters())
    before = network.encoder.get_parameter("blocks.12.project.conv.weight").grad
    assert before is not None and before.any()
    logits.sum().backward()  # type: ignore[no-untyped-call]
    assert all(weight.grad is not None for weight in network.parameters())


def test_images_are_normalised_inside() -> None:
    torch.manual_seed(0)
    encoder = Thumbnails()
    mean = torch.tensor(encoder.mean).view(1, 3, 1, 1).expand(1, 3, 32, 32)
    network = PSPNet(encoder, width=4).eval()
    with torch.inference_mode():
        logits = network(mean)
    assert torch.allclose(logits, logits[..., :1, :1].expand_as(logits), atol=1e-6)  # the mean color is 0


@pytest.mark.parametrize("skip", [4, 8])
@pytest.mark.parametrize("size", [(96, 64), (50, 71)])
def test_an_earlier_stage_joins_the_head(skip: int, size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    network = PSPNet(MobileNetV2(output_stride=16), outputs=3, width=8, skip=skip).eval()
    images = torch.rand(2, 3, *size)
    seen: list[tuple[int, ...]] = []
    network.skip.mix.register_forward_hook(lambda module, inputs, out: seen.append(tuple(out.shape)))
    with torch.inference_mode():
        logits, auxiliary = network.forward_both(images)
        assert torch.equal(network(images), logits)
    assert logits.shape == auxiliary.shape == (2, 3, *size)
    assert seen[0] == (2, 4, *(-(-side // skip) for side in size))
