"""Masks compared with a truth at another resolution."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from glandseg.runtime.maps.tile_map import TileMap
from glandseg.runtime.outputs.comparison import compare_with_truth
from glandseg.runtime.outputs.mask_tiff import write_mask

LayMap = Callable[[NDArray[Any]], TileMap]


@pytest.mark.parametrize("l0_per_px", [1.0, 2.0, 2.8])
def test_the_same_shape_is_found_at_any_resolution(tmp_path: Path, lay_map: LayMap, l0_per_px: float) -> None:
    y, x = np.mgrid[:700, :900]
    truth = (x - 400) ** 2 + (y - 300) ** 2 < 200**2
    rows, columns = (np.arange(np.ceil(side / l0_per_px)) for side in truth.shape)
    centres = np.ix_(*(np.minimum((i + 0.5) * l0_per_px, 600).astype(int) for i in (rows, columns)))
    write_mask(tmp_path / "mask.ome.tif", lay_map(truth[centres]), 1.4)
    assert compare_with_truth(tmp_path / "mask.ome.tif", truth, l0_per_px) > 0.99


def test_half_of_the_truth_gives_two_thirds(tmp_path: Path, lay_map: LayMap) -> None:
    truth = np.zeros((100, 100), bool)
    truth[:, :50] = True
    found = truth.copy()
    found[50:] = False
    write_mask(tmp_path / "mask.ome.tif", lay_map(found), 1.4)
    assert compare_with_truth(tmp_path / "mask.ome.tif", truth, 1.0) == pytest.approx(2 / 3)
