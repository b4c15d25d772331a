"""Maps of overlapping patches are averaged, absent classes vetoed, and each image gets its mask."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from glandseg.training.data.patches import Patch
from glandseg.training.networks.mobilenetv2 import MobileNetV2
from glandseg.training.settings import ClassifierSettings, FitSettings
from glandseg.training.weak.method import WeakMethod
from glandseg.training.weak.pseudo_masks import make_pseudo_masks, merge_maps

BOTH, GLAND, STROMA = (True, True), (False, True), (True, False)
SETTINGS = ClassifierSettings(input=16, fit=FitSettings(batch=2, precision="float32"))


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


def make_patch(x_px: int, present: tuple[bool, bool], width_px: int = 4, sample: int = 0) -> Patch:
    return Patch(sample=sample, x_px=x_px, y_px=0, width_px=width_px, height_px=2, present=present)


def make_map(stroma: float, gland: float, width_px: int = 4) -> NDArray[np.float32]:
    return np.stack([np.full((2, width_px), value, np.float32) for value in (stroma, gland)])


def merge(width_px: int, *placed: tuple[Patch, NDArray[np.float32]]) -> list[int]:
    mask = merge_maps((2, width_px), [patch for patch, _ in placed], [values for _, values in placed])
    assert mask.dtype == np.uint8 and mask.shape == (2, width_px)
    np.testing.assert_array_equal(mask[0], mask[1])
    return [int(label) for label in mask[0]]


def test_overlaps_are_averaged_before_they_are_compared() -> None:
    # Alone, the first says gland and the second non-gland; together it is 1.4 to 1.2 for non-gland.
    placed = (make_patch(0, BOTH), make_map(0.4, 0.6)), (make_patch(2, BOTH), make_map(1.0, 0.6))
    assert merge(6, *placed) == [1, 1, 0, 0, 0, 0]


def test_an_absent_class_is_vetoed_however_strong() -> None:
    placed = (make_patch(0, BOTH), make_map(0.0, 9.0)), (make_patch(2, STROMA), make_map(0.0, 9.0))
    assert merge(6, *placed) == [1, 1, 0, 0, 0, 0]
    assert merge(4, (make_patch(0, GLAND), make_map(9.0, -1.0))) == [1] * 4


def test_what_both_veto_is_released() -> None:
    placed = (make_patch(0, STROMA), make_map(0.1, 0.9)), (make_patch(2, GLAND), make_map(0.2, 0.4))
    assert merge(6, *placed) == [0, 0, 1, 1, 1, 1]
    placed = (make_patch(0, STROMA), make_map(0.9, 0.1)), (make_patch(2, GLAND), make_map(0.6, 0.4))
    assert merge(6, *placed) == [0, 0, 0, 0, 1, 1]


def test_where_no_patch_lies_is_ignored() -> None:
    assert merge(8, (make_patch(2, BOTH), make_map(0.0, 1.0))) == [255, 255, 1, 1, 1, 1, 255, 255]
    assert merge(3) == [255, 255, 255]


def draw_halves(height: int = 40, width: int = 60) -> NDArray[np.uint8]:
    """Draw red on the right half."""
    image = np.zeros((height, width, 3), np.uint8)
    image[:, width // 2 :, 0] = 255
    return image


def cut_all(sample: int, image: NDArray[np.uint8]) -> list[Patch]:
    return [
        Patch(sample=sample, x_px=x, y_px=y, width_px=20, height_px=20, present=BOTH)
        for y in range(0, image.shape[0] - 19, 10)
        for x in range(0, image.shape[1] - 19, 10)
    ]


@pytest.mark.parametrize("combine", ["relu", "raw"])
@pytest.mark.parametrize("scales", [(1.0,), (1.0, 1.5, 2.0)])
def test_a_perfect_classifier_gives_a_perfect_mask(combine: str, scales: tuple[float, ...]) -> None:
    image = draw_halves()
    settings = replace(SETTINGS, combine=combine, scales=scales)
    (mask,) = make_pseudo_masks(RedIsGland(), cut_all(0, image), [image], [0], settings)
    truth = image[..., 0] > 0
    assert ((mask == 1) == truth).mean() > 0.94 and set(np.unique(mask)) == {0, 1}
    np.testing.assert_array_equal(mask[:, :27], 0)
    np.testing.assert_array_equal(mask[:, 33:], 1)


def test_wanted_images_come_in_order_each_from_its_own_patches() -> None:
    images = [draw_halves(), draw_halves()[:, ::-1].copy(), draw_halves(20, 20)]
    patches = cut_all(0, images[0]) + cut_all(1, images[1])
    masks = list(make_pseudo_masks(RedIsGland(), patches, images, [2, 1, 0], SETTINGS))
    assert (masks[0] == 255).all() and masks[0].shape == (20, 20)
    assert masks[1][0, 0] == masks[2][0, -1] == 1 and masks[1][0, -1] == masks[2][0, 0] == 0


def test_a_batch_bounds_memory() -> None:
    classifier, image = RedIsGland(), draw_halves()
    patches = cut_all(0, image)
    list(make_pseudo_masks(classifier, patches, [image], [0], SETTINGS))
    assert {shape[0] for shape in classifier.calls} <= {1, 2}
    assert sum(shape[0] for shape in classifier.calls) == len(patches)


def test_a_patch_labelled_as_a_whole_becomes_a_mask() -> None:
    image = draw_halves(30, 50)
    for present, label in ((GLAND, 1), (STROMA, 0)):
        patch = Patch(sample=0, x_px=0, y_px=0, width_px=50, height_px=30, present=present)
        (mask,) = make_pseudo_masks(RedIsGland(), [patch], [image], [0], SETTINGS)
        assert mask.shape == (30, 50) and (mask == label).all()
    whole = Patch(sample=0, x_px=0, y_px=0, width_px=50, height_px=30, present=BOTH)
    (mask,) = make_pseudo_masks(RedIsGland(), [whole], [image], [0], SETTINGS)
    assert ((mask == 1) == (image[..., 0] > 0)).mean() > 0.9


def test_the_classifier_is_left_as_it_was() -> None:
    classifier, image = RedIsGland().train(), draw_halves()
    list(make_pseudo_masks(classifier, cut_all(0, image), [image], [0], SETTINGS))
    assert classifier.training
