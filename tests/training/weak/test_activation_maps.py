"""A classifier's activation maps find what is red, at any scale and in batches."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from glandseg.training.classifier_settings import ClassifierSettings
from glandseg.training.data.patches import Patch
from glandseg.training.data.sample import Sample
from glandseg.training.loop.fit_settings import FitSettings
from glandseg.training.networks.mobilenetv2 import MobileNetV2
from glandseg.training.weak.activation_maps import ActivationMaps, LayerMaps, SharedMaps
from glandseg.training.weak.method import WeakMethod

SETTINGS = ClassifierSettings(input=16, fit=FitSettings(batch=2, precision="float32"))
SAMPLE = Sample(name="a", path=Path("a"), group="a")


class RedIsGland(WeakMethod):
    """A class map at half the size: gland where red is above a half, non-gland elsewhere."""

    def __init__(self) -> None:
        super().__init__(MobileNetV2(), SETTINGS)
        self.calls: list[tuple[int, ...]] = []

    def map_classes(self, images: Tensor) -> Tensor:
        self.calls.append(tuple(images.shape))
        red = torch.nn.functional.avg_pool2d(images[:, :1], 2) - 0.5
        return torch.cat([-red, red], 1)

    def forward(self, images: Tensor) -> Tensor:
        return self.map_classes(images).mean((2, 3))


def draw_halves() -> NDArray[np.uint8]:
    """Draw red on the right half."""
    image = np.zeros((40, 60, 3), np.uint8)
    image[:, 30:, 0] = 255
    return image


def cut_all(image: NDArray[np.uint8]) -> list[Patch]:
    return [
        Patch(sample=0, x_px=x, y_px=y, width_px=20, height_px=20, present=(True, True))
        for y in range(0, image.shape[0] - 19, 10)
        for x in range(0, image.shape[1] - 19, 10)
    ]


@pytest.mark.parametrize("combine", ["relu", "raw"])
@pytest.mark.parametrize("scales", [(1.0,), (1.0, 1.5, 2.0)])
def test_gland_is_where_the_classifier_sees_red(combine: str, scales: tuple[float, ...]) -> None:
    image, settings = draw_halves(), replace(SETTINGS, combine=combine, scales=scales)
    patches = cut_all(image)
    maps = ActivationMaps(RedIsGland(), settings).map_patches(SAMPLE, image, patches)
    for patch, values in zip(patches, maps, strict=True):
        assert values.shape == (20, 20) and values.dtype == np.float32
        red = patch.cut(image)[..., 0] > 0
        far = np.abs(patch.x_px + np.arange(20) - 29.5) > 3
        np.testing.assert_array_equal((values > 0)[:, far], red[:, far])


def test_raw_log_odds_are_the_difference_of_the_class_maps() -> None:
    image = np.full((20, 20, 3), 255, np.uint8)
    (values,) = ActivationMaps(RedIsGland(), replace(SETTINGS, combine="raw")).map_patches(
        SAMPLE, image, cut_all(image)
    )
    np.testing.assert_allclose(values, 1.0, atol=1e-6)  # 0.5 for gland, -0.5 for non-gland


def test_a_batch_bounds_memory_and_the_classifier_is_left_as_it_was() -> None:
    classifier, image = RedIsGland().train(), draw_halves()
    patches = cut_all(image)
    ActivationMaps(classifier, SETTINGS).map_patches(SAMPLE, image, patches)
    assert {shape[0] for shape in classifier.calls} <= {1, 2}
    assert sum(shape[0] for shape in classifier.calls) == len(patches)
    assert classifier.training


def test_without_patches_there_are_no_maps() -> None:
    assert ActivationMaps(RedIsGland(), SETTINGS).map_patches(SAMPLE, draw_halves(), []) == []


class FaintStroma(RedIsGland):
    """Gland at 0.6 on the right; non-gland faint everywhere, at 0.01."""

    is_normalized = True

    def map_classes(self, images: Tensor) -> Tensor:
        red = 0.6 * torch.nn.functional.avg_pool2d(images[:, :1], 2)
        return torch.cat([torch.full_like(red, 0.01), red], 1)


def test_normalized_maps_keep_their_scale() -> None:
    image = draw_halves()
    patches = [patch for patch in cut_all(image) if patch.x_px == 20]  # half red
    for values in ActivationMaps(FaintStroma(), SETTINGS).map_patches(SAMPLE, image, patches):
        assert (values[:, -6:] > 0.5).all() and (abs(values[:, :6] + 0.01) < 1e-4).all()


class TwoLayers(RedIsGland):
    """Redness and its opposite."""

    layer_weights = (0.75, 0.25)

    def map_layers(self, images: Tensor) -> list[Tensor]:
        found = self.map_classes(images)
        return [found, -found]


def test_layers_of_an_image_are_mapped_together() -> None:
    image, classifier = draw_halves(), TwoLayers()
    patches = cut_all(image)[:2]
    shared = SharedMaps(ActivationMaps(classifier, replace(SETTINGS, combine="raw")))
    layers = [LayerMaps(shared, place) for place in range(2)]
    first, second = (layer.map_patches(SAMPLE, image, patches) for layer in layers)
    assert len(classifier.calls) == 1
    for one, other in zip(first, second, strict=True):
        np.testing.assert_allclose(one, -3 * other, rtol=1e-5)
    layers[0].map_patches(replace(SAMPLE, name="b"), image, patches)
    assert len(classifier.calls) == 2
