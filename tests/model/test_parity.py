from __future__ import annotations

import contextlib
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from glandseg.model.parity import (
    LIMITS,
    Parity,
    ParityError,
    check_parity,
    draw_golden_tiles,
    measure_parity,
)

UM_PER_PX = 0.62
SAME = Parity(max_dp=0.0, mean_dp=0.0, argmax_agreement=1.0, dice=1.0)


@pytest.fixture(scope="module")
def tiles() -> NDArray[np.uint8]:
    return draw_golden_tiles(UM_PER_PX)


class Threshold(contextlib.nullcontext["Threshold"]):
    """Gland where green is below a limit, 0.8 sure; changes some pixels by some steps."""

    name, classes = "threshold", 2

    def __init__(self, limit: int = 150, steps: int = 0) -> None:
        super().__init__(self)
        self.batches: list[int] = []
        self._limit, self._steps = limit, steps

    def infer(self, windows: NDArray[np.uint8]) -> NDArray[np.uint8]:
        self.batches.append(len(windows))
        gland = np.where(windows[..., 1] < self._limit, 204, 51).astype(np.uint8)
        gland[:, 0, :160] += np.uint8(self._steps)
        return np.stack([255 - gland, gland], 1)


def test_golden_tiles_are_always_the_same_and_hold_gland_and_glass() -> None:
    tiles = draw_golden_tiles(0.62)
    assert tiles.shape == (8, 320, 320, 3) and tiles.dtype == np.uint8
    assert np.array_equal(tiles, draw_golden_tiles(0.62))
    assert len({tile.tobytes() for tile in tiles}) == 8
    assert tiles[-1].mean() > 235 > tiles[0].mean()


@pytest.mark.parametrize("um_per_px", [0.01, 40.0])
def test_golden_tiles_at_any_resolution(um_per_px: float) -> None:
    assert draw_golden_tiles(um_per_px, ("stroma", "glass")).shape == (2, 320, 320, 3)


def test_same_network_is_at_parity(tiles: NDArray[np.uint8]) -> None:
    artifact = Threshold()
    assert measure_parity(Threshold(), artifact, tiles) == SAME
    assert artifact.batches == [1, 2, 5]


def test_one_tile_suffices(tiles: NDArray[np.uint8]) -> None:
    assert measure_parity(Threshold(), Threshold(), tiles[:1]) == SAME


def test_measures_differences_in_probability(tiles: NDArray[np.uint8]) -> None:
    parity = measure_parity(Threshold(), Threshold(steps=10), tiles)
    assert parity.max_dp == pytest.approx(10 / 255)
    assert parity.mean_dp == pytest.approx(10 / 255 * 160 / 320 / 320)
    assert parity.argmax_agreement == parity.dice == 1


def test_measures_other_masks(tiles: NDArray[np.uint8]) -> None:
    parity = measure_parity(Threshold(), Threshold(limit=160), tiles)
    masks = tiles[..., 1] < 150, tiles[..., 1] < 160
    assert parity.argmax_agreement == pytest.approx((masks[0] == masks[1]).mean())
    assert parity.dice == pytest.approx(2 * (masks[0] & masks[1]).sum() / (masks[0].sum() + masks[1].sum()))


@pytest.mark.parametrize("precision", ["float32", "float16"])
def test_limits_themselves_pass(precision: str) -> None:
    check_parity(SAME, precision, "m.onnx")
    check_parity(LIMITS[precision], precision, "m.onnx")


def test_float16_may_differ_more() -> None:
    parity = replace(SAME, max_dp=0.02)
    check_parity(parity, "float16", "m.onnx")
    with pytest.raises(ParityError):
        check_parity(parity, "float32", "m.onnx")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"max_dp": 0.07}, "max_dp 0.07000 is 0.01000 outside its limit 0.06000"),
        ({"mean_dp": 0.005}, "mean_dp 0.00500 is 0.00100 outside its limit 0.00400"),
        ({"argmax_agreement": 0.99}, "argmax_agreement 0.99000 is 0.00600 outside its limit 0.99600"),
        ({"dice": 0.9}, "dice 0.90000 is 0.09600 outside its limit 0.99600"),
    ],
)
def test_says_by_how_much_it_is_outside(change: dict[str, float], message: str) -> None:
    with pytest.raises(ParityError, match=rf"^m\.onnx: .*{message}"):
        check_parity(replace(SAME, **change), "float16", "m.onnx")


