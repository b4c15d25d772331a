"""SEAM's correlation against a loop over pixels, and what its losses see."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn.functional import interpolate, relu

from glandseg.training.classifier_settings import ClassifierSettings
from glandseg.training.loop.sampling import Batch
from glandseg.training.weak.cam import rectify
from glandseg.training.weak.seam import SEAM
from tests.training.weak.color_encoder import ColorEncoder


@pytest.fixture
def method() -> SEAM:
    torch.manual_seed(0)
    return SEAM(ColorEncoder(), ClassifierSettings()).eval()


def correlate_slowly(method: SEAM, maps: Tensor, normalised: Tensor, stages: list[Tensor]) -> Tensor:
    size = maps.shape[2:]
    shallow = [relu(reduce(stage)) for reduce, stage in zip(method.reductions, stages[-3:-1], strict=True)]
    parts = [interpolate(part, size, mode="bilinear") for part in (normalised, *shallow)]
    embedded = method.embedding(torch.cat(parts, 1))[0].flatten(1)
    flat, refined = maps[0].flatten(1), torch.zeros_like(maps[0].flatten(1))
    for i in range(flat.shape[1]):
        one = embedded[:, i]
        weights = torch.tensor(
            [max(0.0, float(one @ other / (one.norm() * other.norm()))) for other in embedded.unbind(1)]
        )
        refined[:, i] = (flat * weights).sum(1) / weights.sum()
    return refined.view_as(maps[0])[None]


def test_correlation_averages_over_similar_pixels(method: SEAM) -> None:
    images = torch.rand(1, 3, 16, 24)
    with torch.no_grad():
        normalised = method.encoder.normalise(images)
        stages = method.encoder(normalised)
        maps = rectify(method.class_map(method.fuse(stages)))
        found = method.correlate(maps, normalised, stages)
        expected = correlate_slowly(method, maps, normalised, stages)
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-4)


def test_correlation_leaves_the_encoder_alone(method: SEAM) -> None:
    images = torch.rand(2, 3, 16, 16)
    learned = [method.embedding.weight, *method.encoder.parameters()]
    embedding, *encoder = torch.autograd.grad(method.map_classes(images).sum(), learned, allow_unused=True)
    assert embedding is not None and all(gradient is None for gradient in encoder)


def test_absent_classes_are_not_regularized(method: SEAM) -> None:
    images = torch.rand(2, 3, 32, 32)
    neither = method.compute_loss(Batch(images=images, labels=torch.zeros(2, 2)))
    small = interpolate(images, scale_factor=0.3, mode="bilinear", antialias=True)
    logits = torch.cat([method(images), method(small)])
    expected = torch.nn.functional.softplus(logits).mean()  # cross entropy with absence alone
    torch.testing.assert_close(neither, expected)
    both = method.compute_loss(Batch(images=images, labels=torch.ones(2, 2)))
    assert both > torch.nn.functional.softplus(-logits).mean()
