"""Spans of columns hold all px of a band, and what hangs together lies in one of them."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from glandseg.runtime.glands.spans import GAP_PX, list_spans


def test_an_empty_band_has_no_span() -> None:
    assert list_spans(np.zeros((3, 500), bool)) == []


def test_spans_end_where_a_gap_is_wide_enough() -> None:
    band = np.zeros((2, 900), bool)
    band[0, 10], band[1, 10 + GAP_PX], band[0, 11 + 2 * GAP_PX] = True, True, True
    assert list_spans(band) == [slice(10, 11 + GAP_PX), slice(11 + 2 * GAP_PX, 12 + 2 * GAP_PX)]


@pytest.mark.parametrize("seed", range(5))
def test_each_component_lies_in_one_span(seed: int) -> None:
    band = np.zeros((40, 3000), bool)
    rng = np.random.default_rng(seed)
    for left in rng.integers(0, 2950, 12):
        band[rng.integers(0, 20) : rng.integers(21, 40), left : left + rng.integers(1, 50)] = True
    spans = list_spans(band)
    inside = np.zeros_like(band)
    for span in spans:
        inside[:, span] = True
    assert not (band & ~inside).any()
    _, labels = cv2.connectedComponents(band.view(np.uint8), connectivity=4)
    owners = [set(np.unique(labels[:, span]).tolist()) - {0} for span in spans]
    assert sum(map(len, owners)) == len(set().union(*owners)) == labels.max()
