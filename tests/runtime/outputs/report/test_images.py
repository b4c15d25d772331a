"""The picture of the probabilities: in their place, clear where there is none, bounded in size."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from glandseg.runtime.maps.tile_map import TileMap
from glandseg.runtime.outputs.report import images
from glandseg.runtime.outputs.report.images import encode_jpeg, encode_probability

LayMap = Callable[[NDArray[Any]], TileMap]


def decode(data: bytes) -> NDArray[np.uint8]:
    return np.asarray(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED), np.uint8)


def test_probability_lies_in_its_place_and_none_is_clear(lay_map: LayMap) -> None:
    probability = np.zeros((60, 90), np.uint8)
    probability[10:30, 40:80] = 255
    opacity = decode(encode_probability(lay_map(probability)))[..., 3]
    assert opacity.shape == probability.shape
    assert np.array_equal(opacity > 0, probability > 0)


def test_a_large_map_is_averaged_in_blocks(lay_map: LayMap, monkeypatch: Any) -> None:
    monkeypatch.setattr(images, "PROBABILITY_PX", 32)
    monkeypatch.setattr(images, "_BAND_ROWS", 7)
    probability = np.zeros((61, 90), np.uint8)
    probability[:, 45:] = 255
    opacity = decode(encode_probability(lay_map(probability)))[..., 3]
    assert opacity.shape == (21, 30)
    assert not opacity[:, :15].any()
    assert (opacity[:, 15:] == opacity.max()).all()


def test_jpeg_keeps_the_colors() -> None:
    red = np.full((64, 64, 3), (200, 30, 40), np.uint8)
    assert np.abs(decode(encode_jpeg(red)).astype(int)[..., ::-1] - red).max() <= 6
