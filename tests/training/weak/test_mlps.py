"""MLPS's dropout and Grad-CAM against slow references, and when the dropout starts."""

from __future__ import annotations

import torch

from glandseg.training.classifier_settings import ClassifierSettings
from glandseg.training.loop.fit_settings import FitSettings
from glandseg.training.loop.sampling import Batch
from glandseg.training.losses import compute_presence_loss
from glandseg.training.weak.mlps import MLPS, drop_peaks, explain
from tests.training.weak.color_encoder import ColorEncoder

SETTINGS = ClassifierSettings(fit=FitSettings(steps=200, precision="float32"))


def build() -> MLPS:
    torch.manual_seed(0)
    return MLPS(ColorEncoder(), SETTINGS).eval()


def test_peaks_are_dropped_and_the_rest_weighs_as_the_map_says() -> None:
    torch.manual_seed(0)
    features, class_map = torch.rand(2, 5, 3, 4), torch.randn(2, 2, 3, 4)
    found = drop_peaks(features, class_map, 0.7)
    for image in range(2):
        for y in range(3):
            for x in range(4):
                kept = []
                for label in range(2):
                    value = max(class_map[image, label, y, x].item(), 0.0)
                    highest = max(class_map[image, label].max().item(), 0.0)
                    kept.append(value if value <= 0.7 * highest else 0.0)
                expected = features[image, :, y, x] * sum(kept) / 2
                torch.testing.assert_close(found[image, :, y, x], expected)


def test_grad_cam_of_a_linear_layer_is_its_class_map() -> None:
    torch.manual_seed(0)
    layer, weight = torch.rand(2, 6, 4, 4, requires_grad=True), torch.randn(6)
    logit = torch.einsum("c,nchw->n", weight, layer).sum()
    [found] = explain(logit, [layer])
    torch.testing.assert_close(found, torch.einsum("c,nchw->nhw", weight, layer))


def test_the_dropout_starts_after_three_of_twenty_epochs() -> None:
    method, images, labels = build(), torch.rand(2, 3, 16, 16), torch.ones(2, 2)
    plain = compute_presence_loss(method(images), labels)
    assert torch.equal(method.compute_loss(Batch(images=images, labels=labels, step=29)), plain)
    assert not torch.equal(method.compute_loss(Batch(images=images, labels=labels, step=30)), plain)


def test_maps_are_the_weighted_sum_of_three_layers() -> None:
    method, images = build(), torch.rand(2, 3, 16, 16)
    with torch.inference_mode():
        maps, layers = method.map_classes(images), method.map_layers(images)
    torch.testing.assert_close(maps, 0.2 * layers[0] + 0.2 * layers[1] + 0.6 * layers[2])
    assert maps.shape == (2, 2, 4, 4) and maps.min() >= 0 and maps.max() <= 1
    assert not maps.requires_grad
