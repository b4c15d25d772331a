"""Extra scales only where the base scales are uncertain."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from glandseg.runtime.tiling.adaptive import AdaptiveOrder, count_uncertain
from glandseg.runtime.tiling.order import count_windows
from glandseg.runtime.tiling.scales import ScalePlane
from glandseg.runtime.tiling.window_store import Key, WindowStore
from glandseg.slides.open import open_slide
from glandseg.slides.scaled_plane import RescaledPlane
from glandseg.slides.slide_plane import SlidePlane

SIDE = 1500
SCALES = (1.0, 2.0, 3.0)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[WindowStore]:
    with WindowStore(tmp_path / "some.windows") as store:
        yield store


@pytest.fixture
def planes(tmp_path: Path) -> list[ScalePlane]:
    """Lay planes over an image that is black left, white right, and grey in one corner."""
    image = np.zeros((SIDE, SIDE, 3), np.uint8)
    image[:, SIDE // 2 :] = 255
    image[1100:1400, 1100:1400] = 128
    cv2.imwrite(str(tmp_path / "image.png"), image)
    base = SlidePlane(open_slide(tmp_path / "image.png", 1.0), 1.0)
    return [
        ScalePlane(scale=scale, plane=RescaledPlane(base, scale), wanted=lambda *rectangle: True)
        for scale in SCALES
    ]


def walk(planes: list[ScalePlane], store: WindowStore, swath_px: int) -> list[list[Key]]:
    """Store the red of every window of every step, in order."""
    order = AdaptiveOrder(
        planes=planes, base_scales=1, store=store, height_px=SIDE, width_px=SIDE, swath_px=swath_px
    )
    steps, final = [], 0
    for step in order:
        for key in step.windows:
            store.append(key, planes[key.plane].read(key.row, key.column)[..., 0])
            assert planes[key.plane].grid.rows[key.row] / planes[key.plane].scale >= final or final == 0
        assert step.final_px >= final
        final = step.final_px
        steps.append(list(step.windows))
    assert final == SIDE
    return steps


def test_extra_windows_run_where_it_is_grey_and_nowhere_else(
    planes: list[ScalePlane], store: WindowStore
) -> None:
    keys = {key for step in walk(planes, store, 1024) for key in step}
    base = {key for key in keys if key.plane == 0}
    assert len(base) == count_windows(planes[:1])
    extra = keys - base
    assert {key.plane for key in extra} == {1, 2}
    for key in extra:
        window = planes[key.plane].read(key.row, key.column)[..., 0]
        assert ((window > 60) & (window < 200)).mean() > 0.03
    assert len(extra) < count_windows(planes[1:]) / 3


@pytest.mark.parametrize("swath_px", [512, 768, 4096])
def test_which_windows_run_does_not_depend_on_the_swath(
    planes: list[ScalePlane], store: WindowStore, tmp_path: Path, swath_px: int
) -> None:
    expected = {key for step in walk(planes, store, 1024) for key in step}
    with WindowStore(tmp_path / "other.windows") as other:
        steps = walk(planes, other, swath_px)
    keys = [key for step in steps for key in step]
    assert len(keys) == len(set(keys))
    assert set(keys) == expected


def test_uncertain_px_are_counted_by_cell() -> None:
    probability: NDArray[np.uint8] = np.zeros((70, 40), np.uint8)
    probability[:32, :32] = 128
    probability[69, 39] = 64
    probability[69, 38] = 63
    assert count_uncertain(probability).tolist() == [[1024, 0], [0, 0], [0, 1]]
