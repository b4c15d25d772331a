"""HAM-Net's exits and flips, and Feng's modules in it."""

from __future__ import annotations

import pytest
import torch

from glandseg.core.errors import BadInputError
from glandseg.training.classifier_settings import ClassifierSettings
from glandseg.training.loop.sampling import Batch
from glandseg.training.losses import compute_presence_loss
from glandseg.training.weak.cam import rectify
from glandseg.training.weak.ham_net import HAMNet
from tests.training.weak.color_encoder import ColorEncoder

PLAIN = ClassifierSettings(pooling="gap")


def build(settings: ClassifierSettings = PLAIN) -> HAMNet:
    torch.manual_seed(0)
    return HAMNet(ColorEncoder(), settings).eval()


def test_maps_turn_with_the_image() -> None:
    method, images = build(), torch.rand(2, 3, 16, 24)
    for axes in ((2,), (3,), (2, 3)):
        torch.testing.assert_close(
            method.map_classes(images.flip(axes)), method.map_classes(images).flip(axes)
        )


def test_maps_of_a_flip_are_the_mean_of_the_exits() -> None:
    method, images = build(), torch.rand(1, 3, 16, 16)
    symmetric = images + images.flip(2) + images.flip(3) + images.flip((2, 3))
    exits = torch.stack([rectify(each) for each in method.map_exits(symmetric)]).mean(0)
    folded = torch.stack([exits.flip(axes) for axes in ((), (2,), (3,), (2, 3))]).mean(0)
    torch.testing.assert_close(method.map_classes(symmetric), folded, rtol=1e-4, atol=1e-5)


def test_every_exit_is_a_classifier() -> None:
    method, images = build(), torch.rand(3, 3, 16, 16)
    labels = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    expected = sum(compute_presence_loss(each.mean((2, 3)), labels) for each in method.map_exits(images))
    torch.testing.assert_close(method.compute_loss(Batch(images=images, labels=labels)), expected)


def test_settings_add_attention_and_pyramid_pooling() -> None:
    method = build(ClassifierSettings(attention=("cca", "cca", "cca"), pooling="mpfp"))
    names = {name.split(".")[0] for name, _ in method.named_parameters()}
    assert {"attentions", "poolings"} <= names and "attentions" not in dict(build().named_parameters())
    assert method(torch.rand(2, 3, 16, 16)).shape == (2, 2)


def test_climbs_are_checked() -> None:
    with pytest.raises(BadInputError, match="climbs: at least 1. Received: 0"):
        ClassifierSettings(climbs=0)
