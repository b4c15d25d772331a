"""Distances to nearest neighbors agree with those of every pair, however glands lie."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import shapely
from shapely import Point, Polygon, box

from glandseg.runtime.glands import neighbors
from glandseg.runtime.glands.neighbors import SIMPLIFIED_PX, find_neighbors
from glandseg.runtime.glands.store import Gland, GlandStore


def number(polygons: list[Polygon]) -> list[Gland]:
    ordered = sorted(polygons, key=lambda polygon: (polygon.bounds[1], polygon.bounds[0]))
    return [
        Gland(number=index, polygon_px=polygon, mean_probability=0.9, lumen_fraction=0.1)
        for index, polygon in enumerate(ordered, 1)
    ]


def scatter(count: int, side: float, seed: int) -> list[Gland]:
    rng = np.random.default_rng(seed)
    centers, radii = rng.uniform(0, side, (count, 2)), rng.uniform(4, 25, count)
    return number([Point(*center).buffer(radius) for center, radius in zip(centers, radii, strict=True)])


def measure_pairs(glands: list[Gland]) -> tuple[list[float], list[float]]:
    contours = np.array([gland.polygon_px for gland in glands], object)
    centroids, edges = [], []
    for index, contour in enumerate(contours):
        others = np.delete(contours, index)
        edges.append(float(shapely.distance(contour, others).min()))
        centroids.append(float(shapely.distance(contour.centroid, shapely.centroid(others)).min()))
    return centroids, edges


@pytest.mark.parametrize(("count", "side"), [(2, 5000), (60, 600), (300, 20_000), (250, 1500)])
def test_distances_are_those_of_every_pair(count: int, side: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neighbors, "BLOCK", 50)  # several blocks, whose neighbors lie in others
    glands = scatter(count, side, seed=count)
    centroids, edges = measure_pairs(glands)
    found = find_neighbors(glands)
    np.testing.assert_allclose(found[:, 0], centroids)
    np.testing.assert_allclose(found[:, 1], edges, atol=2 * SIMPLIFIED_PX)


def test_a_gland_in_a_lumen_is_near_its_wall() -> None:
    ring = Polygon(box(0, 0, 100, 100).exterior, [box(10, 10, 90, 90).exterior])
    found = find_neighbors(number([ring, box(20, 40, 30, 50)]))
    assert found[:, 1].tolist() == [10, 10]
    assert found[0, 0] == pytest.approx(math.hypot(25, 5))


@pytest.mark.parametrize("count", [0, 1])
def test_without_another_gland_there_is_no_distance(count: int) -> None:
    found = find_neighbors(number([box(0, 0, 10, 10)][:count]))
    assert found.shape == (count, 2) and np.isnan(found).all()


def test_glands_on_disk_are_read_by_place(tmp_path: Path) -> None:
    store = GlandStore(tmp_path / "store")
    for left in (300, 0, 100):
        store.add((0, left), (0, left), box(left, 0, left + 20, 20), (0.9, 0.1))
    glands = store.finish()
    assert [glands[index].polygon_px.bounds[0] for index in range(3)] == [0, 100, 300]
    assert [gland.number for gland in glands] == [1, 2, 3] and glands[2].number == 3
    assert find_neighbors(glands).tolist() == [[100, 80], [100, 80], [200, 180]]
    store.close()
