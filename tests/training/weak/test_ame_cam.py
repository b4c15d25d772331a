"""AME-CAM's contrast against loops over pairs, and its aggregation of exits."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from glandseg.training.classifier_settings import ClassifierSettings
from glandseg.training.loop.sampling import Batch
from glandseg.training.weak.ame_cam import AMECAM, LEAST, MOST, RANK_DECAY, compute_contrast
from tests.training.weak.color_encoder import ColorEncoder


def build() -> AMECAM:
    torch.manual_seed(0)
    return AMECAM(ColorEncoder(), ClassifierSettings()).eval()


def compare_slowly(one: Tensor, other: Tensor) -> float:
    cosine = float(one @ other / (one.norm() * other.norm()))
    return min(max(cosine, LEAST), MOST)


def pull_slowly(images: Tensor) -> float:
    total = 0.0
    for one in images:
        similarities = [compare_slowly(one, other) for other in images]
        for similarity in similarities:
            rank = sum(other > similarity for other in similarities) - 1
            total -= math.log(similarity) * math.exp(-RANK_DECAY * rank)
    return total / len(images) ** 2


def test_contrast_pulls_alike_together_and_unlike_apart() -> None:
    torch.manual_seed(0)
    foreground, background = torch.rand(4, 9), torch.rand(4, 9)
    apart = sum(-math.log(1 - compare_slowly(f, b)) for f in foreground for b in background) / 16
    expected = apart + pull_slowly(foreground) + pull_slowly(background)
    assert abs(compute_contrast(foreground, background).item() - expected) < 1e-4


def test_contrast_is_least_for_the_right_split() -> None:
    left, right = torch.tensor([[1.0, 1.0, 0.0, 0.0]]), torch.tensor([[0.0, 0.0, 1.0, 1.0]])
    mixed = torch.tensor([[1.0, 0.0, 1.0, 0.0], [0.0, 1.0, 0.0, 1.0], [1.0, 0.0, 0.0, 1.0]])
    right_split = compute_contrast(left.repeat(3, 1), right.repeat(3, 1))
    assert right_split < compute_contrast(mixed, 1 - mixed)


def test_an_aggregated_map_lies_between_its_exits() -> None:
    method, images = build(), torch.rand(2, 3, 32, 32)
    stacked = torch.randn(2, 2, 4, 16, 16)
    found = method.aggregate(stacked, images)
    assert found.shape == (2, 2, 16, 16)
    assert (found >= stacked.amin(2) - 1e-5).all() and (found <= stacked.amax(2) + 1e-5).all()
    alike = stacked[:, :, :1].expand(-1, -1, 4, -1, -1)
    torch.testing.assert_close(method.aggregate(alike, images), alike[:, :, 0])


def test_contrast_teaches_the_attention_alone() -> None:
    method = build()
    batch = Batch(images=torch.rand(3, 3, 32, 32), labels=torch.tensor([[1.0, 1.0], [1.0, 0.0], [0.0, 0.0]]))
    own = sum(
        weight * torch.nn.functional.binary_cross_entropy_with_logits(maps.mean((2, 3)), batch.labels)
        for weight, maps in zip((0.25, 0.5, 0.75, 1.0), method.map_exits(batch.images), strict=True)
    )
    loss = method.compute_loss(batch)
    assert loss > own
    learned = [*method.attention.parameters(), *method.exits.parameters()]
    gradients = torch.autograd.grad(loss - own, learned, allow_unused=True)
    moved = [gradient is not None and gradient.abs().max() > 1e-6 for gradient in gradients]
    attention = len(list(method.attention.parameters()))
    assert any(moved[:attention]) and not any(moved[attention:])


def test_without_any_class_there_is_no_contrast() -> None:
    method = build()
    batch = Batch(images=torch.rand(2, 3, 32, 32), labels=torch.zeros(2, 2))
    assert torch.isfinite(method.compute_loss(batch))
