"""Patches cover an image, and their labels follow the 5 % rule to the pixel."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from glandseg.core.errors import BadInputError
from glandseg.training.classifier_settings import ClassifierSettings
from glandseg.training.data.datasets import Sample
from glandseg.training.data.patches import Patch, count_presence, grid_starts, list_patches

TISSUE = 120


@pytest.mark.parametrize(
    ("length", "starts"),
    [
        (112, [0]),
        (113, [0, 1]),
        (168, [0, 56]),
        (200, [0, 56, 88]),
        (522, [0, 56, 112, 168, 224, 280, 336, 392, 410]),
        (50, [0]),
    ],
)
def test_the_last_patch_is_flush_with_the_border(length: int, starts: list[int]) -> None:
    assert grid_starts(length, 112, 56) == starts


def list_of(
    folder: Path,
    mask: NDArray[np.uint8],
    settings: ClassifierSettings | None = None,
    um_per_px: float = 0.62,
    image: NDArray[np.uint8] | None = None,
) -> list[Patch]:
    path = folder / "a_anno.png"
    cv2.imencode(".png", mask)[1].tofile(path)
    sample = Sample(name="a", path=folder / "a.png", mask_path=path, group="a")
    grey = np.full((*mask.shape, 3), TISSUE, np.uint8) if image is None else image
    return list_patches([sample], [grey], um_per_px, settings or ClassifierSettings())


def test_a_image_of_glas_is_cut_as_the_papers_do(tmp_path: Path) -> None:
    patches = list_of(tmp_path, np.zeros((522, 775), np.uint8))
    assert len(patches) == 9 * 13
    covered = np.zeros((522, 775), int)
    for patch in patches:
        assert (patch.width_px, patch.height_px) == (112, 112)
        assert patch.cut(covered).shape == (112, 112)
        patch.cut(covered)[:] += 1
    assert covered.min() == 1
    assert {patch.present for patch in patches} == {(True, False)}


def test_sides_follow_the_images_resolution(tmp_path: Path) -> None:
    patches = list_of(tmp_path, np.zeros((100, 100), np.uint8), um_per_px=1.4)
    assert {(patch.width_px, patch.height_px) for patch in patches} == {(50, 50)}
    assert sorted({patch.x_px for patch in patches}) == [0, 25, 50]
    as_is = list_of(
        tmp_path, np.zeros((112, 168), np.uint8), ClassifierSettings(um_per_px=None), um_per_px=1.4
    )
    assert [(patch.x_px, patch.width_px) for patch in as_is] == [(0, 112), (56, 112)]


@pytest.mark.parametrize("least", [0.05, 0.1, 0.2])
def test_the_least_share_counts_as_present(tmp_path: Path, least: float) -> None:
    settings = ClassifierSettings(side=20, stride=20, um_per_px=None, present=least)
    count = round(least * 400)
    for gland, present in (
        (count, (True, True)),
        (count - 1, (True, False)),
        (400 - count, (True, True)),
        (401 - count, (False, True)),
    ):
        mask = np.zeros((20, 20), np.uint8)
        mask.flat[:gland] = 1
        (patch,) = list_of(tmp_path, mask, settings)
        assert patch.present == present, gland


def test_small_images_are_one_patch(tmp_path: Path) -> None:
    (patch,) = list_of(tmp_path, np.ones((40, 70), np.uint8))
    assert (patch.width_px, patch.height_px, patch.present) == (70, 40, (False, True))


def test_white_patches_are_dropped(tmp_path: Path) -> None:
    settings = ClassifierSettings(side=10, stride=10, um_per_px=None)
    image = np.full((10, 30, 3), 255, np.uint8)
    image[:, 10:11] = TISSUE  # one tenth of the second patch: 90 % white are still accepted
    image[:9, 20:21] = TISSUE
    (patch,) = list_of(tmp_path, np.zeros((10, 30), np.uint8), settings, image=image)
    assert patch.x_px == 10


def test_a_strong_color_is_not_white(tmp_path: Path) -> None:
    image = np.full((112, 112, 3), 255, np.uint8)
    image[..., 1] = 200
    assert len(list_of(tmp_path, np.zeros((112, 112), np.uint8), image=image)) == 1


def test_a_labelled_image_is_one_patch() -> None:
    sample = Sample(name="a.png", path=Path("a.png"), labels=(True, True), group="a.png")
    white = Sample(name="b.png", path=Path("b.png"), labels=(True, False), group="b.png")
    images = [np.full((90, 200, 3), value, np.uint8) for value in (TISSUE, 255)]
    (patch,) = list_patches([sample, white], images, 0.5, ClassifierSettings())
    assert patch == Patch(sample=0, x_px=0, y_px=0, width_px=200, height_px=90, present=(True, True))


def test_a_mask_of_another_size_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match=r"a_anno\.png: is 200 x 200 px, its image 300 x 200"):
        list_of(tmp_path, np.zeros((200, 200), np.uint8), image=np.zeros((200, 300, 3), np.uint8))


def test_presence_is_counted() -> None:
    patches = [
        Patch(sample=0, x_px=0, y_px=0, width_px=1, height_px=1, present=present)
        for present in ((True, True), (False, True), (True, True))
    ]
    assert count_presence(patches) == "1 only gland, 0 only non-gland, 2 both"


@pytest.mark.shared
def test_glas_gives_the_known_number_of_patches(shared_data: Path) -> None:
    from glandseg.training.data.datasets import find_samples

    samples = [p for p in find_samples(shared_data / "glas").samples if p.name.startswith("train_1")][:6]
    images = [sample.read() for sample in samples]
    patches = list_patches(samples, images, 0.62, ClassifierSettings())
    both = sum(patch.present == (True, True) for patch in patches) / len(patches)
    assert len(patches) == sum(
        len(grid_starts(image.shape[0], 112, 56)) * len(grid_starts(image.shape[1], 112, 56))
        for image in images
    )
    assert 0.5 < both < 0.9
