"""Images and masks move together; stain and light change no label."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from glandseg.training.data.augment import (
    AugmentSettings,
    change_stain,
    lay_glass,
    place_randomly,
    put_together,
)

STILL = AugmentSettings(
    scale_min=1.0, scale_max=1.0, rotation=0.0, stain=0.0, mixing=0.0, color=0.0, blur=0.0
)
Pixels = NDArray[np.uint8]


def draw_disks(height: int, width: int, seed: int) -> tuple[Pixels, Pixels]:
    """Draw disks as a mask, and an image that is white where the mask is 1 and black elsewhere."""
    rng = np.random.default_rng(seed)
    mask = np.zeros((height, width), np.uint8)
    for _ in range(12):
        x, y, radius = rng.integers(width), rng.integers(height), rng.integers(8, 30)
        cv2.circle(mask, (int(x), int(y)), int(radius), 1, -1)
    return np.repeat(mask[..., None] * np.uint8(255), 3, axis=2), mask


def expect_agreement(image: Pixels, mask: Pixels) -> None:
    """Expect the white of the image where the mask is 1; along outlines half a pixel is left open."""
    sure = np.abs(image[..., 0].astype(int) - 127) > 100
    assert sure.mean() > 0.9
    assert ((image[..., 0] > 127) == (mask == 1))[sure].all()
    assert (mask == 1).any() and (mask == 0).any()


@pytest.mark.parametrize("seed", range(12))
def test_image_and_mask_move_together(seed: int) -> None:
    image, mask = draw_disks(220, 300, seed)
    placed, labels = place_randomly(image, mask, 256, AugmentSettings(), np.random.default_rng(seed))
    assert placed.shape == (256, 256, 3) and labels.shape == (256, 256)
    assert placed.dtype == labels.dtype == np.uint8 and set(np.unique(labels)) <= {0, 1}
    expect_agreement(placed, labels)


@pytest.mark.parametrize("seed", range(4))
def test_a_probability_moves_with_its_mask_and_alone_is_interpolated(seed: int) -> None:
    image, mask = draw_disks(220, 300, seed)
    pair = np.dstack([mask, mask * np.uint8(200)])
    placed, labels = place_randomly(image, mask, 256, AugmentSettings(), np.random.default_rng(seed))
    same, both = place_randomly(image, pair, 256, AugmentSettings(), np.random.default_rng(seed))
    np.testing.assert_array_equal(same, placed)
    np.testing.assert_array_equal(both[..., 0], labels)
    np.testing.assert_allclose(both[..., 1], placed[..., 0] * (200 / 255), atol=1)
    assert np.unique(both[..., 1]).size > 20


def test_glass_and_mosaic_take_the_probability_along() -> None:
    rng = np.random.default_rng(0)
    image = np.full((96, 96, 3), 90, np.uint8)
    pairs = [
        np.dstack([np.full((96, 96), k, np.uint8), np.full((96, 96), 50 * k, np.uint8)]) for k in range(4)
    ]
    _, mixed = put_together([image] * 4, pairs, rng)
    np.testing.assert_array_equal(mixed[..., 1], 50 * mixed[..., 0])
    assert set(np.unique(mixed[..., 0])) == {0, 1, 2, 3}
    laid, glassy = lay_glass(image, pairs[3], np.random.default_rng(1))
    glass = laid.min(axis=2) > 200
    assert glass.any() and (glassy[glass] == 0).all() and (glassy[~glass] == [3, 150]).all()


def test_without_scale_and_rotation_a_square_is_only_turned_and_mirrored() -> None:
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (33, 33, 3), np.uint8)
    mask = np.ascontiguousarray(image[..., 0])
    expected = {np.rot90(image[:, ::side], turns).tobytes() for side, turns in product((1, -1), range(4))}
    found = set()
    for _ in range(80):
        placed, labels = place_randomly(image, mask, 33, STILL, rng)
        np.testing.assert_array_equal(placed[..., 0], labels)
        found.add(placed.tobytes())
    assert found == expected


@pytest.mark.parametrize("scale", [0.5, 2.0])
def test_scale_is_an_enlargement(scale: float) -> None:
    image, mask = np.zeros((200, 200, 3), np.uint8), np.zeros((200, 200), np.uint8)
    cv2.circle(mask, (100, 100), 60, 1, -1)
    fixed = replace(STILL, scale_min=scale, scale_max=scale)
    labels = place_randomly(image, mask, 400, fixed, np.random.default_rng(0))[1]
    # At 2 the square is the image; at 0.5 it holds 16 mirrored ones, each of a quarter of the area.
    assert labels.sum(dtype=int) == pytest.approx(4 * mask.sum(dtype=int), rel=0.03)


@pytest.mark.parametrize("shape", [(1, 1), (3, 400), (20, 20), (430, 567)])
def test_images_of_any_size_fill_the_square(shape: tuple[int, int]) -> None:
    image, mask = np.full((*shape, 3), 200, np.uint8), np.ones(shape, np.uint8)
    placed, labels = place_randomly(image, mask, 64, AugmentSettings(), np.random.default_rng(1))
    assert (placed == 200).all() and (labels == 1).all()


def test_ignored_pixels_stay_ignored() -> None:
    mask = np.full((90, 90), 255, np.uint8)
    labels = place_randomly(
        np.zeros((90, 90, 3), np.uint8), mask, 64, AugmentSettings(), np.random.default_rng(0)
    )[1]
    assert (labels == 255).all()


def test_the_same_chance_gives_the_same_image() -> None:
    image, mask = draw_disks(220, 300, 0)

    def change(seed: int) -> bytes:
        rng = np.random.default_rng(seed)
        placed, labels = place_randomly(image, mask, 128, AugmentSettings(), rng)
        glass, labels = lay_glass(change_stain(placed, AugmentSettings(), rng), labels, rng)
        return glass.tobytes() + labels.tobytes()

    assert change(7) == change(7)
    assert change(7) != change(8)


def test_four_images_share_one_square() -> None:
    drawn = [draw_disks(96, 96, seed) for seed in range(4)]
    images, masks = [image for image, _ in drawn], [mask for _, mask in drawn]
    before = [image.copy() for image in images]
    image, mask = put_together(images, masks, np.random.default_rng(0))
    expect_agreement(image, mask)
    for old, new in zip(before, images, strict=True):
        np.testing.assert_array_equal(old, new)
    colors = [np.full((96, 96, 3), k, np.uint8) for k in range(4)]
    corners = put_together(colors, [c[..., 0] for c in colors], np.random.default_rng(0))[1]
    assert [corners[0, 0], corners[0, -1], corners[-1, 0], corners[-1, -1]] == [0, 1, 2, 3]
    assert np.bincount(corners.ravel(), minlength=4).min() >= (96 // 4) ** 2


def test_glass_is_bright_and_no_gland() -> None:
    image, mask = np.full((120, 120, 3), 90, np.uint8), np.ones((120, 120), np.uint8)
    for seed in range(10):
        laid, labels = lay_glass(image, mask, np.random.default_rng(seed))
        glass = laid.min(axis=2) > 200
        np.testing.assert_array_equal(glass, labels == 0)
        assert 0 <= glass.mean() <= 0.55 and (laid[~glass] == 90).all()
    assert (image == 90).all() and (mask == 1).all()


def test_a_stain_left_alone_is_the_same_image() -> None:
    image = np.random.default_rng(0).integers(0, 256, (40, 40, 3), np.uint8)
    for seed in range(4):
        changed = change_stain(image, STILL, np.random.default_rng(seed))
        assert np.abs(changed.astype(int) - image).max() <= 1


def test_a_changed_stain_stays_an_image() -> None:
    coarse = np.random.default_rng(0).integers(0, 256, (4, 5, 3), np.uint8)
    image = np.repeat(np.repeat(coarse, 20, axis=0), 20, axis=1)
    changed = change_stain(image, AugmentSettings(), np.random.default_rng(0))
    assert changed.shape == image.shape and changed.dtype == np.uint8
    assert np.abs(changed.astype(int) - image).mean() > 3
    assert np.corrcoef(changed.ravel(), image.ravel())[0, 1] > 0.8
