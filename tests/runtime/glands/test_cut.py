"""One cut says which pixels are gland."""

from __future__ import annotations

import numpy as np
import pytest

from glandseg.core.errors import BadInputError
from glandseg.runtime.glands.cut import find_cut, mark_gland
from glandseg.runtime.settings import InferSettings


@pytest.mark.parametrize(("threshold", "cut"), [(0.5, 128), (0.6, 153), (1.0, 255), (1e-6, 1)])
def test_a_pixel_is_gland_from_the_threshold_on(threshold: float, cut: int) -> None:
    assert find_cut(threshold) == cut
    found = mark_gland(np.array([cut - 1, cut], np.uint8), threshold)
    assert found.tolist() == [False, True]


def test_the_default_is_that_of_an_inference() -> None:
    assert find_cut() == find_cut(InferSettings().threshold)


@pytest.mark.parametrize("threshold", [0, -0.1, 1.01, float("nan")])
def test_thresholds_out_of_range_are_refused(threshold: float) -> None:
    with pytest.raises(BadInputError, match=r"^threshold: must be above 0 and at most 1. Received: "):
        find_cut(threshold)
