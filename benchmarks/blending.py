"""Which weights should blend windows? Dice of a mosaic under each, over all px and where windows overlap.

The windows are run once, and the same probabilities are blended with each kind of weight.

    python benchmarks/blending.py --side 8192 --json benchmarks/results/blending.json
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import numpy as np
import tifffile
from numpy.typing import NDArray

from benchmarks.bench_case import Case, add_case_options, prepare_case, report_result
from glandseg.model.card import GLAND
from glandseg.model.onnx.cpu import CpuSession
from glandseg.model.windows import MARGIN_PX, STRIDE_PX, UNIT, WINDOW_PX, window_starts, window_weights
from glandseg.slides.open import open_slide
from glandseg.slides.slide_plane import SlidePlane

BATCH = 8
SIGMA = 0.125  # of a window's side, as MONAI's Gaussian importance map
Kind = Callable[[int, int], NDArray[np.float64]]  # index and count on an axis -> (320,) weights


def weigh_hann(index: int, count: int) -> NDArray[np.float64]:
    """Return glandseg's weights: a Hann ramp over the overlap, flat inside."""
    return window_weights(index, count) / UNIT


def weigh_equally(index: int, count: int) -> NDArray[np.float64]:
    """Return equal weights: the mean of the windows that overlap."""
    return np.ones(WINDOW_PX)


def weigh_gaussian(index: int, count: int) -> NDArray[np.float64]:
    """Return a Gaussian around the window's centre."""
    distance = (np.arange(WINDOW_PX) + 0.5) / WINDOW_PX - 0.5
    return np.asarray(np.exp(-0.5 * (distance / SIGMA) ** 2))


def weigh_linearly(index: int, count: int) -> NDArray[np.float64]:
    """Return a linear ramp over the overlap, flat inside."""
    ramp = (np.arange(2 * MARGIN_PX) + 0.5) / (2 * MARGIN_PX)
    return np.concatenate([ramp, np.ones(STRIDE_PX - 2 * MARGIN_PX), ramp[::-1]])


def cut_off(index: int, count: int) -> NDArray[np.float64]:
    """Return a hard edge: each window counts up to the middle of the overlap."""
    inside = np.zeros(WINDOW_PX)
    inside[MARGIN_PX:-MARGIN_PX] = 1
    return inside


KINDS: dict[str, Kind] = {
    "hann": weigh_hann,
    "linear": weigh_linearly,
    "gaussian": weigh_gaussian,
    "mean": weigh_equally,
    "cut": cut_off,
}


def main() -> None:
    """Blend with each kind of weight, and report the Dice."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    add_case_options(parser, side=8192)
    args = parser.parse_args()
    with prepare_case(args) as case:
        answers, shape = run_windows(case)
        truth = tifffile.imread(case.truth)[: shape[0], : shape[1]] > 0
        overlap = mark_overlap(shape)
        dice = {}
        for name, kind in KINDS.items():
            mask = blend(answers, shape, kind) >= 127.5
            dice[name] = {
                "all": measure_dice(mask, truth),
                "overlap": measure_dice(mask[overlap], truth[overlap]),
            }
            print(f"{name:<10} all {dice[name]['all']:.5f}  overlap {dice[name]['overlap']:.5f}", flush=True)
    report_result(args, {**case.facts, "overlap_share": round(float(overlap.mean()), 3), "dice": dice})


def run_windows(case: Case) -> tuple[dict[tuple[int, int], NDArray[np.uint8]], tuple[int, int]]:
    """Run every window of the slide: p(gland) by row and column, and the plane's height and width."""
    with (
        open_slide(case.slide, None) as slide,
        CpuSession(case.model) as session,
    ):
        plane = SlidePlane(slide, case.um)
        rows, columns = window_starts(plane.height_px), window_starts(plane.width_px)
        places = [(i, j) for i in range(len(rows)) for j in range(len(columns))]
        answers: dict[tuple[int, int], NDArray[np.uint8]] = {}
        for first in range(0, len(places), BATCH):
            part = places[first : first + BATCH]
            windows = np.stack([plane.read(columns[j], rows[i], WINDOW_PX, WINDOW_PX) for i, j in part])
            answers.update(zip(part, session.infer(windows)[:, GLAND], strict=True))
        return answers, (plane.height_px, plane.width_px)


def blend(
    answers: dict[tuple[int, int], NDArray[np.uint8]], shape: tuple[int, int], kind: Kind
) -> NDArray[np.float64]:
    """Blend all windows with one kind of weight, (H, W) in 0..255."""
    counts = [max(place[axis] for place in answers) + 1 for axis in (0, 1)]
    room = [count * STRIDE_PX + 2 * MARGIN_PX for count in counts]
    total, weight = np.zeros(room), np.zeros(room)
    for (row, column), values in answers.items():
        weights = kind(row, counts[0])[:, None] * kind(column, counts[1])
        block = np.s_[row * STRIDE_PX :, column * STRIDE_PX :]
        total[block][:WINDOW_PX, :WINDOW_PX] += values * weights
        weight[block][:WINDOW_PX, :WINDOW_PX] += weights
    inside = np.s_[MARGIN_PX : MARGIN_PX + shape[0], MARGIN_PX : MARGIN_PX + shape[1]]
    return np.asarray(total[inside] / np.maximum(weight[inside], 1e-12))


def mark_overlap(shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Mark the px of two or more windows, (H, W) bool."""
    rows, columns = ((np.arange(size) + MARGIN_PX) % STRIDE_PX < 2 * MARGIN_PX for size in shape)
    first_rows, first_columns = (np.arange(size) >= STRIDE_PX - MARGIN_PX for size in shape)
    return np.asarray((rows & first_rows)[:, None] | (columns & first_columns))


def measure_dice(mask: NDArray[np.bool_], truth: NDArray[np.bool_]) -> float:
    """Compute the Dice of two masks."""
    return round(float(2 * (mask & truth).sum() / max(mask.sum() + truth.sum(), 1)), 5)


if __name__ == "__main__":
    main()
