"""Sources are weighed and summed; where they are unsure or disagree, a pixel loses its label."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from glandseg.training.classifier_settings import ClassifierSettings
from glandseg.training.data.patches import Patch
from glandseg.training.data.sample import Sample
from glandseg.training.weak.evidence import cut_patches
from glandseg.training.weak.pseudo_masks import decide, make_pseudo_masks

BOTH, GLAND, STROMA = (True, True), (False, True), (True, False)
TWO = ClassifierSettings(evidence=("bundled", "0.5*probe"), ignore=0)
ONE = replace(TWO, evidence=("probe",))


def make_patch(x_px: int, width_px: int, present: tuple[bool, bool], sample: int = 0) -> Patch:
    return Patch(sample=sample, x_px=x_px, y_px=0, width_px=width_px, height_px=1, present=present)


def row(*values: float) -> list[NDArray[np.float32]]:
    return [np.array([values], np.float32)]


def label(settings: ClassifierSettings, *maps: list[NDArray[np.float32]]) -> list[int]:
    width, named = maps[0][0].shape[1], dict(zip(settings.weigh_sources(), maps, strict=True))
    mask = decide((1, width), [make_patch(0, width, BOTH)], named, settings).mask
    return [int(value) for value in mask[0]]


def test_sources_are_weighed_and_summed() -> None:
    assert label(TWO, row(1, 1, -1, -1), row(-1, -3, 1, 3)) == [1, 0, 0, 1]


def test_where_sources_disagree_a_pixel_is_left_out() -> None:
    assert label(replace(TWO, agree=True), row(1, 1, -1, -1), row(9, -9, 9, -9)) == [1, 255, 255, 0]


def test_the_least_sure_share_is_left_out() -> None:
    settings = replace(ONE, ignore=0.4)
    assert label(settings, row(5, -4, 3, -2, 1, 0.5, -6, 7, -8, 9)) == [1, 0, 255, 255, 255, 255, 0, 1, 0, 1]


def test_what_labels_decide_is_never_left_out() -> None:
    patches = [make_patch(0, 4, STROMA), make_patch(4, 4, BOTH)]
    maps = {"probe": [np.full((1, 4), 0.01, np.float32), *row(1, 2, 3, 4)]}
    mask = decide((1, 8), patches, maps, replace(ONE, ignore=0.5)).mask
    assert mask[0].tolist() == [0, 0, 0, 0, 255, 255, 1, 1]


def test_each_source_is_held_against_what_labels_decide() -> None:
    patches = [make_patch(0, 2, STROMA), make_patch(2, 2, GLAND), make_patch(4, 2, BOTH)]
    right, half = ((-1, -1, 1, 1, 1, 1), (1, -1, 1, 1, -1, -1))
    maps = {name: cut_patches(row(*v)[0], patches) for name, v in (("probe", right), ("bundled", half))}
    found = decide((1, 6), patches, maps, TWO).agreement
    assert found["probe"].counts.tolist() == [[2, 0], [0, 2]] and found["probe"].balanced == 1
    assert found["bundled"].counts.tolist() == [[1, 1], [0, 2]] and found["bundled"].balanced == 0.75


class Redness:
    """Log odds of gland: red minus a half."""

    def map_patches(
        self, sample: Sample, image: NDArray[np.uint8], patches: Sequence[Patch]
    ) -> list[NDArray[np.float32]]:
        return cut_patches(np.asarray(image[..., 0] / 255 - 0.5, np.float32), patches)


def test_wanted_images_come_in_order_each_from_its_own_patches() -> None:
    images = [np.zeros((1, 4, 3), np.uint8) for _ in range(3)]
    images[0][:, 2:, 0], images[1][:, :2, 0] = 255, 255
    samples = [Sample(name=str(index), path=Path("x"), group="g") for index in range(3)]
    patches = [make_patch(0, 4, BOTH), make_patch(0, 4, BOTH, sample=1)]
    made = make_pseudo_masks({"probe": Redness()}, patches, samples, images, [2, 1, 0], ONE)
    assert [each.mask[0].tolist() for each in made] == [[255] * 4, [1, 1, 0, 0], [0, 0, 1, 1]]


def test_a_patch_labelled_as_a_whole_becomes_a_mask() -> None:
    image = np.zeros((1, 4, 3), np.uint8)
    image[:, 2:, 0] = 255
    sample = Sample(name="a", path=Path("a"), group="g")
    for present, expected in ((GLAND, [1] * 4), (STROMA, [0] * 4), (BOTH, [0, 0, 1, 1])):
        patches = [make_patch(0, 4, present)]
        (made,) = make_pseudo_masks({"probe": Redness()}, patches, [sample], [image], [0], ONE)
        assert made.mask[0].tolist() == expected


def test_votes_make_a_soft_mask() -> None:
    maps = {
        "classifier, layer 1": [np.array([[1, 1, -1, -1]], np.float32)],
        "classifier, layer 2": [np.array([[1, -1, 1, -1]], np.float32)],
        "classifier, layer 3": [np.array([[1, -1, -1, -1]], np.float32)],
    }
    votes = dict(zip(maps, (0.2, 0.2, 0.6), strict=True))
    settings = replace(ONE, evidence=("classifier",))
    found = decide((1, 4), [make_patch(0, 4, BOTH)], maps, settings, votes)
    assert found.soft is not None and found.soft.tolist() == [[255, 51, 51, 0]]
    assert found.mask.tolist() == [[1, 0, 0, 0]]
    assert decide((1, 4), [make_patch(0, 4, BOTH)], maps, settings).soft is None
