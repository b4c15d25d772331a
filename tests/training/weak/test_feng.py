"""Feng's network maps classes where its encoder sees them; plain activation maps are its special case."""

from __future__ import annotations

import pytest
import torch

from glandseg.training.classifier_settings import ClassifierSettings
from glandseg.training.networks.mobilenetv2 import MobileNetV2
from glandseg.training.weak.cam import ClassActivationMaps
from glandseg.training.weak.feng import Feng


@pytest.mark.parametrize("pooling", ["gap", "mpfp"])
@pytest.mark.parametrize("attention", [("none", "none", "none"), ("none", "criss-cross", "cca")])
def test_shapes(pooling: str, attention: tuple[str, ...]) -> None:
    torch.manual_seed(0)
    classifier = Feng(
        MobileNetV2(output_stride=16), ClassifierSettings(attention=attention, pooling=pooling)
    ).eval()
    images = torch.rand(2, 3, 64, 96)
    with torch.inference_mode():
        assert classifier.map_classes(images).shape == (2, 2, 4, 6)
        assert classifier(images).shape == (2, 2)


def test_average_pooling_averages_the_map_and_absence_can_be_said() -> None:
    torch.manual_seed(0)
    classifier = ClassActivationMaps(
        MobileNetV2(output_stride=16), ClassifierSettings(attention=("cca",) * 3)
    ).eval()
    images = torch.rand(3, 3, 64, 64)
    with torch.inference_mode():
        class_map = classifier.map_classes(images)
        torch.testing.assert_close(classifier(images), class_map.mean((2, 3)))
    assert class_map.min() < 0 < class_map.max()


def test_plain_maps_are_fengs_network_with_both_parts_off() -> None:
    plain = ClassifierSettings(attention=("none",) * 3, pooling="gap")
    whole = ClassifierSettings(attention=("cca",) * 3, pooling="mpfp")
    torch.manual_seed(0)
    first = Feng(MobileNetV2(), plain).state_dict()
    torch.manual_seed(0)
    second = ClassActivationMaps(MobileNetV2(), whole).state_dict()
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)