class Even:
    """A network whose probability of gland is the same everywhere."""

    name, classes = "even", 2

    def __init__(self, gland: int) -> None:
        self.gland = gland

    def infer(self, windows: NDArray[np.uint8]) -> NDArray[np.uint8]:
        gland = np.full(windows.shape[:3], self.gland, np.uint8)
        return np.stack([255 - gland, gland], axis=1)

    def __enter__(self) -> Even:
        return self

    def __exit__(self, *error: object) -> None:
        return


@pytest.mark.parametrize(
    ("before", "after", "agreement"), [(127, 129, 1.0), (129, 127, 1.0), (140, 120, 0.0)]
)
def test_only_decided_pixels_must_keep_their_class(
    before: int, after: int, agreement: float, tiles: NDArray[np.uint8]
) -> None:
    parity = measure_parity(Even(before), Even(after), tiles)
    assert parity.argmax_agreement == agreement
    assert parity.max_dp == pytest.approx(abs(before - after) / 255)


class WithCore(Threshold):
    """A network that also finds cores, where blue is below a limit."""

    classes = 3

    def __init__(self, core_limit: int = 150, **how: int) -> None:
        super().__init__(**how)
        self._core_limit = core_limit

    def infer(self, windows: NDArray[np.uint8]) -> NDArray[np.uint8]:
        core = np.where(windows[..., 2] < self._core_limit, 230, 40).astype(np.uint8)
        return np.concatenate([super().infer(windows), core[:, None]], axis=1)


def test_a_core_that_differs_counts_as_much_as_a_gland_that_does(tiles: NDArray[np.uint8]) -> None:
    assert measure_parity(WithCore(), WithCore(), tiles) == SAME
    parity = measure_parity(WithCore(), WithCore(core_limit=170), tiles)
    masks = tiles[..., 2] < 150, tiles[..., 2] < 170
    changed = (masks[0] != masks[1]).mean()
    assert parity.argmax_agreement == pytest.approx(1 - changed) and changed > 0.004
    assert parity.dice == pytest.approx(2 * (masks[0] & masks[1]).sum() / (masks[0].sum() + masks[1].sum()))
    assert parity.max_dp == pytest.approx(190 / 255)
    assert parity.mean_dp == pytest.approx(190 / 255 * changed)  # not a third of it
    with pytest.raises(ParityError):
        check_parity(parity, "float16", "m.onnx")


def test_a_gland_that_differs_beside_the_same_core_counts(tiles: NDArray[np.uint8]) -> None:
    expected = measure_parity(Threshold(), Threshold(limit=160), tiles)
    assert measure_parity(WithCore(), WithCore(limit=160), tiles) == expected


@pytest.mark.parametrize(("core", "agreement"), [(129, 1.0), (100, 0.0)])
def test_a_core_beside_a_gland_is_no_third_class(
    core: int, agreement: float, tiles: NDArray[np.uint8]
) -> None:
    """A sure gland in a surer core stays gland; only a decided core must stay one."""
    parity = measure_parity(Constant(200, 240), Constant(200, core), tiles)
    assert parity.argmax_agreement == agreement


class Constant(Even):
    """A network whose probabilities of gland and core are the same everywhere."""

    classes = 3

    def __init__(self, gland: int, core: int) -> None:
        super().__init__(gland)
        self.core = core

    def infer(self, windows: NDArray[np.uint8]) -> NDArray[np.uint8]:
        core = np.full((len(windows), 1, *windows.shape[1:3]), self.core, np.uint8)
        return np.concatenate([super().infer(windows), core], axis=1)
