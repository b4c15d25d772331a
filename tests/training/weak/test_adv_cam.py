"""Adv-CAM's climbing against single steps worked out by hand."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from glandseg.training.classifier_settings import ClassifierSettings
from glandseg.training.weak.adv_cam import RESTRAINT, STEP, AdvCAM
from tests.training.weak.color_encoder import ColorEncoder


def build(climbs: int) -> AdvCAM:
    torch.manual_seed(0)
    return AdvCAM(ColorEncoder(), replace(ClassifierSettings(), climbs=climbs)).eval()


def map_normalised(method: AdvCAM, normalised: Tensor) -> Tensor:
    maps: Tensor = method.class_map(method.fuse(method.encoder(normalised)))
    return maps


def test_without_a_climb_maps_are_the_rectified_class_maps() -> None:
    method, images = build(1), torch.rand(2, 3, 16, 16)
    expected = map_normalised(method, method.encoder.normalise(images)).relu()
    with torch.inference_mode():
        found = method.map_classes(images)
    torch.testing.assert_close(found, expected)


def test_maps_add_up_along_the_gradient() -> None:
    method, images = build(3), torch.rand(1, 3, 16, 16)
    start = method.encoder.normalise(images)
    for label in (0, 1):
        x, first, total = start, map_normalised(method, start)[:, label].relu().detach(), torch.zeros(())
        for _ in range(3):
            x = x.detach().requires_grad_()
            maps = map_normalised(method, x)
            own = maps[:, label].relu()
            total = total + own.detach()
            strong = own.detach() / own.max().item() > 0.5
            changed = ((own - first).abs() * strong).sum()
            goal = maps[:, label].mean() - maps[:, 1 - label].mean() - RESTRAINT * changed
            [gradient] = torch.autograd.grad(goal, x)
            x = (x + STEP * gradient / gradient.abs().max()).clamp(start.min(), start.max())
        torch.testing.assert_close(method.climb(start, label), total, rtol=1e-3, atol=1e-4)


def test_images_climb_on_their_own() -> None:
    method = build(3)
    images = torch.rand(2, 3, 16, 16) * torch.tensor([1.0, 0.4]).view(2, 1, 1, 1)
    torch.testing.assert_close(
        method.map_classes(images)[:1], method.map_classes(images[:1]), rtol=1e-3, atol=1e-4
    )
