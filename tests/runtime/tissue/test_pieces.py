"""Pieces of tissue are numbered, and points are found in them."""

from __future__ import annotations

import math

import numpy as np

from glandseg.runtime.tissue.pieces import TissuePieces
from glandseg.runtime.tissue.tissue_mask import TissueMask


def test_pieces_that_do_not_touch_have_numbers_in_reading_order() -> None:
    mask = np.zeros((20, 30), bool)
    mask[2:8, 20:28] = mask[5:15, 2:10] = True
    mask[15, 10] = True  # touches the second at a corner
    pieces = TissuePieces(TissueMask(mask, 8.0))
    assert pieces.find(8 * 24, 8 * 5) == 1
    assert pieces.find(8 * 5, 8 * 10) == pieces.find(8 * 10.5, 8 * 15.5) == 2


def test_outside_of_all_there_is_no_piece() -> None:
    pieces = TissuePieces(TissueMask(np.eye(4, dtype=bool), 8.0))
    for x_um, y_um in ((8.0, 0.0), (-1.0, 0.0), (0.0, 1000.0)):
        assert math.isnan(pieces.find(x_um, y_um))
