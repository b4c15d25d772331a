"""Planes into probabilities."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from glandseg.runtime.tiling.in_memory import segment_image, segment_plane
from glandseg.slides.open import open_slide
from glandseg.slides.slide_plane import SlidePlane


class RedIsGland:
    """A network that takes a pixel's red for its probability."""

    name, classes = "red is gland", 2

    def __init__(self) -> None:
        self.calls: list[int] = []

    def infer(self, windows: NDArray[np.uint8]) -> NDArray[np.uint8]:
        self.calls.append(len(windows))
        return np.stack([255 - windows[..., 0], windows[..., 0]], axis=1)

    def __enter__(self) -> RedIsGland:
        return self

    def __exit__(self, *error: object) -> None:
        return


class EdgeIsBlind(RedIsGland):
    """A network that sees nothing in the outer 16 px of a window."""

    def infer(self, windows: NDArray[np.uint8]) -> NDArray[np.uint8]:
        out = super().infer(windows)
        out[:, 1, :16] = out[:, 1, -16:] = out[:, 1, :, :16] = out[:, 1, :, -16:] = 0
        return out


@pytest.fixture
def draw() -> Callable[[int, int], NDArray[np.uint8]]:
    rng = np.random.default_rng(0)
    return lambda height, width: rng.integers(0, 256, (height, width, 3), np.uint8)


@pytest.mark.parametrize("shape", [(1, 1), (224, 224), (256, 257), (700, 1000), (520, 33)])
def test_a_pixelwise_network_comes_through_unchanged(
    draw: Callable[[int, int], NDArray[np.uint8]], shape: tuple[int, int]
) -> None:
    image = draw(*shape)
    assert np.array_equal(segment_image(image, RedIsGland()), image[..., 0])


def test_the_result_does_not_depend_on_the_batch(draw: Callable[[int, int], NDArray[np.uint8]]) -> None:
    image = draw(600, 900)
    results = [segment_image(image, EdgeIsBlind(), batch=batch) for batch in (1, 3, 64)]
    assert np.array_equal(results[0], results[1])
    assert np.array_equal(results[0], results[2])


def test_the_slides_edge_fares_no_worse_than_its_middle() -> None:
    image = np.full((600, 600, 3), 255, np.uint8)
    probability = segment_image(image, EdgeIsBlind())
    inside = probability[200:400, 200:400].min()
    assert probability.min() >= inside
    assert inside >= 180  # (1 - sin^2(pi / 8))^2 of 255, where four windows meet


@pytest.fixture
def plane(tmp_path: Path) -> SlidePlane:
    """Lay a plane over an image that is dark but for a grey square in one corner."""
    image = np.zeros((900, 900, 3), np.uint8)
    image[500:700, 500:700] = 128
    cv2.imwrite(str(tmp_path / "image.png"), image)
    return SlidePlane(open_slide(tmp_path / "image.png", 1.0), 1.0)


def test_a_plane_at_one_scale_is_the_image(plane: SlidePlane) -> None:
    whole = plane.read(0, 0, 900, 900)
    np.testing.assert_array_equal(
        segment_plane(plane, EdgeIsBlind(), (1.0,), 1)[0], segment_image(whole, EdgeIsBlind())
    )


def test_a_plane_at_several_scales_does_not_depend_on_the_batch(plane: SlidePlane) -> None:
    first, other = (segment_plane(plane, EdgeIsBlind(), (1.0, 1.5), 2, batch=batch)[0] for batch in (1, 5))
    np.testing.assert_array_equal(first, other)
    assert (first != segment_plane(plane, EdgeIsBlind(), (1.0,), 1)[0]).any()


def test_extra_scales_run_only_where_the_base_scales_are_uncertain(plane: SlidePlane) -> None:
    networks = {base: RedIsGland() for base in (1, 2)}
    maps = [segment_plane(plane, network, (1.0, 2.0), base)[0] for base, network in networks.items()]
    extra, everywhere = (sum(network.calls) for network in networks.values())
    assert 16 < extra < everywhere == 16 + 64
    np.testing.assert_array_equal(maps[0][:300, :300], maps[1][:300, :300])
