"""Overlapping patches are averaged or vote; what their labels exclude is never a label."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from glandseg.training.data.patches import Patch
from glandseg.training.weak.label_rules import RULES, decide_by_labels, label_image

BOTH, GLAND, STROMA = (True, True), (False, True), (True, False)
Placed = tuple[Patch, NDArray[np.float32]]


def place(x_px: int, present: tuple[bool, bool], log_odds: float, width_px: int = 4) -> Placed:
    patch = Patch(sample=0, x_px=x_px, y_px=0, width_px=width_px, height_px=2, present=present)
    return patch, np.full((2, width_px), log_odds, np.float32)


def label(rule: str, width_px: int, *placed: Placed) -> list[int]:
    patches, maps = [patch for patch, _ in placed], [values for _, values in placed]
    mask = label_image((2, width_px), patches, maps, rule).mask
    assert mask.dtype == np.uint8 and mask.shape == (2, width_px)
    np.testing.assert_array_equal(mask[0], mask[1])
    return [int(value) for value in mask[0]]


def test_overlaps_are_averaged_by_veto_and_vote_by_inside() -> None:
    # Two weak votes for gland beside a strong one for non-gland: the mean is below 0, the majority above.
    placed = place(0, BOTH, 0.2), place(0, BOTH, 0.2), place(2, BOTH, -1.0)
    assert label("veto", 6, *placed) == [1, 1, 0, 0, 0, 0]
    assert label("inside", 6, *placed) == [1, 1, 1, 1, 0, 0]


def test_a_tie_of_votes_is_decided_by_the_mean() -> None:
    assert label("inside", 4, place(0, BOTH, 0.2), place(0, BOTH, -1.0)) == [0, 0, 0, 0]
    assert label("inside", 4, place(0, BOTH, 1.0), place(0, BOTH, -0.2)) == [1, 1, 1, 1]


@pytest.mark.parametrize("rule", RULES)
def test_an_absent_class_is_no_label_of_its_patch_however_strong(rule: str) -> None:
    assert label(rule, 4, place(0, GLAND, -9.0)) == [1] * 4
    assert label(rule, 4, place(0, STROMA, 9.0)) == [0] * 4


def test_one_patch_vetoes_what_others_vote_down() -> None:
    placed = place(0, BOTH, 9.0), place(0, BOTH, 9.0), place(2, STROMA, 9.0)
    assert label("veto", 6, *placed) == [1, 1, 0, 0, 0, 0]
    assert label("inside", 6, *placed) == [1, 1, 1, 1, 0, 0]


def test_what_both_veto_is_released() -> None:
    assert label("veto", 6, place(0, STROMA, 0.8), place(2, GLAND, 0.2)) == [0, 0, 1, 1, 1, 1]
    assert label("veto", 6, place(0, STROMA, -0.8), place(2, GLAND, -0.2)) == [0, 0, 0, 0, 1, 1]


@pytest.mark.parametrize("rule", RULES)
def test_where_no_patch_lies_is_ignored(rule: str) -> None:
    assert label(rule, 8, place(2, BOTH, 1.0)) == [255, 255, 1, 1, 1, 1, 255, 255]
    assert label(rule, 3) == [255, 255, 255]


def test_what_labels_alone_decide_and_what_they_leave_open() -> None:
    placed = place(0, STROMA, 1.0), place(2, GLAND, 1.0), place(6, BOTH, 1.0)
    patches, maps = [patch for patch, _ in placed], [values for _, values in placed]
    assert decide_by_labels((2, 12), patches)[0].tolist() == [0, 0, 255, 255, 1, 1, *[255] * 6]
    found = label_image((2, 12), patches, maps, "veto")
    assert found.is_open[0].tolist() == [False, False, True, True, False, False, *[True] * 4, False, False]
    np.testing.assert_array_equal(found.log_odds[0], [1] * 10 + [0, 0])
