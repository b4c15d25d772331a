"""Probability maps at several scales, averaged."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from glandseg.runtime.plane import SlidePlane
from glandseg.runtime.probability import create_map, lay_planes, map_probability, sample_band
from glandseg.runtime.slide import open_slide
from glandseg.runtime.tissue import TissueMask

Pixels = NDArray[np.uint8]
Lay = Callable[[Pixels], SlidePlane]


class RedIsGland:
    """A network that takes a pixel's red for its probability."""

    name, classes = "red is gland", 2

    def infer(self, windows: Pixels) -> Pixels:
        return np.stack([255 - windows[..., 0], windows[..., 0]], axis=1)

    def __enter__(self) -> RedIsGland:
        return self

    def __exit__(self, *error: object) -> None:
        return


@pytest.fixture
def lay(tmp_path: Path) -> Lay:
    """Give a function that lays a plane over a picture, px by px."""

    def lay(picture: Pixels) -> SlidePlane:
        cv2.imwrite(str(tmp_path / "picture.png"), picture[..., ::-1])
        return SlidePlane(open_slide(tmp_path / "picture.png", 1.0), 1.0)

    return lay


def draw_hills(height: int, width: int) -> Pixels:
    y, x = np.mgrid[0:height, 0:width] / 50.0
    return np.repeat((127.5 + 100 * np.sin(x + 1) * np.cos(y))[..., None], 3, axis=2).astype(np.uint8)


def run(
    plane: SlidePlane, scales: tuple[float, ...], folder: Path, tissue: TissueMask | None = None
) -> Pixels:
    everything = TissueMask.everything(plane.width_px, plane.height_px)
    planes = lay_planes(plane, scales, tissue or everything)
    return map_probability(planes, plane, RedIsGland(), folder, batch=3, advance=lambda done, total: None)


@pytest.mark.parametrize("shape", [(1, 1), (300, 700), (513, 40)])
def test_one_scale_is_the_networks_own(shape: tuple[int, int], lay: Lay, tmp_path: Path) -> None:
    picture = draw_hills(*shape)
    assert np.array_equal(run(lay(picture), (1.0,), tmp_path), picture[..., 0])


@pytest.mark.parametrize("scales", [(0.5,), (0.75, 1.0, 1.5), (2.0, 0.6)])
def test_scales_stay_in_place(scales: tuple[float, ...], lay: Lay, tmp_path: Path) -> None:
    picture = draw_hills(400, 600)
    difference = run(lay(picture), scales, tmp_path).astype(int) - picture[..., 0]
    assert abs(difference.mean()) < 0.3
    assert np.abs(difference).max() <= 4


def test_planes_are_enlarged(lay: Lay) -> None:
    planes = lay_planes(lay(draw_hills(100, 200)), (0.5, 1.0, 1.5), TissueMask.everything(200, 100))
    assert [(item.plane.width_px, item.plane.height_px) for item in planes] == [
        (100, 50),
        (200, 100),
        (300, 150),
    ]
    assert [item.plane.um_per_px for item in planes] == pytest.approx([2.0, 1.0, 2 / 3])


def test_windows_without_tissue_are_not_run_at_any_scale(lay: Lay, tmp_path: Path) -> None:
    mask = np.zeros((40, 150), np.bool_)
    mask[:, :10] = True
    probability = run(
        lay(np.full((320, 1200, 3), 255, np.uint8)), (0.5, 1.0), tmp_path, TissueMask(mask, 8.0)
    )
    assert (probability[:, :80] == 255).all()
    assert not probability[:, 700:].any()


def test_progress_counts_the_windows_of_all_scales(lay: Lay, tmp_path: Path) -> None:
    plane = lay(draw_hills(300, 600))
    planes = lay_planes(plane, (0.5, 1.0), TissueMask.everything(600, 300))
    steps: list[tuple[int, int]] = []
    map_probability(
        planes,
        plane,
        RedIsGland(),
        tmp_path,
        batch=2,
        advance=lambda done, total: steps.append((done, total)),
    )
    totals = {total for _, total in steps}
    assert len(totals) == 1
    assert steps[0] == (0, *totals)
    assert steps[-1] == (*totals, *totals)
    assert steps == sorted(steps)


@pytest.mark.parametrize("scale", [0.5, 0.75, 1.0, 1.3, 2.0])
def test_bands_of_a_map_join(scale: float) -> None:
    values = np.random.default_rng(0).integers(0, 256, (round(101 * scale), round(67 * scale)), np.uint8)
    whole = sample_band(values, scale, 0, 101, 67)
    parts = [sample_band(values, scale, first, min(7, 101 - first), 67) for first in range(0, 101, 7)]
    assert np.array_equal(np.concatenate(parts), whole)
    if scale == 1:
        assert np.array_equal(whole, values)


def test_a_map_takes_its_disk_space_at_once(lay: Lay, tmp_path: Path) -> None:
    plane = lay(draw_hills(700, 900))
    values = create_map(tmp_path / "map.npy", plane)
    assert values.shape == (700, 900)
    assert values.dtype == np.uint8
    assert not values.any()
    if hasattr(os, "posix_fallocate"):
        assert (tmp_path / "map.npy").stat().st_blocks * 512 >= values.size
