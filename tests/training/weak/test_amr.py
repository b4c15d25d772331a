"""AMR's modulation against the normal density, its maps and its loss."""

from __future__ import annotations

import math
import statistics

import torch

from glandseg.training.classifier_settings import ClassifierSettings
from glandseg.training.loop.sampling import Batch
from glandseg.training.losses import compute_presence_loss
from glandseg.training.weak.amr import AGREEMENT, AMR, ActivationModulation, modulate
from glandseg.training.weak.cam import rectify
from tests.training.weak.color_encoder import ColorEncoder


def test_modulation_is_the_normal_density_of_each_row() -> None:
    attention = torch.randn(3, 7)
    for row, found in zip(attention.tolist(), modulate(attention).tolist(), strict=True):
        mean, deviation = statistics.fmean(row), statistics.pstdev(row)
        expected = [
            math.exp(-((value - mean) ** 2) / (2 * deviation**2)) / (math.sqrt(2 * math.pi) * deviation)
            for value in row
        ]
        torch.testing.assert_close(torch.tensor(found), torch.tensor(expected), rtol=1e-3, atol=1e-4)


def test_what_lies_near_the_mean_gains_most() -> None:
    found = modulate(torch.tensor([[0.0, 1.0, 2.0, 3.0, 4.0]]))[0]
    assert found.argmax() == 2 and found[0] == found[4] < found[1] == found[3]


def test_images_are_modulated_on_their_own() -> None:
    torch.manual_seed(0)
    module, features = ActivationModulation(32).eval(), torch.rand(3, 32, 5, 6)
    torch.testing.assert_close(module(features)[:1], module(features[:1]))


def test_maps_are_the_mean_of_both_branches() -> None:
    torch.manual_seed(0)
    method, images = AMR(ColorEncoder(), ClassifierSettings()).eval(), torch.rand(2, 3, 16, 16)
    spotlight, compensation = method.map_both(images)
    torch.testing.assert_close(method.map_classes(images), (rectify(spotlight) + rectify(compensation)) / 2)
    labels = torch.tensor([[1.0, 0.0], [1.0, 1.0]])
    expected = sum(compute_presence_loss(each.mean((2, 3)), labels) / 2 for each in (spotlight, compensation))
    expected += AGREEMENT * (spotlight.clamp(min=0) - compensation.clamp(min=0)).abs().mean()
    torch.testing.assert_close(method.compute_loss(Batch(images=images, labels=labels)), expected)
