"""Windows and the weights that blend them."""

from __future__ import annotations

import numpy as np
import pytest

from glandseg.model.windows import STRIDE_PX, UNIT, WINDOW_PX, window_starts, window_weights

LENGTHS = (1, 31, 224, 255, 256, 257, 320, 512, 513, 2000)


@pytest.mark.parametrize("length", LENGTHS)
def test_weights_sum_to_one_everywhere(length: int) -> None:
    starts = window_starts(length)
    total = np.zeros(length + 2 * WINDOW_PX, np.int64)
    for index, start in enumerate(starts):
        place = start + WINDOW_PX
        total[place : place + WINDOW_PX] += window_weights(index, len(starts))
    assert (total[WINDOW_PX : WINDOW_PX + length] == UNIT).all()


@pytest.mark.parametrize("length", LENGTHS)
def test_every_pixel_lies_well_inside_the_window_that_answers_for_it(length: int) -> None:
    starts = window_starts(length)
    margin = (WINDOW_PX - STRIDE_PX) // 2
    for pixel in range(length):
        index = pixel // STRIDE_PX
        weight = window_weights(index, len(starts))[pixel - starts[index]]
        assert margin <= pixel - starts[index] < WINDOW_PX - margin
        assert weight >= UNIT // 2


def test_a_ramp_rises_without_a_step() -> None:
    weights = window_weights(1, 3).astype(int)
    assert np.abs(np.diff(weights)).max() <= 7
    assert weights[0] == 0
    assert weights.max() == UNIT


@pytest.mark.parametrize("stride", [0, 321, -1])
def test_a_stride_that_leaves_gaps_is_refused(stride: int) -> None:
    with pytest.raises(ValueError, match="stride: 1..320"):
        window_starts(1000, 320, stride)
